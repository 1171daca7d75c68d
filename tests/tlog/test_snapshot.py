"""All of a log in one file: one encoding, whole or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tlog.governed import LOG, NOW, STRANGER, WITNESSES, World, active, checkpoint

from troth.errors import Malformed, Misuse
from troth.tlog import snapshot
from troth.tlog.checkpoint import NotSigned
from troth.tlog.note import VerifierKey
from troth.tlog.snapshot import MOST_BYTES, Forked, Opened, Snapshot
from troth.wire import cbor

KEYS = tuple(w.verifier for w in WITNESSES)


def opened(data: bytes, log: VerifierKey = LOG.verifier) -> Opened:
    return snapshot.opened(data, log=log, witnesses=KEYS)


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_what_is_packed_is_opened(sizes: list[int]) -> None:
    world = World()
    for size in sizes:
        world.add(*(b"%d of %d" % (n, size) for n in range(size))).seen(NOW)
    data = world.pack()
    found = opened(data)
    assert found.entries == tuple(world.entries)
    assert len(found.older) == len(sizes) - 1
    assert snapshot.looks_like(data)
    assert snapshot.pack(snapshot.unpack(data)) == data
    assert set(found.newest.times) == set(KEYS)


def test_an_empty_log() -> None:
    assert opened(World().seen(NOW).pack()).entries == ()


def test_of_another_log_and_by_another_key() -> None:
    with pytest.raises(NotSigned, match="not of"):
        opened(active().pack(), STRANGER.verifier)
    with pytest.raises(NotSigned):
        opened(active().pack(checkpoint=checkpoint([], by=STRANGER)))


def test_entries_that_the_log_did_not_sign() -> None:
    world = active()
    for entries in (world.entries[:-1], [*world.entries, b""], [b"x", *world.entries[1:]], []):
        with pytest.raises(Forked):
            opened(world.pack(entries=tuple(entries)))


def test_earlier_states() -> None:
    world = active()
    first = checkpoint(world.entries[:1])
    for older in ((first, first), (world.checkpoints[-1],), (checkpoint([]), first, first)):
        with pytest.raises(Malformed):
            opened(world.pack(older=older))
    with pytest.raises(Forked):
        opened(world.pack(older=(checkpoint([b"y"]),)))
    assert len(opened(world.pack(older=(checkpoint([]), first))).older) == 2


def test_other_encodings() -> None:
    good = active().pack()
    value = cbor.decode(good, field="log")
    for changes in (
        {"schema": "troth/log-snapshot/2"},
        {"more": 1},
        {"entries": [1]},
        {"entries": [b"x" * 65536]},
        {"entries": {}},
        {"older": None},
        {"older": [b""] * 513},
        {"checkpoint": "text"},
    ):
        with pytest.raises(Malformed):
            opened(cbor.encode(value | changes))
    with pytest.raises(Malformed):
        opened(cbor.encode_in_order(dict(reversed(value.items()))))
    for bad in (b"", good[:-1], good + b"\0", b"\xa4\x65older\x9b" + b"\xff" * 8):
        with pytest.raises(Malformed):
            opened(bad)


def test_it_is_bounded() -> None:
    with pytest.raises(Malformed):
        snapshot.unpack(bytes(MOST_BYTES + 1))
    entries = (bytes(65535),) * 130
    with pytest.raises(Misuse, match="more than"):
        snapshot.pack(Snapshot(checkpoint=b"", older=(), entries=entries))


def test_of_many_checkpoints_the_newest_are_kept_and_some_of_all_times() -> None:
    assert snapshot.thinned([], 5) == []
    assert snapshot.thinned(range(5), 5) == [0, 1, 2, 3, 4]
    assert snapshot.thinned(range(9), 0) == []
    assert snapshot.thinned(range(9), 1) == [0]
    assert snapshot.thinned(range(100), 5) == [0, 32, 65, 98, 99]
    kept = snapshot.thinned(range(1, 1 << 60), 512)
    assert len(set(kept)) == 512
    assert kept == sorted(kept)
    assert kept[0] == 1
    assert kept[-256:] == list(range((1 << 60) - 256, 1 << 60))
