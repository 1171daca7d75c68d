"""Requirements and claims of quotes drawn at random, beside an answer that is computed another way."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.policy import made
from tests.policy.made import CHIP, NONCE, NOW, claims, policy

from troth.model.check import Outcome
from troth.model.claims import Claims
from troth.model.report import Verdict, decide
from troth.model.roots import RootClass
from troth.model.tcb import Finding, Tcb
from troth.policy import Policy
from troth.policy.appraise import Expectation, checks, required
from troth.policy.requirements import Bits, Requirements

TODAY = NOW.date()


def mostly(good: Any, *other: Any) -> st.SearchStrategy[Any]:
    """So that a fair part of what is drawn has nothing wrong with it."""
    return st.sampled_from([good] * 6 + list(other))


TCBS = st.builds(
    lambda there, **fields: Tcb(findings=(), **fields) if there else None,
    mostly(True, False),
    status=mostly("UpToDate", "OutOfDate", "Revoked", "TcbNotSupported"),
    date=mostly(datetime(2026, 2, 11, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC), None),
    advisories=mostly((), ("A",), ("A", "B")),
    evaluation_number=mostly(20, 17, None),
)
AMD = st.sampled_from(["Milan", "Genoa", "Turin"]).map(
    lambda name: replace(made.AMD, findings=(Finding(part=name, status="", date=None),))
)
OTHER = "0d" * 64


@st.composite
def intel(draw: Any, platform: str) -> tuple[Policy, Claims]:
    asked = {
        "tcb_status": draw(st.sampled_from([{"UpToDate"}, {"UpToDate", "OutOfDate"}])),
        "advisories": draw(
            st.sampled_from([{}, {"A": TODAY}, {"A": TODAY, "B": date(2026, 1, 1)}])
        ),
        "min_tcb_date": draw(st.sampled_from([None, None, date(2025, 1, 1)])),
        "min_evaluation_number": draw(st.sampled_from([None, None, 18])),
        "smt": draw(st.sampled_from(["allowed", "refused"])),
    }
    numbers = {"smt": draw(mostly(0, 1, None))}
    registers = {}
    if platform == "tdx":
        asked["migration"] = draw(st.sampled_from(["refused", "refused", "allowed"]))
        asked["sept_ve_disable"] = draw(st.sampled_from(["required", "optional"]))
        numbers["td_attributes"] = draw(mostly(1, 0, 2, 3)) << 28
    else:
        asked["minimum"] = draw(st.sampled_from([{}, {"isvsvn": 3}]))
        asked["exact"] = draw(st.sampled_from([{}, {"isvprodid": 7}]))
        numbers |= {
            "isvsvn": draw(mostly(3, 2, 4)),
            "isvprodid": draw(mostly(7, 6)),
        }
        registers = {"mrenclave": "aa" * 32} if draw(st.booleans()) else {"mrsigner": "bb" * 32}
    there = claims(platform, numbers=numbers, tcb=draw(TCBS))
    return policy(platform, registers=registers or None, **asked), there


@st.composite
def amd(draw: Any) -> tuple[Policy, Claims]:
    asked = {
        "minimum": draw(st.sampled_from([{}, {"snp": 23}, {"guest_svn": 2}])),
        "machines": draw(mostly({CHIP}, None, {OTHER})),
        "migration": draw(st.sampled_from(["refused", "refused", "allowed"])),
        "vmpl": draw(st.sampled_from([{0}, {0, 1}])),
        "bits": draw(st.sampled_from([{}, {"platform_info": Bits(mask=0x21, value=0x20)}])),
    }
    numbers = {
        "reported_snp": draw(mostly(24, 22, 23, 25)),
        "committed_snp": draw(mostly(24, 22, 23, 25)),
        "guest_svn": draw(mostly(2, 1)),
        "vmpl": draw(mostly(0, 1, 0xFFFF_FFFF)),
        "policy": draw(mostly(0x30000, 0x70000)),
        "platform_info": draw(mostly(0x20, 0x21, 0x00)),
    }
    agent = draw(st.sampled_from(["ff" * 32, "cc" * 32]))
    there = claims("snp", numbers=numbers, registers={"report_id_ma": agent}, tcb=draw(AMD))
    return policy("snp", **asked), there


def intel_in_order(asked: Requirements, there: Claims, pinned: set[str]) -> bool:
    """Whether a careful person says yes."""
    tcb, has = there.tcb, there.numbers
    if tcb is None or tcb.status not in asked.tcb_status:
        return False
    if any(asked.advisories.get(name, date.min) < TODAY for name in tcb.advisories):
        return False
    if asked.min_tcb_date and (tcb.date is None or tcb.date.date() < asked.min_tcb_date):
        return False
    if asked.min_evaluation_number and (tcb.evaluation_number or -1) < asked.min_evaluation_number:
        return False
    if asked.smt == "refused" and has.get("smt") != 0:
        return False
    if there.platform == "tdx":
        guarded = asked.sept_ve_disable == "optional" or has["td_attributes"] // 2**28 % 2 == 1
        stays = asked.migration == "allowed" or has["td_attributes"] // 2**29 % 2 == 0
        return guarded and stays
    wanted = asked.minimum.get("isvsvn", 0), asked.exact.get("isvprodid", has["isvprodid"])
    signer = "mrenclave" in pinned or (len(asked.minimum) == 1 and len(asked.exact) == 1)
    return has["isvsvn"] >= wanted[0] and has["isvprodid"] == wanted[1] and signer


def amd_in_order(asked: Requirements, there: Claims) -> bool:
    has = there.numbers
    assert there.tcb is not None
    table = {"Milan": 24, "Genoa": 23, "Turin": 10**9}[there.tcb.findings[0].part]
    lowest = asked.minimum.get("snp", table)
    moves = has["policy"] & 2**18 and there.registers["report_id_ma"] != "ff" * 32
    return (
        min(has["reported_snp"], has["committed_snp"]) >= lowest
        and has["guest_svn"] >= asked.minimum.get("guest_svn", 0)
        and has["vmpl"] in asked.vmpl
        and (asked.machines is None or CHIP in asked.machines)
        and not (moves and asked.migration == "refused")
        and (not asked.bits or has["platform_info"] == 0x20)
    )


@settings(max_examples=600)
@given(drawn=st.one_of(intel("sgx"), intel("tdx"), amd()))
def test_the_checks_say_what_a_careful_person_says(drawn: tuple[Policy, Claims]) -> None:
    wanted, there = drawn
    asked, pinned = wanted.asks(there.platform), set(wanted.registers[there.platform])
    right = (
        amd_in_order(asked, there)
        if there.platform == "snp"
        else intel_in_order(asked, there, pinned)
    )
    want = Expectation(nonce=NONCE)
    found = list(checks(wanted, there, want, root_class=RootClass.VENDOR, at=NOW))
    needed = required(wanted, want, there.platform)
    assert (decide(found, needed) is Verdict.ACCEPTED) == right
    # Nothing passes that is not also required, so nothing that passes can be left out unseen.
    assert {c.code.id for c in found if c.outcome is Outcome.PASSED} <= {c.id for c in needed}
    for check in found:
        left = [c for c in found if c.code is not check.code]
        if check.code in needed:
            assert decide(left, needed) is not Verdict.ACCEPTED


def test_a_stated_age_is_of_the_evidences_own_time() -> None:
    """A quote carries none: with the caller's nonce it is fresh, and without one it is undecided."""
    aged = replace(policy("tdx"), max_age=timedelta(minutes=5))
    for nonce, outcome in ((NONCE, Outcome.PASSED), (None, Outcome.UNDECIDED)):
        found = checks(
            aged,
            claims("tdx"),
            Expectation(nonce=nonce),
            root_class=RootClass.VENDOR,
            at=NOW,
        )
        assert {c.code.id: c.outcome for c in found}["R101"] is outcome
