"""Configuration in a recipe: what is measured, what is sealed, and what the host may give."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from troth.errors import Misuse
from troth.image.files import disk
from troth.image.store import digest
from troth.image.toml_table import Table

CONFIG_KINDS: Final = ("measured", "sealed", "free")
MAX_VALUE: Final = 64 * 1024

_FILE: Final = "troth.toml"
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One piece of configuration.

    Attributes:
        kind: `measured` (its value is part of the image), `sealed` (a secret for this image only),
            or `free` (handed over by the host at run time, through the agent's API).
        value: of a measured one.
    """

    kind: str
    value: str | int | bool | None = None


def read(table: Table, folder: Path) -> dict[str, Config]:
    """The configuration by name.

    Args:
        table: of the recipe.
        folder: the app's, for files that hold values.

    Raises:
        Misuse: a name, a kind or a value that cannot be.
        Unavailable: a file cannot be read.
    """
    result = {}
    for name in table.left():
        if not _WORD.fullmatch(name):
            raise Misuse(f"{_FILE}: config.{name} is {name!r}, and must match {_WORD.pattern}")
        entry = table.table(name)
        kind = entry.take("kind", str, ...)
        if kind not in CONFIG_KINDS:
            kinds = ", ".join(CONFIG_KINDS)
            raise Misuse(f"{_FILE}: {entry.path('kind')} is {kind!r}, and must be one of {kinds}")
        value, file = entry.raw("value"), entry.take("file", str, None)
        entry.end()
        if kind != "measured" and (value is not None or file is not None):
            raise Misuse(
                f"{_FILE}: {entry.path('value')} is given, but only measured configuration has a"
                " value in the recipe",
                fix='hand it over when the image runs, or set kind = "measured"',
            )
        if kind == "measured":
            value = _value(value, file, folder, entry)
        result[name] = Config(kind=kind, value=value)
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """A file that pins Python packages by hash; `pins` reads it.

    Attributes:
        path: relative to the app's folder.
        data: its bytes.
    """

    path: str
    data: bytes

    @property
    def sha256(self) -> str:
        """Of its bytes: a lock that was made from others does not fit."""
        return digest(self.data)


def read_requirements(path: str | None, folder: Path) -> Requirements | None:
    """The file that `python.requirements` names.

    Raises:
        Misuse: it is outside the app's folder, a link, or no file.
        Unavailable: it can't be read.
    """
    if path is None:
        return None
    plain = inside(path, "python.requirements")
    return Requirements(path=plain, data=_bytes(plain, "python.requirements", folder))


def inside(text: str, name: str) -> str:
    """A path that does not lead out of the app's folder, in its plain form.

    Raises:
        Misuse: it does.
    """
    path = PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts or str(path) == ".":
        raise Misuse(f"{_FILE}: {name} is {text!r}, and must be a path inside the app's folder")
    return str(path)


def _value(value: Any, file: str | None, folder: Path, entry: Table) -> str | int | bool:
    if (value is None) == (file is None):
        raise Misuse(
            f"{_FILE}: {entry.path('value')} or {entry.path('file')} is needed, one of both"
        )
    if file is not None:
        file = inside(file, entry.path("file"))
        data = _bytes(file, entry.path("file"), folder)
        try:
            value = data.decode("utf-8")
        except UnicodeDecodeError:
            raise Misuse(
                f"{_FILE}: {entry.path('file')} names {file}, which is not UTF-8"
            ) from None
    if not isinstance(value, str | int | bool) or (
        isinstance(value, str) and len(value) > MAX_VALUE
    ):
        raise Misuse(
            f"{_FILE}: {entry.path('value')} must be a text of up to {MAX_VALUE} characters, a whole"
            " number, or true or false"
        )
    return value


def _bytes(file: str, key: str, folder: Path) -> bytes:
    """What a file of the app's holds."""
    source = folder / file
    with disk(f"reading {file}"):
        if source.resolve() != folder.resolve() / file:
            raise Misuse(
                f"{_FILE}: {key} names {file}, which is a link, or behind one",
                fix="put the file itself into the app's folder",
            )
        if source.exists() and not source.is_file():  # a pipe would be waited for without end
            raise Misuse(f"{_FILE}: {key} names {file}, which is no file")
        return source.read_bytes()
