"""Attacks on the algorithm and the key of a token, each by its name."""

import base64
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from tests.platforms.tokens.made import (
    KINDS,
    MADE,
    START,
    checks,
    evidence,
    failing,
    judged,
    still_open,
)

from troth.model.collateral import Item
from troth.model.report import Verdict
from troth.platforms.tokens import simulate_pki as pki
from troth.platforms.tokens.inner import pem
from troth.platforms.tokens.simulate import Service
from troth.wire.jose import to_url

Services = dict[str, Service]
SNP = KINDS["maa-snp"]
GCS = KINDS["gcs"]
PKI = KINDS["gcs-pki"]
ITA = KINDS["ita-tdx"]


def parts(data: bytes) -> tuple[dict[str, Any], bytes, bytes]:
    """Header, and the letters of payload and signature."""
    header, payload, signature = data.split(b".")
    text = base64.urlsafe_b64decode(header + b"=" * (-len(header) % 4))
    return json.loads(text), payload, signature


def with_header(data: bytes, change: dict[str, Any], *, signature: bytes | None = None) -> bytes:
    header, payload, old = parts(data)
    changed = to_url(json.dumps(header | change).encode()).encode()
    return b".".join([changed, payload, old if signature is None else signature])


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
@pytest.mark.parametrize("kind", [SNP, GCS, ITA], ids=lambda kind: kind.name)
def test_no_algorithm(services: Services, kind, alg: str) -> None:
    service = services[kind.service]
    data = evidence(kind, service)
    for signature in (b"", parts(data)[2]):
        report = judged(with_header(data, {"alg": alg}, signature=signature), kind, service)
        assert report.verdict is Verdict.REJECTED
        assert {"G104", "G105"} <= failing(report)


@pytest.mark.parametrize("form", ["pem", "der", "modulus"])
def test_the_public_key_as_a_secret(services: Services, form: str) -> None:
    """HS256 under the bytes of the public key, which everybody has."""
    service = services["maa"]
    spki = pki.spki(service.key)
    public = service.key.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    secret = {
        "pem": pem(spki),
        "der": spki,
        "modulus": public.public_numbers().n.to_bytes(256, "big"),
    }[form]
    unsigned = with_header(evidence(SNP, service), {"alg": "HS256"}, signature=b"")
    mac = hmac.digest(secret, unsigned[:-1], "sha256")
    report = judged(unsigned + to_url(mac).encode(), SNP, service)
    assert report.verdict is Verdict.REJECTED
    assert {"G104", "G105"} <= failing(report)


@pytest.mark.parametrize(
    "alg",
    ["rs256", "Rs256", "RS256 ", " RS256", "RS2\u217256", "RS384", "PS256", ["RS256"], None, 256],
)
def test_tricks_with_the_algorithms_name(services: Services, alg: Any) -> None:
    """Signed as it should be, over a header that names it otherwise."""
    service = services["maa"]
    data = service.token(SNP.claims(bytes(range(1, 33))), MADE, header={"alg": alg})
    report = judged(data, SNP, service)
    assert report.verdict is Verdict.REJECTED
    assert "G105" in failing(report)


def test_another_algorithm_with_the_right_key(services: Services) -> None:
    """Intel's key set names one key for two algorithms; only one of these counts."""
    service = services["ita"]
    assert isinstance(service.key, rsa.RSAPrivateKey)
    header, payload, _ = parts(evidence(ITA, service))
    for alg in ("RS256", "PS384"):
        signed = to_url(json.dumps(header | {"alg": alg}).encode()).encode() + b"." + payload
        signature = service.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        items = (
            Item(
                kind=service.issuer.keys,
                data=service.key_set(service.jwk(alg="RS256")),
                source="a test",
            ),
        )
        data = signed + b"." + to_url(signature).encode()
        report = judged(data, ITA, service, items=items)
        assert "G104" in failing(report)
        assert ("G105" in failing(report)) is (alg == "RS256")


def test_no_key_is_named(services: Services) -> None:
    service = services["maa"]
    for kid in (None, "", 7, ["a"]):
        data = service.token(SNP.claims(bytes(range(1, 33))), MADE, header={"kid": kid})
        report = judged(data, SNP, service)
        assert "G701" in failing(report)
        assert report.verdict is Verdict.REJECTED


def test_a_key_that_no_set_holds(services: Services) -> None:
    service = services["maa"]
    data = service.token(SNP.claims(bytes(range(1, 33))), MADE, header={"kid": "another"})
    report = judged(data, SNP, service)
    assert report.verdict is Verdict.UNDECIDED
    assert {"R201", "G101", "G104"} <= still_open(report)
    (check,) = checks(report, "R201")
    assert "none of the 1 key sets" in check.why
    report = judged(data, SNP, service, items=())
    (check,) = checks(report, "R201")
    assert "no key set of Azure Attestation" in check.why


def test_another_key_of_the_set(services: Services) -> None:
    service = services["gcs"]
    other = Service.create("gcs", START)
    items = (Item(kind=service.issuer.keys, data=service.key_set(other.jwk()), source="a test"),)
    data = with_header(evidence(GCS, service), {"kid": other.kid})
    report = judged(data, GCS, service, items=items, trust=(*service.roots(), *other.roots()))
    assert "G104" in failing(report)


def test_a_strangers_key_under_the_right_name(services: Services) -> None:
    """A key set comes with the evidence: the stranger's token needs his key to be named, and it is not."""
    service = services["gcs"]
    stranger = replace(Service.create("gcs", START), kid=service.kid)
    for items in (
        (stranger.collateral(),),
        (stranger.collateral(), service.collateral()),
        (service.collateral(), stranger.collateral()),
    ):
        forged = judged(evidence(GCS, stranger), GCS, service, items=items)
        assert forged.verdict is not Verdict.ACCEPTED
        genuine = judged(evidence(GCS, service), GCS, service, items=items)
        assert (genuine.verdict is Verdict.ACCEPTED) is (service.collateral() in items)
    # In one set or two: where both are named, it is not for the token to choose.
    both = judged(
        evidence(GCS, stranger),
        GCS,
        service,
        items=(stranger.collateral(), service.collateral()),
        trust=(*service.roots(), *stranger.roots()),
    )
    assert "G702" in failing(both)


def test_a_key_set_alone_is_no_reason(services: Services) -> None:
    """What `troth trust update` fetched counts for nothing until somebody names it."""
    for kind in KINDS.values():
        service = services[kind.service]
        report = judged(evidence(kind, service), kind, service, trust=())
        assert report.verdict in (Verdict.UNDECIDED, Verdict.REJECTED)
        assert report.root_class is None


def test_a_key_of_another_service(services: Services) -> None:
    """Named for Google it does not count for Azure, though the algorithm is the same."""
    google = services["gcs"]
    forged = replace(google, issuer=services["maa"].issuer, iss=services["maa"].iss)
    data = evidence(SNP, forged)
    for kind in (forged.issuer.keys, google.issuer.keys):
        items = (Item(kind=kind, data=google.key_set(), source="a test"),)
        report = judged(data, SNP, forged, items=items, trust=google.roots())
        assert report.verdict is not Verdict.ACCEPTED
        assert "G101" in still_open(report)


def test_a_key_of_another_tenant(services: Services) -> None:
    """Azure's certificate names the tenant that the key is for."""
    service = services["maa"]
    forged = replace(service, iss="https://another.eus.attest.azure.net")
    policy = replace(
        SNP.policy,
        requirements={"maa": replace(SNP.policy.asks("maa"), says={"issuer": {forged.iss}})},
    )
    report = judged(evidence(SNP, forged), SNP, forged, policy=policy)
    assert "G702" in failing(report)
    report = judged(evidence(SNP, forged), SNP, forged)
    assert "P207" in failing(report)


@pytest.mark.parametrize(
    ("bits", "exponent", "why"), [(1024, 65537, "1024 bits"), (2048, 3, "exponent 3")]
)
def test_weak_keys(bits: int, exponent: int, why: str) -> None:
    weak = rsa.generate_private_key(exponent, bits)
    service = replace(Service.create("gcs", START), key=weak)
    report = judged(evidence(GCS, service), GCS, service)
    assert {"G702", "G104"} <= failing(report)
    assert any(why in check.why for check in report.checks)


@pytest.mark.parametrize(
    "change", [{"d": "AAAA"}, {"use": "enc"}, {"kty": "oct"}, {"alg": "PS384"}, {"n": "AQAB"}]
)
def test_keys_that_are_not_for_this(services: Services, change: dict[str, Any]) -> None:
    service = services["gcs"]
    key = service.jwk() | change
    items = (
        Item(kind=service.issuer.keys, data=json.dumps({"keys": [key]}).encode(), source="a test"),
    )
    report = judged(evidence(GCS, service), GCS, service, items=items)
    assert report.verdict is not Verdict.ACCEPTED


def test_key_sets_that_cannot_be_read(services: Services) -> None:
    service = services["gcs"]
    good = service.collateral()
    for data in (b"", b"{}", b"[" * 100_000, b'{"keys":[],"keys":[]}', b"\xff" * 100):
        bad = replace(good, data=data)
        assert "G702" in failing(judged(evidence(GCS, service), GCS, service, items=(bad,)))
        beside = judged(evidence(GCS, service), GCS, service, items=(bad, good))
        assert beside.verdict is Verdict.ACCEPTED


def test_certificates_of_a_key_set_that_cannot_be_read(services: Services) -> None:
    service = services["ita"]
    good = service.jwk()["x5c"]
    for x5c in ([good[0], "AAAA", good[2]], [good[0], good[1], "MAA="]):
        key = service.jwk(x5c=x5c)
        data = json.dumps({"keys": [key]}).encode()
        items = (Item(kind=service.issuer.keys, data=data, source="a test"),)
        for trust in ((service.authority(),), ()):
            report = judged(evidence(ITA, service), ITA, service, items=items, trust=trust)
            assert failing(report) == {"G101"}
            assert checks(report, "G101")[0].why
