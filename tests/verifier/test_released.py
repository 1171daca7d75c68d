"""Code is accepted because one release in a log names it; and each way to be accepted without."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.platforms.nitro.forge import document
from tests.tlog.governed import (
    ANNA,
    BERT,
    CLEO,
    DAY,
    HOUR,
    LOG,
    NOW,
    OTHER,
    OWNERS,
    PCRS,
    STRANGER,
    WITNESSES,
    World,
    active,
    checkpoint,
    collateral,
    freeze,
    key,
    release,
    revoke,
    signed,
)
from tests.verifier.releases import judge, policy, wrong

import troth
from troth.errors import Misuse
from troth.model.check import Waiver
from troth.model.report import Verdict
from troth.policy import Policy
from troth.render.html import report_html
from troth.render.json import report_json, schema_text
from troth.render.text import report_text
from troth.tlog.note import Kind

REJECTED, UNDECIDED = Verdict.REJECTED, Verdict.UNDECIDED


def test_an_active_release_names_what_runs() -> None:
    report = judge(active())
    assert wrong(report) == (Verdict.ACCEPTED, set())
    assert report.governed is not None and report.governed.chosen is not None
    assert (report.governed.chosen.index, report.governed.chosen.signed) == (0, 2)
    met = {c.subject for c in report.checks if c.code.id == "M201"}
    assert met == {"pcr0", "pcr1", "pcr2"}
    assert any(name.startswith("release-log sha256 ") for name in report.collateral)
    evidence, root = document()
    verified = troth.verify(
        evidence, policy=policy(), at=NOW, trust=[root], collateral=collateral(active().pack())
    )
    assert verified.claims.measurement("pcr0") == PCRS["pcr0"]


def test_nothing_is_accepted_without_the_log() -> None:
    assert wrong(judge()) == (UNDECIDED, {"M502"})
    own = {"nitro": {name: frozenset({value}) for name, value in PCRS.items()}}
    report = judge(policy=policy(registers=own))
    assert wrong(report) == (UNDECIDED, {"M502"})


def _unsigned() -> World:
    return active(says=release({"nitro": OTHER})).add(signed(release(), ANNA)).seen(NOW - HOUR)


LATE = NOW - 71 * HOUR
CASES: dict[str, tuple[World, set[str]]] = {
    "of another image": (active(says=release({"nitro": OTHER})), {"M501"}),
    "registers out of two releases": (
        active(
            signed(release({"nitro": OTHER | {"pcr1": PCRS["pcr1"], "pcr2": PCRS["pcr2"]}})),
            says=release({"nitro": PCRS | {"pcr1": OTHER["pcr1"]}}),
        ),
        {"M501"},
    ),
    "a register that nobody named": (
        active(says=release({"nitro": {name: PCRS[name] for name in ("pcr0", "pcr1")}})),
        {"M501"},
    ),
    "a register more than there is": (
        active(says=release({"nitro": PCRS | {"pcr16": "09" * 48}})),
        {"M501"},
    ),
    "of another platform": (active(says=release({"tdx": {"mrtd": "01" * 48}})), {"M501"}),
    "of another app": (
        World().add(signed(release(app="shop"))).seen(NOW - HOUR),
        {"M501"},
    ),
    "signed by one": (_unsigned(), {"M506"}),
    "signed by one, twice over": (
        World().add(signed(release(), ANNA), signed(release(), BERT)).seen(NOW - 10 * DAY),
        {"M505", "M506"},
    ),
    "signed by the log, a witness's key and a stranger": (
        World()
        .add(
            signed(
                release(), ANNA, LOG, STRANGER, key("witness.example/w1"), key("owner.example/old")
            )
        )
        .seen(NOW - 10 * DAY)
        .add(b"x")
        .seen(NOW - HOUR),
        {"M506"},
    ),
    "one owner under another's name": (
        World()
        .add(
            signed(
                release(),
                ANNA,
                replace(ANNA, verifier=replace(ANNA.verifier, name=BERT.verifier.name)),
            )
        )
        .seen(NOW - 10 * DAY)
        .add(b"x")
        .seen(NOW - HOUR),
        {"M506"},
    ),
    "in its notice": (
        World().add(signed(release())).seen(LATE).add(b"x").seen(NOW - HOUR),
        {"M507"},
    ),
    "revoked": (active(signed(revoke(release()))), {"M508"}),
    "revoked, and copied afterwards": (
        active(signed(revoke(release())), signed(release(), BERT, ANNA)),
        {"M508"},
    ),
    "revoked, though logged twice under two names": (
        World()
        .add(signed(release()), signed(release(version="1.0-again")))
        .seen(NOW - 10 * DAY)
        .add(signed(revoke(release())), signed(release(version="1.0-again"), BERT, CLEO))
        .seen(NOW - HOUR),
        {"M508"},
    ),
    "revoked before it was logged": (
        World()
        .add(signed(revoke(release())))
        .add(signed(release()))
        .seen(NOW - 10 * DAY)
        .add(b"x")
        .seen(NOW - HOUR),
        {"M508"},
    ),
    "logged after the code was frozen": (
        World()
        .add(signed(freeze()))
        .add(signed(release()))
        .seen(NOW - 10 * DAY)
        .add(b"x")
        .seen(NOW - HOUR),
        {"M509"},
    ),
    "nobody saw it": (World().add(signed(release())).seen(None), {"M504", "M507"}),
    "one witness saw it": (
        World().add(signed(release())).seen(NOW - 10 * DAY, None, None),
        {"M504", "M507"},
    ),
    "one witness saw the newest state": (
        World().add(signed(release())).seen(NOW - 10 * DAY).add(b"x").seen(NOW - HOUR, None, None),
        {"M504"},
    ),
    "strangers saw it": (
        World()
        .add(signed(release()))
        .seen(NOW - HOUR, of=[key(f"witness.example/x{n}", Kind.COSIGNATURE) for n in range(3)]),
        {"M504", "M507"},
    ),
    "kept back for a day": (
        World().add(signed(release())).seen(NOW - 25 * HOUR - 3 * DAY),
        {"M505"},
    ),
    "seen tomorrow": (World().add(signed(release())).seen(NOW + DAY), {"M504", "M507"}),
    "empty": (World().seen(NOW - HOUR), {"M501"}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_release_that_does_not_count(case: str) -> None:
    world, expected = CASES[case]
    verdict, found = wrong(judge(world))
    assert found == expected
    open_ends = {"M504", "M505"} | ({"M507"} if "M504" in found else set())
    assert verdict is (UNDECIDED if found <= open_ends else REJECTED)


@pytest.mark.parametrize(
    "more",
    [
        (signed(revoke(release()), ANNA),),
        (signed(revoke(release()), ANNA, STRANGER),),
        (signed(revoke(release(), app="shop")),),
        (signed(freeze(), CLEO),),
        (signed(freeze()),),
        (signed(freeze("keys")), signed(freeze("policy"))),
        (b"troth-log-entry/1\n{}\n\nno note", b"", b"\xff" * 65535),
        (signed('troth-log-entry/1\n{"app":"auction","kind":"release"}\n'),),
        (signed('troth-log-entry/1\n{"app":"auction","kind":"undo","what":"code"}\n'),),
        (signed(release(), ANNA, STRANGER), signed(release(), CLEO, BERT)),
        (signed(revoke(release())), signed(release(version="1.0.1"))),
    ],
)
def test_what_takes_nothing_away(more: tuple[bytes, ...]) -> None:
    """A revocation by one owner, a freeze afterwards, junk, copies; and a release anew after a revocation."""
    world = active(*more)
    old = world.seen(NOW - 100 * HOUR).seen(NOW - HOUR)
    old.checkpoints = old.checkpoints[:1] + old.checkpoints[2:]
    old.checkpoints = [
        checkpoint(old.entries[:1], {witness: [NOW - 10 * DAY] for witness in WITNESSES}),
        checkpoint(old.entries, {witness: [NOW - 100 * HOUR, NOW - HOUR] for witness in WITNESSES}),
    ]
    assert wrong(judge(old)) == (Verdict.ACCEPTED, set())


def test_entries_that_are_not_understood_are_named() -> None:
    text = 'troth-log-entry/1\n{"app":"auction","kind":"undo"}\n'
    report = judge(active(signed(text), signed(text, STRANGER), signed(freeze(), CLEO)))
    assert report.governed is not None
    first, second = report.governed.ignored
    assert "entry 2" in first
    assert "undo" in first
    assert second == "entry 4 is signed by 1 of the 2 owners that it needs"


def test_an_entry_of_another_version_is_named_where_an_owner_signed_it() -> None:
    text = "troth-log-entry/2\n{}\n"
    report = judge(active(signed(text, ANNA), signed(text, STRANGER), signed("other/1\n", ANNA)))
    assert report.governed is not None
    (said,) = report.governed.ignored
    assert "entry 2" in said and "not understood" in said


def test_pins_of_the_policy_hold_beside_the_release() -> None:
    def pinned(**registers: str) -> Policy:
        values = {name: frozenset({value}) for name, value in registers.items()}
        return policy(registers={"nitro": values})

    assert wrong(judge(active(), policy=pinned(pcr0=PCRS["pcr0"])))[0] is Verdict.ACCEPTED
    assert wrong(judge(active(), policy=pinned(pcr0=OTHER["pcr0"]))) == (REJECTED, {"M201"})
    assert wrong(judge(active(), policy=pinned(pcr8="08" * 48))) == (REJECTED, {"M202"})


def test_a_register_that_the_app_locked_is_named_as_well() -> None:
    """Whatever runs inside may lock one; a release of the image alone does not name it."""
    from tests.platforms.nitro.forge import PCRS as PRESENTED

    locked = {"document": {"pcrs": {**PRESENTED, 3: bytes(48), 4: b"\4" * 48, 16: b"\7" * 48}}}
    codes = wrong(judge(active(), **locked))[1]
    assert "M501" in codes
    said = release({"nitro": PCRS | {"pcr16": "07" * 48}})
    assert "M501" not in wrong(judge(active(says=said), **locked))[1]


def test_a_revocation_means_the_code_where_another_release_says_more_of_it() -> None:
    """Anything inside may lock a register; the image that its owners revoked is the same."""
    from tests.platforms.nitro.forge import PCRS as PRESENTED

    locked = {"document": {"pcrs": {**PRESENTED, 3: bytes(48), 16: b"\7" * 48}}}
    more = release({"nitro": PCRS | {"pcr16": "07" * 48}}, version="more")
    plain = release()

    def codes(*entries: bytes) -> set[str]:
        found = wrong(judge(active(*entries, says=more), **locked))[1]
        return {code for code in found if code.startswith("M")}

    assert codes(signed(plain)) == set()
    assert codes(signed(plain), signed(revoke(plain))) == {"M508"}
    # What too few signed is nobody's word for what the code is, whatever its revocation says.
    assert codes(signed(plain, ANNA), signed(revoke(plain))) == set()
    part = release({"nitro": {"pcr1": PCRS["pcr1"]}}, version="part")
    assert codes(signed(part, STRANGER), signed(revoke(part))) == set()
    other = release({"nitro": OTHER}, version="other")
    assert codes(signed(other), signed(revoke(other))) == set()


def test_another_platforms_pins_refuse_this_one() -> None:
    other = {"snp": {"measurement": frozenset({"01" * 48})}}
    assert wrong(judge(active(), policy=policy(registers=other))) == (REJECTED, {"P106"})


def test_the_terms_are_the_policys() -> None:
    days = timedelta(days=11)
    assert wrong(judge(active(), notice=days)) == (REJECTED, {"M507"})
    assert wrong(judge(active(), owner_threshold=3)) == (REJECTED, {"M506"})
    assert wrong(judge(active(), witness_threshold=3))[0] is Verdict.ACCEPTED
    assert wrong(judge(active(), app="shop")) == (REJECTED, {"M506"})
    assert wrong(judge(active(), max_checkpoint_age=timedelta(minutes=59))) == (
        UNDECIDED,
        {"M505"},
    )
    others = tuple(o.verifier for o in (BERT, CLEO))
    assert wrong(judge(active(), owners=others)) == (REJECTED, {"M506"})


def test_without_notice_it_counts_once_it_is_witnessed() -> None:
    world = World().add(signed(release())).seen(NOW - HOUR)
    assert wrong(judge(world, notice=timedelta(0)))[0] is Verdict.ACCEPTED
    assert (
        wrong(judge(World().add(signed(release())).seen(None), notice=timedelta(0)))[0] is UNDECIDED
    )


def test_one_owner_who_decides_alone_is_called_so() -> None:
    world = active(says=release(version="1"))
    report = judge(world, owners=(ANNA.verifier,), owner_threshold=1)
    assert report.governed is not None
    assert report.governed.one_decides
    assert wrong(report)[0] is Verdict.ACCEPTED
    several = judge(world)
    assert several.governed is not None
    assert not several.governed.one_decides


def test_the_past_is_judged_by_what_was_seen_then() -> None:
    """A log of today says nothing to an instant before its witnesses' times."""
    world = World().add(signed(release())).seen(NOW - 72 * HOUR)
    given: dict[str, Any] = {"as_of": True, "max_checkpoint_age": 9 * DAY}
    assert wrong(judge(world, at=NOW + HOUR, **given))[0] is Verdict.ACCEPTED
    assert wrong(judge(world, at=NOW - HOUR / 2, **given)) == (REJECTED, {"M507"})
    newer = World().add(signed(release())).seen(NOW - 9 * DAY).add(b"x").seen(NOW + HOUR)
    assert wrong(judge(newer, at=NOW, **given)) == (UNDECIDED, {"M504"})
    assert wrong(judge(newer, at=NOW + HOUR, **given))[0] is Verdict.ACCEPTED


def test_a_measurement_that_is_waived_and_asked_of_a_log() -> None:
    with pytest.raises(Misuse, match="both expected and waived"):
        judge(active(), waive=frozenset({Waiver.MEASUREMENT}))


def test_owners_are_not_the_ones_who_were_announced() -> None:
    """The announcement is printed; a policy follows by hand."""
    from tests.tlog.governed import announce

    new = [key(f"owner.example/n{n}") for n in range(3)]
    world = World().add(signed(announce(*new))).add(signed(release(), *new)).seen(NOW - 10 * DAY)
    world.add(b"x").seen(NOW - HOUR)
    report = judge(world)
    assert wrong(report) == (REJECTED, {"M506"})
    assert report.governed is not None
    assert [one.index for one in report.governed.announced] == [0]
    frozen = World().add(signed(freeze("keys"))).add(*world.entries).seen(NOW - HOUR)
    late = judge(frozen).governed
    assert late is not None
    assert (late.announced, late.ignored) == ((), ("entry 1 came after entry 0 froze the keys",))


def test_every_instant_of_one_collateral() -> None:
    """What is remembered with the collateral is under no clock."""
    given = collateral(active().pack())
    evidence, root = document()
    for at, verdict in (
        (NOW, Verdict.ACCEPTED),
        (NOW + 25 * HOUR, REJECTED),
        (NOW, Verdict.ACCEPTED),
    ):
        report = troth.appraise(evidence, policy=policy(), at=at, trust=[root], collateral=given)
        assert report.verdict is verdict
    other = policy(owners=tuple(o.verifier for o in OWNERS[1:]))
    assert (
        troth.appraise(evidence, policy=other, at=NOW, trust=[root], collateral=given).verdict
        is REJECTED
    )


def test_every_report_is_rendered_and_fits_the_schema() -> None:
    validator = Draft202012Validator(json.loads(schema_text()))
    more = (signed(freeze("policy")), signed(freeze("keys"), ANNA), signed(freeze()))
    worlds = [world for world, _ in CASES.values()]
    for world in (*worlds, active(*more)):
        report = judge(world)
        said = json.loads(report_json(report))
        validator.validate(said)
        assert said["release_log"]["one_signer_decides"] is False
        assert "one signer" in report_text(report) or "the code is frozen" in report_text(report)
        assert "What the log of releases says" in report_html(report)
    last = report_text(report)
    assert "release      auction 1.0, entry 0, signed by 2 of 3 owners" in last
    assert "code: since entry 4" in last
    assert "none: the code is frozen, whoever signs" in last
    alone = judge(active(), owners=(ANNA.verifier,), owner_threshold=1)
    assert "one signer decides" in report_text(alone)
