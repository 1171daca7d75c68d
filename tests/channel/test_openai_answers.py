"""Answers that do not count, through the package `openai` unchanged: each is refused before it is shown."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import openai as library
import pytest
from tests.channel.openai_made import (
    GUEST,
    POLICY,
    PROMPT,
    SAID,
    client,
    refused,
    say,
    stream,
    vouching,
)

import troth
from troth.channel.services.simulate._server import Cut, Question
from troth.channel.services.simulate.aci import Aci, Asked
from troth.channel.services.simulate.phala import Phala
from troth.model.channel import Binding


@pytest.fixture(name="aci", scope="module")
def _aci() -> Iterator[Aci]:
    with Aci(guest=GUEST) as service:
        yield service


@pytest.mark.parametrize("encrypt", [True, False])
def test_receipt_for_another_answer(encrypt: bool) -> None:
    class Changed(Aci):
        def on_the_wire(self, piece: bytes) -> bytes:
            return piece.replace(b'"created"', b'"Created"')

    with Changed(guest=GUEST) as changed:
        made = client(changed, encrypt=encrypt)
        with refused("B414"):
            say(made)
        shown: list[str] = []
        with refused("B414"):
            shown.extend(stream(made))
        assert "".join(shown).strip() in SAID


def test_content_replaced_in_an_encrypted_answer() -> None:
    class Clear(Aci):
        def _seal(self, asked: Asked, answer: dict[str, Any]) -> None:
            """Leaves it in the clear, and says that it is encrypted."""

    with Clear(guest=GUEST) as clear:
        made = client(clear)
        with refused("B411"):
            say(made)
        with refused("B411"):
            list(stream(made))


def test_receipt_for_another_body_aci() -> None:
    class Other(Aci):
        def events(self, asked: Asked, forwarded: bytes, response: str) -> list[dict[str, Any]]:
            return super().events(replace(asked, received=b"another"), forwarded, response)

    with Other(guest=GUEST) as other, refused("B413"):
        say(client(other))


def test_receipt_for_another_model() -> None:
    class Cheaper(Aci):
        def receipt(self, asked: Asked, receipt_id: str, chat_id: Any, response: str) -> bytes:
            cheap = replace(asked, body=asked.body | {"model": "small"})
            return super().receipt(cheap, receipt_id, chat_id, response)

    with Cheaper(guest=GUEST) as cheaper, refused("B416"):
        say(client(cheaper, encrypt=False))


def test_a_refused_answer_is_not_asked_for_again() -> None:
    class Other(Aci):
        def events(self, asked: Asked, forwarded: bytes, response: str) -> list[dict[str, Any]]:
            return super().events(replace(asked, received=b"another"), forwarded, response)

    with Other(guest=GUEST) as other:
        made = client(other, max_retries=2)
        for count in (1, 2):
            with refused("B413"):
                say(made)
            assert len(other.prompts) == count


def test_receipt_by_another_key(aci: Aci) -> None:
    class Forged(Aci):
        def sign(self, receipt: dict[str, Any]) -> bytes:
            return aci.sign(receipt)

    with Forged(guest=GUEST) as forged, refused("B411"):
        say(client(forged))


@pytest.mark.parametrize("streamed", [True, False])
def test_receipt_that_is_missing(streamed: bool) -> None:
    class Silent(Aci):
        def _keep(self, *_: Any) -> None:
            """Keeps no receipt."""

    with Silent(guest=GUEST) as silent, refused("B411"):
        made = client(silent)
        list(stream(made)) if streamed else say(made)


def test_receipt_of_an_earlier_answer() -> None:
    class Replayed(Aci):
        def _keep(self, asked: Asked, receipt_id: str, chat_id: Any, response: str) -> None:
            super()._keep(asked, receipt_id, chat_id, response)
            first = next(iter(self.receipts.values()))
            self.receipts[receipt_id] = first

    with Replayed(guest=GUEST) as replayed:
        made = client(replayed)
        assert say(made) == SAID
        with refused("B412", "B414"):
            say(made)


@pytest.mark.parametrize("encrypt", [True, False])
def test_stream_cut_aci(encrypt: bool) -> None:
    """Cut hard, the connection is lost; cut softly, the receipt shows it. Its end mark never comes."""

    class Hard(Aci):
        def on_the_wire(self, piece: bytes) -> bytes:
            if b'finish_reason":"stop' in piece:
                raise Cut
            return piece

    with Hard(guest=GUEST) as hard, pytest.raises((troth.Unavailable, troth.Malformed)):
        list(stream(client(hard, encrypt=encrypt)))

    class Soft(Aci):
        def _stream(self, asked: Asked, receipt_id: str) -> Iterator[bytes]:
            pieces = list(super()._stream(asked, receipt_id))
            yield from pieces[:-3]
            yield pieces[-1]

    with Soft(guest=GUEST) as soft:
        shown: list[str] = []
        with refused("B414"):
            shown.extend(stream(client(soft, encrypt=encrypt)))
        assert "".join(shown).strip() in SAID


def test_stream_without_its_end_mark() -> None:
    class Unmarked(Aci):
        def _stream(self, asked: Asked, receipt_id: str) -> Iterator[bytes]:
            yield from list(super()._stream(asked, receipt_id))[:-1]

    with Unmarked(guest=GUEST) as unmarked, refused("B414"):
        list(stream(client(unmarked)))


def test_stream_with_something_behind_its_end_mark() -> None:
    """The library stops at the mark, so it must not see it before the whole was checked."""

    class More(Aci):
        def _stream(self, asked: Asked, receipt_id: str) -> Iterator[bytes]:
            yield from super()._stream(asked, receipt_id)
            yield b"data: {}\n\n"

    with More(guest=GUEST) as more, refused("B414"):
        list(stream(client(more)))


def test_a_stream_that_nobody_reads_to_its_end_harms_nothing(aci: Aci) -> None:
    made = client(aci)
    pieces = made.chat.completions.create(model="echo", messages=PROMPT, stream=True)
    next(iter(pieces))
    pieces.close()
    assert say(made) == SAID


def test_a_packed_answer_is_refused() -> None:
    class Packed(Aci):
        def _answer(self, question: Any) -> Any:
            reply = super()._answer(question)
            if question.method == "GET":
                return reply
            return replace(reply, headers={**reply.headers, "Content-Encoding": "gzip"})

    with Packed(guest=GUEST) as packed, pytest.raises(troth.Malformed, match="Content-Encoding"):
        say(client(packed))


def test_errors_of_the_service_are_the_librarys(aci: Aci) -> None:
    made = client(aci, encrypt=False)
    with pytest.raises(library.BadRequestError):
        say(made, extra_body={"provider": {"aci_unknown": 1}})
    with pytest.raises(library.NotFoundError):
        made.models.retrieve("nothing")


# Gateways.


def test_a_gateway_is_asked_for_verified_serving() -> None:
    with Aci(guest=GUEST, direct=False) as gateway:
        made = client(gateway, encrypt=False)
        assert say(made) == SAID
        assert b'"provider":{"aci_verified":true}' in gateway.prompts[-1]
        pinned = {"provider": {"aci_session_ids": [gateway.session_id]}}
        assert say(made, extra_body=pinned) == SAID
        with pytest.raises(library.APIStatusError):
            say(made, extra_body={"provider": {"aci_session_ids": ["0" * 64]}})


def test_an_upstream_that_was_not_verified() -> None:
    class Loose(Aci):
        def events(self, asked: Asked, forwarded: bytes, response: str) -> list[dict[str, Any]]:
            found = super().events(asked, forwarded, response)
            lost = {"type": "upstream.verified", "result": "failed", "required": False}
            return [*found[:2], lost | {"reason": "no quote"}, found[3]]

    with Loose(guest=GUEST, direct=False) as loose:
        made = client(loose)
        with refused("B417"):
            say(made)
        # What the caller gives up by name is not asked of the receipt.
        assert say(made, extra_body={"provider": {"aci_verified": False}}) == SAID


def test_a_gateway_that_calls_itself_direct() -> None:
    class Modest(Aci):
        def report(self, nonce: bytes | None) -> dict[str, Any]:
            made = super().report(nonce)
            return made | {"service_capabilities": {"serving": "direct"}}

        def events(self, asked: Asked, forwarded: bytes, response: str) -> list[dict[str, Any]]:
            found = super().events(asked, forwarded, response)
            lost = {"type": "upstream.verified", "result": "failed", "required": False}
            return [*found[:2], lost, found[3]]

    with Modest(guest=GUEST, direct=False) as modest, refused("B417"):
        say(client(modest))


def test_a_session_that_is_not_current_or_of_no_tee() -> None:
    class Old(Aci):
        def make_session(self) -> dict[str, Any]:
            return super().make_session() | {"established_at": 1, "expires_at": 2}

    class Unknown(Aci):
        def make_session(self) -> dict[str, Any]:
            return super().make_session() | {"claims": {}}

    for kind in (Old, Unknown):
        with kind(guest=GUEST, direct=False) as gateway, refused("B417"):
            say(client(gateway))


# The older form.


@pytest.mark.parametrize("models", [True, False])
def test_the_older_form_is_signed(models: bool) -> None:
    with Phala(guest=GUEST, models=models) as service:
        made = client(service)
        assert say(made) == SAID
        assert "".join(stream(made)).strip() == SAID
        assert made.attested.asked.found.service == "phala"
        assert any("no time" in sentence for sentence in made.attested.left_open)


def test_receipt_for_another_body_phala() -> None:
    class Changed(Phala):
        def on_the_wire(self, piece: bytes) -> bytes:
            return piece.replace(b"secret", b"public")

    with Changed(guest=GUEST) as changed:
        made = client(changed)
        with refused("B414"):
            say(made)
        with refused("B414"):
            list(stream(made))


def test_stream_cut_phala() -> None:
    class Hard(Phala):
        def on_the_wire(self, piece: bytes) -> bytes:
            if b"DONE" in piece:
                raise Cut
            return piece

    with Hard(guest=GUEST) as hard, pytest.raises((troth.Unavailable, troth.Malformed)):
        list(stream(client(hard)))

    class Soft(Phala):
        def _stream(
            self, question: Question, body: dict[str, Any], client: bytes
        ) -> Iterator[bytes]:
            pieces = list(super()._stream(question, body, client))
            yield from (*pieces[:-3], pieces[-1])

    with Soft(guest=GUEST) as soft, refused("B414"):
        list(stream(client(soft)))


def test_the_older_form_without_a_signature() -> None:
    class Forgetful(Phala):
        def text(self, *_: Any) -> str:
            return "gone"  # signatures lie in a cache and expire

        def _signed(self, text: str, algorithm: str) -> Any:
            return {"error": text + algorithm}

    with Forgetful(guest=GUEST) as forgetful, refused("B411"):
        say(client(forgetful))


def test_the_older_form_signed_by_another() -> None:
    with Phala(guest=GUEST) as other:

        class Forged(Phala):
            def sign(self, text: str, algorithm: str) -> bytes:
                return other.sign(text, algorithm)

        with Forged(guest=GUEST) as forged, refused("B411"):
            say(client(forged))


def test_the_older_form_past_somebody_elses_tls() -> None:
    answers = replace(POLICY, channel=Binding.ANSWER)
    with Phala(guest=GUEST, fingerprint="") as behind:
        with pytest.raises(troth.Rejected):
            client(behind)
        assert say(client(behind, policy=answers, authorities=vouching(behind))) == SAID
