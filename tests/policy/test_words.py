"""What a reader of these checks is told: what is there, what should be, and who says so."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from tests.policy import made
from tests.policy.made import CHIP, PPID, claims, policy, tcb

from troth.model.check import Outcome
from troth.policy.requirements import Bits

F, P, U = Outcome.FAILED, Outcome.PASSED, Outcome.UNDECIDED
DAY = date(2027, 1, 1)
CLOSED = "each closed, or accepted by name"
OPEN = {"tcb": tcb(advisories=("INTEL-SA-00615",))}
NONE = {"tcb": tcb(date=None, evaluation_number=None)}
ASKED = {"min_tcb_date": date(2026, 2, 12), "min_evaluation_number": 21}
SERVICE = {"registers": {"mrservicetd": "dd" * 48}}
AGENT = {"registers": {"report_id_ma": "cc" * 32}, "numbers": {"policy": 0x70000}}

WORDS: list[tuple[str, dict[str, Any], dict[str, Any], tuple[Any, ...]]] = [
    ("tdx", {}, {}, ("T104", P, "advisories", "none is open", "")),
    ("tdx", {}, OPEN, ("T104", F, "advisories", "open: INTEL-SA-00615", CLOSED)),
    (
        "tdx",
        {"advisories": {"INTEL-SA-00615": DAY}},
        OPEN,
        ("T104", P, "advisories", "open: INTEL-SA-00615", ""),
    ),
    ("tdx", ASKED, {}, ("T105", F, "TCB evaluation data number", "20", "at least 21")),
    ("tdx", ASKED, NONE, ("T105", F, "TCB evaluation data number", "none", "at least 21")),
    ("tdx", ASKED, {}, ("T106", F, "TCB date", "2026-02-11", "2026-02-12 or later")),
    ("tdx", ASKED, NONE, ("T106", F, "TCB date", "none", "2026-02-12 or later")),
    ("tdx", {}, {"tcb": None}, ("T101", U, "TCB", "", "")),
    ("tdx", {}, {}, ("T101", P, "TCB status", "UpToDate", "UpToDate")),
    (
        "snp",
        {"minimum": {"snp": 25}},
        {"numbers": {"committed_snp": None}},
        ("T107", F, "snp", "reported 24, committed none", "at least 25"),
    ),
    ("snp", {}, {"tcb": None}, ("T108", U, "TCB", "product not known", "")),
    (
        "snp",
        {},
        {"tcb": replace(made.AMD, findings=(replace(made.FINDING, part="Turin"),))},
        ("T108", U, "TCB", "Turin", ""),
    ),
    (
        "tdx",
        {},
        {"numbers": {"td_attributes": 0}},
        ("P201", F, "td_attributes", "0x0", "0x10000000 under the mask 0x10000000"),
    ),
    (
        "sgx",
        {"bits": {"xfrm": Bits(mask=3, value=1)}},
        {"numbers": {"xfrm": None}},
        ("P201", F, "xfrm", "absent", "0x1 under the mask 0x3"),
    ),
    ("sgx", {"smt": "refused"}, {"numbers": {"smt": 1}}, ("P201", F, "smt", "1", "0")),
    ("sgx", {"smt": "refused"}, {"numbers": {"smt": None}}, ("P201", U, "smt", "absent", "0")),
    ("sgx", {"minimum": {"isvsvn": 4}}, {}, ("P202", F, "isvsvn", "3", "at least 4")),
    (
        "sgx",
        {"minimum": {"isvsvn": 4}},
        {"numbers": {"isvsvn": None}},
        ("P202", F, "isvsvn", "absent", "at least 4"),
    ),
    ("sgx", {"exact": {"isvprodid": 8}}, {}, ("P206", F, "isvprodid", "7", "8")),
    (
        "sgx",
        {"machines": {"0d" * 16}},
        {},
        ("P203", F, "machine", PPID, "on the policy's list of 1"),
    ),
    (
        "snp",
        {"machines": {CHIP, "0d" * 64}},
        {"instance": ""},
        ("P203", F, "machine", "none", "on the policy's list of 2"),
    ),
    ("tdx", {}, {}, ("P204", P, "migration", "none", "none")),
    ("tdx", {"migration": "allowed"}, {}, ("P204", P, "migration", "", "allowed")),
    ("tdx", {}, SERVICE, ("P204", F, "migration", f"service TD {'dd' * 48}", "none")),
    (
        "tdx",
        {},
        {"numbers": {"td_attributes": 3 << 28}},
        ("P204", F, "migration", "the attribute MIGRATABLE is set", "none"),
    ),
    (
        "tdx",
        {},
        {"numbers": {"td_attributes": None}},
        ("P204", F, "migration", "the evidence does not say", "none"),
    ),
    ("snp", {}, AGENT, ("P204", F, "migration", f"migration agent {'cc' * 32}", "none")),
    ("snp", {"vmpl": {1, 0}}, {"numbers": {"vmpl": 3}}, ("P205", F, "vmpl", "3", "0 or 1")),
]


@pytest.mark.parametrize(("platform", "asked", "said", "words"), WORDS)
def test_what_a_check_says(
    platform: str, asked: dict[str, Any], said: dict[str, Any], words: tuple[Any, ...]
) -> None:
    checks = made.found(policy(platform, **asked), claims(platform, **said))
    (check,) = (c for c in checks if c.code.id == words[0])
    told = (check.code.id, check.outcome, check.subject, check.presented, check.expected)
    assert told == words
    assert check.source == ("made" if asked else check.source)
    assert check.source in ("made", "troth's defaults")
