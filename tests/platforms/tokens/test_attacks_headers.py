"""Attacks with the header of a token and the certificates in it, each by its name."""

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.platforms.tokens.made import (
    KINDS,
    MADE,
    START,
    checks,
    evidence,
    failing,
    judged,
)

from troth.model.report import Verdict
from troth.platforms.tokens import simulate_pki as pki
from troth.platforms.tokens.simulate import Service

Services = dict[str, Service]
SNP = KINDS["maa-snp"]
GCS = KINDS["gcs"]
PKI = KINDS["gcs-pki"]
ITA = KINDS["ita-tdx"]


@pytest.mark.parametrize("kind", [SNP, GCS, ITA], ids=lambda kind: kind.name)
@pytest.mark.parametrize(
    "change",
    [
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": False},
        {"crit": []},
        {"x5u": "https://stranger.example/chain.pem"},
        {"zip": "DEF"},
        {"enc": "A128GCM"},
        {"typ": "jwt"},
        {"typ": "at+jwt"},
        {"cty": "JWT"},
        {"Alg": "none"},
        {"troth": True},
    ],
    ids=str,
)
def test_headers_that_ask_for_more(services: Services, kind, change: dict[str, Any]) -> None:
    """Signed as it should be; what is asked for is not done, and that it was asked is refused."""
    service = services[kind.service]
    data = service.token(kind.claims(bytes(range(1, 33))), MADE, header=change)
    assert failing(judged(data, kind, service)) == {"G701"}


def test_a_key_in_the_header(services: Services) -> None:
    for kind in (SNP, GCS, ITA):
        service = services[kind.service]
        stranger = Service.create(kind.service, START)
        claims = kind.claims(bytes(range(1, 33)))
        data = stranger.token(claims, MADE, header={"jwk": stranger.jwk(), "kid": service.kid})
        report = judged(data, kind, service)
        assert {"G701", "G104"} <= failing(report)
        chain = [base64.b64encode(one.der).decode() for one in stranger.path or stranger.certified]
        data = stranger.token(claims, MADE, header={"x5c": chain, "kid": service.kid})
        assert judged(data, kind, service).verdict is Verdict.REJECTED


def test_an_address_in_the_header_is_never_followed(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reached(*_: object, **__: object) -> None:
        raise AssertionError("a verdict reached for the network")

    for name in ("socket.socket.connect", "socket.getaddrinfo", "urllib.request.urlopen"):
        monkeypatch.setattr(name, reached)
    for kind in (SNP, GCS, ITA):
        service = services[kind.service]
        stranger = replace(Service.create(kind.service, START), kid=service.kid)
        header = {"jku": "https://stranger.example/keys"}
        claims = kind.claims(bytes(range(1, 33)))
        assert judged(stranger.token(claims, MADE, header=header), kind, service).verdict is (
            Verdict.REJECTED
        )
        genuine = judged(service.token(claims, MADE, header=header), kind, service)
        # Azure always writes its own there.
        assert failing(genuine) == ({"G701"} if kind is SNP else set())
        (check,) = checks(genuine, "G701")
        assert kind is SNP or check.why == "its jku is not followed"
    (check,) = checks(judged(evidence(GCS, services["gcs"]), GCS, services["gcs"]), "G701")
    assert check.why == ""


def chained(service: Service, *ders: bytes, key: Any = None) -> bytes:
    x5c = [base64.b64encode(der).decode() for der in ders]
    signer = service if key is None else replace(service, key=key)
    return signer.token(PKI.claims(bytes(range(1, 33))), MADE, header={"x5c": x5c}, certified=True)


@pytest.mark.parametrize(
    ("order", "wrong"),
    [
        ((2, 1, 0), {"G104"}),
        ((1, 0, 2), {"G104"}),
        ((0, 2, 1), {"G102"}),
        ((0, 2), {"G102"}),
        ((0, 0, 1, 2), {"G102"}),
        ((0, 1, 1, 2), {"G102"}),
        ((0, 1), {"G101"}),
        ((0,), {"G101"}),
        ((2,), {"G104"}),
    ],
)
def test_certificates_in_another_order(
    services: Services, order: tuple[int, ...], wrong: set[str]
) -> None:
    service = services["gcs"]
    ders = [service.certified[place].der for place in order]
    report = judged(chained(service, *ders), PKI, service)
    assert report.verdict is Verdict.REJECTED
    assert wrong <= failing(report)


def test_what_stands_above_the_root_is_never_read_for_trust(services: Services) -> None:
    service = services["gcs"]
    other = Service.create("gcs", START)
    ders = [one.der for one in (*service.certified, other.certified[2])]
    assert judged(chained(service, *ders), PKI, service).verdict is Verdict.ACCEPTED


def test_certificates_of_a_strangers_root(services: Services) -> None:
    service = services["gcs"]
    stranger = Service.create("gcs", START)
    report = judged(evidence(PKI, stranger), PKI, service)
    assert "G101" in failing(report)
    # A leaf of his, above it the right authority: names may meet, signatures do not.
    leaf = pki.issue("GCS Signing", stranger.key, begin=START, above=stranger.certified[1])
    ders = [leaf.der, service.certified[1].der, service.certified[2].der]
    report = judged(chained(service, *ders, key=stranger.key), PKI, service)
    assert failing(report) == {"G102"}


def test_a_leaf_that_plays_authority(services: Services) -> None:
    service = services["gcs"]
    leaf, middle, root = service.certified
    key = pki.rsa_key()
    below = pki.issue("below", key, begin=START, above=leaf)
    report = judged(
        chained(service, below.der, leaf.der, middle.der, root.der, key=key), PKI, service
    )
    assert failing(report) == {"G102"}
    report = judged(chained(service, middle.der, root.der, key=middle.key), PKI, service)
    assert failing(report) == {"G102"}


def test_weak_ended_and_unreadable_leaves(services: Services) -> None:
    service = services["gcs"]
    _, middle, root = service.certified
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 - too weak is the point
    leaf = pki.issue("GCS Signing", weak, begin=START, above=middle)
    report = judged(chained(service, leaf.der, middle.der, root.der, key=weak), PKI, service)
    assert {"G702", "G104"} <= failing(report)
    ended = pki.issue(
        "GCS Signing", service.key, begin=START, above=middle, life=timedelta(hours=10)
    )
    report = judged(chained(service, ended.der, middle.der, root.der), PKI, service)
    assert failing(report) == {"G103"}
    for bad in (b"", b"\x30\0", service.certified[0].der + b"\0"):
        report = judged(chained(service, bad, middle.der, root.der), PKI, service)
        assert "G702" in failing(report)
    for x5c in ([], "AAAA", [7], ["AA\n"], ["AAAA"] * 9, None, {}):
        data = service.token(
            PKI.claims(bytes(range(1, 33))), MADE, header={"x5c": x5c or []}, certified=True
        )
        assert judged(data, PKI, service).verdict is Verdict.REJECTED


def test_a_root_of_another_service_does_not_count(services: Services) -> None:
    service = services["gcs"]
    root = replace(service.authority(), platform="ita")
    report = judged(evidence(PKI, service), PKI, service, trust=(root,))
    assert "G101" in failing(report)
