"""Event logs beside quotes: what they say counts only where they replay, and pinned events must be said."""

import json
import pickle
from dataclasses import replace

import pytest
from tests.platforms.tdx.make_dstack import HASH, Entry, replayed, runtime, system
from tests.verifier.logged import (
    BOOT,
    FIRMWARE,
    LOG,
    NOW,
    PINNED,
    judge,
    pki,
    policy,
    quote,
    text,
    wrong,
)

import troth
from troth.errors import Misuse
from troth.model.check import Waiver
from troth.model.report import Verdict


def test_what_the_system_measured_stands_for_rtmr3() -> None:
    evidence = quote(*LOG)
    report = judge(evidence, policy(evidence, PINNED), text(*LOG))
    assert report.verdict is Verdict.ACCEPTED, wrong(report)
    claims = report.presented
    assert claims is not None
    assert claims.events == {
        **PINNED,
        "app_id": HASH[:20].hex(),
        "instance_id": "01" * 20,
    }
    assert set(claims.covers["rtmr3"]) == PINNED.keys()
    assert {"M301", "M302", "M304"} <= {code.id for code in report.required}
    assert len(report.event_log) == 64
    assert pickle.loads(pickle.dumps(report)) == report  # noqa: S301 - our own


def test_an_answer_brings_its_log() -> None:
    evidence = quote(*LOG)
    for log in (text(*LOG).decode(), LOG):
        answer = json.dumps({"quote": evidence.hex(), "event_log": log, "vm_config": "{}"}).encode()
        report = judge(answer, policy(evidence, PINNED))
        assert report.verdict is Verdict.ACCEPTED, wrong(report)
        assert "removed around the evidence: dstack answer" in report.notes
        other = judge(answer, policy(evidence, PINNED), text(*FIRMWARE))
        assert other.verdict is Verdict.REJECTED


def test_an_answer_without_a_log_says_so() -> None:
    evidence = quote(*LOG)
    answer = json.dumps({"quote": evidence.hex(), "event_log": ""}).encode()
    assert wrong(judge(answer, policy(evidence, PINNED))) == ["M203", "M303"]


@pytest.mark.parametrize(
    "answer",
    [{"quote": 1, "event_log": ""}, {"quote": "zz", "event_log": ""}, {"quote": "", "x": 1}, []],
)
def test_other_answers_are_no_evidence(answer: object) -> None:
    report = judge(json.dumps(answer).encode(), troth.Policy(name="any"))
    assert report.verdict is Verdict.MALFORMED


def test_pinned_events_without_a_log_are_undecided() -> None:
    evidence = quote(*LOG)
    report = judge(evidence, policy(evidence, PINNED))
    assert report.verdict is Verdict.UNDECIDED
    assert wrong(report) == ["M203", "M303"]
    # Not even where every register is pinned: the question is still open.
    pinned = policy(evidence, PINNED, registers=(*BOOT, "rtmr3"))
    assert wrong(judge(evidence, pinned)) == ["M303"]


@pytest.mark.parametrize("name", PINNED)
def test_every_event_that_the_system_measured_must_be_pinned(name: str) -> None:
    evidence = quote(*LOG)
    pins = {k: v for k, v in PINNED.items() if k != name}
    report = judge(evidence, policy(evidence, pins), text(*LOG))
    assert report.verdict is Verdict.UNDECIDED
    assert wrong(report) == ["M203"]
    (check,) = (c for c in report.checks if c.code.id == "M203")
    assert check.subject == "rtmr3" and f"events.{name}" in check.why


@pytest.mark.parametrize("name", BOOT)
def test_the_boot_registers_must_be_pinned_with_any_events(name: str) -> None:
    evidence = quote(*LOG)
    registers = tuple(n for n in BOOT if n != name)
    report = judge(evidence, policy(evidence, PINNED, registers=registers), text(*LOG))
    assert wrong(report) == ["M203"]


@pytest.mark.parametrize("name", PINNED)
def test_another_value_is_rejected(name: str) -> None:
    evidence = quote(*LOG)
    value = "ff" * 32 if name.endswith("_hash") else "another"
    report = judge(evidence, policy(evidence, PINNED | {name: value}), text(*LOG))
    assert report.verdict is Verdict.REJECTED
    assert wrong(report) == ["M304"]
    both = judge(evidence, policy(evidence, PINNED | {name: [value, PINNED[name]]}), text(*LOG))
    assert both.verdict is Verdict.ACCEPTED


def test_what_the_log_does_not_say_is_rejected() -> None:
    evidence = quote(*LOG)
    for name in ("mr_kms", "rootfs_hash", "secure_boot", "compose_hahs"):
        value = "on" if name == "secure_boot" else "aa" * 32
        report = judge(evidence, policy(evidence, PINNED | {name: value}), text(*LOG))
        assert wrong(report) == ["M304"]


def test_an_upgraded_application_needs_its_id_pinned() -> None:
    log = [*FIRMWARE, *system(app_id=b"\7" * 20)]
    evidence = quote(*log)
    assert wrong(judge(evidence, policy(evidence, PINNED), text(*log))) == ["M203"]
    pins = PINNED | {"app_id": "07" * 20}
    assert judge(evidence, policy(evidence, pins), text(*log)).verdict is Verdict.ACCEPTED


def forged(log: list[Entry]) -> dict[str, list[Entry]]:
    """Logs that are not the quote's, by somebody who holds the true one."""
    other = [*FIRMWARE, *system(compose_hash=b"\5" * 32)]
    return {
        "of another quote": other,
        "appended": [*log, runtime("compose-hash", b"\5" * 32)],
        "cut": log[:-1],
        "cut at the front": [*log[:3], *log[4:]],
        "swapped": [*log[:3], log[4], log[3], *log[5:]],
        "another payload": [
            e | {"event_payload": "05" * 32} if e["event"] == "compose-hash" else e for e in log
        ],
        "no log": [{"event": 1}],
        "in another register": [e | {"imr": 2} for e in log],
    }


@pytest.mark.parametrize("name", forged(LOG))
def test_a_log_that_is_not_the_quotes_is_never_believed(name: str) -> None:
    evidence = quote(*LOG)
    log = text(*forged(LOG)[name])
    for pins in ({}, PINNED, PINNED | {"compose_hash": "05" * 32}):
        for registers in (BOOT, (*BOOT, "rtmr3")):
            report = judge(evidence, policy(evidence, pins, registers=registers), log)
            assert report.verdict is not Verdict.ACCEPTED, (pins, registers)
            assert report.presented is not None
            assert "compose_hash" not in report.presented.events
            assert not report.presented.covers
            assert set(wrong(report)) & {"M301", "M302"}


@pytest.mark.parametrize("cut", [[], LOG[:3], LOG[:2]])
def test_a_log_that_leaves_out_rtmr3_says_nothing_of_it(cut: list[Entry]) -> None:
    evidence = quote(*LOG)
    for registers in (BOOT, (*BOOT, "rtmr3")):
        report = judge(evidence, policy(evidence, PINNED, registers=registers), text(*cut))
        assert report.verdict is Verdict.REJECTED
        assert "M304" in wrong(report)
        assert report.presented is not None and not report.presented.events
    # Where RTMR3 is pinned by value and nothing is asked of the log, its true part is no lie.
    pinned = policy(evidence, {}, registers=(*BOOT, "rtmr3"))
    expected = Verdict.ACCEPTED if cut else Verdict.UNDECIDED
    assert judge(evidence, pinned, text(*cut)).verdict is expected
    assert judge(evidence, policy(evidence, {}), text(*cut)).verdict is Verdict.UNDECIDED


def test_the_application_cannot_name_another_composition() -> None:
    """Whoever runs in the guest adds events after the system is ready; they replay, and do not count."""
    log = [*LOG, runtime("compose-hash", b"\5" * 32), runtime("key-provider", b"{}")]
    evidence = quote(*log)
    assert judge(evidence, policy(evidence, PINNED), text(*log)).verdict is Verdict.ACCEPTED
    lie = PINNED | {"compose_hash": "05" * 32}
    assert wrong(judge(evidence, policy(evidence, lie), text(*log))) == ["M304"]


@pytest.mark.parametrize(
    "log",
    [
        [*system()[:-1], runtime("compose-hash", b"\5" * 32), runtime("system-ready")],
        [*system()[:3], runtime("compose-hash", b"\5" * 32), *system()[3:]],
        [*system()[:5], runtime("compose-hash", b"\5" * 32), *system()[5:]],
        [runtime("compose-hash", b"\5" * 4), *system()[:2], *system()[3:]],
    ],
)
def test_two_compositions_are_none(log: list[Entry]) -> None:
    log = [*FIRMWARE, *log]
    evidence = quote(*log)
    report = judge(evidence, policy(evidence, PINNED), text(*log))
    assert report.verdict is not Verdict.ACCEPTED
    if "M305" not in wrong(
        report
    ):  # without the mark in its place nothing is read, or it is harmless
        assert "M203" in wrong(report)


def test_a_guest_that_is_not_ready_stands_for_nothing() -> None:
    log = [*FIRMWARE, *system(until="boot-mr-done")]
    evidence = quote(*log)
    report = judge(evidence, policy(evidence, {"compose_hash": HASH.hex()}), text(*log))
    assert wrong(report) == ["M203"]
    pinned = policy(evidence, {"compose_hash": HASH.hex()}, registers=(*BOOT, "rtmr3"))
    assert judge(evidence, pinned, text(*log)).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(
    "event",
    [
        runtime("Upper", b"1"),
        runtime("a_b", b"1"),
        runtime("x" * 65, b"1"),
        runtime("storage-fs", b"\xff"),
    ],
)
def test_an_event_that_no_policy_can_name_stands_for_nothing(event: Entry) -> None:
    system_ = [e for e in system() if e["event"] != event["event"]]
    log = [*FIRMWARE, *system_[:-1], event, system_[-1]]
    evidence = quote(*log)
    pins = {k: v for k, v in PINNED.items() if k != "storage_fs" or event["event"] != "storage-fs"}
    report = judge(evidence, policy(evidence, pins), text(*log))
    assert wrong(report) == ["M203"]


def test_one_name_for_two_events_is_refused() -> None:
    log = [*FIRMWARE, *system()[:-1], runtime("key-provider-id", b"1"), system()[-1]]
    evidence = quote(*log)
    assert "M305" in wrong(judge(evidence, policy(evidence, PINNED), text(*log)))


def test_unnamed_events_of_the_system_can_be_pinned() -> None:
    log = [*FIRMWARE, *system()[:-1], runtime("disk-size", b"\x10"), system()[-1]]
    evidence = quote(*log)
    assert wrong(judge(evidence, policy(evidence, PINNED), text(*log))) == ["M203"]
    pins = PINNED | {"disk_size": "10"}
    assert judge(evidence, policy(evidence, pins), text(*log)).verdict is Verdict.ACCEPTED


def test_registers_without_events_are_pinned_or_open() -> None:
    evidence = quote(*LOG)
    cut = text(*system())
    assert judge(evidence, policy(evidence, PINNED), cut).verdict is Verdict.ACCEPTED
    bare = policy(evidence, PINNED, registers=("mrtd",))
    assert {"M203", "M301"} == set(wrong(judge(evidence, bare, cut)))


def test_events_of_version_2_are_recognised() -> None:
    registers = replayed(*LOG, version=2).registers
    evidence = pki().quote(fields={**registers, "reportdata": bytes(range(64))})
    assert judge(evidence, policy(evidence, PINNED), text(*LOG)).verdict is Verdict.ACCEPTED


def test_a_log_beside_what_has_no_such_registers_is_undecided() -> None:
    from troth.platforms.dcap.simulate import QuoteKind

    evidence = pki().quote(QuoteKind.SGX_3, fields={"reportdata": bytes(range(64))})
    report = judge(evidence, troth.Policy(name="any"), text(*LOG))
    assert "M301" in wrong(report)


def test_events_cannot_be_expected_and_waived() -> None:
    evidence = quote(*LOG)
    only = replace(policy(evidence, PINNED), registers={})
    with pytest.raises(Misuse):
        judge(evidence, only, text(*LOG), waive=frozenset({Waiver.MEASUREMENT}))


def test_many_at_once_take_their_logs() -> None:
    evidence = quote(*LOG)
    asked = [
        troth.Question(evidence=evidence, nonce=bytes(range(64)), event_log=log)
        for log in (text(*LOG), None, text(*LOG[:-1]))
    ]
    answers = troth.verify_many(
        asked,
        policy=policy(evidence, PINNED),
        at=NOW,
        trust=pki().roots(),
        collateral=pki().collateral(),
        processes=1,
    )
    assert [a.verdict for a in answers] == ["accepted", "undecided", "rejected"]
