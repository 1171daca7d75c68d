"""Attacks on times, issuer and form of a token, each by its name."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.platforms.tokens.made import (
    AT,
    KINDS,
    MADE,
    evidence,
    failing,
    judged,
    refused,
    roots,
)

import troth
from troth.errors import Malformed
from troth.model.collateral import Collateral
from troth.model.report import Verdict
from troth.model.roots import RootClass
from troth.platforms.tokens.simulate import Service

Services = dict[str, Service]
SNP = KINDS["maa-snp"]
GCS = KINDS["gcs"]
PKI = KINDS["gcs-pki"]
ITA = KINDS["ita-tdx"]


@pytest.mark.parametrize("name", KINDS)
def test_the_end_is_exact_and_the_beginning_has_a_minute(services: Services, name: str) -> None:
    kind = KINDS[name]
    service = services[kind.service]
    data = evidence(kind, service)
    ends = MADE + {"maa": timedelta(hours=8), "ita": timedelta(minutes=5)}.get(
        kind.service, timedelta(hours=1)
    )
    second = timedelta(seconds=1)
    for at, good in (
        (ends - second, True),
        (ends, False),
        (ends + second, False),
        (MADE, True),
        (MADE - timedelta(seconds=60), True),
        (MADE - timedelta(seconds=61), False),
    ):
        report = judged(data, kind, service, at=at)
        assert (report.verdict is Verdict.ACCEPTED) is good, at
        assert ("R105" in failing(report)) is not good


@pytest.mark.parametrize(
    "change",
    [
        {"exp": None},
        {"iat": None},
        {"exp": int(MADE.timestamp()) + 86401},
        {"exp": int(MADE.timestamp())},
        {"iat": int(AT.timestamp()) + 61, "exp": int(AT.timestamp()) + 100},
        {"nbf": int(AT.timestamp()) + 61},
        {"iat": int(AT.timestamp()) + 30, "exp": int(AT.timestamp()) + 30},
        {"iat": int(AT.timestamp()) + 30, "exp": int(AT.timestamp()) + 10},
        {"exp": 0, "iat": 0, "nbf": 0},
    ],
    ids=str,
)
def test_times_that_no_service_writes(services: Services, change: dict[str, Any]) -> None:
    service = services["maa"]
    claims = {"iss": service.iss, "iat": int(MADE.timestamp()), "exp": int(MADE.timestamp()) + 3600}
    claims |= SNP.claims(bytes(range(1, 33))) | change
    claims = {name: value for name, value in claims.items() if value is not None}
    header = {"alg": "RS256", "kid": service.kid}
    data = service.signed(json.dumps(header).encode(), json.dumps(claims).encode())
    assert "R105" in failing(judged(data, SNP, service))


def test_a_day_is_the_longest_life(services: Services) -> None:
    service = services["maa"]
    data = evidence(SNP, service, exp=int(MADE.timestamp()) + 86400)
    assert judged(data, SNP, service).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("value", ["1", True, [1], {"a": 1}, -1, 253_402_300_800, 2**60])
@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_times_that_are_none(services: Services, name: str, value: Any) -> None:
    service = services["gcs"]
    report = judged(evidence(GCS, service, **{name: value}), GCS, service)
    assert report.verdict is Verdict.MALFORMED


def test_a_time_with_a_fraction(services: Services) -> None:
    service = services["gcs"]
    header = json.dumps({"alg": "RS256", "kid": service.kid}).encode()
    payload = b'{"iss":"' + service.iss.encode() + b'","exp":1e300,"iat":1.5}'
    report = judged(service.signed(header, payload), GCS, service)
    assert report.verdict is Verdict.MALFORMED


@pytest.mark.parametrize(
    "iss",
    [
        "https://tenant.eus.attest.azure.net/",
        "https://tenant.eus.attest.azure.net.stranger.example",
        "https://stranger.example/.eus.attest.azure.net",
        "https://stranger.example#a.eus.attest.azure.net",
        "https://a@tenant.eus.attest.azure.net",
        "https://tenant.eus.test.attest.azure.net",
        "https://tenant.attest.azure.net",
        "https://TENANT.eus.attest.azure.net",
        "http://tenant.eus.attest.azure.net",
        "https://tenant.eus.attest.azure.net\n",
        "https://tenant.eus.attest.azure.net:443",
        "https://confidentialcomputing.googleapis.com/",
        "Intel trust authority",
        "https://nras.attestation-stg.nvidia.com",
        "https://nras.attestation.nvidia.com",
        "",
        7,
        ["https://tenant.eus.attest.azure.net"],
    ],
)
def test_issuers_that_only_look_like_one(services: Services, iss: Any) -> None:
    service = services["maa"]
    report = judged(evidence(SNP, service, iss=iss), SNP, service)
    assert report.verdict is Verdict.MALFORMED


@pytest.mark.parametrize(
    "change",
    [
        lambda t: b" " + t,
        lambda t: t + b" ",
        lambda t: t + b"\n\n",
        lambda t: t + b"\0",
        lambda t: t + b".",
        lambda t: t + b"=",
        lambda t: b"Bearer " + t,
        lambda t: t.replace(b".", b". ", 1),
        lambda t: t.replace(b".", b"=.", 1),
        lambda t: t + b"." + t,
        lambda t: b'"' + t + b'"',
        base64.b64encode,
        lambda t: t + b"A",
        lambda t: t[:-1] + bytes([t[-1] ^ 1]),
        lambda t: b"\xef\xbb\xbf" + t,
        lambda t: t.replace(b"-", b"+").replace(b"_", b"/") + b"/",
        lambda t: json.dumps({"token": t.decode()}).encode(),
    ],
)
@pytest.mark.parametrize("kind", [SNP, GCS, PKI, ITA], ids=lambda kind: kind.name)
def test_one_form_only(services: Services, kind, change: Callable[[bytes], bytes]) -> None:
    service = services[kind.service]
    data = evidence(kind, service)
    assert not refused(data, kind, service)
    assert refused(change(data), kind, service)


def test_one_line_end_is_removed_and_said(services: Services) -> None:
    service = services["gcs"]
    for end in (b"\n", b"\r\n"):
        report = judged(evidence(GCS, service) + end, GCS, service)
        assert report.verdict is Verdict.ACCEPTED
        assert any("a line end" in note for note in report.notes)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"iss":"ISS","exp":1,"exp":2}',
        b'{"iss":"ISS","iss":"ISS"}',
        b'{"iss":"https://stranger.example","iss":"ISS"}',
        b'{"iss":"ISS","a":' + b"[" * 50 + b"]" * 50 + b"}",
        b'{"iss":"ISS","a":' + b"[" * 60_000 + b"]" * 60_000 + b"}",
        b'{"iss":"ISS","a":' + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"}",
        b'{"iss":"ISS","a":"' + b"a" * 300_000 + b'"}',
        b'{"iss":"ISS","a":1e400}',
        b'{"iss":"ISS","a":' + b"9" * 5000 + b"}",
        b'{"iss":"ISS","a":Infinity}',
        b'{"iss":"ISS"}{}',
        b'{"iss":"ISS",}',
        b'["iss","ISS"]',
        b'\xef\xbb\xbf{"iss":"ISS"}',
        b'{"iss":"ISS","a":"\xff"}',
        b"",
    ],
    ids=lambda payload: payload[:40],
)
def test_payloads_that_are_signed_and_no_claims(services: Services, payload: bytes) -> None:
    service = services["gcs"]
    header = json.dumps({"alg": "RS256", "kid": service.kid}).encode()
    data = service.signed(header, payload.replace(b"ISS", service.iss.encode()))
    with pytest.raises(Malformed):
        troth.verify(
            data,
            policy=GCS.policy,
            at=AT,
            trust=roots(GCS, service),
            collateral=Collateral(items=(service.collateral(),)),
        )


def test_half_a_surrogate_pair_is_no_text(services: Services) -> None:
    service = services["gcs"]
    for change in ({"aud": "\ud800"}, {"hwmodel": "\udfff"}, {"a": {"\ud800": 1}}):
        report = judged(evidence(GCS, service, **change), GCS, service)
        assert report.verdict is Verdict.MALFORMED
    data = service.token(GCS.claims(bytes(range(1, 33))), MADE, header={"kid": "\ud800"})
    assert judged(data, GCS, service).verdict is Verdict.MALFORMED
    pair = evidence(GCS, service, a="\N{GRINNING FACE}\\u")
    assert judged(pair, GCS, service).verdict is Verdict.ACCEPTED


def test_a_caller_who_calls_it_a_vendors(services: Services) -> None:
    service = services["gcs"]
    false = tuple(replace(root, root_class=RootClass.VENDOR) for root in service.roots())
    with pytest.raises(troth.Misuse):
        judged(evidence(GCS, service), GCS, service, trust=false)


def test_a_policy_names_a_development_key_by_its_digest(services: Services) -> None:
    service = services["gcs"]
    (root,) = service.roots()
    policy = replace(GCS.policy, development_roots=frozenset({root.sha256}))
    report = judged(evidence(GCS, service), GCS, service, policy=policy, trust=())
    assert report.verdict is Verdict.ACCEPTED
    assert report.root_class is RootClass.DEVELOPMENT
