"""Tinfoil's two documents, asked of the simulator over TLS, judged, and attacked in each way that we know."""

import base64
import gzip
import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.channel.services.tinfoil_made import NONCE, ask, failing, judged, of_image, quote
from tests.platforms.dcap.made import OTHER

from troth.channel import dial, ehbp, services, transcript
from troth.channel.services import tinfoil
from troth.channel.services import tinfoil_document as documents
from troth.channel.services.simulate._server import Reply, Server
from troth.channel.services.simulate.tinfoil import Enclave
from troth.channel.web import Web, open_tls
from troth.errors import Malformed, Misuse, Unavailable
from troth.model.channel import Binding
from troth.model.check import Waiver
from troth.model.collateral import Kind
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


def test_a_host_without_the_document_is_no_tinfoil() -> None:
    for status, body in ((404, b"nothing"), (200, b"<html>"), (200, b'{"format":"x"}')):
        with hostile(status, body) as host, Web(host.url, seconds=5) as web:
            assert tinfoil.ask(web, NONCE) is None
    with Web("http://127.0.0.1:1") as web:
        assert tinfoil.ask(web, NONCE) is None


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


def test_collateral_beside_the_document_is_used_and_not_believed() -> None:
    chain = "-----BEGIN CERTIFICATE-----"
    body = base64.b64encode(b"body").decode()
    base = "https://api.trustedservices.intel.com/tdx/certification/v4"

    def intel(*paths: str) -> dict[str, Any]:
        headers = {"TCB-Info-Issuer-Chain": ["%2B"], "Sgx-Enclave-Identity-Issuer-Chain": ["a"]}
        headers["SGX-PCK-CRL-Issuer-Chain"] = ["b"]
        responses = [{"url": path, "headers": headers, "body_base64": body} for path in paths]
        return {"responses": responses}

    rows = [
        ("vcek", "amd-vcek/v1", {"vcek_der_base64": body, "cert_chain_pem": chain}),
        ("crl", "amd-crl/v1", {"crl_der_base64": body}),
        (
            "pcs",
            "intel-pcs/v1",
            intel(
                *(f"{base}/tcb?fmspc=00", f"{base}/qe/identity?update=early"),
                "https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca=platform",
                "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der",
            ),
        ),
        (
            "code",
            "sigstore-code/v1",
            {"repo": "r", "tag": "t", "digest": "d", "sigstore_bundle": {}},
        ),
        ("new", "something/v9", {"whatever": []}),
    ]
    collateral = [
        {"id": name, "role": "endorsement", "format": f"https://tinfoil.sh/collateral/{kind}",
         "subjects": ["cpu"], "data": data}
        for name, kind, data in rows
    ]  # fmt: skip
    with Enclave(quote, platform="tdx", collateral=collateral) as enclave:
        found = ask(enclave.url)
        assert judged(found).verdict is Verdict.ACCEPTED
    assert [item.kind for item in found.collateral.items] == [
        *(Kind.AMD_ENDORSEMENT, Kind.AMD_CHAIN, Kind.AMD_CRL),
        *(Kind.INTEL_TCB_INFO, Kind.INTEL_QE_IDENTITY, Kind.INTEL_PCK_CRL, Kind.INTEL_ROOT_CRL),
    ]
    assert [item.chain for item in found.collateral.items[3:]] == [b"+", b"a", b"b", b""]
    assert [item.early for item in found.collateral.items[3:]] == [False, True, False, False]
    assert {b"{}"} == {data for path, data in found.raw.items() if "sigstore" in path}


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("amd-vcek/v1", {}),
        ("amd-vcek/v1", {"vcek_der_base64": 1, "cert_chain_pem": ""}),
        ("amd-vcek/v1", {"vcek_der_base64": "A", "cert_chain_pem": ""}),
        ("amd-crl/v1", []),
        ("intel-pcs/v1", {"responses": {}}),
        ("intel-pcs/v1", {"responses": [{"url": "https://x/certification/v4/tcb"}]}),
        ("sigstore-code/v1", {"repo": "r"}),
    ],
)
def test_collateral_in_another_form_is_refused(kind: str, data: Any, v3: Enclave) -> None:
    value = json.parse(v3.document(NONCE), field="")
    row = {"id": "x", "role": "endorsement", "format": f"https://tinfoil.sh/collateral/{kind}"}
    value["collateral"] = [row | {"data": data}]
    with pytest.raises(Malformed):
        tinfoil.of_v3(json.canonical(value), nonce=NONCE, key=None)


def test_evidence_of_another_kind_than_said_is_refused(v3: Enclave, v2: Enclave) -> None:
    value = json.parse(v2.document(None), field="")
    value["format"] = tinfoil.SNP_V2
    with pytest.raises(Malformed, match="is not what"):
        tinfoil.of_v2(json.canonical(value), key=None)
    value = json.parse(v3.document(NONCE), field="")
    value["cpu_evidence"]["format"] = documents.SNP_REPORT
    with pytest.raises(Malformed, match="is not what"):
        tinfoil.of_v3(json.canonical(value), nonce=NONCE, key=None)


def test_a_nonce_of_another_size_is_misuse(v3: Enclave) -> None:
    with pytest.raises(Misuse):
        tinfoil.of_v3(v3.document(NONCE), nonce=bytes(16), key=None)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "https://tinfoil.sh/predicate/sev-snp-guest/v1"},
        {"format": 1},
        {"body": 1},
        {"body": "é"},
        {"body": "AB=="},
        {"body": base64.b64encode(b"no gzip").decode()},
        {"extra": ""},
    ],
)
def test_version_2_in_another_form_is_refused(change: dict[str, Any], v2: Enclave) -> None:
    value = json.parse(v2.document(None), field="") | change
    with pytest.raises(Malformed):
        tinfoil.of_v2(json.canonical(value), key=v2.spki)


def test_a_compressed_report_that_explodes_is_refused() -> None:
    bomb = gzip.compress(bytes(200_000_000), 9)
    start = time.monotonic()
    with pytest.raises(Malformed, match="longer"):
        tinfoil.unpacked(bomb)
    assert time.monotonic() - start < 1


def test_gzip_has_one_member_and_an_end() -> None:
    good = gzip.compress(b"report")
    assert tinfoil.unpacked(good) == b"report"
    for bad in (good + b"\0", good + good, *(good[:size] for size in range(len(good)))):
        with pytest.raises(Malformed):
            tinfoil.unpacked(bad)


@given(data=st.binary(min_size=1, max_size=200))
def test_names_of_a_certificate_are_read_back(data: bytes) -> None:
    names = [*tinfoil.names_of("hpke", data, "enclave.example.org")]
    assert all(len(name.split(".")[0]) <= 63 for name in names)
    assert tinfoil.chunks(names[::-1], "hpke") == data
    assert tinfoil.chunks(names, "hatt") is None


@pytest.mark.parametrize(
    "names",
    [
        ["01aa.hpke.x"],
        ["00aa.hpke.x", "00aa.hpke.x"],
        ["00aa.hpke.x", "02aa.hpke.x"],
        ["00a.hpke.x"],
    ],
)
def test_names_in_another_form_are_refused(names: list[str]) -> None:
    with pytest.raises(Malformed):
        tinfoil.chunks(names, "hpke")


def hostile(status: int, body: bytes, *, pause: float = 0, times: int = 1) -> Server:
    """A TLS host that gives one answer to everything, maybe a byte at a time, maybe many times over."""

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(body) * times, 1 if pause else len(body)):
            yield body[at : at + 1] if pause else body
            time.sleep(pause)

    return Server(lambda _: Reply(status=status, pieces=pieces()))


def test_a_host_that_answers_a_byte_at_a_time_is_left() -> None:
    with hostile(200, b"x" * 60, pause=0.05) as host, Web(host.url, seconds=1) as web:
        start = time.monotonic()
        with pytest.raises(Unavailable):
            tinfoil.ask(web, NONCE)
        assert time.monotonic() - start < 4


def test_an_answer_of_50_mb_is_refused_at_the_limit() -> None:
    longer = pytest.raises(Malformed, match="longer")
    with hostile(200, bytes(1_000_000), times=50) as host, Web(host.url) as web, longer:
        tinfoil.ask(web, NONCE)


@pytest.mark.parametrize(
    "body",
    [
        b'{"format":"https://tinfoil.sh/predicate/attestation/v3"}',
        b'{"format":"https://tinfoil.sh/predicate/attestation/v9"}',
        b'{"format":"https:\\/\\/tinfoil.sh\\/predicate\\/attestation\\/v3"}',
        b'["https://tinfoil.sh/predicate/attestation/v3"]',
        b'{"format":"https://tinfoil.sh/predicate/tdx-guest/v2","format":"x"}',
    ],
)
def test_a_host_that_speaks_it_and_says_nonsense_is_malformed(body: bytes) -> None:
    nonsense = pytest.raises(Malformed)
    with hostile(200, body) as host, Web(host.url, seconds=5) as web, nonsense:
        tinfoil.ask(web, NONCE)


# Encrypted bodies, from one end to the other


def client(enclave: Enclave, key: bytes | None = None) -> ehbp.Client:
    target = dial.parse(enclave.url)
    session = open_tls(target.dialler(), name=target.authority, seconds=10)
    return ehbp.Client(session, target.authority, key or enclave.receiver.key)


def chat(words: str, **more: Any) -> bytes:
    return json.canonical({"model": "m", "messages": [{"role": "user", "content": words}]} | more)


def test_a_chat_over_encrypted_bodies(v3: Enclave) -> None:
    over = client(v3)
    for words in ("hello", "again"):  # one connection, a context for each request
        answer = over.request("POST", "/v1/chat/completions", body=chat(words))
        assert answer.status == 200
        said = json.parse(answer.body, field="")
        assert said["choices"][0]["message"]["content"].lower() == f"you said: {words}"


def test_a_stream_over_encrypted_bodies_comes_piece_by_piece(v3: Enclave) -> None:
    answer = client(v3).open("POST", "/v1/chat/completions", body=[chat("a b c", stream=True)])
    assert answer.sealed
    pieces = list(answer.pieces)
    assert len(pieces) > 4
    assert pieces[-1] == b"data: [DONE]\n\n"


def test_an_error_of_the_application_is_sealed_too(v3: Enclave) -> None:
    answer = client(v3).open("POST", "/v1/nothing", body=[b"{}"])
    assert (answer.status, answer.sealed) == (404, True)
    assert b"no such thing" in b"".join(answer.pieces)


def test_a_key_of_yesterday_is_told_and_nothing_is_read(v3: Enclave) -> None:
    with Enclave(quote, platform="tdx") as other, pytest.raises(ehbp.KeyMismatch):
        client(v3, other.receiver.key).request("POST", "/v1/chat/completions", body=chat("secret"))


def test_stream_cut_tinfoil() -> None:
    """Cut within a frame, or before HTTP's own end, is refused; what EHBP cannot show is in its words."""
    with Enclave(quote, platform="tdx", cut=1) as enclave:
        answer = client(enclave).open("POST", "/v1/chat/completions", body=[chat("x", stream=True)])
        assert next(answer.pieces).startswith(b"data: ")
        with pytest.raises((Malformed, Unavailable)):
            next(answer.pieces)
    assert any("looks whole" in words for words in ehbp.NOT_BOUND)


def test_no_thread_outlives_its_enclave() -> None:
    before = threading.active_count()
    with Enclave(quote, platform="tdx") as enclave:
        ask(enclave.url)
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before
