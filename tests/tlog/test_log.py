"""A log grows, and says one thing of each size: order, faults of the disk, folders that are not as they should be."""

import errno
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.crypto import naive_merkle as naive
from tests.tlog.made import LOG, WITNESSES, entries, log, opened, unavailable

from troth.crypto import merkle
from troth.errors import Malformed, Misuse, Unavailable
from troth.tlog import read, tiles
from troth.tlog.checkpoint import Checkpoint
from troth.tlog.disk import Disk
from troth.tlog.log import REMEMBERED, Log
from troth.tlog.note import Note, Signature
from troth.tlog.signer import SigningKey


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sizes=st.lists(st.integers(0, 300), max_size=8), reopen=st.booleans())
def test_it_is_the_tree_of_its_entries(
    sizes: list[int], reopen: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("log") / "log"
    kept = Log.create(folder, LOG)
    total = 0
    for size in sizes:
        if reopen:
            kept.close()
            kept = Log.open(folder, LOG)
        assert kept.append(entries(size, total)) == range(total, total + size)
        total += size
        assert kept.published == kept.pending == opened(kept.note())
        assert kept.published.root == naive.tree(entries(total))
    assert list(kept.reader.entries(0, total, kept.published)) == entries(total)
    kept.close()
    # Nothing lies about but what the format has.
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    for name in names - {".lock", "pending"}:
        assert tiles.most(name)


def test_what_was_published_stays(tmp_path: Path) -> None:
    log(tmp_path / "log", 1, 2, 253, 300)
    for size in (0, 1, 3, 256, 556):
        kept = opened((tmp_path / "log/checkpoints" / str(size)).read_bytes())
        assert (kept.size, kept.root) == (size, naive.tree(entries(size)))
    assert read.history(tmp_path / "log") == (0, 1, 3, 256, 556)


def test_parts_of_tiles_go_when_the_whole_is_published(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    log(folder, 100, 155)
    assert {p.name for p in (folder / "tile/entries/000.p").iterdir()} == {"100", "255"}
    with Log.open(folder, LOG) as kept:
        with pytest.raises(Unavailable):
            kept.append(entries(1, 255), cosign=unavailable)
        assert (folder / "tile/entries/000.p/255").exists()  # the published checkpoint needs it
        kept.publish()
    assert not (folder / "tile/entries/000.p").exists()
    assert not (folder / "tile/0/000.p").exists()
    assert (folder / "tile/1/000.p/1").exists()


class TestDuplicates:
    def test_they_are_allowed(self, tmp_path: Path) -> None:
        with Log.create(tmp_path / "log", LOG) as kept:
            assert list(kept.append([b"a", b"a"])) == [0, 1]

    def test_and_left_out_if_asked(self, tmp_path: Path) -> None:
        with Log.create(tmp_path / "log", LOG) as kept:
            assert list(kept.append([b"a", b"b", b"a", b"c"], dedupe=True)) == [0, 1, 0, 2]
            assert list(kept.append([b"c", b"d"], dedupe=True)) == [2, 3]
            before = kept.note()
            assert list(kept.append([b"d"], dedupe=True)) == [3]
            assert kept.note() == before
        with Log.open(tmp_path / "log", LOG) as kept:
            assert list(kept.append([b"e", b"b"], dedupe=True)) == [4, 1]

    def test_only_among_the_last(self, tmp_path: Path) -> None:
        with Log.create(tmp_path / "log", LOG) as kept:
            kept.append(entries(REMEMBERED + 1))
            size = REMEMBERED + 1
            assert list(kept.append([b"entry 0", b"entry 1"], dedupe=True)) == [size, 1]
            for _ in range(4):
                kept.append(entries(REMEMBERED, kept.pending.size))
            newest = kept.published.size
            assert list(kept.append([b"entry 1"], dedupe=True)) == [newest]
            last = b"entry %d" % (newest - 1)
            assert list(kept.append([last], dedupe=True)) == [newest - 1]

    def test_one_that_is_left_out_is_still_published(self, tmp_path: Path) -> None:
        with Log.create(tmp_path / "log", LOG) as kept:
            with pytest.raises(Unavailable):
                kept.append([b"a"], cosign=unavailable, dedupe=True)
            assert list(kept.append([b"a"], dedupe=True)) == [0]
            assert kept.published.size == 1


class TestFoldersThatAreNotAsTheyShouldBe:
    def test_one_process_at_a_time(self, tmp_path: Path) -> None:
        with Log.create(tmp_path / "log", LOG):
            for again in (Log.open, Log.create):
                with pytest.raises(Unavailable, match="another process appends to the log in"):
                    again(tmp_path / "log", LOG)
        Log.open(tmp_path / "log", LOG).close()

    def test_a_log_is_made_once(self, tmp_path: Path) -> None:
        log(tmp_path / "log", 1)
        with pytest.raises(Misuse, match="is not empty: checkpoint"):
            Log.create(tmp_path / "log", LOG)
        (tmp_path / "other").mkdir()
        (tmp_path / "other/file").write_bytes(b"")
        with pytest.raises(Misuse, match="is not empty: file"):
            Log.create(tmp_path / "other", LOG)
        (tmp_path / "empty").mkdir()
        Log.create(tmp_path / "empty", LOG).close()
        Log.create(tmp_path / "deep/er/log", LOG).close()

    def test_there_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(Misuse, match="no log is in") as caught:
            Log.open(tmp_path / "log", LOG)
        assert caught.value.fix
        assert not (tmp_path / "log").exists()
        with pytest.raises(Misuse, match="no log is in"):
            Log.open(tmp_path, LOG)
        assert list(tmp_path.iterdir()) == []
        (tmp_path / "checkpoints").mkdir()
        with pytest.raises(Misuse, match="no log is in"):
            Log.open(tmp_path, LOG)

    def test_a_witness_s_key_keeps_no_log(self, tmp_path: Path) -> None:
        with pytest.raises(Misuse, match="is a witness's key"):
            Log.create(tmp_path / "log", WITNESSES[0])

    def test_another_key_s_log(self, tmp_path: Path) -> None:
        log(tmp_path / "log", 1)
        for name in ("example.com/log", "example.com/other"):
            with pytest.raises(Misuse, match="checkpoint: ") as caught:
                Log.open(tmp_path / "log", SigningKey.generate(name))
            assert caught.value.fix == "name the key that the log was made with"
        (tmp_path / "log/checkpoint").unlink()
        with pytest.raises(Misuse, match="pending: is not signed with the key"):
            Log.open(tmp_path / "log", SigningKey.generate("example.com/log"))

    @pytest.mark.parametrize("name", ["tile/0/000.p/3", "tile/entries/000.p/3"])
    @pytest.mark.parametrize("how", ["gone", "bent", "cut", "longer"])
    def test_what_does_not_lead_to_the_root_is_not_appended_to(
        self, name: str, how: str, tmp_path: Path
    ) -> None:
        log(tmp_path / "log", 3)
        file = tmp_path / "log" / name
        data = file.read_bytes()
        match how:
            case "gone":
                file.unlink()
            case "bent":
                file.write_bytes(data[:-1] + b"?")
            case "cut":
                file.write_bytes(data[:-1])
            case _:
                file.write_bytes(data + b"?")
        with pytest.raises((Malformed, Unavailable)):
            Log.open(tmp_path / "log", LOG)
        # The folder is let go of.
        file.write_bytes(data)
        Log.open(tmp_path / "log", LOG).close()

    @pytest.mark.parametrize("size", [2, 3, 4])
    def test_another_history_beside_what_was_to_be_signed(self, size: int, tmp_path: Path) -> None:
        """Whichever is longer, both were signed with this key, and neither is gone on with."""
        ours, theirs = tmp_path / "log", tmp_path / "fork"
        log(ours, 3)
        with Log.create(theirs, LOG) as fork:
            fork.append([b"x%d" % n for n in range(size)])
        (ours / "checkpoint").write_bytes((theirs / "checkpoint").read_bytes())
        with pytest.raises(
            (Malformed, Unavailable), match=r"signed for [23]|do not lead|no such file"
        ):
            Log.open(ours, LOG)
        # With the tiles of the other as well, what was to be signed tells.
        pending = (ours / "pending").read_bytes()
        shutil.rmtree(ours)
        shutil.copytree(theirs, ours)
        (ours / "pending").write_bytes(pending)
        says = {2: "no such file", 3: "do not lead", 4: "pending: two roots were signed for 3"}
        with pytest.raises((Malformed, Unavailable), match=says[size]):
            Log.open(ours, LOG)

    def test_a_pending_state_that_says_something_else(self, tmp_path: Path) -> None:
        folder = tmp_path / "log"
        log(folder, 3)
        text = Checkpoint(origin="example.com/log", size=9, root=merkle.leaf(b"")).text()
        for said, expected in (
            (b"", "signed note"),
            (Note(text=text, signatures=(LOG.sign(text),)).encode(), "says nothing of a size"),
            (b"a" * 70_000, "at most"),
        ):
            (folder / "pending").write_bytes(said)
            with pytest.raises(Malformed, match=f"pending: .*{expected}"):
                Log.open(folder, LOG)

    def test_a_pending_note_is_no_checkpoint(self, tmp_path: Path) -> None:
        """Nobody can publish it for the log: what is signed has another form."""
        log(tmp_path / "log", 3)
        with pytest.raises(Malformed, match="is no size of a log"):
            opened((tmp_path / "log/pending").read_bytes())

    def test_older_copies_of_the_newest_files_do_not_take_it_back(self, tmp_path: Path) -> None:
        folder = tmp_path / "log"
        log(folder, 3)
        older = {name: (folder / name).read_bytes() for name in ("checkpoint", "pending")}
        with Log.open(folder, LOG) as kept:
            kept.append(entries(2, 3))
        for name, data in older.items():
            (folder / name).write_bytes(data)
        with Log.open(folder, LOG) as kept:
            assert (kept.pending.size, kept.published.size) == (5, 3)
            assert kept.append([b"other"]) == range(5, 6)
            assert kept.published.root == naive.tree([*entries(5), b"other"])

    def test_a_history_of_somebody_else(self, tmp_path: Path) -> None:
        folder = tmp_path / "log"
        log(folder, 3)
        log(tmp_path / "other", 5, key=SigningKey.generate("example.com/other"))
        (folder / "checkpoints/5").write_bytes((tmp_path / "other/checkpoint").read_bytes())
        with pytest.raises(Misuse, match="checkpoints/5: is of the log"):
            Log.open(folder, LOG)
        with Log.create(tmp_path / "fork", LOG) as fork:
            fork.append([b"x", b"y"])
        (folder / "checkpoints/5").unlink()
        (folder / "checkpoints/4").write_bytes((tmp_path / "fork/checkpoint").read_bytes())
        with pytest.raises(Malformed, match="two roots were signed for 2 entries"):
            Log.open(folder, LOG)

    @pytest.mark.parametrize("how", ["removed", "another"])
    def test_a_lock_that_is_not_the_folder_s_any_more(self, how: str, tmp_path: Path) -> None:
        folder = tmp_path / "log"
        first = Log.create(folder, LOG)
        (folder / ".lock").unlink()
        if how == "another":
            with Log.open(folder, LOG) as second:
                second.append([b"a"])
        with pytest.raises(Misuse, match="is closed"):
            first.append([b"b"])
        with Log.open(folder, LOG) as third:
            assert third.published.size == (how == "another")

    def test_a_forked_process_has_the_lock_and_must_not_use_it(self, tmp_path: Path) -> None:
        """It is the same lock to the system: both would sign a root for the same size."""
        code = """
import os, sys
from pathlib import Path
from tests.tlog.made import LOG
from troth.errors import Misuse
from troth.tlog.log import Log

with Log.create(Path(sys.argv[1]), LOG) as kept:
    child = os.fork()
    if not child:
        try:
            kept.append([b"b"])
        except Misuse:
            os._exit(7)
        os._exit(0)
    told = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    kept.append([b"a"])
sys.exit(told)
"""
        argv = [sys.executable, "-c", code, str(tmp_path / "log")]
        assert subprocess.run(argv, cwd=Path(__file__).parents[2], check=False).returncode == 7
        assert (tmp_path / "log/tile/entries/000.p/1").read_bytes() == b"\0\1a"

    def test_a_published_file_that_was_taken_away_comes_back(self, tmp_path: Path) -> None:
        folder = tmp_path / "log"
        _, before = log(folder, 3)
        (folder / "checkpoint").unlink()
        with Log.open(folder, LOG) as kept:
            assert kept.pending == before
            kept.publish()
            assert opened(kept.note()) == before

    def test_links_are_not_written_through(self, tmp_path: Path) -> None:
        folder, target = tmp_path / "log", tmp_path / "target"
        log(folder, 3)
        target.write_bytes(b"kept")
        (folder / "tile/0/.000.new").symlink_to(target)
        (folder / ".pending.new").symlink_to(target)
        with Log.open(folder, LOG) as kept, pytest.raises(Unavailable, match="too many levels"):
            kept.append(entries(300, 3))
        assert target.read_bytes() == b"kept"


class TestEntries:
    def test_one_that_is_too_long_adds_none(self, tmp_path: Path) -> None:
        with Log.create(tmp_path / "log", LOG) as kept:
            with pytest.raises(Misuse, match="an entry has 65536 bytes"):
                kept.append([b"a", bytes(65536)])
            assert kept.pending.size == 0
            assert list(kept.append([b"", bytes(65535)])) == [0, 1]
            assert kept.reader.entry(0, kept.published) == b""

    def test_none_are_no_trouble(self, tmp_path: Path) -> None:
        with Log.create(tmp_path / "log", LOG) as kept:
            before = kept.note()
            assert kept.append([]) == range(0)
            assert kept.note() == before

    def test_a_log_that_is_closed_takes_none(self, tmp_path: Path) -> None:
        kept = Log.create(tmp_path / "log", LOG)
        kept.close()
        kept.close()
        for ask in (lambda: kept.append([b"a"]), kept.publish, lambda: kept.refresh(unavailable)):
            with pytest.raises(Misuse, match="is closed"):
                ask()


def test_nobody_appends_while_somebody_does(tmp_path: Path) -> None:
    """Neither another thread, nor a witness that calls back."""
    with Log.create(tmp_path / "log", LOG) as kept:

        def cosign(*_: object) -> Sequence[Signature]:
            refresh = functools.partial(kept.refresh, cosign)
            for ask in (lambda: kept.append([b"b"]), kept.publish, refresh, kept.close):
                with pytest.raises(Misuse, match="is being appended to"):
                    ask()
            return []

        kept.append([b"a"], cosign=cosign)
        assert kept.append([b"b"]) == range(1, 2)


class Failing(Disk):
    """A disk that is full from some step on."""

    left = 10**9

    def _step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def make(self, folder: Path) -> None:
        self._step()
        super().make(folder)

    def write(self, file: Path, data: bytes) -> None:
        try:
            self._step()
        except OSError:
            super().write(file, data[: len(data) // 2])
            raise
        super().write(file, data)

    def sync(self, place: Path) -> None:
        self._step()
        super().sync(place)

    def rename(self, old: Path, new: Path) -> None:
        self._step()
        super().rename(old, new)


def test_a_disk_that_fails_at_any_step_loses_and_forks_nothing(tmp_path: Path) -> None:
    steps = 0
    while True:
        folder, disk = tmp_path / str(steps), Failing()
        kept = Log.create(folder, LOG, disk=disk)
        kept.append(entries(250))
        disk.left = steps
        try:
            kept.append(entries(10, 250))
            break
        except Unavailable:
            with pytest.raises(Misuse, match="is closed"):
                kept.append(entries(1, 250))
        seen = opened((folder / "checkpoint").read_bytes())
        assert seen.root == naive.tree(entries(seen.size))
        with Log.open(folder, LOG) as again:
            assert again.pending.size in (250, 260)
            assert again.pending.root == naive.tree(entries(again.pending.size))
            again.append([b"after"])
            root = naive.tree([*entries(again.pending.size - 1), b"after"])
            assert again.published.root == root
        steps += 1
    assert steps > 25
