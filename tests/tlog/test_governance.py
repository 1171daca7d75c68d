"""The state of an app, against the plainest reading of its rules; and what each kind of entry does."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tlog.governed import (
    HOUR,
    LOG,
    NOW,
    OTHER,
    OWNERS,
    STRANGER,
    WITNESSES,
    World,
    announce,
    change,
    checkpoint,
    freeze,
    key,
    release,
    revoke,
    signed,
    terms,
)

from troth.model.governed import Governed, Standing
from troth.tlog import entry, governance, note, snapshot
from troth.tlog.note import Kind, Note, Signature, key_id
from troth.tlog.statement import Freeze, Release, Revoke, Statement
from troth.tlog.terms import Terms

RELEASES = (release(), release({"nitro": OTHER}, version="2"))
SAID: tuple[Statement, ...] = (*RELEASES, freeze(), *(revoke(one) for one in RELEASES))
SIGNERS = st.lists(st.sampled_from((*OWNERS, STRANGER)), min_size=1, max_size=3, unique=True)
HOURS = st.none() | st.integers(-200, 3)
STEP = st.tuples(st.sampled_from(SAID), SIGNERS) | st.tuples(HOURS, HOURS, HOURS)


def state(world: World, *, at: datetime = NOW, **changes: object) -> Governed:
    asked: Terms = terms(**changes)
    opened = snapshot.opened(world.pack(), log=LOG.verifier, witnesses=asked.witnesses)
    return governance.state(governance.read(opened, asked), at)


def _plainly(
    entries: Sequence[tuple[Statement, int]],
    seen: Sequence[tuple[int, tuple[datetime | None, ...]]],
) -> set[int]:
    """Which of the two releases are active, by the words of the rules and nothing clever."""
    late = NOW + timedelta(minutes=5)
    every = sorted({t for t in chain.from_iterable(ts for _, ts in seen) if t and t <= late})

    def known(index: int) -> datetime | None:
        for time in every:
            witnesses = {
                place
                for size, times in seen
                if size > index
                for place, at in enumerate(times)
                if at and at <= time
            }
            if len(witnesses) >= 2:
                return time
        return None

    counting = [(i, says) for i, (says, owners) in enumerate(entries) if owners >= 2]
    freezes = [i for i, says in counting if isinstance(says, Freeze)]
    revoked = [says.release for _, says in counting if isinstance(says, Revoke)]
    found = set()
    for number, one in enumerate(RELEASES):
        places = [i for i, says in counting if isinstance(says, Release) and says == one]
        if not places or revoke(one).release in revoked:
            continue
        since = known(places[0])
        early = not freezes or places[0] < freezes[0]
        if early and since is not None and since + 72 * HOUR <= NOW:
            found.add(number)
    return found


@settings(max_examples=150)
@given(steps=st.lists(STEP, max_size=12))
def test_what_is_active_by_the_words_of_the_rules(steps: Sequence[tuple[object, ...]]) -> None:
    world, entries = World(), []
    seen: list[tuple[int, tuple[datetime | None, ...]]] = []
    for step in [*steps, (None, None, None)]:
        if len(step) == 2:
            says, by = step
            assert isinstance(says, Release | Freeze | Revoke)
            assert isinstance(by, list)
            entries.append((says, len({b.verifier.name for b in by} - {STRANGER.verifier.name})))
            world.add(signed(says, *by))
        elif not seen or seen[-1][0] < len(entries):
            times = tuple(NOW + h * HOUR if isinstance(h, int) else None for h in step)
            seen.append((len(entries), times))
            world.seen(*times)
    if world.checkpoints and seen[-1][0] < len(entries):
        world.seen(None)
    found = state(world)
    active = {
        number
        for number, one in enumerate(RELEASES)
        for logged in found.releases
        if logged.standing is Standing.ACTIVE and logged.version == one.version
    }
    assert active == _plainly(entries, seen)


def test_the_earliest_and_the_latest_of_the_needed_witnesses() -> None:
    entries = [signed(release())]
    times = {
        WITNESSES[0]: [NOW - 90 * HOUR, NOW - HOUR],
        WITNESSES[1]: [NOW - 80 * HOUR, NOW - 2 * HOUR],
        WITNESSES[2]: [NOW - 70 * HOUR, NOW - 3 * HOUR],
    }
    world = World(entries=entries, checkpoints=[checkpoint(entries, times)])
    for count, since, last in ((1, 90, 1), (2, 80, 2), (3, 70, 3)):
        which = tuple(w.verifier for w in WITNESSES[: max(count, 2 * count - 1)])
        found = state(world, witness_threshold=count, witnesses=which)
        assert found.releases[0].known_since == NOW - since * HOUR
        assert found.witnessed_at == NOW - last * HOUR


def test_witnesses_of_different_states_count_together() -> None:
    """One saw the entry on Monday and another a larger log on Tuesday: on Tuesday two had seen it."""
    world = World().add(signed(release())).seen(NOW - 90 * HOUR, None, None)
    world.add(b"x").seen(None, NOW - 80 * HOUR, NOW - HOUR)
    assert state(world).releases[0].known_since == NOW - 80 * HOUR
    assert state(world, witness_threshold=3).releases[0].known_since == NOW - HOUR


def test_each_freeze_stops_its_own_sort() -> None:
    world = World()
    for what in ("policy", "keys", "code"):
        world.add(signed(freeze(what)))
    world.add(signed(release()), signed(change()), signed(announce(*OWNERS)))
    world.add(signed(freeze("code", app="shop"), STRANGER)).seen(NOW - 100 * HOUR)
    found = state(world)
    assert [(one.what, one.index) for one in found.frozen] == [
        ("code", 2),
        ("policy", 0),
        ("keys", 1),
    ]
    assert found.releases[0].standing is Standing.FROZEN
    assert (found.announced, found.policies) == ((), ())
    assert len(found.ignored) == 2


def test_the_first_freeze_counts() -> None:
    world = World().add(
        signed(release()), signed(freeze(), OWNERS[0]), signed(release(version="2"))
    )
    world.add(signed(freeze()), signed(freeze(), *OWNERS)).seen(NOW - 100 * HOUR)
    found = state(world)
    assert [one.index for one in found.frozen] == [3]
    assert [one.standing for one in found.releases] == [Standing.ACTIVE] * 2


def test_what_is_announced_and_what_the_owners_stand_for() -> None:
    new = [key(f"owner.example/n{n}") for n in range(3)]
    world = World().add(signed(change()), signed(announce(*new)), signed(change("0e" * 32, "2")))
    found = state(world.seen(NOW - HOUR))
    assert found.policies == ((0, "0d" * 32, "1"), (2, "0e" * 32, "2"))
    assert [(one.index, one.threshold, one.since) for one in found.announced] == [
        (1, 2, NOW - HOUR)
    ]


def test_notes_of_many_lines_are_not_gone_through_for_each_owner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Eight megabytes of them took fifteen seconds: a digest for each line and each owner."""
    many = tuple(key(f"owner.example/{n}").verifier for n in range(32))
    lines = tuple(
        Signature(name=many[0].name, key_id=b"none", data=n.to_bytes(2, "big")) for n in range(100)
    )
    junk = Note(text=entry.text(freeze()), signatures=lines).encode()
    world = World().add(*[junk] * 50, signed(freeze())).seen(NOW - HOUR)
    made = 0

    def counted(name: str, kind: Kind, public: bytes) -> bytes:
        nonlocal made
        made += 1
        return key_id(name, kind, public)

    monkeypatch.setattr(note, "key_id", counted)
    assert state(world, owners=many).size == 51
    assert made < 10 * len(many)


def test_a_notice_past_the_end_of_the_calendar() -> None:
    world = World().add(signed(release())).seen(NOW - HOUR)
    years = timedelta(days=36525)
    last = datetime.max.replace(tzinfo=NOW.tzinfo)
    assert state(world, notice=years).releases[0].standing is Standing.WAITING
    end = World().add(signed(release())).seen(last.replace(microsecond=0))
    found = state(end, at=last - timedelta(hours=1), notice=years).releases[0]
    assert found.standing is not Standing.ACTIVE


def test_the_last_instant_there_is() -> None:
    world = World().add(signed(release())).seen(NOW - HOUR)
    for at in (datetime.max.replace(tzinfo=NOW.tzinfo), datetime.min.replace(tzinfo=NOW.tzinfo)):
        assert state(world, at=at).size == 1
