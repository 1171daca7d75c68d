"""Logs that lie, and witnesses that lie, against a policy that asks for a release."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import pytest
from tests.platforms.nitro.forge import document
from tests.tlog.governed import (
    ANNA,
    DAY,
    HOUR,
    LOG,
    NOW,
    OTHER,
    OWNERS,
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
    terms,
)
from tests.verifier.releases import judge, policy, wrong

from troth.errors import Misuse
from troth.model.collateral import NONE
from troth.model.report import Verdict
from troth.policy.appraise import Expectation
from troth.tlog import entry
from troth.tlog.note import Kind, Note, Signature
from troth.verifier.judge import judged
from troth.verifier.released import settled

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


def test_two_histories_for_two_groups_of_honest_witnesses() -> None:
    """Each of them saw a log that only grew. So more than half of all must have seen it."""
    gone = active(signed(revoke(release())))
    shown = active()
    for world, groups in ((gone, (NOW - HOUR, None, None)), (shown, (None, NOW - HOUR, None))):
        world.checkpoints[-1:] = []
        world.seen(*groups)
    assert wrong(judge(shown)) == (Verdict.UNDECIDED, {"M504"})
    for count, of in ((1, 2), (1, 3), (2, 4)):
        named = tuple(key(f"w{n}", Kind.COSIGNATURE).verifier for n in range(of))
        with pytest.raises(Misuse, match="each be shown"):
            terms(witnesses=named, witness_threshold=count)


def test_a_bit_flipped_anywhere_is_not_accepted() -> None:
    """Of the notes' lines that nobody needs (a third witness, say) none is an exception: CBOR and text are strict."""
    world = World().add(signed(release(), ANNA)).seen(NOW - 10 * DAY, None, None)
    good = world.add(b"x").seen(NOW - HOUR, None, None).pack()
    named = {"owners": (ANNA.verifier,), "witnesses": (WITNESSES[0].verifier,)}
    asked = policy(**named, owner_threshold=1, witness_threshold=1)
    evidence, root = document()
    (alone, _) = judged(
        evidence,
        policy=asked,
        at=NOW,
        expectation=Expectation(),
        trust=[root],
        collateral=NONE,
        receipts=(),
        as_of=False,
    )

    def verdict(log: bytes) -> Verdict:
        (report,) = settled([alone], policy=asked, collateral=collateral(log), at=NOW)
        return report.verdict

    assert alone.verdict is UNDECIDED
    assert verdict(good) is Verdict.ACCEPTED
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 1 << place % 8
        assert verdict(bytes(bad)) in (REJECTED, UNDECIDED), place


def test_more_logs_than_anybody_keeps() -> None:
    states = [active(*(b"%d" % n for n in range(size))) for size in range(9)]
    assert wrong(judge(*states[:8]))[0] is Verdict.ACCEPTED
    assert wrong(judge(*states)) == (REJECTED, {"M503"})


def test_a_copy_of_a_revocation_revokes_nothing_anew() -> None:
    """The operator appends it once more, after the owners released the same code again."""
    world = World().add(signed(release()), signed(revoke(release())))
    world.add(signed(release(version="1.0.1")), signed(revoke(release()), *OWNERS))
    assert wrong(judge(world.seen(NOW - 80 * HOUR, NOW - 80 * HOUR, NOW)))[1] == {"M505"}
    assert wrong(judge(world.add(b"x").seen(NOW - HOUR)))[0] is Verdict.ACCEPTED


def test_an_owner_whose_other_signature_is_wrong_did_not_sign() -> None:
    text = entry.text(release())
    right = [owner.sign(text) for owner in OWNERS[:2]]
    wrong_one = replace(right[1], data=bytes(64))
    note = Note(text=text, signatures=(*right, wrong_one)).encode()
    world = World().add(note).seen(NOW - 10 * DAY).add(b"x").seen(NOW - HOUR)
    assert wrong(judge(world)) == (REJECTED, {"M506"})


def test_a_log_that_makes_a_verifier_work() -> None:
    """Wrong signatures are counted, copies of right ones cost nothing, and a file of crumbs is not read."""
    text = entry.text(freeze())

    def note(*lines: Signature, place: int) -> bytes:
        mark = Signature(name="x", key_id=b"mark", data=place.to_bytes(8, "big"))
        return Note(text=text, signatures=(*lines, mark)).encode()

    def wrong_ones(place: int) -> Iterator[Signature]:
        for owner in OWNERS:
            data = place.to_bytes(8, "big") * 8
            yield Signature(name=owner.verifier.name, key_id=owner.verifier.id, data=data)

    junk = [note(*wrong_ones(place), place=place) for place in range(400)]
    assert wrong(judge(active(*junk))) == (REJECTED, {"M503"})
    assert wrong(judge(active(*junk[:100])))[0] is Verdict.ACCEPTED
    right = [note(*(o.sign(text) for o in OWNERS), place=place) for place in range(2000)]
    assert wrong(judge(active(*right)))[0] is Verdict.ACCEPTED
    crumbs = b"\xa4\x65older\x80\x66schema\x74troth/log-snapshot/1\x67entries"
    for inner in (
        b"\x9a\x00\x7e\x00\x00" + b"\x40" * 0x7E0000,
        (b"\x99\xff\xff" + b"\x80" * 65535) * 99,
    ):
        assert wrong(judge(crumbs + inner)) == (REJECTED, {"M503"})
    lines = {witness: [NOW - HOUR * hour for hour in range(30)] for witness in WITNESSES}
    older = tuple(checkpoint([b"%d" % n], lines) for n in range(100))
    assert wrong(judge(active().pack(older=older))) == (REJECTED, {"M503"})


@pytest.mark.parametrize(
    "line",
    [
        '{"app":"\\ud800","kind":"freeze","what":"code"}',
        '{"app":"auction","kind":"freeze","what":"\\ud800"}',
        '{"app":"auction","kind":"freeze","what":' + "[" * 900 + "]" * 900 + "}",
        '{"app":"auction","kind":"freeze","what":1e5}',
        '{"app":"auction","kind":"freeze","what":' + "9" * 60000 + "}",
        "\x00",
        "\u2028",
    ],
)
def test_an_entry_that_no_reader_takes_hides_no_other(line: str) -> None:
    raw = f"troth-log-entry/1\n{line}\n"
    lines = [o.sign(raw).line() for o in OWNERS[:2]] if line.isprintable() else []
    hostile = f"{raw}\n{''.join(lines)}".encode("utf-8", "surrogatepass")
    assert wrong(judge(active(hostile)))[0] is Verdict.ACCEPTED
    assert wrong(judge(active(hostile, signed(revoke(release()))))) == (REJECTED, {"M508"})
