"""The package `openai`, unchanged, over our transport: nothing before acceptance, everything it can do."""

import asyncio
import json
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.channel.openai_made import (
    GUEST,
    POLICY,
    PROMPT,
    SAID,
    client,
    say,
    stream,
    unread,
    vouching,
)

import troth
from troth.channel import dial, kept, keyset, receipts, services, signatures, transcript
from troth.channel.inference import Inference, Settings
from troth.channel.manners import Request
from troth.channel.openai import async_openai, openai
from troth.channel.services.simulate._guest import Guest
from troth.channel.services.simulate.aci import Aci
from troth.channel.services.simulate.phala import Phala
from troth.model.channel import Binding
from troth.model.report import Verdict, decide
from troth.verifier import bundle


@pytest.fixture(name="aci", scope="module")
def _aci() -> Iterator[Aci]:
    with Aci(guest=GUEST) as service:
        yield service


@pytest.mark.parametrize("suite", [keyset.X25519, keyset.SECP256K1])
def test_answers_are_encrypted_both_ways_and_checked(suite: str) -> None:
    with Aci(guest=GUEST, suite=suite) as service:
        made = client(service)
        assert say(made) == SAID
        assert "".join(stream(made)).strip() == SAID
        assert unread(service)
        assert len(made.attested.proofs) == 2
        assert made.attested.binding is Binding.KEY
        assert made.attested.verified.claims.platform == "tdx"


def test_without_encryption_the_key_is_pinned_and_receipts_are_checked(aci: Aci) -> None:
    made = client(aci, encrypt=False)
    assert say(made) == SAID
    assert "".join(stream(made)).strip() == SAID
    assert made.attested.proofs[0].receipt


def test_a_server_that_ends_the_connection_after_each_answer() -> None:
    class Closing(Aci):
        def _answer(self, question: Any) -> Any:
            reply = super()._answer(question)
            return replace(reply, headers={**reply.headers, "Connection": "close"})

    with Closing(guest=GUEST) as closing:
        made = client(closing)
        for _ in range(2):
            assert say(made) == SAID
            assert "".join(stream(made)).strip() == SAID


def test_other_endpoints(aci: Aci) -> None:
    made = client(aci)
    assert made.completions.create(model="echo", prompt="x").choices[0].text == "You said: x"
    found = made.embeddings.create(model="echo", input=["a", "bb"], encoding_format="float")
    assert [one.embedding[1] for one in found.data] == [0.25, 0.5]
    assert [model.id for model in made.models.list()] == ["echo"]


def test_with_options_keeps_what_was_verified(aci: Aci) -> None:
    made = client(aci)
    assert say(made.with_options(timeout=5, max_retries=1)) == SAID
    elsewhere = made.with_options(base_url="https://example.com/v1")
    with pytest.raises(troth.Misuse):
        say(elsewhere)


def test_content_of_several_parts_and_texts_that_look_like_arrays(aci: Aci) -> None:
    made = client(aci)
    for content in ([{"type": "text", "text": "[1, 2]"}], "[1, 2]"):
        answer = made.chat.completions.create(
            model="echo", messages=[{"role": "user", "content": content}], temperature=0.7
        )
        assert answer.choices[0].message.content == "You said: [1, 2]"


def test_async(aci: Aci) -> None:
    async def ask() -> tuple[str, str]:
        made: Any = async_openai(
            aci.url,
            policy=POLICY,
            trust=GUEST.roots,
            collateral=GUEST.collateral,
            api_key="sk-development",
        )
        whole = await made.chat.completions.create(model="echo", messages=PROMPT)
        pieces = await made.chat.completions.create(model="echo", messages=PROMPT, stream=True)
        streamed = [piece.choices[0].delta.content or "" async for piece in pieces]
        await made.close()
        return str(whole.choices[0].message.content), "".join(streamed).strip()

    assert asyncio.run(ask()) == (SAID, SAID)


# Nothing is sent before acceptance.


def test_no_byte_of_a_prompt_leaves_before_acceptance() -> None:
    with Aci(guest=GUEST) as service:
        other = troth.Policy.for_image({"tdx": dict(GUEST.registers) | {"rtmr3": "00" * 48}})
        with pytest.raises(troth.Rejected):
            client(service, policy=replace(other, channel=Binding.KEY))
        with pytest.raises(troth.Undecided):
            client(service, collateral=None)
        with pytest.raises((troth.Rejected, troth.Undecided)):
            client(service, trust=())
        assert not service.prompts


def test_downgrade_of_the_binding_is_refused_before_anything_is_sent() -> None:
    strict = replace(POLICY, channel=Binding.SESSION)
    with Aci(guest=GUEST) as service:
        with pytest.raises(troth.Rejected):
            client(service, policy=strict)
        assert not service.prompts
    with Aci(guest=GUEST, tls=False, suite=None) as bare:
        with pytest.raises(troth.Rejected):
            client(bare)
        assert not bare.prompts


def test_certificate_swapped_after_acceptance(aci: Aci) -> None:
    with Aci(guest=GUEST) as other:
        made = client(aci)
        made.attested._established.pinned._dialler = dial.parse(other.url).dialler()
        made.attested._established.pinned.close()
        # Whoever has another key gets nothing; the address itself is verified anew.
        assert say(made) == SAID
        assert not other.prompts


def _switching(*services: Aci) -> tuple[Inference, list[Aci]]:
    """Verified at the first; whatever is dialled from then on is the last in the list."""
    places = [services[0]]

    def dial_there() -> socket.socket:
        return dial.parse(places[-1].url).dialler()()

    settings = Settings(
        policy=POLICY, trust=GUEST.roots, collateral=GUEST.collateral, dialler=dial_there
    )
    return Inference(services[0].url, settings), places


def _ask(inference: Inference) -> bytes:
    body = json.dumps({"model": "echo", "messages": PROMPT}).encode()
    asked = Request(method="POST", path="/v1/chat/completions", headers={}, body=body)
    return b"".join(inference.send(asked).pieces)


def test_a_service_that_starts_again_is_verified_again() -> None:
    with Aci(guest=GUEST) as first, Aci(guest=GUEST) as second:
        inference, places = _switching(first)
        assert SAID.encode() in _ask(inference)
        before = inference.verified
        places.append(second)
        inference.close()
        assert SAID.encode() in _ask(inference)
        assert inference.verified is not before
        assert len(second.prompts) == 1


def test_another_in_its_place_gets_nothing() -> None:
    evil = replace(Guest.create(datetime.now(UTC), composition="{}"), pki=GUEST.pki)
    with Aci(guest=GUEST) as first, Aci(guest=evil) as second:
        inference, places = _switching(first)
        places.append(second)
        inference.close()
        with pytest.raises(troth.Rejected):
            _ask(inference)
        assert not second.prompts


def test_a_keyset_that_was_replaced_is_asked_for_anew() -> None:
    class Rotating(Aci):
        def _answer(self, question: Any) -> Any:
            reply = super()._answer(question)
            other = {"X-ACI-Keyset-Digest": "sha256:" + "0" * 64}
            return replace(reply, headers={**reply.headers, **other})

    with Rotating(guest=GUEST) as rotating:
        made = client(rotating)
        before = made.attested.verified
        assert say(made) == SAID
        assert say(made) == SAID
        assert made.attested.verified is not before


def test_a_host_that_attests_nothing() -> None:
    class Plain(Aci):
        def report(self, _: bytes | None) -> dict[str, Any]:
            return {}

    with Plain(guest=GUEST) as plain, pytest.raises(troth.Unavailable):
        client(plain)


# TLS that ends before the workload: contents are encrypted, the rest has to be harmless.


def test_contents_are_encrypted_past_somebody_elses_tls() -> None:
    with Aci(guest=GUEST, tls=False) as behind:
        made = client(behind, authorities=vouching(behind))
        assert say(made) == SAID
        assert "".join(stream(made)).strip() == SAID
        assert unread(behind)
        assert made.attested.binding is Binding.KEY
        assert "API key" in made.attested.left_open[0]
        # That it has no upstream is bound by nothing there, so verified serving is asked for.
        assert b'"provider":{"aci_verified":true}' in behind.prompts[-1]


def test_whatever_cannot_be_encrypted_is_not_sent_there() -> None:
    with Aci(guest=GUEST, tls=False) as behind:
        made = client(behind, authorities=vouching(behind))
        tool = {"type": "function", "function": {"name": "secret", "parameters": {}}}
        with pytest.raises(troth.Misuse, match="tools"):
            say(made, tools=[tool])
        with pytest.raises(troth.Misuse, match="name"):
            made.chat.completions.create(
                model="echo", messages=[{"role": "user", "content": "x", "name": "secret"}]
            )
        with pytest.raises(troth.Misuse, match="cannot be encrypted"):
            made.responses.create(model="echo", input="secret")
        with pytest.raises(troth.Misuse):
            made.embeddings.create(model="echo", input=[[1, 2, 3]])
        assert not behind.prompts


def test_calls_of_tools_are_not_taken_from_somebody_elses_tls() -> None:
    class Injected(Aci):
        def on_the_wire(self, piece: bytes) -> bytes:
            call = b'{"role": "assistant", "tool_calls": [{"id": "x"}]'
            return piece.replace(b'{"role":"assistant"', call).replace(
                b'{"role": "assistant"', call
            )

    with Injected(guest=GUEST, tls=False) as injected:
        made = client(injected, authorities=vouching(injected))
        shown: list[str] = []
        with pytest.raises(troth.AnswerRefused, match="in the clear"):
            shown.extend(stream(made))
        with pytest.raises(troth.AnswerRefused, match="in the clear"):
            say(made)
        assert not shown


def test_an_authority_has_to_vouch_where_evidence_names_no_tls_key() -> None:
    with Aci(guest=GUEST, tls=False) as behind, pytest.raises(troth.Unavailable, match="vouches"):
        client(behind)
    loose = ssl.create_default_context()
    loose.check_hostname = False
    loose.verify_mode = ssl.CERT_NONE
    with Aci(guest=GUEST, tls=False) as behind, pytest.raises(troth.Misuse):
        client(behind, authorities=loose)


def test_tools_go_inside_pinned_tls(aci: Aci) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    assert say(client(aci), tools=[tool]) == SAID


# Time, and what is kept.


def test_evidence_is_asked_for_anew_when_it_is_too_old() -> None:
    later = timedelta(0)

    def clock() -> datetime:
        return datetime.now(UTC) + later

    with Aci(guest=GUEST) as service:
        made = client(service, at=clock)
        first = made.attested.verified
        assert say(made) == SAID
        assert made.attested.verified is first
        later = timedelta(minutes=6)
        assert say(made) == SAID
        assert made.attested.verified is not first
        later = timedelta(days=400)
        count = len(service.prompts)
        with pytest.raises((troth.Rejected, troth.Undecided)):
            say(made)
        assert len(service.prompts) == count


def test_a_keyset_that_ends_is_asked_for_anew() -> None:
    with Aci(guest=GUEST, life=2) as service:
        made = client(service)
        assert say(made) == SAID
        time.sleep(2.1)
        with pytest.raises(troth.Rejected):
            say(made)


def test_bundles_and_receipts_are_kept(tmp_path: Path) -> None:
    with Aci(guest=GUEST) as service:
        made = client(service, keep=tmp_path)
        say(made)
        list(stream(made))
    (packed,) = tmp_path.glob("*.bundle")
    found = bundle.unpack(packed.read_bytes())
    assert found.maker is not None
    answers = [kept.unpack(path.read_bytes()) for path in tmp_path.glob("*.answer")]
    assert len(answers) == 2
    assert {answer.evidence.hex()[:32] for answer in answers} == {packed.stem}
    again = services.read(transcript.unpack(found.evidence), services.SERVICES)
    other = replace(again, transcript=replace(again.transcript, nonce=bytes(32)))
    for answer in answers:
        assert decide(kept.checks(answer, again), receipts.REQUIRED) is Verdict.ACCEPTED
        for changed, beside in (
            (replace(answer, response=bytes(32)), again),
            (replace(answer, request=bytes(32)), again),
            (replace(answer, model="small"), again),
            (answer, other),
        ):
            assert decide(kept.checks(changed, beside), receipts.REQUIRED) is Verdict.REJECTED


def test_signatures_of_the_older_form_are_kept(tmp_path: Path) -> None:
    with Phala(guest=GUEST) as service:
        say(client(service, keep=tmp_path))
    (packed,) = tmp_path.glob("*.bundle")
    evidence = bundle.unpack(packed.read_bytes()).evidence
    again = services.read(transcript.unpack(evidence), services.SERVICES)
    (path,) = tmp_path.glob("*.answer")
    answer = kept.unpack(path.read_bytes())
    assert decide(kept.checks(answer, again), signatures.REQUIRED) is Verdict.ACCEPTED
    changed = replace(answer, response=bytes(32))
    assert decide(kept.checks(changed, again), signatures.REQUIRED) is Verdict.REJECTED


def test_addresses_that_mean_nothing() -> None:
    for url in ("http://127.0.0.1/v1", "127.0.0.1", "https://u@h/v1", "https://h/v1?x", "https://"):
        with pytest.raises(troth.Misuse):
            openai(url, policy=POLICY)


def test_the_library_that_is_absent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(troth.Unavailable) as caught:
        openai("https://127.0.0.1/v1", policy=POLICY)
    assert "openai" in caught.value.fix
