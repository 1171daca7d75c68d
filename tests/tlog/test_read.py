"""Readers give out nothing that does not lead to the root, whatever they are served."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.crypto import naive_merkle as naive
from tests.tlog.made import entries, log

from troth.crypto import merkle
from troth.errors import Malformed, Misuse, TrothError, Unavailable
from troth.tlog import read, tiles
from troth.tlog.checkpoint import Checkpoint
from troth.tlog.read import Reader

SIZES = (1, 255, 1, 44, 400, 1)  # 702 in the end
SIZE = sum(SIZES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("log") / "log"
    log(place, *SIZES)
    return place


@pytest.fixture(scope="module")
def served(folder: Path) -> dict[str, bytes]:
    """All files of the log, as a server would have them."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    root = naive.tree(entries(SIZE))
    return Checkpoint(origin="example.com/log", size=SIZE, root=root)


def reader(files: dict[str, bytes]) -> Reader:
    def fetch(path: str) -> bytes:
        tiles.most(path)
        if path not in files:
            raise Unavailable(f"{path}: not found")
        return files[path]

    return Reader(fetch)


def everything(found: Reader, checkpoint: Checkpoint) -> list[bytes]:
    return list(found.entries(0, checkpoint.size, checkpoint))


def test_all_that_a_log_has(folder: Path, checkpoint: Checkpoint) -> None:
    found = read.from_folder(folder)
    everyone = entries(SIZE)
    assert everything(found, checkpoint) == everyone
    assert found.frontier(checkpoint).root() == checkpoint.root
    for start, end in ((0, 0), (SIZE, SIZE), (0, 1), (255, 257), (300, SIZE), (256, 512)):
        assert list(found.entries(start, end, checkpoint)) == everyone[start:end]
    for index in (0, 1, 254, 255, 256, 511, 512, SIZE - 1):
        assert found.entry(index, checkpoint) == everyone[index]
        assert list(found.inclusion(index, checkpoint)) == naive.path(index, everyone)
        assert list(found.consistency(index, checkpoint)) == naive.proof(index, everyone)
        assert found.root(index, checkpoint) == naive.tree(everyone[:index])
    assert found.consistency(SIZE, checkpoint) == ()


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 512])
def test_logs_of_other_sizes(size: int, tmp_path: Path) -> None:
    found, checkpoint = log(tmp_path / "log", *([size] if size else []))
    assert everything(found, checkpoint) == entries(size)
    assert checkpoint.root == naive.tree(entries(size))
    frontier = found.frontier(checkpoint)
    assert (frontier.size, frontier.root()) == (size, checkpoint.root)
    frontier.append(merkle.leaf(b"entry %d" % size))
    assert frontier.root() == naive.tree(entries(size + 1))


def test_few_tiles_are_remembered(
    folder: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "_KEPT", 1)
    asked: list[str] = []
    fetch = read.files(folder)

    def counted(path: str) -> bytes:
        asked.append(path)
        return fetch(path)

    found = Reader(counted)
    assert everything(found, checkpoint) == entries(SIZE)
    found.inclusion(300, checkpoint)
    assert asked.count("tile/0/001") == 1  # it was the last one
    found.inclusion(3, checkpoint)
    assert asked.count("tile/0/000") == 2  # it had been let go of


def test_older_checkpoints_are_read_as_well(folder: Path) -> None:
    """Their parts of tiles are gone by now, and are read out of the whole ones."""
    assert read.history(folder) == (0, 1, 256, 257, 301, 701, 702)
    found = read.from_folder(folder)
    for size in (1, 256, 257, 301, 701):
        older = Checkpoint(origin="", size=size, root=naive.tree(entries(size)))
        assert everything(found, older) == entries(size)
        assert found.published(size).startswith(f"example.com/log\n{size}\n".encode())


def test_questions_that_have_no_answer(folder: Path, checkpoint: Checkpoint) -> None:
    found = read.from_folder(folder)
    for ask in (
        lambda: found.entries(0, SIZE + 1, checkpoint),
        lambda: found.entries(-1, 1, checkpoint),
        lambda: found.entries(3, 2, checkpoint),
        lambda: found.entry(SIZE, checkpoint),
        lambda: found.entry(-1, checkpoint),
        lambda: found.inclusion(SIZE, checkpoint),
        lambda: found.inclusion(-1, checkpoint),
        lambda: found.consistency(SIZE + 1, checkpoint),
        lambda: found.consistency(-1, checkpoint),
        lambda: found.root(SIZE + 1, checkpoint),
    ):
        with pytest.raises(Misuse, match="a log of 702 has no"):
            ask()


def asked(found: Reader, checkpoint: Checkpoint) -> dict[str, object]:
    """Each question's answer, or None where the reader refused."""
    answers: dict[str, object] = {}
    questions = {
        "entries": lambda: everything(found, checkpoint),
        "early": lambda: found.entry(3, checkpoint),
        "late": lambda: found.entry(SIZE - 1, checkpoint),
        "inclusion": lambda: found.inclusion(200, checkpoint),
        "consistency": lambda: found.consistency(300, checkpoint),
        "root": lambda: found.root(301, checkpoint),
        "frontier": lambda: found.frontier(checkpoint).peaks,
    }
    for name, ask in questions.items():
        try:
            answers[name] = ask()
        except (Malformed, Unavailable):
            answers[name] = None
    return answers


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_server_that_lies_is_refused_or_harmless(
    data: st.DataObject, served: dict[str, bytes], checkpoint: Checkpoint
) -> None:
    """Any file bent in any way: each answer is the true one, or none."""
    right = asked(reader(served), checkpoint)
    assert None not in right.values()
    files = dict(served)
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(sorted(served)))
        content = bytearray(files.get(name, b""))
        match data.draw(st.sampled_from(["flip", "cut", "more", "swap", "gone", "empty", "huge"])):
            case "flip" if content:
                at = data.draw(st.integers(0, len(content) - 1))
                content[at] ^= 1 << data.draw(st.integers(0, 7))
            case "cut":
                del content[data.draw(st.integers(0, len(content))) :]
            case "more":
                content += data.draw(st.binary(min_size=1, max_size=40))
            case "swap":
                content = bytearray(served[data.draw(st.sampled_from(sorted(served)))])
            case "gone":
                files.pop(name, None)
                continue
            case "empty":
                content.clear()
            case _:
                content += bytes(100_000)
        files[name] = bytes(content)
    for question, answer in asked(reader(files), checkpoint).items():
        assert answer in (None, right[question])


def test_a_tile_of_the_wrong_length(served: dict[str, bytes], checkpoint: Checkpoint) -> None:
    files = served | {"tile/0/001": served["tile/0/001"][:-1]}
    found = reader(files)
    with pytest.raises(Malformed, match="tile/0/001: the tile has 8191 bytes, should have 8192"):
        found.entry(300, checkpoint)
    assert found.entry(3, checkpoint) == b"entry 3"


def test_a_tile_with_another_digest(served: dict[str, bytes], checkpoint: Checkpoint) -> None:
    files = served | {"tile/0/001": bytes(32) + served["tile/0/001"][32:]}
    with pytest.raises(Malformed, match="tile/0/001: the tile does not lead to the checkpoint's"):
        reader(files).entry(300, checkpoint)
    edge = f"tile/0/002.p/{SIZE % 256}"
    files = served | {edge: bytes(32) + served[edge][32:]}
    with pytest.raises(Malformed, match="the tiles do not lead to the checkpoint's root"):
        reader(files).entry(3, checkpoint)


def test_a_bundle_cut_short(served: dict[str, bytes], checkpoint: Checkpoint) -> None:
    name = "tile/entries/001"
    with pytest.raises(Malformed, match=f"{name} at byte .*the bundle ends inside an entry"):
        reader(served | {name: served[name][:-1]}).entry(300, checkpoint)
    with pytest.raises(Malformed, match=f"{name}: the bundle should have 256 entries"):
        reader(served | {name: served[name] + b"\x00\x00"}).entry(300, checkpoint)


def test_an_entry_that_the_log_has_not(served: dict[str, bytes], checkpoint: Checkpoint) -> None:
    name = "tile/entries/001"
    bent = served[name].replace(b"entry 300", b"entry 3oo")
    with pytest.raises(Malformed, match=f"{name}: entry 300 is not the one that the log has"):
        reader(served | {name: bent}).entry(301, checkpoint)


def test_entries_in_another_order(served: dict[str, bytes], checkpoint: Checkpoint) -> None:
    name = "tile/entries/001"
    found = list(tiles.unpack(served[name], 256, field=name))
    found[3], found[4] = found[4], found[3]
    with pytest.raises(Malformed, match="is not the one that the log has"):
        reader(served | {name: tiles.pack(found)}).entry(300, checkpoint)


def test_another_root_is_another_log(served: dict[str, bytes], checkpoint: Checkpoint) -> None:
    found = reader(served)
    assert (
        found.entry(3, checkpoint) == b"entry 3"
    )  # what was checked for one root is not for another
    other = Checkpoint(origin="", size=checkpoint.size, root=merkle.leaf(b""))
    with pytest.raises(Malformed, match="do not lead to the checkpoint's root"):
        found.entry(3, other)


def test_what_is_absent_is_named(served: dict[str, bytes], checkpoint: Checkpoint) -> None:
    files = {name: data for name, data in served.items() if "entries/001" not in name}
    with pytest.raises(Unavailable, match="tile/entries/001: not found"):
        reader(files).entry(300, checkpoint)
    edge = f"tile/0/002.p/{SIZE % 256}"
    with pytest.raises(Unavailable, match=edge):
        reader({n: d for n, d in served.items() if n != edge}).entry(300, checkpoint)


def test_a_checkpoint_of_a_huge_size_costs_nothing(served: dict[str, bytes]) -> None:
    huge = Checkpoint(origin="", size=merkle.MOST_LEAVES - 1, root=merkle.EMPTY)
    with pytest.raises(TrothError):
        reader(served).entry(0, huge)


class TestFolders:
    def test_links_pipes_and_folders_are_no_files_of_a_log(self, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_bytes(b"secret")
        place = tmp_path / "log"
        (place / "tile/0").mkdir(parents=True)
        (place / "tile/1").symlink_to(tmp_path)
        (place / "checkpoint").symlink_to(secret)
        (place / "tile/0/000").mkdir()
        os.mkfifo(place / "tile/0/001")
        (place / "tile/2").write_bytes(b"")
        fetch = read.files(place)
        for path in ("checkpoint", "tile/1/000", "tile/0/000", "tile/0/001", "tile/2/000"):
            with pytest.raises(Malformed, match="plain file"):
                fetch(path)
        with pytest.raises(Unavailable, match=r"tile/0/002 of the log in .*: no such file"):
            fetch("tile/0/002")

    def test_nothing_outside_and_nothing_else(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_bytes(b"secret")
        place = tmp_path / "log"
        place.mkdir()
        (place / "pending").write_bytes(b"")
        for path in ("../secret", "pending", str(tmp_path / "secret"), "tile/0/../../../secret"):
            with pytest.raises(Misuse, match="is no file of a log"):
                read.files(place)(path)

    def test_a_file_that_is_too_large(self, tmp_path: Path) -> None:
        place = tmp_path / "tile/0/000"
        place.parent.mkdir(parents=True)
        with place.open("wb") as file:
            file.truncate(2**40)
        with pytest.raises(Malformed, match="has more than 8192 bytes"):
            read.files(tmp_path)("tile/0/000")

    def test_a_folder_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match="no such file"):
            read.from_folder(tmp_path / "absent").checkpoint()
        with pytest.raises(Unavailable, match="no such file"):
            read.history(tmp_path / "absent")
