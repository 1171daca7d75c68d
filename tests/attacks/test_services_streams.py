"""Attacks on streams: end marks that the client sees and the checker does not, clear text between, a cut."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.channel.openai_made import GUEST, POLICY, PROMPT, client, refused, stream, vouching

import troth
from troth.channel import e2ee, sse
from troth.channel.flow import Flow
from troth.channel.inference import Inference, Settings
from troth.channel.manners import Came, PlainSent, Proof, Request
from troth.channel.openai import async_openai
from troth.channel.services.simulate.aci import Aci, Asked
from troth.model.channel import Binding

PING = b": ping\n\n"


def chunk(text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    value = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "echo"}
    return b"data: " + json.dumps(value | {"choices": [choice]}).encode()


class Liar(Aci):
    """What comes first on the wire is somebody else's."""

    first = b""
    shown = False

    def on_the_wire(self, piece: bytes) -> bytes:
        if self.shown or not self.first:
            return piece
        self.shown = True
        return self.first


@pytest.mark.parametrize(
    "end",
    [
        b"\n\ndata: [DONE]!\n\n",  # the client looks at how it begins
        b"\n\ndata: [DONE]\ndata: more\n\n",
        b"\n\rdata: [DONE]\n\r:\n\n",  # ends of lines of two kinds end an event, too
        b"\n\r\ndata: [DONE]\n\r\n",
        b"\r\n\ndata: [DONE]\r\n\n",
        b"\r\n\rdata: [DONE]\r\n\r:\n\n",
    ],
)
def test_a_mark_at_which_the_client_stops_before_the_check(end: bytes) -> None:
    """A forged answer, and behind it a mark and more: whoever stops at the mark never asks for a receipt."""
    with Liar(guest=GUEST) as service:
        service.first = chunk("forged") + end + PING + PING
        shown: list[str] = []
        with refused("B414"):
            shown.extend(stream(client(service, encrypt=False)))


@pytest.mark.parametrize("between", [b"\n\r\n", b"\r\n\n", b"\n\r", b"\r\n\r"])
@pytest.mark.parametrize("tail", [b"data: x", b"data: 1\ndata: 2", b":"])
def test_clear_text_between_encrypted_pieces(between: bytes, tail: bytes) -> None:
    """Past somebody else's TLS, an event that holds two: one of them in the clear."""
    with Liar(guest=GUEST, tls=False) as service:
        service.first = chunk("injected") + between + tail + b"\n\n" + PING
        shown: list[str] = []
        with refused():
            shown.extend(stream(client(service, authorities=vouching(service))))
        assert "injected" not in "".join(shown)


def test_ends_of_lines_of_two_kinds_end_an_event() -> None:
    ends = (b"\n", b"\r\n", b"\r")
    for one in ends:
        for other in ends:
            if one + other == b"\r\n":
                continue
            found = list(sse.events([b"data: 1" + one + other + b"data: 2\n\n"]))
            assert [sse.data(event) for event in found] == [b"1", b"2"], (one, other)
    assert [
        sse.data(e) for e in sse.events([b"data: 1\r", b"\nid: 3\r", b"\n\r", b"\ndata: 2"])
    ] == [
        b"1",
        b"2",
    ]


class Link:
    """A connection that can be closed."""

    def close(self) -> None:
        """Nothing is open."""


def flowing(endpoint: str, pieces: list[bytes], checked: list[str]) -> Iterator[bytes]:
    class Sent(PlainSent):
        def check(self, came: Came, _: Any) -> Proof:
            checked.append(came.sha256)
            return Proof(name="")

    link: Any = Link()
    request = Request(method="POST", path=endpoint, headers={}, body=b"{}")
    flow = Flow(
        link,
        request,
        Sent(b"{}"),
        (),
        release=lambda _: None,
        renew=lambda: link,
        done=lambda *_: None,
    )
    return flow.stream(iter(pieces))


def test_a_stream_of_responses_that_is_cut_between_two_frames() -> None:
    """Encrypted bodies look whole when they are cut between two frames; the protocol's mark shows the cut."""
    begun = b'data: {"type":"response.output_text.delta","delta":"to be"}\n\n'
    whole = b'data: {"type":"response.completed"}\n\n'
    checked: list[str] = []
    with pytest.raises(troth.AnswerRefused):
        list(flowing("/v1/responses", [begun, begun], checked))
    assert not checked
    assert b"".join(flowing("/v1/responses", [begun, whole], checked)) == begun + whole
    assert checked


def test_the_last_of_responses_waits_for_the_check() -> None:
    whole = b'data: {"type":"response.completed"}\n\n'
    checked: list[str] = []
    pieces = flowing("/v1/responses", [whole, PING, PING], checked)
    next(pieces)
    assert checked


def test_an_answer_that_is_nested_too_deep_to_be_decrypted() -> None:
    """Whoever is on the way can encrypt to the client's key, and no receipt was looked at yet."""

    class Deep(Aci):
        def _seal(self, asked: Asked, answer: dict[str, Any]) -> None:
            assert asked.sealed is not None
            context = asked.sealed.context
            for place in e2ee.answer_fields(answer):
                aad = context.answer_aad(place.path, str(answer.get("id") or ""))
                held = e2ee.seal(b"[" * 100_000, to=asked.sealed.client, algo=context.algo, aad=aad)
                place.put(held)

    with Deep(guest=GUEST) as service, refused():
        client(service).embeddings.create(model="echo", input="a", encoding_format="float")


def test_a_keyset_that_ends_after_the_last_year() -> None:
    class Far(Aci):
        def make_keyset(self, tls: list[dict[str, str]], not_after: int) -> dict[str, Any]:
            return super().make_keyset(tls, 2**53 if not_after else 0)

    with Far(guest=GUEST) as service:
        assert "".join(stream(client(service))).strip() == "You said: a secret prompt"


def test_a_secret_is_not_in_what_is_said_of_a_header() -> None:
    """A key that was read from a file, with the end of its line."""
    with Aci(guest=GUEST) as service:
        made = client(service, api_key="sk-very-secret\n")
        with pytest.raises(troth.Misuse) as caught:
            made.chat.completions.create(model="echo", messages=PROMPT)
        error: BaseException | None = caught.value
        while error is not None:
            assert "very-secret" not in str(error)
            error = None if error.__suppress_context__ else error.__cause__ or error.__context__
        inference = Inference(
            service.url, Settings(policy=POLICY, trust=GUEST.roots, collateral=GUEST.collateral)
        )
        with pytest.raises(troth.Misuse, match="cannot be said") as caught:
            inference.send(
                Request(
                    method="GET", path="/", headers={"X-Api-Key": "sk-very-secret\r\n"}, body=b""
                )
            )
        inference.close()
        assert "very-secret" not in str(caught.value)


def test_a_gateway_whose_report_was_made_to_say_that_it_is_none() -> None:
    """Nothing binds that word: past somebody else's TLS, verified upstreams are asked for all the same."""
    asked: list[Any] = []

    class Flipped(Aci):
        def report(self, nonce: bytes | None) -> dict[str, Any]:
            said = super().report(nonce)
            said["service_capabilities"] = {"serving": "direct", "supported_e2ee_versions": []}
            return said

        def forwarded(self, question: Asked) -> bytes:
            asked.append(question.body.get("provider"))
            return super().forwarded(question)

    with Flipped(guest=GUEST, tls=False, direct=False) as service:
        made = client(
            service,
            authorities=vouching(service),
            policy=replace(POLICY, channel=Binding.ANSWER),
        )
        made.chat.completions.create(model="echo", messages=PROMPT)
    assert asked == [{"aci_verified": True}]


@pytest.mark.parametrize(
    "odd",
    [
        {"messages": {"role": "user", "content": "secret"}, "prompt": "x"},
        {"messages": "secret", "prompt": "x"},
        {"prompt": "x", "input": {"text": "secret"}},
        {"prompt": "x", "input": [["secret"]]},
        {"prompt": "x", "input": 5},
    ],
)
def test_content_of_an_odd_form_is_not_sent_past_somebody_elses_tls(odd: dict[str, Any]) -> None:
    with Aci(guest=GUEST, tls=False) as service:
        made = client(service, authorities=vouching(service))
        with pytest.raises(troth.Misuse, match="cannot be encrypted"):
            made.post("/completions", body={"model": "echo"} | odd, cast_to=object)
        assert not service.prompts


class Headed(Aci):
    """Says more in the head of an answer, or other things."""

    more: dict[str, str]

    def _answer(self, question: Any) -> Any:
        reply = super()._answer(question)
        if question.method != "POST":
            return reply
        return replace(reply, headers={**reply.headers, **self.more})


def test_bytes_in_a_header_that_are_no_ascii() -> None:
    with Headed(guest=GUEST) as service:
        service.more = {"X-Server": "caf\xe9"}
        made = client(service)
        assert "".join(stream(made)).strip() == "You said: a secret prompt"


def test_an_answer_in_one_that_its_head_calls_a_stream() -> None:
    """It would be shown as it came: encrypted, and taken for what the model said."""
    with Headed(guest=GUEST) as service:
        service.more = {"Content-Type": "text/event-stream"}
        answer = client(service).chat.completions.with_raw_response.create(
            model="echo", messages=PROMPT
        )
        said = json.loads(answer.text)["choices"][0]["message"]["content"]
        assert said == "You said: a secret prompt"


def test_a_websocket_goes_past_what_was_verified_and_so_nowhere() -> None:
    """The library dials them itself: its `connect` had sent key and prompt to whoever an authority vouches for."""
    with Aci(guest=GUEST) as service:
        given: dict[str, Any] = {
            "policy": POLICY,
            "trust": GUEST.roots,
            "collateral": GUEST.collateral,
            "api_key": "sk-development",
        }
        for made in (client(service), async_openai(f"{service.url}/v1", **given)):
            for one in (made, made.with_options(timeout=5), made.copy(max_retries=1)):
                host = urlsplit(str(one.websocket_base_url)).hostname
                assert host is not None and host.endswith(".invalid")
                connect = getattr(one.responses, "connect", None)  # the oldest have none
                assert connect is None or connect()._prepare_url().host == host
        with pytest.raises(troth.Misuse, match="websockets"):
            client(service, websocket_base_url="wss://api.example.com")
