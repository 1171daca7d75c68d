"""Simulated tokens of every kind are accepted by the production verifier, as *development*."""

import json

import pytest
from tests.platforms.tokens.made import KINDS, evidence, judged, roots

import troth
from troth.model.report import Verdict
from troth.model.roots import RootClass
from troth.platforms.tokens.collateral import is_address
from troth.platforms.tokens.simulate import Service
from troth.trust import parse_roots


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_each_kind_is_accepted(kind, services: dict[str, Service]) -> None:
    service = services[kind.service]
    report = judged(evidence(kind, service), kind, service)
    assert report.verdict is Verdict.ACCEPTED, [c for c in report.checks if c.outcome != "passed"]
    assert report.root_class is RootClass.DEVELOPMENT
    assert report.platform == kind.service
    assert report.presented is not None
    assert report.presented.source != "hardware"
    subjects = {check.subject for check in report.checks if check.code.id == "G104"}
    several = {"overall: signature", "GPU-0: signature", "GPU-1: signature"}
    assert subjects == (several if kind.service == "nras" else {"signature"})
    assert report.collateral if not kind.certified else not report.collateral


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_policy_for_vendors_refuses_each(kind, services: dict[str, Service]) -> None:
    service = services[kind.service]
    policy = troth.Policy(
        name="vendors",
        registers=kind.policy.registers,
        requirements=kind.policy.requirements,
        roots_allow=frozenset({RootClass.VENDOR, RootClass.ADDED}),
    )
    report = judged(evidence(kind, service), kind, service, policy=policy)
    assert report.verdict is Verdict.REJECTED


@pytest.mark.parametrize("name", ["ita", "nras"])
def test_a_key_counts_by_the_authority_above_it(name: str, services: dict[str, Service]) -> None:
    service = services[name]
    kind = KINDS["nras" if name == "nras" else "ita-tdx"]
    report = judged(evidence(kind, service), kind, service, trust=(service.authority(),))
    assert report.verdict is Verdict.ACCEPTED
    assert report.root_class is RootClass.DEVELOPMENT


@pytest.mark.parametrize("name", ["maa", "gcs", "ita", "nras"])
def test_the_file_of_a_key_set_names_its_keys(name: str, services: dict[str, Service]) -> None:
    service = services[name]
    assert parse_roots(service.key_set(), source="a simulated service") == service.roots()
    (root,) = service.roots()
    assert (root.platform, root.root_class) == (name, RootClass.DEVELOPMENT)
    pem = (service.path or service.certified)[-1].pem
    both = parse_roots(service.key_set() + b"\n" + pem, source="x")
    assert len(both) > 1
    assert roots(KINDS["gcs-pki"], services["gcs"])[0].sha256 in {
        r.sha256 for r in parse_roots(services["gcs"].certified[-1].pem, source="x")
    }


def test_discovery_names_the_address_that_is_asked(services: dict[str, Service]) -> None:
    for service in services.values():
        said = json.loads(service.discovery())
        assert said["issuer"] == service.iss
        assert is_address(said["jwks_uri"])
