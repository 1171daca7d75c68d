"""What builds remember: only what this machine made, of the same inputs by the same code, and never a must."""

import inspect
import os
import resource
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.image.conftest import Sample

from troth.image import agent_parts
from troth.image import build as builder
from troth.image import memo as memos
from troth.image.build import Built
from troth.image.memo import Memo, recall
from troth.wire import eif

KEY = bytes(range(32))
PARTS = [b"first", b"", b"the third"]


@pytest.fixture
def memo(tmp_path: Path) -> Memo:
    return Memo(folder=tmp_path / "made", key=KEY)


class Step:
    """A step that counts how often it is done."""

    def __init__(self) -> None:
        self.done: list[int] = []

    def __call__(self, missing: Sequence[int]) -> list[list[bytes]]:
        self.done += missing
        return [[b"%d" % number, *PARTS] for number in missing]


def test_what_is_remembered_is_not_done_again(memo: Memo) -> None:
    step = Step()
    tasks = [("a", b"1"), ("a", b"2")]
    first = recall(memo, "x", tasks, step)
    assert recall(memo, "x", [*tasks, ("a", b"3")], step)[:2] == first
    assert step.done == [0, 1, 2]
    assert recall(memo, "x", [("b",), *tasks], step)[1:] == first
    assert step.done == [0, 1, 2, 0]
    assert recall(memo, "x", [], step) == []


def test_without_a_memo_every_step_is_done(tmp_path: Path) -> None:
    step = Step()
    for _ in range(2):
        assert recall(None, "x", [("a",), ("b",)], step) == [[b"0", *PARTS], [b"1", *PARTS]]
    assert step.done == [0, 1, 0, 1]
    assert list(tmp_path.iterdir()) == []
    assert inspect.signature(builder.build).parameters["memo"].default is None


@pytest.mark.parametrize(
    ("step", "inputs"),
    [
        ("y", (b"ab", b"c")), ("x", (b"a", b"bc")), ("x", (b"abc",)), ("x", (b"ab", b"c", b"")),
        ("x", (b"c", b"ab")), ("x", ()),
    ],
)  # fmt: skip
def test_other_inputs_or_another_step(memo: Memo, step: str, inputs: tuple[bytes, ...]) -> None:
    counted = Step()
    recall(memo, "x", [(b"ab", b"c")], counted)
    recall(memo, step, [inputs], counted)
    assert counted.done == [0, 0]


def test_another_code_makes_it_anew(memo: Memo, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Step()
    recall(memo, "x", [(b"a",)], step)
    for name in ("_code", "_code_now"):
        monkeypatch.setattr(memos, name, lambda: b"another")
    for _ in range(2):
        recall(memo, "x", [(b"a",)], step)
    assert step.done == [0, 0]


def test_what_was_made_while_the_code_changed_is_not_kept(
    memo: Memo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was made by what was loaded, or by a script that is read anew each time: nobody knows which."""
    step = Step()
    monkeypatch.setattr(memos, "_code_now", lambda: b"another")
    assert recall(memo, "x", [(b"a",)], step) == [[b"0", *PARTS]]
    assert not memo.folder.exists()


def test_another_python_unpacks_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    before = memos._code_now()
    monkeypatch.setattr(memos.sys, "version", "another")
    assert memos._code_now() != before


def test_the_code_is_that_of_the_steps() -> None:
    """Whatever of troth's a step of a build loads is among what decides a name, but the words of errors."""
    todo = [f"troth.image.{name}" for name in ("bytecode", "squeeze", "packages", "kernel")]
    seen: set[Path] = set()
    while todo:
        path = agent_parts._file(todo.pop())
        if path is not None and path not in seen:
            seen.add(path)
            todo += agent_parts._imported(path.read_bytes(), everywhere=True)
    package = Path(memos.__file__).parents[1]
    parts = {path.relative_to(package).parts[0] for path in seen}
    assert parts <= {*memos._CODE, "errors.py", "__init__.py"}, parts
    assert {"deb.py", "slim.py", "unpack_wheel.py", "interpreter.py"} <= {p.name for p in seen}
    assert memos._code() == memos._code_now()
    assert len(memos._code()) == 32


def _only(memo: Memo) -> Path:
    (file,) = memo.folder.iterdir()
    return file


@given(st.data())
def test_what_was_touched_is_as_if_it_were_not_there(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    memo = Memo(folder=tmp_path_factory.mktemp("made"), key=KEY)
    memo.put("x", PARTS)
    file = _only(memo)
    whole = bytearray(file.read_bytes())
    how = data.draw(st.sampled_from(["flip", "cut", "more"]))
    if how == "flip":
        bit = data.draw(st.integers(0, len(whole) * 8 - 1))
        whole[bit // 8] ^= 1 << bit % 8
    elif how == "cut":
        del whole[data.draw(st.integers(0, len(whole) - 1)) :]
    else:
        whole += data.draw(st.binary(min_size=1, max_size=40))
    file.write_bytes(whole)
    assert memo.get("x") is None
    memo.put("x", PARTS)
    assert memo.get("x") == PARTS


def test_every_bit_counts(memo: Memo) -> None:
    memo.put("x", PARTS)
    file = _only(memo)
    whole = file.read_bytes()
    for bit in range(len(whole) * 8):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        file.write_bytes(changed)
        assert memo.get("x") is None


def test_another_machines_memory_says_nothing(memo: Memo) -> None:
    memo.put("x", PARTS)
    assert Memo(folder=memo.folder, key=bytes(32)).get("x") is None


def test_what_was_made_of_other_inputs_says_nothing_under_this_name(memo: Memo) -> None:
    memo.put("x", PARTS)
    shutil.copy(memo.folder / "x", memo.folder / "y")
    assert memo.get("x") == PARTS
    assert memo.get("y") is None


@pytest.mark.parametrize("body", [b"", b"\0" * 8, b"\xff" * 8, b"\0" * 7 + b"\1" + b"\xff" * 8])
def test_sizes_that_lie(memo: Memo, body: bytes) -> None:
    """With the key in hand, which nobody has: still no error that is not ours."""
    memo.folder.mkdir()
    (memo.folder / "x").write_bytes(memo._mac("x", [body]) + body)
    assert memo.get("x") in (None, [])


def test_no_place_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    memo = Memo(folder=tmp_path / "file" / "made", key=KEY)
    step = Step()
    assert recall(memo, "x", [(b"a",)], step) == recall(memo, "x", [(b"a",)], step)
    assert step.done == [0, 0]


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    memo = Memo(folder=tmp_path, key=KEY, most=5000)
    for number, name in enumerate("abcd"):
        memo.put(name, [bytes(1200)])
        os.utime(tmp_path / name, (number, number))
    assert memo.get("a") is not None  # so it is the newest
    memo.put("e", [bytes(1200)])
    assert {path.name for path in tmp_path.iterdir()} == {"a", "c", "d", "e"}
    memo.put("f", [bytes(1250)])  # which would take the place of too many
    assert memo.get("f") is None
    assert {path.name for path in tmp_path.iterdir()} == {"a", "c", "d", "e"}


@pytest.mark.parametrize("how", ["a pipe", "a link", "a folder", "without end", "unreadable"])
def test_what_lies_where_a_result_should(memo: Memo, tmp_path: Path, how: str) -> None:
    """A cache that somebody else has filled: nothing is waited for, followed or read without end."""
    memo.put("x", PARTS)
    place = memo.folder / "x"
    whole = place.rename(tmp_path / "whole")
    match how:
        case "a pipe":
            os.mkfifo(place)
        case "a link":
            place.symlink_to(whole)
        case "a folder":
            place.mkdir()
        case "without end":
            with place.open("wb") as file:
                file.truncate(1 << 43)
        case _:
            place.touch(mode=0)
    assert memo.get("x") is None
    memo.put("x", PARTS)
    assert memo.get("x") == (None if how == "a folder" else PARTS)
    assert {path.name for path in memo.folder.iterdir()} == {"x"}


def test_a_full_disk_keeps_nothing(memo: Memo) -> None:
    """A limit on the size of files stands for it: what is half written is gone, and no error."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        memo.put("x", [bytes(5000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(memo.folder.iterdir()) == []
    assert memo.get("x") is None


def test_junk_keeps_nothing_from_being_pruned(memo: Memo) -> None:
    memo.put("a", PARTS)
    (memo.folder / "folder").mkdir()
    (memo.folder / "nowhere").symlink_to("absent")
    for name in ("folder", "nowhere"):
        os.utime(memo.folder / name, (1, 1), follow_symlinks=False)
    small = Memo(folder=memo.folder, key=KEY, most=5000)
    for name in "bcdefg":
        small.put(name, [bytes(1200)])
    assert sum(path.lstat().st_size for path in memo.folder.glob("?")) <= 5000
    assert small.get("g") == [bytes(1200)]


def test_several_builds_at_once(tmp_path: Path) -> None:
    """Each writes, reads and makes room beside the others: what one finds is whole, or not there."""
    memo = Memo(folder=tmp_path, key=KEY, most=8000)

    def work(seed: int) -> int:
        found = 0
        for number in range(80):
            name = f"{number * seed % 11}"
            memo.put(name, [name.encode() * 1000])
            parts = memo.get(f"{number % 11}")
            assert parts in (None, [f"{number % 11}".encode() * 1000])
            found += parts is not None
        return found

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, (1, 2, 3, 5)))
    memo.put("last", [b""])
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 8000
    assert not list(tmp_path.glob(".*"))


def test_what_is_interrupted_leaves_nothing(memo: Memo, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        memo.put("x", PARTS)
    assert list(memo.folder.iterdir()) == []


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "state" / "troth" / "memo.key"


def test_the_users_key(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Memo.of_user(), Memo.of_user()
    assert first == second
    assert first is not None
    assert first.key == state.read_bytes()
    assert first.folder == tmp_path / "cache" / "troth" / "made"
    assert state.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in state.parent.iterdir()] == ["memo.key"]
    first.put("x", PARTS)
    assert (first.folder / "x").stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
    other = Memo.of_user()
    assert other is not None
    assert other.key != first.key
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert Memo.of_user() is not None
    assert (tmp_path / "home" / ".local" / "state" / "troth" / "memo.key").exists()


@pytest.mark.parametrize(
    "how",
    [
        "read by all",
        "short",
        "long",
        "empty",
        "a link",
        "a pipe",
        "a folder",
        "no place",
        "no home",
    ],
)
def test_a_key_that_is_none(state: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    state.parent.mkdir(parents=True)
    state.write_bytes(KEY)
    state.chmod(0o600)
    assert Memo.of_user() is not None
    match how:
        case "read by all":
            state.chmod(0o644)
        case "short":
            state.write_bytes(KEY[:-1])
        case "empty":
            state.write_bytes(b"")
        case "a link":
            state.rename(state.with_name("there"))
            state.symlink_to("there")
        case "long":
            state.write_bytes(KEY + b"x")
        case "a pipe":
            state.unlink()
            os.mkfifo(state, 0o600)
        case "a folder":
            state.unlink()
            state.mkdir()
        case "no home":  # the key has its place, and the rest none

            def nobody(*_: object) -> Path:
                raise RuntimeError("no home")

            monkeypatch.setattr(Path, "home", nobody)
            monkeypatch.delenv("XDG_CACHE_HOME")
        case _:
            monkeypatch.setenv("XDG_STATE_HOME", os.devnull)
    assert Memo.of_user() is None


def test_another_users_key(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Memo.of_user() is not None
    monkeypatch.setattr(os, "geteuid", lambda: state.stat().st_uid + 1)
    assert Memo.of_user() is None


@pytest.mark.network
def test_an_image_is_the_same_with_a_memo_and_without(
    sample: Sample, built: Built, memo: Memo, tmp_path: Path
) -> None:
    """Filled, used, and used after an edit: never another byte, nor another word in the record."""
    folder = shutil.copytree(sample.folder, tmp_path / "app")

    def same(one: Built, other: Built) -> None:
        assert eif.pack(one.image) == eif.pack(other.image)
        assert one.record == other.record
        assert one.measurements == other.measurements

    for _ in range(2):
        same(builder.build(folder, store=sample.store, memo=memo), built)
    source = next((folder / "app").glob("*.py"))
    source.write_text(source.read_text() + "\n# edited\n")
    names = {path.name for path in memo.folder.iterdir()}
    edited = builder.build(folder, store=sample.store, memo=memo)
    made = {path.name.partition("-")[0] for path in memo.folder.iterdir() if path.name not in names}
    assert made == {"bytecode", "deflate"}  # of the app alone
    same(edited, builder.build(folder, store=sample.store))
    assert edited.sha256 != built.sha256


@pytest.mark.network
def test_what_is_damaged_on_disk_is_made_again(sample: Sample, built: Built, memo: Memo) -> None:
    builder.build(sample.folder, store=sample.store, memo=memo)
    for number, path in enumerate(sorted(memo.folder.iterdir())):
        data = bytearray(path.read_bytes())
        data[number * 977 % len(data)] ^= 1
        path.write_bytes(data if number % 3 else data[: len(data) // 2])
    again = builder.build(sample.folder, store=sample.store, memo=memo)
    assert again.sha256 == built.sha256
