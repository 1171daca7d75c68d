"""A model of a disk that may forget whatever was not synced, and a recorder of what a log does to one.

What a sync does not cover is lost, or not, each part by itself: content of files is old, new, torn or zeros;
names in folders are there or not, in any mixture. That is less than any real file system promises.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from troth.tlog.disk import Disk


@dataclass(eq=False)
class File:
    """Content that is on the disk, and what is to be."""

    durable: bytes = b""
    now: bytes = b""


@dataclass(eq=False)
class Folder:
    """Names that are on the disk, names that are seen, and the changes between."""

    durable: dict[str, "File | Folder"] = field(default_factory=dict)
    now: dict[str, "File | Folder"] = field(default_factory=dict)
    changes: list[tuple[str, str | None, "File | Folder | None"]] = field(default_factory=list)

    def change(self, old: str | None, new: str | None, what: "File | Folder | None") -> None:
        """One change of names, which happens at once or not at all."""
        _change(self.now, old, new, what)
        self.changes.append((old or "", new, what))


def _change(
    names: dict[str, File | Folder], old: str | None, new: str | None, what: File | Folder | None
) -> None:
    if old:
        names.pop(old, None)
    if new is not None and what is not None:
        names[new] = what


class Model:
    """A file system below one folder."""

    def __init__(self) -> None:
        self.root = Folder()

    def apply(self, step: str, path: str, *more: object) -> None:
        """What one step of `Disk` does."""
        above, _, name = path.rpartition("/")
        folder = self._at(above)
        assert isinstance(folder, Folder)
        match step, *more:
            case ["make"]:
                if name not in folder.now:
                    folder.change(None, name, Folder())
            case ["write", bytes() as data]:
                if not isinstance(folder.now.get(name), File):
                    folder.change(None, name, File())
                file = folder.now[name]
                assert isinstance(file, File)
                file.now = data
            case ["sync"]:
                place = self._at(path)
                if isinstance(place, File):
                    place.durable = place.now
                else:
                    place.durable, place.changes = dict(place.now), []
            case ["rename", str() as new]:
                assert new.rpartition("/")[0] == above
                folder.change(name, new.rpartition("/")[2], folder.now[name])
            case ["remove" | "remove_folder"]:
                folder.change(name, None, None)
            case _:
                raise AssertionError(step)

    def _at(self, path: str) -> File | Folder:
        place: File | Folder = self.root
        for part in path.split("/") if path else ():
            assert isinstance(place, Folder)
            place = place.now[part]
        return place

    def crash(self, how: str, random: Random) -> "Model":
        """What is there when the power comes back: `least`, `most`, or by chance."""
        kept = {
            "least": lambda: False,
            "most": lambda: True,
            "chance": lambda: random.random() < 0.5,
        }
        return _settled(self.root, lambda folder: _left(folder, kept[how]), how, random)

    def killed(self) -> "Model":
        """The same file system after only the process is gone: all that was seen is seen."""
        return copy.deepcopy(self)

    def put(self, folder: Path) -> None:
        """Makes what is seen, as real files."""
        _put(self.root, folder)


def _left(folder: Folder, keep: Callable[[], bool]) -> dict[str, File | Folder]:
    names = dict(folder.durable)
    for old, new, what in folder.changes:
        if keep():
            _change(names, old, new, what)
    return names


def _settled(
    root: Folder, left: Callable[[Folder], dict[str, File | Folder]], how: str, random: Random
) -> Model:
    def settle(place: File | Folder) -> File | Folder:
        if isinstance(place, File):
            content = _content(place, how, random)
            return File(durable=content, now=content)
        names = {name: settle(what) for name, what in left(place).items()}
        return Folder(durable=dict(names), now=names)

    model = Model()
    found = settle(root)
    assert isinstance(found, Folder)
    model.root = found
    return model


def _content(file: File, how: str, random: Random) -> bytes:
    if how == "most" or file.now == file.durable:
        return file.now
    if how == "least":
        return file.durable
    torn = file.now[: random.randrange(len(file.now) + 1)]
    return random.choice([file.durable, file.now, torn, bytes(len(file.now))])


def _put(folder: Folder, place: Path) -> None:
    for name, what in folder.now.items():
        if isinstance(what, Folder):
            (place / name).mkdir()
            _put(what, place / name)
        else:
            (place / name).write_bytes(what.now)


class Recorder(Disk):
    """The real disk, and a list of what was done to it, by paths below a folder."""

    def __init__(self, base: Path) -> None:
        self._base = base.resolve()
        self.steps: list[tuple[object, ...]] = []

    def _did(self, step: str, path: Path, *more: object) -> None:
        self.steps.append((step, self._path(path), *more))

    def _path(self, path: Path) -> str:
        name = path.relative_to(self._base).as_posix()
        return "" if name == "." else name

    def mark(self, word: str, what: object) -> None:
        """Something that somebody was told here."""
        self.steps.append((word, what))

    def make(self, folder: Path) -> None:
        super().make(folder)
        self._did("make", folder)

    def write(self, file: Path, data: bytes) -> None:
        super().write(file, data)
        self._did("write", file, data)

    def sync(self, place: Path) -> None:
        super().sync(place)
        self._did("sync", place)

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        self._did("rename", old, self._path(new))

    def remove(self, file: Path) -> None:
        super().remove(file)
        self._did("remove", file)

    def remove_folder(self, folder: Path) -> None:
        super().remove_folder(folder)
        self._did("remove_folder", folder)
