"""A monitor: every way in which a log can lie is named, and none of them is remembered as the truth."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.tlog.governed import ANNA, BERT, STRANGER, artifacts, freeze, release
from tests.tlog.governed import signed as owned
from tests.tlog.logs import KEY, numbered, publish, signed

from troth.errors import Misuse, Unavailable
from troth.tlog import entry, kept, monitor, monitor_state, note, read, tiles
from troth.tlog import note as notes
from troth.tlog.monitor import Kind, Outcome, Watched, Witnessed
from troth.tlog.monitor_state import Memory
from troth.tlog.signer import SigningKey
from troth.tlog.statement import KeyRelease

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
MANY = numbered(700)
OWNERS = (ANNA.verifier, BERT.verifier)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "log"
    made.mkdir()
    return made


def look(
    folder: Path,
    memory: Memory | None = None,
    *,
    watched: Watched | None = None,
    witnessed: Witnessed | None = None,
    at: datetime = NOW,
) -> Outcome:
    return monitor.check(
        read.from_folder(folder),
        memory or Memory(log=KEY.verifier),
        witnessed=witnessed or Witnessed(),
        watched=watched,
        at=at,
    )


def again(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def caught(outcome: Outcome, memory: Memory, kind: Kind) -> None:
    """It is told as what it is, and what was known stays what is known."""
    assert [f.kind for f in outcome.findings] == [kind]
    assert outcome.memory is memory


def test_a_log_that_grows(folder: Path) -> None:
    memory = Memory(log=KEY.verifier)
    before = None
    for size in (0, 1, 255, 256, 257, 257, 512, 700):
        again(folder)
        publish(folder, MANY[:size])
        outcome = look(folder, memory)
        assert (outcome.findings, outcome.before) == ((), before)
        memory, before = outcome.memory, size
        assert memory.checkpoint.size == size


@pytest.mark.parametrize("old", [1, 200, 256, 600, 700])
def test_a_rollback(folder: Path, old: int) -> None:
    publish(folder, MANY[:old])
    memory = look(folder).memory
    again(folder)
    publish(folder, MANY[: old - 1])
    outcome = look(folder, memory)
    caught(outcome, memory, Kind.ROLLBACK)
    assert outcome.findings[0].notes == (signed(MANY[:old]), signed(MANY[: old - 1]))


@pytest.mark.parametrize("old", [1, 200, 256, 600])
@pytest.mark.parametrize("new", [600, 700])
def test_a_fork(folder: Path, old: int, new: int) -> None:
    publish(folder, MANY[:old])
    memory = look(folder).memory
    again(folder)
    publish(folder, [b"other", *MANY[1:new]])
    outcome = look(folder, memory)
    caught(outcome, memory, Kind.FORK)
    first, second = outcome.findings[0].notes
    for data in (first, second):
        assert KEY.verifier in note.signers(note.parse(data), [KEY.verifier])


def test_a_reordered_past_is_a_fork(folder: Path) -> None:
    publish(folder, MANY[:300])
    memory = look(folder).memory
    again(folder)
    publish(folder, [MANY[1], MANY[0], *MANY[2:]])
    caught(look(folder, memory), memory, Kind.FORK)


def test_entries_in_another_order_than_signed(folder: Path) -> None:
    publish(folder, MANY)
    for start, width in ((0, 256), (512, 188)):
        part = [*MANY[start : start + width]]
        part[3], part[4] = part[4], part[3]
        place = folder / tiles.bundle(start // 256, width)
        whole = place.read_bytes()
        place.write_bytes(tiles.pack(part))
        memory = Memory(log=KEY.verifier)
        outcome = look(folder, memory)
        caught(outcome, memory, Kind.ALTERED)
        assert f"entry {start + 3} " in outcome.findings[0].words
        place.write_bytes(whole)


@pytest.mark.parametrize(
    "path",
    [
        tiles.tile(0, 0),
        tiles.tile(0, 2, 188),
        tiles.tile(1, 0, 2),
        tiles.bundle(1),
        tiles.bundle(2, 188),
    ],
)
def test_what_is_served_is_cut_altered_or_gone(folder: Path, path: str) -> None:
    publish(folder, MANY)
    whole = (folder / path).read_bytes()
    memory = Memory(log=KEY.verifier)
    changed = bytes([whole[0] ^ 1]) + whole[1:]
    for data in (b"", whole[:-1], whole[:-32], whole + b"\0", whole + whole, changed):
        (folder / path).write_bytes(data)
        caught(look(folder, memory), memory, Kind.ALTERED)
    (folder / path).unlink()
    caught(look(folder, memory), memory, Kind.TRUNCATED)


def test_a_checkpoint_that_promises_more_than_there_is(folder: Path) -> None:
    publish(folder, MANY[:300], note=signed(MANY))
    memory = Memory(log=KEY.verifier)
    caught(look(folder, memory), memory, Kind.TRUNCATED)
    (folder / "checkpoint").unlink()
    caught(look(folder, memory), memory, Kind.TRUNCATED)


def test_an_unsigned_checkpoint(folder: Path) -> None:
    impostor = SigningKey.generate(KEY.verifier.name)
    stranger = SigningKey.generate("example.com/other")
    memory = Memory(log=KEY.verifier)
    honest = signed(MANY)
    bad = [signed(MANY, impostor), signed(MANY, stranger), honest.replace(b"\n700\n", b"\n701\n")]
    for data in bad:
        again(folder)
        publish(folder, MANY, note=data)
        caught(look(folder, memory), memory, Kind.UNSIGNED)
    for data in (b"", b"junk", honest[:-2], honest.replace(b"700", b"7e2")):
        publish(folder, MANY, note=data)
        caught(look(folder, memory), memory, Kind.ALTERED)


def test_a_network_that_fails_is_no_finding() -> None:
    def fetch(path: str) -> bytes:
        if path == "checkpoint":
            return signed(MANY)
        raise Unavailable("the network is down")

    with pytest.raises(Unavailable, match="down"):
        monitor.check(read.Reader(fetch), Memory(log=KEY.verifier), witnessed=Witnessed(), at=NOW)


def watched(*made: bytes, owners: tuple[notes.VerifierKey, ...] = OWNERS) -> Watched:
    return Watched(
        app="auction", owners=owners, mine=frozenset(entry.parse(data).id for data in made)
    )


def test_what_the_owners_made_is_theirs(folder: Path) -> None:
    mine = [owned(release(version="1")), owned(freeze())]
    others = [owned(release(version="9", app="lottery"), STRANGER), b"something else"]
    publish(folder, [*MANY[:300], mine[0], *others, mine[1]])
    outcome = look(folder, watched=watched(*mine))
    assert outcome.findings == ()
    assert [(row.index, row.kind, row.words, row.mine) for row in outcome.listed] == [
        (300, "release", "1", True),
        (303, "freeze", "code", True),
    ]
    assert outcome.listed[0].signed == ("owner.example/anna", "owner.example/bert")
    # An owner's own file may have fewer signatures than what was appended.
    assert look(folder, watched=watched(owned(release(version="1"), ANNA), mine[1])).findings == ()


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        ((ANNA, BERT), "SIGNED with the key of owner.example/anna, owner.example/bert"),
        ((ANNA,), "SIGNED with the key of owner.example/anna"),
        ((STRANGER,), "signed by none of the owners"),
    ],
)
def test_a_release_that_the_owners_did_not_make(
    folder: Path, keys: tuple[SigningKey, ...], word: str
) -> None:
    mine = owned(release(version="1"))
    publish(folder, [mine, owned(release(version="6.6.6"), *keys)])
    outcome = look(folder, watched=watched(mine))
    (found,) = outcome.findings
    assert (found.kind, found.index) == (Kind.FOREIGN, 1)
    assert "release 6.6.6" in found.words
    assert word in found.words
    # The log itself is in order, so it is remembered; the finding comes again until it is acknowledged.
    publish(folder, [mine, owned(release(version="6.6.6"), *keys), b"more"])
    second = look(folder, outcome.memory, watched=watched(mine))
    assert [f.index for f in second.findings] == [1]
    assert second.before == 2
    known = watched(mine, owned(release(version="6.6.6")))
    assert look(folder, second.memory, watched=known).findings == ()


def test_an_owners_key_that_signs_for_another_app(folder: Path) -> None:
    publish(folder, [owned(release(version="1", app="lottery"), ANNA)])
    assert [f.kind for f in look(folder, watched=watched()).findings] == [Kind.FOREIGN]


def test_a_look_that_only_lists_does_not_hide_from_one_that_finds(folder: Path) -> None:
    publish(folder, [owned(release(version="6.6.6"))])
    memory = look(folder, watched=Watched(app="auction")).memory
    assert [f.index for f in look(folder, memory, watched=watched()).findings] == [0]
    # Nor does one that knew other keys of owners.
    publish(folder, [owned(release(version="1", app="lottery"), BERT)])
    again(folder)
    publish(folder, [owned(release(version="1", app="lottery"), BERT)])
    first = look(folder, watched=watched(owners=(ANNA.verifier,)))
    assert first.findings == ()
    assert look(folder, first.memory, watched=watched()).findings != ()


@pytest.mark.parametrize(
    "data",
    [
        b'troth-log-entry/1\n{"app":"auction","kind":"novelty"}\n\n' + signed([]).split(b"\n\n")[1],
        b"troth-log-entry/1\nauction",
        b"troth-log-entry/2\nauction",
        owned(release(version="2"), STRANGER).replace(b'"app":', b'"app" :'),
    ],
)
def test_an_entry_that_is_not_understood_and_names_the_app(folder: Path, data: bytes) -> None:
    publish(folder, [data])
    outcome = look(folder, watched=watched())
    assert outcome.strange == 1
    assert [f.kind for f in outcome.findings] == [Kind.FOREIGN]


def test_a_key_services_entry_is_listed_and_no_fault(folder: Path) -> None:
    says = KeyRelease(
        app="auction",
        scope="app",
        generation=1,
        measurements={"nitro": {"pcr0": frozenset({"ab" * 48})}},
        at=NOW,
    )
    publish(folder, [owned(says, STRANGER)])
    outcome = look(folder, watched=watched())
    assert outcome.findings == ()
    assert [row.kind for row in outcome.listed] == ["key-release"]
    publish(folder, [owned(says, ANNA)])
    again(folder)
    publish(folder, [owned(says, ANNA)])
    assert look(folder, watched=watched()).findings != ()


WITNESSES = [SigningKey.generate(f"w{n}.example", notes.Kind.COSIGNATURE) for n in range(3)]


def seen(folder: Path, times: list[datetime | None]) -> None:
    data = signed(MANY)
    text = note.parse(data).text
    for key, time in zip(WITNESSES, times, strict=True):
        if time is not None:
            data += key.sign(text, time=int(time.timestamp())).line().encode()
    publish(folder, MANY, note=data)


def test_who_saw_it_and_when(folder: Path) -> None:
    asked = Witnessed(keys=tuple(w.verifier for w in WITNESSES), threshold=2)
    hour, old, future = NOW - timedelta(hours=1), NOW - timedelta(days=3), NOW + timedelta(days=3)
    for times, word in (
        ([hour, hour, None], None),
        ([hour, hour, old], None),
        ([hour, old, old], "may be frozen"),  # one alone says that it is new
        ([future, future, hour], "1 of the 2"),  # what is not yet says nothing
        ([hour, None, None], "1 of the 2"),
        ([None, None, None], "0 of the 2"),
    ):
        again(folder)
        seen(folder, times)
        outcome = look(folder, witnessed=asked)
        assert outcome.findings == ()
        assert (word is None) == (outcome.undecided == ())
        assert word is None or word in outcome.undecided[0]


def test_witnesses_that_cannot_be_asked_for() -> None:
    keys = tuple(w.verifier for w in WITNESSES)
    same = notes.VerifierKey(name="x", kind=notes.Kind.COSIGNATURE, public=keys[0].public)
    for bad, threshold in ((keys, 4), (keys, -1), ((*keys, same), 2), ((KEY.verifier,), 1)):
        with pytest.raises(Misuse):
            Witnessed(keys=bad, threshold=threshold)
    for text in ("", "24", "h", "-1h", "1.5h", "9999999d"):
        with pytest.raises(Misuse):
            monitor.age(text)
    assert [monitor.age(text) for text in ("90m", "2h", "7d")] == [
        timedelta(minutes=90),
        timedelta(hours=2),
        timedelta(days=7),
    ]


def test_the_memory_on_the_disk(folder: Path, tmp_path: Path) -> None:
    publish(folder, [*MANY, owned(release(version="1"))])
    path = tmp_path / "state"
    memory = look(folder, watched=watched()).memory
    monitor_state.save(path, memory)
    assert monitor_state.load(path, KEY.verifier) == memory
    assert path.stat().st_mode & 0o777 == 0o600
    whole = path.read_bytes()
    damaged = [
        *(b"", b"{}", whole[:-5], whole.replace(b"\\n701\\n", b"\\n702\\n")),
        *(whole.replace(b'"read":{', b'"read":{"x":900,'), whole.replace(b"/1", b"/2")),
        *(whole.replace(b'"read":{', b'"read":{"x":true,'), whole.replace(b":700", b":-1")),
        whole.replace(b"\\n701\\n", b"\\n\\ud800\\n"),
    ]
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(Unavailable, match="damaged"):
            monitor_state.load(path, KEY.verifier)
    path.write_bytes(whole)
    with pytest.raises(Misuse, match="remembers the log"):
        monitor_state.load(path, SigningKey.generate("example.com/log").verifier)
    assert monitor_state.load(tmp_path / "absent", KEY.verifier) == Memory(log=KEY.verifier)
    assert kept.read(tmp_path / "absent", limit=1) is None


def test_files_are_listed_and_found_fault_with_as_releases_are(folder: Path) -> None:
    says = artifacts(files={"a.whl": "01" * 32, "b.whl": "02" * 32})
    theirs = owned(says, ANNA, BERT)
    publish(folder, [theirs])
    mine = frozenset({entry.parse(theirs).id})
    good = look(folder, watched=Watched(app="auction", owners=OWNERS, mine=mine))
    assert good.findings == ()
    assert [(one.kind, one.words, one.mine) for one in good.listed] == [
        ("artifacts", "1.0 a.whl …", True)
    ]
    bad = look(folder, watched=Watched(app="auction", owners=OWNERS, mine=frozenset()))
    assert [one.kind for one in bad.findings] == [Kind.FOREIGN]
    assert "artifacts 1.0 a.whl" in bad.findings[0].words
