"""A platform's TCB against what a policy asks of it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from tests.policy import made
from tests.policy.made import AMD, FINDING, NOW, claims, policy, tcb, wrong

from troth.model.check import Outcome
from troth.model.report import Verdict
from troth.model.tcb import Finding, Short, Tcb
from troth.platforms.snp.tcb import MINIMUMS
from troth.policy.requirements import STATUSES

FAILED, UNDECIDED = Outcome.FAILED, Outcome.UNDECIDED
INTEL = ("sgx", "tdx")
ADVISORY = "INTEL-SA-00615"


@pytest.mark.parametrize("platform", made.PLATFORMS)
def test_a_good_platform(platform: str) -> None:
    assert wrong(policy(platform), claims(platform)) == {}


@pytest.mark.parametrize("platform", INTEL)
def test_a_platform_that_nobody_looked_up(platform: str) -> None:
    nobody = claims(platform, tcb=None)
    assert wrong(policy(platform), nobody) == dict.fromkeys(("T101", "T104"), UNDECIDED)
    more = policy(platform, min_evaluation_number=1, min_tcb_date=date(2020, 1, 1))
    four = ("T101", "T104", "T105", "T106")
    assert wrong(more, nobody) == dict.fromkeys(four, UNDECIDED)


@pytest.mark.parametrize("platform", INTEL)
@pytest.mark.parametrize("status", STATUSES)
def test_only_what_is_admitted_by_name(platform: str, status: str) -> None:
    there = claims(platform, tcb=tcb(status=status))
    assert wrong(policy(platform), there) == ({} if status == "UpToDate" else {"T101": FAILED})
    assert wrong(policy(platform, tcb_status={status}), there) == {}
    others = set(STATUSES) - {status}
    assert wrong(policy(platform, tcb_status=others), there) == {"T101": FAILED}


@pytest.mark.parametrize("platform", INTEL)
@pytest.mark.parametrize(
    ("status", "code"),
    [("Revoked", "T103"), ("TcbNotSupported", "T102"), ("", "T101"), ("uptodate", "T101")],
)
def test_what_no_policy_admits(platform: str, status: str, code: str) -> None:
    everything = policy(platform, tcb_status=set(STATUSES))
    assert wrong(everything, claims(platform, tcb=tcb(status=status))) == {code: FAILED}


def test_a_status_says_what_is_short() -> None:
    short = Short(component="PCESVN", has=10, needs=13)
    part = Finding(part="platform", status="OutOfDate", date=None, short=(short,))
    there = claims("sgx", tcb=tcb(status="OutOfDate", findings=(part, replace(FINDING, part="QE"))))
    (check,) = (c for c in made.found(policy("sgx"), there) if c.code.id == "T101")
    assert check.presented == "OutOfDate"
    assert check.expected == "UpToDate"
    assert check.why == "platform is OutOfDate (PCESVN is 10, needs 13)"
    assert check.source == "troth's defaults"
    asked = policy("sgx", tcb_status={"UpToDate", "SWHardeningNeeded"})
    (check,) = (c for c in made.found(asked, there) if c.code.id == "T101")
    assert check.expected == "SWHardeningNeeded or UpToDate"
    assert check.source == "made"


DAY = date(2026, 11, 23)  # NOW's
MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.parametrize("platform", INTEL)
@pytest.mark.parametrize(
    ("accepted", "at", "outcome"),
    [
        ({}, NOW, {"T104": FAILED}),
        ({"INTEL-SA-00616": DAY}, NOW, {"T104": FAILED}),
        ({ADVISORY.lower(): DAY}, NOW, {"T104": FAILED}),
        ({ADVISORY: DAY}, NOW, {}),
        ({ADVISORY: DAY - timedelta(days=1)}, NOW, {"T104": FAILED}),
        ({ADVISORY: DAY}, MIDNIGHT - timedelta(microseconds=1), {}),
        ({ADVISORY: DAY}, MIDNIGHT, {"T104": FAILED}),
        # The day is one of UTC, wherever the instant was written.
        ({ADVISORY: DAY}, MIDNIGHT.astimezone(timezone(-timedelta(hours=12))), {"T104": FAILED}),
    ],
)
def test_an_advisory_is_accepted_up_to_its_day(
    platform: str, accepted: dict[str, date], at: datetime, outcome: dict[str, Outcome]
) -> None:
    there = claims(platform, tcb=tcb(advisories=(ADVISORY,)))
    assert wrong(policy(platform, advisories=accepted), there, at) == outcome


def test_each_advisory_counts() -> None:
    there = claims("tdx", tcb=tcb(advisories=(ADVISORY, "INTEL-SA-00657")))
    one = policy("tdx", advisories={ADVISORY: DAY})
    (check,) = (c for c in made.found(one, there) if c.code.id == "T104")
    assert (check.outcome, check.why) == (FAILED, "not accepted: INTEL-SA-00657")
    both = policy("tdx", advisories={ADVISORY: DAY, "INTEL-SA-00657": DAY})
    assert wrong(both, there) == {}


@pytest.mark.parametrize("platform", INTEL)
@pytest.mark.parametrize(
    ("lowest", "number", "outcome"),
    [
        (None, None, {}),
        (20, 20, {}),
        (20, 21, {}),
        (20, 19, {"T105": FAILED}),
        (20, None, {"T105": FAILED}),
        (0, None, {"T105": FAILED}),  # absent is not zero
        (0, 0, {}),
    ],
)
def test_evaluation_numbers(
    platform: str, lowest: int | None, number: int | None, outcome: dict[str, Outcome]
) -> None:
    there = claims(platform, tcb=tcb(evaluation_number=number))
    assert wrong(policy(platform, min_evaluation_number=lowest), there) == outcome


@pytest.mark.parametrize("platform", INTEL)
@pytest.mark.parametrize(
    ("oldest", "level", "outcome"),
    [
        (None, None, {}),
        (date(2026, 2, 11), datetime(2026, 2, 11, tzinfo=UTC), {}),
        (date(2026, 2, 11), datetime(2026, 2, 12, tzinfo=UTC), {}),
        (date(2026, 2, 11), datetime(2026, 2, 10, 23, 59, 59, tzinfo=UTC), {"T106": FAILED}),
        (date(2026, 2, 11), None, {"T106": FAILED}),
        (date(1, 1, 1), None, {"T106": FAILED}),
    ],
)
def test_dates_of_levels(
    platform: str, oldest: date | None, level: datetime | None, outcome: dict[str, Outcome]
) -> None:
    there = claims(platform, tcb=tcb(date=level))
    assert wrong(policy(platform, min_tcb_date=oldest), there) == outcome


def product(name: str) -> Tcb:
    return replace(AMD, findings=(Finding(part=name, status="", date=None),))


@pytest.mark.parametrize("row", MINIMUMS, ids=lambda row: row.product)
def test_the_built_in_table(row: Any) -> None:
    name = str(row.product)
    for part, lowest in row.minimum.items():
        enough = {f"{kind}_{part}": lowest for kind in ("reported", "committed")}
        there = claims("snp", tcb=product(name), numbers=enough)
        assert wrong(policy("snp"), there, row.review_by) == {}
        past = row.review_by + timedelta(microseconds=1)
        assert wrong(policy("snp"), there, past) == {"T108": UNDECIDED}
        assert wrong(policy("snp", minimum={part: lowest}), there, past) == {}
        for kind in enough:
            for number in (lowest - 1, None):
                low = claims("snp", tcb=product(name), numbers=enough | {kind: number})
                assert wrong(policy("snp"), low, row.review_by) == {"T107": FAILED}


def test_a_minimum_cites_its_bulletin() -> None:
    (check,) = (c for c in made.found(policy("snp"), claims("snp")) if c.code.id == "T107")
    assert "AMD-SB-" in check.source
    assert check.presented == "reported 24, committed 24"


@pytest.mark.parametrize("there", [product("Turin"), product("Naples"), replace(AMD, findings=())])
def test_no_minimum_is_invented(there: Tcb) -> None:
    assert wrong(policy("snp"), claims("snp", tcb=there)) == {"T108": UNDECIDED}
    named = policy("snp", minimum={"snp": 24})
    assert wrong(named, claims("snp", tcb=there)) == {}


def test_a_minimum_of_the_policy_needs_no_table() -> None:
    there = claims("snp", tcb=None)
    assert wrong(policy("snp"), there) == {"T108": UNDECIDED}
    assert wrong(policy("snp", minimum={"guest_svn": 1}), there) == {"T108": UNDECIDED}
    assert wrong(policy("snp", minimum={"snp": 24}), there) == {}


@pytest.mark.parametrize("part", [*made.PARTS, "fmc"])
@pytest.mark.parametrize("kind", ["reported", "committed"])
def test_every_part_that_is_named_counts_twice(part: str, kind: str) -> None:
    has = {"reported_fmc": 1, "committed_fmc": 1} if part == "fmc" else {}
    number = {**made.PARTS, "fmc": 1}[part]
    asked = policy("snp", minimum={"snp": 0, part: number})
    assert wrong(asked, claims("snp", numbers=has)) == {}
    for low in (number - 1, None):
        there = claims("snp", numbers=has | {f"{kind}_{part}": low})
        assert wrong(asked, there) == {"T107": FAILED}


def test_nitro_has_no_levels() -> None:
    nothing = replace(claims("sgx"), platform="nitro", tcb=None, identity=("pcr0",))
    codes = {c.code.id for c in made.found(made.Policy(name="n"), nothing)}
    assert not {code for code in codes if code[0] == "T" or code.startswith("P2")}


def test_a_verdict_needs_an_answer_to_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left out is undecided, on every platform and with everything asked for."""
    whole = made.checks
    for platform, asked in made.EVERYTHING.items():
        wanted, there = policy(platform, **asked), claims(platform)
        assert made.verdict(wanted, there) is Verdict.ACCEPTED
        for code in made.required(wanted, made.Expectation(nonce=made.NONCE), platform):
            monkeypatch.setattr(
                made,
                "checks",
                lambda *a, code=code, **k: (c for c in whole(*a, **k) if c.code is not code),
            )
            assert made.verdict(wanted, there) is Verdict.UNDECIDED, code.id
        monkeypatch.setattr(made, "checks", whole)
        passed = {c.code.id for c in made.found(wanted, there)}
        needed = made.required(wanted, made.Expectation(nonce=made.NONCE), platform)
        assert passed == {code.id for code in needed}
