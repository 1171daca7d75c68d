"""Where a monitor's limits lie: what it reads at a look, how much it tells, and the edges of its times."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.tlog.governed import STRANGER, release
from tests.tlog.governed import signed as owned
from tests.tlog.logs import KEY, numbered, publish
from tests.tlog.test_monitor import NOW, WITNESSES, look, seen, watched

from troth.errors import Misuse
from troth.tlog import monitor, monitor_state
from troth.tlog.monitor import Watched, Witnessed
from troth.tlog.monitor_state import Memory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "log"
    made.mkdir()
    return made


def test_one_look_has_an_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "MOST_READ", 100)
    evil = owned(release(version="6.6.6"), STRANGER)
    publish(folder, [*numbered(250), evil])
    memory = Memory(log=KEY.verifier)
    for left in (151, 51):
        outcome = look(folder, memory, watched=watched())
        assert outcome.findings == ()
        assert outcome.undecided == (f"{left} entries are not read yet: look again",)
        memory = outcome.memory
    outcome = look(folder, memory, watched=watched())
    assert [f.index for f in outcome.findings] == [250]
    assert outcome.undecided == ()


def test_what_was_not_read_is_read_next_also_where_no_fault_is_looked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without the owners' own entries there is no question, and what is left is not forgotten either."""
    monkeypatch.setattr(monitor, "MOST_READ", 100)
    publish(folder, [*numbered(250), owned(release(version="1"))])
    listing, file = Watched(app="auction"), tmp_path / "memory"
    memory = Memory(log=KEY.verifier)
    for left in (151, 51):
        outcome = look(folder, memory, watched=listing)
        assert outcome.undecided == (f"{left} entries are not read yet: look again",)
        monitor_state.save(file, outcome.memory)
        memory = monitor_state.load(file, KEY.verifier)
    # A look with a question in between is another one's.
    memory = look(folder, memory, watched=watched()).memory
    outcome = look(folder, memory, watched=listing)
    assert [row.index for row in outcome.listed] == [250]
    assert outcome.undecided == ()
    assert look(folder, outcome.memory, watched=listing).listed == ()


def test_it_tells_with_an_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "MOST_FOUND", 2)
    monkeypatch.setattr(monitor, "MOST_LISTED", 3)
    publish(folder, [owned(release(version=str(n)), STRANGER) for n in range(5)])
    outcome = look(folder, watched=watched())
    assert [f.index for f in outcome.findings] == [0, 1]
    assert [row.index for row in outcome.listed] == [0, 1, 2]
    # It begins again with the first, so those beyond the end come to light once these are settled.
    known = watched(*(owned(release(version=str(n))) for n in range(2)))
    later = look(folder, outcome.memory, watched=known)
    assert [f.index for f in later.findings] == [2, 3]


@pytest.mark.parametrize(
    ("ago", "undecided"),
    [
        (timedelta(hours=24), False),
        (timedelta(hours=24, seconds=1), True),
        (-timedelta(minutes=5), False),
        (-timedelta(minutes=5, seconds=1), True),
    ],
)
def test_the_edges_of_witnesses_times(folder: Path, ago: timedelta, *, undecided: bool) -> None:
    seen(folder, [NOW - ago, None, None])
    asked = Witnessed(keys=(WITNESSES[0].verifier,), threshold=1)
    assert bool(look(folder, witnessed=asked).undecided) == undecided


def test_what_cannot_be_looked_for() -> None:
    for app in ("", "Auction", "a b", "x" * 129):
        with pytest.raises(Misuse):
            Watched(app=app)
    with pytest.raises(Misuse, match="never looked at"):
        _ = Memory(log=KEY.verifier).checkpoint
