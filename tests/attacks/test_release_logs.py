"""Logs that lie, and witnesses that lie, against a policy that asks for a release."""

from dataclasses import replace
from datetime import datetime

import pytest
from tests.platforms.nitro.forge import document
from tests.tlog.governed import (
    DAY,
    HOUR,
    LOG,
    NOW,
    OTHER,
    STRANGER,
    WITNESSES,
    World,
    active,
    checkpoint,
    collateral,
    release,
    revoke,
    signed,
)
from tests.verifier.releases import judge, policy, wrong

import troth
from troth.model.report import Verdict

REJECTED, UNDECIDED = Verdict.REJECTED, Verdict.UNDECIDED


@pytest.mark.parametrize("liar", range(3))
@pytest.mark.parametrize("seen", [NOW - 71 * HOUR, NOW - 73 * HOUR])
@pytest.mark.parametrize("lie", [NOW - 3000 * DAY, NOW + 3000 * DAY, NOW + HOUR, NOW])
def test_one_lying_witness_of_three_does_not_matter(
    liar: int, seen: datetime, lie: datetime
) -> None:
    """Neither for since when a release is known nor for how new the log is, in either direction."""
    times = [seen, seen, seen]
    times[liar] = lie
    world = World().add(signed(release())).seen(*times).add(b"x").seen(NOW - HOUR)
    expected = set() if seen < NOW - 72 * HOUR else {"M507"}
    assert wrong(judge(world))[1] == expected
    now = [NOW - 25 * HOUR] * 3
    now[liar] = lie
    world = World().add(signed(release())).seen(NOW - 30 * DAY).add(b"x").seen(*now)
    assert wrong(judge(world)) == (UNDECIDED, {"M505"})
    now = [NOW - HOUR] * 3
    now[liar] = lie
    world = World().add(signed(release())).seen(NOW - 30 * DAY).add(b"x").seen(*now)
    assert wrong(judge(world)) == (Verdict.ACCEPTED, set())


def test_a_witness_counts_once_however_often_it_signs() -> None:
    entries = [signed(release())]
    many = {WITNESSES[0]: [NOW - HOUR * n for n in range(1, 90)]}
    world = World(entries=entries, checkpoints=[checkpoint(entries, many)])
    assert wrong(judge(world))[1] == {"M504", "M507"}


def test_a_log_that_lies() -> None:
    world = active()
    newest = {witness: [NOW - HOUR] for witness in WITNESSES}
    forged = [signed(release({"nitro": OTHER})), *world.entries[1:]]
    cases = {
        "an entry less": world.pack(entries=tuple(world.entries[:-1])),
        "an entry more": world.pack(entries=(*world.entries, b"x")),
        "no entry": world.pack(entries=()),
        "in another order": world.pack(entries=tuple(reversed(world.entries))),
        "another entry": world.pack(entries=tuple(forged)),
        "by another key": world.pack(
            checkpoint=checkpoint(world.entries, newest, by=STRANGER, origin=LOG.verifier.name),
        ),
        "by another key of its name": world.pack(
            checkpoint=checkpoint(
                world.entries,
                newest,
                by=replace(STRANGER, verifier=replace(STRANGER.verifier, name=LOG.verifier.name)),
            ),
        ),
        "an older state of another log": world.pack(
            older=(checkpoint([b"y"], {witness: [NOW - 10 * DAY] for witness in WITNESSES}),)
        ),
        "an older state by another key": world.pack(
            older=(checkpoint(world.entries[:1], newest, by=STRANGER, origin=LOG.verifier.name),),
        ),
        "an older state that is newer": world.pack(older=(checkpoint([*world.entries, b"z"]),)),
    }
    for name, data in cases.items():
        assert wrong(judge(data)) == (REJECTED, {"M503"}), name


def test_a_log_of_another_name_is_none() -> None:
    world = active()
    other = checkpoint(world.entries, {witness: [NOW - HOUR] for witness in WITNESSES}, by=STRANGER)
    data = world.pack(checkpoint=other, older=())
    assert wrong(judge(data)) == (UNDECIDED, {"M502"})
    assert wrong(judge(data, world)) == (Verdict.ACCEPTED, set())


def test_a_rollback_beside_the_newer_log() -> None:
    """Of two states the newer counts: what was revoked since is revoked, in whatever order they are given."""
    old, new = active(), active(signed(revoke(release())))
    for logs in ((old, new), (new, old)):
        assert wrong(judge(*logs)) == (REJECTED, {"M508"})
    assert wrong(judge(old))[0] is Verdict.ACCEPTED


def test_a_fork_is_seen_where_both_sides_are_given() -> None:
    one, other = active(), active(b"something else", says=release(version="2"))
    for logs in ((one, other), (other, one)):
        report = judge(*logs)
        assert wrong(report) == (REJECTED, {"M503"})
        assert any("two logs" in check.why for check in report.checks)


def test_junk_beside_the_log() -> None:
    good = active().pack()
    for junk in (b"", b"\xa4\x65older", good[:-1], good + b"\0", b"\xff" * 100):
        assert wrong(judge(good, junk)) == (REJECTED, {"M503"})
    assert wrong(judge(*(good + bytes([n]) for n in range(9)))) == (REJECTED, {"M503"})


def test_a_bit_flipped_anywhere_is_not_accepted() -> None:
    """Of the notes' lines that nobody needs (a third witness, say) none is an exception: CBOR and text are strict."""
    world = World().add(signed(release())).seen(NOW - 10 * DAY, NOW - 10 * DAY, None)
    world.add(b"x").seen(NOW - HOUR, NOW - HOUR, None)
    good = world.pack()
    evidence, root = document()
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 1 << place % 8
        report = troth.appraise(
            evidence, policy=policy(), at=NOW, trust=[root], collateral=collateral(bytes(bad))
        )
        assert report.verdict in (REJECTED, UNDECIDED), place
