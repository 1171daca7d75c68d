"""What surrounds the evidence in both versions: read in one form, and refused in every other."""

import base64
import gzip
import hashlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from tests.channel.services.tinfoil_made import NONCE, ask, failing, judged, quote

from troth.channel import ehbp
from troth.channel.services import tinfoil
from troth.channel.services import tinfoil_document as documents
from troth.channel.services.simulate._server import Question, Reply, Server
from troth.channel.services.simulate.tinfoil import Enclave
from troth.errors import Malformed, Misuse
from troth.model.collateral import Kind
from troth.model.report import Verdict
from troth.wire import json

PCS = {"url": "https://x.example/tdx/certification/v4/tcb", "body_base64": "QQ=="}


@pytest.fixture(scope="module")
def v3() -> Iterator[Enclave]:
    with Enclave(quote, platform="tdx") as enclave:
        yield enclave


@pytest.fixture(scope="module")
def v2() -> Iterator[Enclave]:
    with Enclave(quote, platform="tdx", version=2) as enclave:
        yield enclave


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
        ("intel-pcs/v1", {"responses": [PCS | {"headers": []}]}),
        ("intel-pcs/v1", {"responses": [PCS | {"headers": {}}]}),
        ("intel-pcs/v1", {"responses": [PCS | {"headers": {"TCB-Info-Issuer-Chain": []}}]}),
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


def test_the_longest_report_is_unpacked() -> None:
    longest = bytes(tinfoil.MAX_REPORT)
    assert tinfoil.unpacked(gzip.compress(longest)) == longest
    with pytest.raises(Malformed, match="longer"):
        tinfoil.unpacked(gzip.compress(longest + b"\0"))


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


def test_a_tls_key_may_stand_there_whole(v3: Enclave) -> None:
    """Its SubjectPublicKeyInfo (`key/spki/v1`) in place of a hash of it."""

    class Whole(Enclave):
        def _keys(self) -> list[dict[str, str]]:
            tls, hpke = super()._keys()
            return [tls | {"format": documents.SPKI, "data": self.spki.hex()}, hpke]

    with Whole(quote, platform="tdx") as enclave:
        body = enclave.document(NONCE)
        found = tinfoil.of_v3(body, nonce=NONCE, key=enclave.spki)
        assert found.keys["tls"] == enclave.spki
        assert judged(found).verdict is Verdict.ACCEPTED
        other = tinfoil.of_v3(body, nonce=NONCE, key=v3.spki)
    assert judged(other).verdict is Verdict.REJECTED


def test_a_tls_key_in_an_unknown_form_is_none() -> None:
    class Unknown(Enclave):
        def _keys(self) -> list[dict[str, str]]:
            tls, hpke = super()._keys()
            return [tls | {"format": "https://tinfoil.sh/key/other/v9"}, hpke]

    with Unknown(quote, platform="tdx") as enclave:
        found = ask(enclave.url)
    assert set(found.keys) == {"hpke"}
    assert any("only encrypted bodies are safe" in words for words in found.not_bound)


KEYS = {"Content-Type": f"{ehbp.KEYS_TYPE}; charset=binary"}


@pytest.mark.parametrize(
    ("reply", "counts"),
    [
        (Reply(headers=KEYS, body=ehbp.write_keys(b"\x77" * 32)), True),
        (Reply(headers=KEYS | {"X": "y"}, status=404, body=ehbp.write_keys(b"\x77" * 32)), False),
        (Reply(headers={"Content-Type": "text/html"}, body=b"<html>"), False),
        (Reply(status=302, headers={"Location": "/elsewhere"}), False),
        (Reply(status=404), False),
    ],
)
def test_a_key_that_the_host_gives_out_must_be_the_attested_one(
    reply: Reply, *, counts: bool
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    spki = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    bound = hashlib.sha256(spki).digest() + b"\x55" * 32
    body = base64.b64encode(gzip.compress(quote(bound))).decode()
    document = Reply(body=json.canonical({"format": tinfoil.TDX_V2, "body": body}))

    def answer(question: Question) -> Reply:
        return document if question.path == tinfoil.PATH else reply

    with Server(answer, key=key) as server:
        found = ask(server.url)
    assert found.keys["hpke"] == (b"\x77" if counts else b"\x55") * 32
    assert failing(judged(found)) == ({"B501"} if counts else set())
