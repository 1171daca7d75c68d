"""Witnesses stand between what is on the disk and what is published."""

from pathlib import Path

import pytest
from tests.crypto import naive_merkle as naive
from tests.tlog.made import AT, LOG, WITNESSES, cosigner, entries, opened, unavailable

from troth.errors import Misuse, Unavailable
from troth.tlog import checkpoint as checkpoints
from troth.tlog import read
from troth.tlog.log import Log
from troth.tlog.note import Signature

VKEYS = [witness.verifier for witness in WITNESSES]


def test_a_checkpoint_is_published_with_their_signatures(tmp_path: Path) -> None:
    seen: list[int] = []
    with Log.create(tmp_path / "log", LOG) as kept:
        kept.append(entries(3), cosign=cosigner(*WITNESSES[:2], seen=seen))
        kept.append(entries(2, 3), cosign=cosigner(WITNESSES[2], seen=seen))
        signed = checkpoints.opened(kept.note(), log=LOG.verifier, witnesses=VKEYS)
    assert seen == [0, 3]
    assert set(signed.times) == {VKEYS[2]}
    earlier = (tmp_path / "log/checkpoints/3").read_bytes()
    signed = checkpoints.opened(earlier, log=LOG.verifier, witnesses=VKEYS)
    assert set(signed.times) == set(VKEYS[:2])


def test_without_them_nothing_is_published_and_nothing_is_lost(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    with Log.create(folder, LOG) as kept:
        with pytest.raises(Unavailable, match="two witnesses are needed"):
            kept.append(entries(3), cosign=unavailable)
        assert (kept.published.size, kept.pending.size) == (0, 3)
        assert opened(kept.note()).size == 0
        with pytest.raises(Unavailable):
            kept.publish(unavailable)
    with Log.open(folder, LOG) as kept:
        assert (kept.published.size, kept.pending.size) == (0, 3)
        seen: list[int] = []
        # What was pending is the beginning of all that follows.
        assert kept.append(entries(2, 3), cosign=cosigner(*WITNESSES, seen=seen)) == range(3, 5)
        assert (kept.published.size, seen) == (5, [0])
        assert kept.published.root == naive.tree(entries(5))
    assert read.history(folder) == (0, 5)


def test_publishing_asks_again(tmp_path: Path) -> None:
    with Log.create(tmp_path / "log", LOG) as kept:
        with pytest.raises(Unavailable):
            kept.append(entries(3), cosign=unavailable)
        signed = opened(kept.publish(cosigner(WITNESSES[0])))
        assert signed == kept.published == opened(kept.note())
        assert kept.publish(unavailable) == kept.note()  # nothing is pending: nobody is asked


def test_a_refresh_keeps_the_earliest_and_the_latest_of_each(tmp_path: Path) -> None:
    with Log.create(tmp_path / "log", LOG) as kept:
        kept.append(entries(1), cosign=cosigner(WITNESSES[0], at=AT + 5))
        for at in (AT + 9, AT + 7, AT, AT + 8):
            data = kept.refresh(cosigner(*WITNESSES[:2], at=at))
        assert data == kept.note() == (tmp_path / "log/checkpoints/1").read_bytes()
        signed = checkpoints.opened(data, log=LOG.verifier, witnesses=VKEYS)
    times = {w.name: [int(t.timestamp()) - AT for t in ts] for w, ts in signed.times.items()}
    assert times == {"witness.example/0": [0, 9], "witness.example/1": [0, 9]}
    assert len(signed.note.signatures) == 5


def test_a_refresh_that_fails_changes_nothing(tmp_path: Path) -> None:
    with Log.create(tmp_path / "log", LOG) as kept:
        kept.append(entries(1), cosign=cosigner(WITNESSES[0]))
        before = kept.note()
        with pytest.raises(Unavailable):
            kept.refresh(unavailable)
        assert kept.note() == before
        assert kept.append(entries(1, 1)) == range(1, 2)


@pytest.mark.parametrize(
    "bad",
    [
        LOG.sign("another text\n"),
        Signature(name="a b", key_id=bytes(4), data=b"1"),
        Signature(name="a\n— b", key_id=bytes(4), data=b"1"),
        Signature(name="a", key_id=bytes(3), data=b"1"),
        Signature(name="a", key_id=bytes(4), data=b""),
    ],
    ids=["the log's own, wrong", "a space", "a line", "a short id", "nothing"],
)
def test_what_would_spoil_the_note_is_not_published(bad: Signature, tmp_path: Path) -> None:
    with Log.create(tmp_path / "log", LOG) as kept:
        with pytest.raises(Misuse, match="what the witnesses gave can't be published"):
            kept.append(entries(1), cosign=lambda *_: [bad])
        assert opened(kept.note()).size == 0
        kept.publish(cosigner(WITNESSES[0]))
        assert opened(kept.note()).size == 1


def test_more_than_a_note_can_have(tmp_path: Path) -> None:
    many = [Signature(name=f"w{n}", key_id=bytes(4), data=b"12345678") for n in range(100)]
    kept = Log.create(tmp_path / "log", LOG)
    with kept, pytest.raises(Misuse, match="more than 100 signatures"):
        kept.append(entries(1), cosign=lambda *_: many)
