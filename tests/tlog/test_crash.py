"""The power fails after any step of a log's, and again while it recovers: nothing acknowledged is lost, nothing forks."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from tests.tlog.crash import Model, Recorder
from tests.tlog.made import AT, LOG, WITNESSES, entries, opened

from troth.crypto import merkle
from troth.errors import Misuse, TrothError, Unavailable
from troth.tlog import checkpoint as checkpoints
from troth.tlog import note, read
from troth.tlog.log import Log
from troth.tlog.note import Signature

MARKS = ("acknowledged", "shown", "witnessed")
ROOTS = [merkle.root(map(merkle.leaf, entries(size))) for size in range(700)]
VKEYS = [witness.verifier for witness in WITNESSES]


@dataclass
class Told:
    """What the world knows when the power fails."""

    acknowledged: int = -1  # -1: there is no log yet
    published: int = 0
    checkpoints: dict[int, bytes] = field(default_factory=dict)
    witnessed: dict[int, int] = field(default_factory=dict)  # size to the number of cosignatures


def live(folder: Path, disk: Recorder) -> None:
    """A log's life, with witnesses that come and go, over the edges of tiles."""

    def cosign(
        data: bytes, _old: int, _proof: Callable[[int], tuple[bytes, ...]]
    ) -> Sequence[Signature]:
        disk.mark("shown", data)
        return [w.sign(note.parse(data).text, time=AT + len(disk.steps)) for w in WITNESSES[:2]]

    def absent(data: bytes, *_: object) -> Sequence[Signature]:
        disk.mark("shown", data)
        raise Unavailable("no witness answers")

    with Log.create(folder, LOG, disk=disk) as log:
        disk.mark("acknowledged", 0)
        for size in (3, 252, 1, 2):
            log.append(entries(size, log.pending.size))
            disk.mark("acknowledged", log.pending.size)
        for size in (260, 1):
            log.append(entries(size, log.pending.size), cosign=cosign)
            disk.mark("acknowledged", log.pending.size)
            disk.mark("witnessed", log.pending.size)
        with pytest.raises(Unavailable):
            log.append(entries(5, log.pending.size), cosign=absent)
        log.append(entries(2, log.pending.size), cosign=cosign)
        disk.mark("acknowledged", log.pending.size)
        log.refresh(cosign)
        disk.mark("witnessed", log.pending.size)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, if there is one: thousands of small files are made and removed."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    base = tmp_path_factory.mktemp("lived")
    disk = Recorder(base)
    live(base / "log", disk)
    assert len(disk.steps) > 150
    return disk.steps


def told(model: Model, step: tuple[object, ...], known: Told) -> None:
    """What this step lets somebody know: also what a reader sees who looks just then."""
    match step:
        case ["acknowledged", int() as size]:
            known.acknowledged = known.published = size
        case ["shown", bytes() as data]:
            _show(known, data)
        case ["witnessed", int() as size]:
            known.witnessed[size] = 2
        case ["rename", _, "log/checkpoint"]:
            data = model._at("log/checkpoint").now
            assert isinstance(data, bytes)
            _show(known, data)


def _show(known: Told, data: bytes) -> None:
    shown = opened(data)
    assert known.checkpoints.setdefault(shown.size, shown.root) == shown.root
    assert shown.root == ROOTS[shown.size]


def moments(steps: list[tuple[object, ...]], model: Model, known: Told) -> Iterator[int]:
    """Goes through the steps one at a time."""
    for at, step in enumerate(steps):
        if step[0] not in MARKS:
            model.apply(*step)  # type: ignore[arg-type]
        told(model, step, known)
        yield at


def look(place: Path, known: Told, *, other: bytes) -> None:
    """A log after a crash is what the world was told, and goes on without a fork."""
    folder = place / "log"
    if known.published > 0 or known.acknowledged == 0:
        # Whoever reads it before it is opened again finds what was acknowledged.
        reader = read.from_folder(folder)
        seen = opened(reader.checkpoint())
        assert seen.size >= known.published
        assert list(reader.entries(0, seen.size, seen)) == entries(seen.size)
    try:
        log = Log.open(folder, LOG)
    except Misuse:
        assert known.acknowledged < 0
        log = Log.create(folder, LOG)
    with log:
        size = log.pending.size
        assert size >= max(known.acknowledged, *known.checkpoints, 0)
        assert log.pending.root == ROOTS[size]
        for shown, root in known.checkpoints.items():
            assert log.reader.root(shown, log.pending) == root
        for seen_by, many in known.witnessed.items():
            data = log.reader.published(seen_by)
            times = checkpoints.opened(data, log=LOG.verifier, witnesses=VKEYS).times
            assert len(times) == many
        more = [other + b"%d" % n for n in range(1 + 299 * (size % 2))]
        assert log.append(more) == range(size, size + len(more))
        for shown, root in known.checkpoints.items():
            assert log.reader.root(shown, log.published) == root
        assert list(log.reader.entries(0, log.published.size, log.published)) == [
            *entries(size),
            *more,
        ]
        after = log.published
    Log.open(folder, LOG).close()
    assert opened(read.from_folder(folder).checkpoint()) == after


def fail(steps: list[tuple[object, ...]], place: Path, seed: int) -> int:
    """The power fails after each of these steps, in several ways; how often that was."""
    model, known, random, tried = Model(), Told(), Random(seed), 0
    for at in moments(steps, model, known):
        for how in ("least", "chance", "chance", "most")[: 3 + (at % 4 == 0)]:
            place.mkdir()
            model.crash(how, random).put(place)
            look(place, known, other=b"after ")
            shutil.rmtree(place)
            tried += 1
    return tried


def test_the_power_fails_after_any_step(lived: list[tuple[object, ...]], memory: Path) -> None:
    assert fail(lived, memory / "place", 1) > 3 * len(lived)


def test_the_process_is_killed_and_the_power_fails_while_the_next_goes_on(
    lived: list[tuple[object, ...]], memory: Path
) -> None:
    """What a killed process left unsynced is seen by the next, and must not be built upon as it is."""
    model, known, random = Model(), Told(), Random(2)
    for at in moments(lived, model, known):
        if known.acknowledged < 0 or random.random() > 0.25:
            continue
        place = memory / f"{at}"
        place.mkdir()
        model.put(place)
        disk = Recorder(place)
        with Log.open(place / "log", LOG, disk=disk) as log:
            log.publish()
            disk.mark("acknowledged", log.pending.size)
            log.append(entries(2, log.pending.size))
            disk.mark("acknowledged", log.pending.size)
        shutil.rmtree(place)
        again, knew = (
            model.killed(),
            Told(known.acknowledged, known.published, dict(known.checkpoints)),
        )
        for later in moments(disk.steps, again, knew):
            if random.random() > 0.3:
                continue
            second = memory / f"{at}-{later}"
            second.mkdir()
            again.crash(random.choice(["least", "most", "chance"]), random).put(second)
            look(second, knew, other=b"again ")
            shutil.rmtree(second)


LEFT_OUT: dict[str, Callable[[str], bool]] = {
    "of pending": lambda path: path == "log/.pending.new",
    "of the log's folder": lambda path: path == "log",
    "of bundles": lambda path: path.startswith("log/tile/entries/") and ".new" in path,
    "of names of bundles": lambda path: path == "log/tile/entries",
    "of names of tiles": lambda path: path.startswith("log/tile/0") and ".new" not in path,
    "of the checkpoint": lambda path: path == "log/.checkpoint.new",
    "of the history": lambda path: path.startswith("log/checkpoints"),
    "of the parent": lambda path: not path,
}


@pytest.mark.parametrize("of", LEFT_OUT.values(), ids=LEFT_OUT)
def test_without_any_one_sync_something_is_lost(
    of: Callable[[str], bool], lived: list[tuple[object, ...]], memory: Path
) -> None:
    """The tests above would not pass by themselves: each sync is there for a reason."""
    steps = [step for step in lived if not (step[0] == "sync" and of(str(step[1])))]
    assert len(steps) < len(lived)
    with pytest.raises((AssertionError, TrothError)):
        fail(steps, memory / "place", 3)


def test_without_the_word_on_what_will_be_signed_it_forks(
    lived: list[tuple[object, ...]], memory: Path
) -> None:
    """A checkpoint that somebody saw and the disk forgot would be signed anew, with another root."""
    first = next(at for at, step in enumerate(lived) if step == ("acknowledged", 0))
    after = [s for s in lived[first:] if "pending" not in str(s[1])]
    with pytest.raises(AssertionError):
        fail([*lived[:first], *after], memory / "place", 4)
