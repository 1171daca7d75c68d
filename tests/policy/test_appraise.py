"""Claims against a policy: what was not expected is undecided, what differs is refused."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.platforms.nitro.forge import NONCE, NOW, PCRS, codes, document, judge, payload, policy
from tests.policy import made

import troth
from troth.errors import Misuse
from troth.model.check import Outcome, Waiver
from troth.model.report import Verdict
from troth.model.roots import RootClass
from troth.policy.appraise import Expectation, checks

SECOND = timedelta(seconds=1)
MINUTES = timedelta(minutes=5)


def judged(*, changes: dict[str, Any] | None = None, **more: Any) -> troth.Report:
    evidence, trusted = document(**(changes or {}))
    return judge(evidence, trusted, **more)


def with_pcrs(**extra: bytes) -> dict[str, Any]:
    pcrs = {**payload([b"x"])["pcrs"]}
    return {"pcrs": pcrs | {int(k[3:]): v for k, v in extra.items()}}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-60, "60 s ahead of the instant"),
        (-1, "1 s ahead of the instant"),
        (-0.6, "1 s ahead of the instant"),
        (-0.5, "0 s old"),
        (-0.1, "0 s old"),
        (0, "0 s old"),
        (300, "300 s old"),
    ],
)
def test_an_age_is_never_negative(seconds: float, words: str) -> None:
    report = judged(at=NOW + timedelta(seconds=seconds))
    assert report.verdict is Verdict.ACCEPTED
    assert [c.presented for c in report.checks if c.code.id == "R101"] == [words]


def test_each_register_counts() -> None:
    for index in PCRS:
        other = {f"pcr{i}": frozenset({v.hex()}) for i, v in PCRS.items()}
        other[f"pcr{index}"] = frozenset({"ab" * 48})
        report = judged(policy=policy(registers={"nitro": other}))
        assert codes(report) == {"M201"}
        assert sum(c.outcome is Outcome.FAILED for c in report.checks) == 1


def test_one_of_several_values() -> None:
    allowed = {f"pcr{i}": frozenset({v.hex(), "cd" * 48}) for i, v in PCRS.items()}
    assert judged(policy=policy(registers={"nitro": allowed})).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("left_out", [0, 1, 2])
def test_a_register_of_the_image_left_unpinned(left_out: int) -> None:
    some = {f"pcr{i}": frozenset({v.hex()}) for i, v in PCRS.items() if i != left_out}
    report = judged(policy=policy(registers={"nitro": some}))
    assert report.verdict is Verdict.UNDECIDED
    assert codes(report, Outcome.UNDECIDED) == {"M203"}


def test_registers_of_the_application_identify_code() -> None:
    for name in ("pcr16", "pcr31"):
        report = judged(changes=with_pcrs(**{name: bytes(48)}))
        assert codes(report, Outcome.UNDECIDED) == {"M203"}, name
    for name in ("pcr5", "pcr15"):
        assert judged(changes=with_pcrs(**{name: bytes(48)})).verdict is Verdict.ACCEPTED
        report = judged(changes=with_pcrs(**{name: b"\x07" * 48}))
        assert codes(report, Outcome.UNDECIDED) == {"M203"}, name
    for name in ("pcr3", "pcr8"):  # who started and signed it: not what runs
        assert judged(changes=with_pcrs(**{name: b"\x07" * 48})).verdict is Verdict.ACCEPTED


def test_an_expected_register_that_is_absent() -> None:
    more = {f"pcr{i}": frozenset({v.hex()}) for i, v in PCRS.items()}
    more["pcr16"] = frozenset({"ab" * 48})
    assert codes(judged(policy=policy(registers={"nitro": more}))) == {"M202"}


def test_a_policy_for_another_platform() -> None:
    other = policy(registers={"tdx": {"mrtd": frozenset({"ab" * 48})}})
    report = judged(policy=other)
    assert codes(report) == {"P106"}
    assert report.verdict is Verdict.REJECTED


def test_freshness_by_age() -> None:
    for age, verdict in (
        (timedelta(0), Verdict.ACCEPTED),
        (MINUTES, Verdict.ACCEPTED),
        (MINUTES + SECOND, Verdict.REJECTED),
    ):
        assert judged(at=NOW + age).verdict is verdict, age
    hour = policy(max_age=timedelta(hours=1))
    assert judged(policy=hour, at=NOW + timedelta(hours=1)).verdict is Verdict.ACCEPTED
    assert codes(judged(policy=hour, at=NOW + timedelta(hours=1) + SECOND)) == {"R101"}


def test_freshness_by_nonce() -> None:
    late = NOW + timedelta(hours=1)
    assert judged(at=late, nonce=NONCE).verdict is Verdict.ACCEPTED
    assert codes(judged(at=late, nonce=NONCE[::-1])) == {"B101", "R101"}
    assert codes(judged(nonce=NONCE[::-1])) == {"B101"}
    stated = policy(max_age=MINUTES)
    assert codes(judged(policy=stated, at=late, nonce=NONCE)) == {"R101"}
    assert codes(judged(changes={"nonce": None}, nonce=NONCE)) == {"B101"}


def test_the_future() -> None:
    minute = timedelta(minutes=1)
    assert judged(at=NOW - minute).verdict is Verdict.ACCEPTED
    assert codes(judged(at=NOW - minute - SECOND)) == {"R102"}
    assert codes(judged(at=NOW - minute - SECOND, nonce=NONCE)) == {"R102"}


def test_keys() -> None:
    bound = {"public_key": b"my key"}
    assert judged(changes=bound, key=b"my key").verdict is Verdict.ACCEPTED
    assert codes(judged(changes=bound, key=b"my kez")) == {"B201"}
    assert codes(judged(key=b"my key")) == {"B201"}
    needed = policy(require_key=True)
    report = judged(changes=bound, policy=needed)
    assert report.verdict is Verdict.UNDECIDED
    assert codes(report, Outcome.UNDECIDED) == {"B202"}
    assert judged(changes=bound, policy=needed, key=b"my key").verdict is Verdict.ACCEPTED


def test_bindings() -> None:
    bound = {"user_data": b"\x05" * 64}
    assert judged(changes=bound, binding=b"\x05" * 64).verdict is Verdict.ACCEPTED
    assert codes(judged(changes=bound, binding=b"\x06" * 64)) == {"B301"}
    assert codes(judged(binding=b"\x05" * 64)) == {"B301"}


@pytest.mark.parametrize("has", [None, b"\5" * 64, b"\6" * 64])
def test_what_must_belong_to_something_beside_it(has: bytes | None) -> None:
    wanted = b"\5" * 64
    found = checks(
        made.policy("snp"),
        made.claims("snp", user_data=has),
        Expectation(nonce=made.NONCE, user_data=wanted),
        root_class=RootClass.VENDOR,
        at=made.NOW,
        logged=False,
    )
    (check,) = (one for one in found if one.code.id == "B501")
    assert check.outcome is (Outcome.PASSED if has == wanted else Outcome.FAILED)
    assert (check.presented, check.expected) == ("none" if has is None else has.hex(), wanted.hex())


def test_unreviewed_and_expired() -> None:
    report = judged(policy=policy(unreviewed=True))
    assert codes(report, Outcome.UNDECIDED) == {"P103"}
    assert report.verdict is Verdict.UNDECIDED
    assert judged(policy=policy(expires=NOW)).verdict is Verdict.ACCEPTED
    report = judged(policy=policy(expires=NOW - SECOND))
    assert report.verdict is Verdict.UNDECIDED
    assert codes(report, Outcome.UNDECIDED) == {"P105"}


def test_waivers_are_their_own_verdict() -> None:
    nothing = troth.Policy(name="none")
    measurement = frozenset({Waiver.MEASUREMENT})
    report = judged(policy=nothing, waive=measurement)
    assert report.verdict is Verdict.ACCEPTABLE_WITH_WAIVERS
    late = judged(at=NOW + timedelta(hours=1), waive=frozenset({Waiver.FRESHNESS}))
    assert late.verdict is Verdict.ACCEPTABLE_WITH_WAIVERS
    key = judged(policy=policy(require_key=True), waive=frozenset({Waiver.KEY}))
    assert key.verdict is Verdict.ACCEPTABLE_WITH_WAIVERS
    assert judged(waive=frozenset({Waiver.KEY})).verdict is Verdict.ACCEPTABLE_WITH_WAIVERS
    ended = judged(at=NOW + timedelta(days=2), waive=frozenset({Waiver.FRESHNESS}))
    assert codes(ended) == {"G103"}


CONTRADICTIONS: list[dict[str, Any]] = [
    {"waive": frozenset({Waiver.MEASUREMENT})},
    {"waive": frozenset({Waiver.FRESHNESS}), "nonce": NONCE},
    {"waive": frozenset({Waiver.KEY}), "key": b"key"},
    {"at": NOW.replace(tzinfo=None)},
    {"nonce": bytes(7)},
    {"nonce": bytes(1025)},
    {"binding": bytes(63)},
    {"binding": bytes(65)},
    {"key": b""},
]


@pytest.mark.parametrize("more", CONTRADICTIONS)
def test_impossible_expectations(more: dict[str, Any]) -> None:
    evidence, trusted = document()
    with pytest.raises(Misuse):
        judge(evidence, trusted, **more)


def test_the_shortest_and_longest_nonce() -> None:
    for nonce in (bytes(8), bytes(1024)):
        assert judged(changes={"nonce": nonce}, nonce=nonce).verdict is Verdict.ACCEPTED


def test_extra_findings_can_only_make_it_worse() -> None:
    evidence, trusted = document()
    good = judge(evidence, trusted)
    for check in good.checks:
        worse = check._replace(outcome=Outcome.UNDECIDED)
        assert judge(evidence, trusted, extra=[worse]).verdict is Verdict.UNDECIDED
    foreign = troth.appraise(
        evidence, policy=policy(), at=NOW, extra=[c for c in good.checks if c.code.id == "G101"]
    )
    assert foreign.verdict is Verdict.REJECTED


def test_every_check_of_a_good_document_is_required() -> None:
    """So that a step which is removed can never end as acceptance."""
    evidence, trusted = document(public_key=b"key", user_data=b"\5" * 64)
    report = judge(evidence, trusted, nonce=NONCE, key=b"key", binding=b"\5" * 64)
    assert report.verdict is Verdict.ACCEPTED
    assert report.missing() == ()
    assert {c.code.id for c in report.checks} == {c.id for c in report.required}
    for check in report.checks:
        left = tuple(c for c in report.checks if c.code is not check.code)
        assert replace(report, checks=left).verdict is Verdict.UNDECIDED


def test_evidence_without_a_time_of_its_own() -> None:
    """No platform of today; one that has none is fresh by nonce alone."""
    evidence, trusted = document()
    claims = judge(evidence, trusted).presented
    assert claims is not None
    timeless = replace(claims, timestamp=None)

    def outcomes(nonce: bytes | None) -> dict[str, Outcome]:
        found = checks(
            policy(),
            timeless,
            Expectation(nonce=nonce),
            root_class=trusted.root_class,
            at=NOW,
        )
        return {check.code.id: check.outcome for check in found}

    assert outcomes(None)["R101"] is Outcome.UNDECIDED
    assert outcomes(NONCE)["R101"] is Outcome.PASSED
    assert outcomes(NONCE[::-1])["R101"] is Outcome.UNDECIDED
    assert outcomes(None)["R102"] is Outcome.PASSED
