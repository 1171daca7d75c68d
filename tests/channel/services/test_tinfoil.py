"""Tinfoil's two documents, asked of the simulator over TLS, judged, and attacked in each way that we know."""

import base64
import hashlib
import socket
from collections.abc import Iterator

import pytest
from tests.channel.services.tinfoil_made import NONCE, ask, failing, judged, of_image, quote
from tests.platforms.dcap.made import OTHER

from troth.channel import dial, ehbp, services, transcript
from troth.channel.services import tinfoil
from troth.channel.services import tinfoil_document as documents
from troth.channel.services.simulate.tinfoil import Enclave
from troth.channel.web import Web
from troth.errors import Malformed, Unavailable
from troth.model.channel import Binding
from troth.model.check import Waiver
from troth.model.report import Verdict
from troth.model.statement import Status
from troth.wire import json


@pytest.fixture(scope="module")
def v3() -> Iterator[Enclave]:
    with Enclave(quote, platform="tdx") as enclave:
        yield enclave


@pytest.fixture(scope="module")
def v2() -> Iterator[Enclave]:
    with Enclave(quote, platform="tdx", version=2) as enclave:
        yield enclave


def statement(found: tinfoil.Found, name: str) -> Status:
    (one,) = (one.status for one in found.statements if one.name == name)
    return one


def test_version_3_binds_nonce_and_keys_and_is_accepted(v3: Enclave) -> None:
    found = ask(v3.url)
    assert found.service == "tinfoil-v3"
    assert found.keys == {"tls": v3.spki, "hpke": v3.receiver.key}
    assert (found.binding, found.nonce) == (Binding.KEY, NONCE)
    report = judged(found)
    assert report.verdict is Verdict.ACCEPTED, report.checks
    assert statement(found, "gpu_attested") is Status.UNKNOWN


def test_version_2_binds_keys_and_no_nonce(v2: Enclave) -> None:
    found = ask(v2.url)
    assert found.service == "tinfoil-v2"
    assert found.keys == {"tls": v2.spki, "hpke": v2.receiver.key}
    assert found.nonce is None
    assert judged(found).verdict is Verdict.UNDECIDED  # how old it is, nobody knows
    waived = judged(found, waive=frozenset({Waiver.FRESHNESS}))
    assert not failing(waived)
    assert waived.verdict is not Verdict.UNDECIDED
    assert statement(found, "certificate_names") is Status.ASSERTED
    assert found.statements[0].why.endswith("for this attestation document")
    assert any("no freshness" in sentence for sentence in found.not_bound)


@pytest.mark.parametrize("version", [2, 3])
def test_it_is_found_among_all_protocols_and_read_again_from_what_was_kept(version: int) -> None:
    with Enclave(quote, platform="tdx", version=version) as enclave:
        asked = services.ask(enclave.url, services.SERVICES, seconds=20)
    assert asked.service is tinfoil.SERVICE
    assert asked.found.service == f"tinfoil-v{version}"
    kept = transcript.unpack(transcript.pack(asked.transcript))
    again = services.read(kept, services.SERVICES)
    assert again.found.composite == asked.found.composite
    assert again.found.keys == asked.found.keys
    assert not failing(judged(again.found))


def test_anothers_evidence_tinfoil(v3: Enclave) -> None:
    """Another's true documents, for the very nonce, shown by a host with a key of its own."""
    with Enclave(quote, platform="tdx", present=lambda n, _: v3.document(n)) as liar:
        found = ask(liar.url)
    assert "another TLS key than this session's" in found.composite.lead.says
    report = judged(found)
    assert report.verdict is Verdict.REJECTED
    assert "B501" in failing(report)


def test_anothers_evidence_tinfoil_v2(v2: Enclave) -> None:
    with Enclave(quote, platform="tdx", version=2, present=lambda *_: v2.document(None)) as liar:
        report = judged(ask(liar.url), waive=frozenset({Waiver.FRESHNESS}))
    assert "B501" in failing(report)


def test_old_nonce_tinfoil() -> None:
    old: list[bytes] = []

    def again(_: bytes | None, true: bytes) -> bytes:
        old.append(true)
        return old[0]

    with Enclave(quote, platform="tdx", present=again) as enclave:
        assert judged(ask(enclave.url)).verdict is Verdict.ACCEPTED
        report = judged(ask(enclave.url, bytes(32)))
    assert report.verdict is Verdict.REJECTED
    assert "B501" in failing(report)


def test_old_nonce_tinfoil_v2(v2: Enclave) -> None:
    """Version 2 binds none: how old it is stays undecided."""
    found = ask(v2.url)
    assert not found.composite.lead.over_nonce
    assert judged(found).verdict is Verdict.UNDECIDED


def test_downgrade_of_the_binding_tinfoil() -> None:
    """Who shows version 2 in place of 3 gives freshness up, and is not accepted for it."""
    with Enclave(quote, platform="tdx") as enclave:
        v2 = enclave.document(None)
    with Enclave(quote, platform="tdx", present=lambda *_: v2) as liar:
        assert judged(ask(liar.url)).verdict is not Verdict.ACCEPTED
    with Enclave(quote, platform="tdx", version=2) as enclave:
        assert judged(ask(enclave.url)).verdict is Verdict.UNDECIDED


def test_a_policy_that_wants_a_session_takes_no_key(v3: Enclave) -> None:
    report = judged(ask(v3.url), of_image(channel=Binding.SESSION))
    assert report.verdict is Verdict.REJECTED
    assert "B302" in failing(report)


def test_key_swapped_tinfoil() -> None:
    """Another key for bodies, in the document or where the host gives it out, is not the attested one."""

    def swapped(nonce: bytes | None, true: bytes) -> bytes:
        value = json.parse(true, field="")
        section = base64.b64decode(value["crypto_material"])
        keys = json.parse(section, field="")
        keys["items"][1]["data"] = "77" * 32
        crypto = json.canonical(keys)
        device = base64.b64decode(value["device_evidence"])
        value["crypto_material"] = base64.b64encode(crypto).decode()
        value["cpu_evidence"]["endorsed"]["crypto_material_hash"] = hashlib.sha256(
            crypto
        ).hexdigest()
        assert nonce is not None
        value["challenge"]["report_data"] = documents.report_data(nonce, crypto, device).hex()
        return json.canonical(value)

    with Enclave(quote, platform="tdx", present=swapped) as enclave:
        found = ask(enclave.url)
        report = judged(found)
    assert found.keys["hpke"] == b"\x77" * 32
    assert report.verdict is Verdict.REJECTED
    assert "B501" in failing(report)


def test_key_swapped_tinfoil_v2(v2: Enclave) -> None:
    body = v2.document(None)
    found = tinfoil.of_v2(body, key=v2.spki, served=b"\x77" * 32)
    assert "B501" in failing(judged(found))
    names = [*tinfoil.names_of("hpke", v2.receiver.key, "a.example")]
    with pytest.raises(Malformed, match="another key"):
        tinfoil.of_v2(body, key=v2.spki, names=names, served=b"\x77" * 32)
    found = tinfoil.of_v2(body, key=v2.spki, names=[*tinfoil.names_of("hpke", bytes(32), "a.b")])
    assert "B501" in failing(judged(found))


def test_certificate_swapped_tinfoil_v2(v2: Enclave) -> None:
    """The same key under a certificate for another document is said; under another key it is refused."""
    body = v2.document(None)
    other = [*tinfoil.names_of("hatt", b"00" * 32, "a.example")]
    found = tinfoil.of_v2(body, key=v2.spki, names=other)
    assert statement(found, "certificate_names") is Status.REFUTED
    assert found.statements[0].why.endswith("for another attestation document")
    found = tinfoil.of_v2(body, key=v2.spki)
    assert statement(found, "certificate_names") is Status.UNKNOWN
    assert "B501" in failing(judged(tinfoil.of_v2(body, key=b"another key")))


def test_certificate_swapped_tinfoil(v3: Enclave) -> None:
    """Version 3 ignores what a certificate says beside its key."""
    body = v3.document(NONCE)
    assert judged(tinfoil.of_v3(body, nonce=NONCE, key=v3.spki)).verdict is Verdict.ACCEPTED
    found = tinfoil.of_v3(body, nonce=NONCE, key=b"another key")
    assert "B501" in failing(judged(found))


def test_without_a_tls_key_only_bodies_are_bound_and_that_is_said(v3: Enclave, v2: Enclave) -> None:
    for found in (
        tinfoil.of_v3(v3.document(NONCE), nonce=NONCE, key=None),
        tinfoil.of_v2(v2.document(None), key=None),
    ):
        assert set(found.keys) == {"hpke"}
        assert any("only encrypted bodies are safe" in words for words in found.not_bound)
        assert not failing(judged(found))


def test_stripped_gpu_tinfoil() -> None:
    """Devices cannot be left away under the same report; and the policy counts them."""
    gpu = {"id": "gpu0", "kind": "gpu", "vendor": "v", "format": "f", "evidence": {"a": 1}}

    def stripped(nonce: bytes | None, true: bytes) -> bytes:
        value = json.parse(true, field="")
        device = json.canonical({"format": documents.DEVICE_EVIDENCE, "items": []})
        crypto = base64.b64decode(value["crypto_material"])
        value["device_evidence"] = base64.b64encode(device).decode()
        value["cpu_evidence"]["endorsed"]["device_evidence_hash"] = hashlib.sha256(
            device
        ).hexdigest()
        assert nonce is not None
        value["challenge"]["report_data"] = documents.report_data(nonce, crypto, device).hex()
        return json.canonical(value)

    with Enclave(quote, platform="tdx", devices=lambda _: [gpu], present=stripped) as liar:
        assert "B501" in failing(judged(ask(liar.url)))
    with Enclave(quote, platform="tdx") as bare:
        report = judged(ask(bare.url), of_image(parts={"nvidia": 1}))
    assert report.verdict is Verdict.REJECTED
    assert "P107" in failing(report)


def test_a_device_that_nobody_can_read_is_not_passed_over() -> None:
    gpu = {"id": "x", "kind": "nic", "vendor": "v", "format": "f", "evidence": {"a": 1}}
    with Enclave(quote, platform="tdx", devices=lambda _: [gpu]) as enclave:
        found = ask(enclave.url)
        report = judged(found)
    assert [part.name for part in found.composite.parts] == ["cpu", "device-0"]
    assert report.verdict is not Verdict.ACCEPTED


def test_compose_changed_tinfoil() -> None:
    """What an application is made of is in RTMR2 (SNP: MEASUREMENT): another is another image."""
    with Enclave(lambda data: quote(data, rtmr2=b"\x22" * 48), platform="tdx") as other:
        report = judged(ask(other.url))
    assert report.verdict is Verdict.REJECTED
    assert "M201" in failing(report)


def test_event_log_payload_changed_with_digests_kept_tinfoil(v3: Enclave) -> None:
    """No log travels: there is nothing to change, and registers count whole."""
    found = ask(v3.url)
    assert all(part.event_log is None for part in found.composite.parts)
    assert any("no event log" in words for words in found.not_bound)


def test_receipt_for_another_body_tinfoil(v3: Enclave) -> None:
    """There are no receipts, and that is said; what stands in for them is the answer's key, see EHBP."""
    assert any("answers are not signed" in words for words in ask(v3.url).not_bound)


def test_another_s_root_is_no_root(v3: Enclave) -> None:
    assert judged(ask(v3.url), trust=OTHER.roots()).verdict is not Verdict.ACCEPTED


def test_a_key_that_changes_between_two_answers_is_refused() -> None:
    """A document from one enclave and its key configuration from another, at one address."""
    with (
        Enclave(quote, platform="tdx", version=2) as one,
        Enclave(quote, platform="tdx", version=2) as other,
    ):
        diallers = iter([dial.parse(one.url).dialler(), dial.parse(other.url).dialler()])

        def dialler() -> socket.socket:
            return next(diallers)()

        with Web(one.url, seconds=10, dialler=dialler) as web:
            web.get(tinfoil.PATH)
            web.close()
            with pytest.raises(Unavailable, match="changed its key"):
                web.get(ehbp.KEYS_PATH)
