"""What may be said of a service: as much as its report shows, with who says it, and no more."""

from dataclasses import replace
from typing import Any

import pytest
from tests.platforms.nitro.forge import NOW, document, policy

import troth
from troth.model.check import failed, passed, undecided
from troth.model.claims import Source
from troth.model.codes.genuine import G104
from troth.model.codes.measurement import M201, M203, M304
from troth.model.codes.tcb import T101
from troth.model.report import Joined, Report
from troth.model.roots import RootClass
from troth.model.statement import VOCABULARY, Statement, Status
from troth.model.tcb import Tcb
from troth.verifier import statements


def report(**changes: Any) -> Report:
    """Of a genuine enclave under a vendor's root, as far as its fields go."""
    evidence, trusted = document()
    made = troth.appraise(evidence, policy=policy(), at=NOW, trust=[trusted])
    return replace(made, **({"root_class": RootClass.VENDOR} | changes))


def said(made: Report) -> dict[str, Status]:
    derived = statements.derive(made)
    assert tuple(one.name for one in derived) == VOCABULARY
    for one in derived:
        assert (one.source is None) is (one.status is Status.UNKNOWN)
        assert one.why
    return {one.name: one.status for one in derived}


def with_tcb(made: Report, status: str) -> Report:
    assert made.presented is not None
    tcb = Tcb(status=status, date=None, advisories=(), evaluation_number=None, findings=())
    return replace(made, presented=replace(made.presented, tcb=tcb))


def gpu(made: Report, name: str = "gpu-0") -> Joined:
    return Joined(name=name, says="", report=replace(made, platform="nvidia"))


def test_a_genuine_enclave_of_the_expected_image() -> None:
    assert said(report()) == {
        "tee_attested": Status.ASSERTED,
        "gpu_attested": Status.UNKNOWN,
        "tcb_up_to_date": Status.UNKNOWN,
        "os_known_good": Status.ASSERTED,
        "serving_software_known_good": Status.UNKNOWN,
        "model_weights_provenance": Status.UNKNOWN,
    }


@pytest.mark.parametrize("kind", [RootClass.ADDED, RootClass.DEVELOPMENT, None])
def test_a_root_that_is_no_vendors_attests_no_hardware(kind: RootClass | None) -> None:
    found = said(report(root_class=kind))
    assert found["tee_attested"] is found["os_known_good"] is Status.UNKNOWN


def test_forged_and_unfinished_evidence() -> None:
    made = report()
    forged = replace(made, checks=(*made.checks, failed(G104, "signature")))
    assert said(forged)["tee_attested"] is Status.REFUTED
    unfinished = replace(made, checks=(*made.checks, undecided(G104, "signature")))
    assert said(unfinished)["tee_attested"] is Status.UNKNOWN


def test_gpus_are_attested_by_all_of_them_or_not() -> None:
    made = report()
    whole = replace(made, parts=(gpu(made), gpu(made, "gpu-1")))
    assert said(whole)["gpu_attested"] is Status.ASSERTED
    bad = replace(made, checks=(failed(G104, "signature"),))
    assert said(replace(made, parts=(gpu(made), gpu(bad))))["gpu_attested"] is Status.REFUTED
    opened = replace(made, checks=(*made.checks, undecided(G104, "signature")))
    assert said(replace(made, parts=(gpu(made), gpu(opened))))["gpu_attested"] is Status.UNKNOWN
    mixed = replace(made, parts=(gpu(made), gpu(bad, "gpu-1"), gpu(opened, "gpu-2")))
    (why,) = (one.why for one in statements.derive(mixed) if one.name == "gpu_attested")
    assert why == "not accepted: gpu-1, gpu-2"
    other = replace(made, root_class=RootClass.DEVELOPMENT)
    assert said(replace(made, parts=(gpu(made), gpu(other))))["gpu_attested"] is Status.UNKNOWN


def test_levels() -> None:
    made = report()
    looked = replace(made, checks=(*made.checks, passed(T101, "TCB")))
    assert said(with_tcb(looked, "UpToDate"))["tcb_up_to_date"] is Status.ASSERTED
    # A policy may admit it, and up to date it still is not.
    assert said(with_tcb(looked, "OutOfDate"))["tcb_up_to_date"] is Status.REFUTED
    assert said(with_tcb(made, ""))["tcb_up_to_date"] is Status.UNKNOWN
    refused = replace(made, checks=(*made.checks, failed(T101, "TCB")))
    assert said(with_tcb(refused, "UpToDate"))["tcb_up_to_date"] is Status.REFUTED


def test_a_part_that_is_behind_speaks_for_all() -> None:
    made = report()
    looked = replace(made, checks=(*made.checks, passed(T101, "TCB")))
    behind = with_tcb(looked, "OutOfDate")
    whole = replace(with_tcb(looked, "UpToDate"), parts=(gpu(behind),))
    assert said(whole)["tcb_up_to_date"] is Status.REFUTED


def test_registers_and_events() -> None:
    made = report()
    for check, status in (
        (failed(M201, "pcr0"), Status.REFUTED),
        (undecided(M203, "pcr5"), Status.UNKNOWN),
    ):
        assert said(replace(made, checks=(*made.checks, check)))["os_known_good"] is status
    name = "serving_software_known_good"
    for check, status in (
        (passed(M304, "compose-hash"), Status.ASSERTED),
        (failed(M304, "compose-hash"), Status.REFUTED),
        (undecided(M304, "compose-hash"), Status.UNKNOWN),
    ):
        assert said(replace(made, checks=(*made.checks, check)))[name] is status


def test_a_service_cannot_speak_in_our_place() -> None:
    own = (
        Statement(
            name="model_weights_provenance",
            status=Status.ASSERTED,
            source=Source.PROVIDER,
            why="trust us",
        ),
        Statement(name="price", status=Status.ASSERTED, source=Source.OPERATOR, why="low"),
    )
    both = statements.beside(statements.derive(report()), own)
    assert [one.name for one in both] == [*VOCABULARY, "price"]
    assert both[5].status is Status.UNKNOWN
