"""The package `openai` to a Tinfoil enclave: bodies sealed to the key in its evidence, streams too."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.channel.services.tinfoil_made import of_image, quote
from tests.platforms.dcap.made import NOW, PKI

import troth
from troth.channel import ehbp
from troth.channel.openai import openai
from troth.channel.services.simulate._server import Question, Reply
from troth.channel.services.simulate.tinfoil import Enclave

PROMPT: list[Any] = [{"role": "user", "content": "a secret prompt"}]
SAID = "You said: a secret prompt"


class Watched(Enclave):
    """Remembers what came in over the wire."""

    def __init__(self, **settings: Any) -> None:
        self.bodies: list[bytes] = []
        super().__init__(quote, platform="tdx", **settings)

    def _answer(self, question: Question) -> Reply:
        self.bodies.append(question.body)
        return super()._answer(question)


def client(enclave: Enclave, **changes: Any) -> Any:
    given: dict[str, Any] = {
        "policy": of_image(),
        "trust": PKI.roots(),
        "collateral": PKI.collateral(),
        "api_key": "sk-development",
        "max_retries": 0,
        "at": lambda: NOW,
    }
    return openai(enclave.url, **(given | changes))


@pytest.fixture(name="enclave", scope="module")
def _enclave() -> Iterator[Watched]:
    with Watched() as enclave:
        yield enclave


def test_bodies_are_sealed_both_ways(enclave: Watched) -> None:
    made = client(enclave)
    answer = made.chat.completions.create(model="echo", messages=PROMPT)
    assert answer.choices[0].message.content == SAID
    pieces = made.chat.completions.create(model="echo", messages=PROMPT, stream=True)
    assert "".join(p.choices[0].delta.content or "" for p in pieces).strip() == SAID
    assert enclave.asked.count("/v1/chat/completions") == 2
    assert not any(b"secret" in body for body in enclave.bodies)
    assert any("outside the encryption" in sentence for sentence in made.attested.left_open)


def test_nothing_is_sent_to_an_image_that_is_not_expected() -> None:
    with Watched() as enclave:
        other = troth.Policy.for_image({"tdx": {"mrtd": "01" * 48}})
        with pytest.raises((troth.Rejected, troth.Undecided)):
            client(enclave, policy=other)
        assert "/v1/chat/completions" not in enclave.asked


def test_a_stream_that_was_cut_is_an_error() -> None:
    with Watched(cut=3) as enclave:
        pieces = client(enclave).chat.completions.create(model="echo", messages=PROMPT, stream=True)
        with pytest.raises((troth.Unavailable, troth.Malformed)):
            list(pieces)


def test_a_stream_that_ends_between_two_frames_is_cut() -> None:
    """EHBP does not show it; the application's end mark does."""

    class Soft(Watched):
        def _until_cut(self, pieces: Any) -> Any:
            yield from list(pieces)[:3]

    with Soft() as enclave:
        pieces = client(enclave).chat.completions.create(model="echo", messages=PROMPT, stream=True)
        with pytest.raises(troth.AnswerRefused):
            list(pieces)


def test_an_answer_in_the_clear_is_refused() -> None:
    class Clear(Watched):
        def _posted(self, _: Question) -> Reply:
            return Reply(headers={"Content-Type": "application/json"}, body=b'{"choices": []}')

    with Clear() as enclave, pytest.raises(troth.Malformed):
        client(enclave).chat.completions.create(model="echo", messages=PROMPT)


def test_a_key_that_was_replaced_is_no_answer() -> None:
    class Restarted(Watched):
        def _posted(self, _: Question) -> Reply:
            problem = {"Content-Type": ehbp.PROBLEM_TYPE}
            return Reply(status=422, headers=problem, body=ehbp.write_problem())

    with Restarted() as enclave, pytest.raises(troth.Unavailable):
        client(enclave).chat.completions.create(model="echo", messages=PROMPT)
