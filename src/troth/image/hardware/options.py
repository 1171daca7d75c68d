"""The options of the hardware kernel, from one table: the fragment, the check, and the page of words.

The kernel's own tool drops an option silently whose dependencies are not met. So what came out is held
against the table, and a kernel that lacks an option is not built.
"""

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from troth.errors import Malformed, Unavailable

FILE: Final = "options.toml"
OFF: Final = "n"
_NAME = re.compile(r"[A-Z0-9][A-Z0-9_]*")
_VALUE = re.compile(r'[yn]|\d+|0x[0-9a-f]+|"[ -!#-~]*"')
_LINE = re.compile(r"CONFIG_(\w+)=(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option.

    Attributes:
        name: without `CONFIG_`.
        value: as the kernel's tool writes it: `y`, `n` for off, a number, or a quoted text.
        why: what it is for.
    """

    name: str
    value: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Options that belong together, with a heading and a sentence."""

    title: str
    about: str
    options: tuple[Option, ...]


@functools.cache
def table() -> tuple[Part, ...]:
    """The table that comes with troth."""
    return parse(files(__package__).joinpath(FILE).read_bytes())


def parse(data: bytes) -> tuple[Part, ...]:
    """A table of options.

    Raises:
        Malformed: it is none, an option has no reason or no value, or stands twice.
    """
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except ValueError as error:
        raise Malformed(f"is not TOML: {error}", field=FILE) from None
    if set(document) != {"part"} or not isinstance(document["part"], list):
        raise Malformed("must hold parts and nothing else", field=FILE)
    parts = tuple(_part(item) for item in document["part"])
    seen: set[str] = set()
    for option in (option for part in parts for option in part.options):
        if option.name in seen:
            raise Malformed(f"has {option.name} twice", field=FILE)
        seen.add(option.name)
    return parts


def _part(item: Any) -> Part:
    if not isinstance(item, dict) or set(item) != {"title", "about", "options"}:
        raise Malformed("has a part without title, about and options", field=FILE)
    if not isinstance(item["options"], dict):
        raise Malformed("has a part whose options are no table", field=FILE)
    options = tuple(_option(name, value) for name, value in item["options"].items())
    return Part(title=str(item["title"]), about=str(item["about"]), options=options)


def _option(name: str, given: Any) -> Option:
    value, why = ("y", given) if isinstance(given, str) else (None, None)
    if isinstance(given, dict) and set(given) == {"is", "why"}:
        value, why = given["is"], given["why"]
    if not _NAME.fullmatch(name) or not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise Malformed(f"{name} has no value that an option can have", field=FILE)
    if not isinstance(why, str) or not why:
        raise Malformed(f"{name} has no reason", field=FILE)
    return Option(name=name, value=value, why=why)


def wanted(parts: tuple[Part, ...]) -> dict[str, str]:
    """Name to value, sorted."""
    return dict(sorted((o.name, o.value) for part in parts for o in part.options))


def fragment(parts: tuple[Part, ...]) -> bytes:
    """What the kernel's tool reads, in its one form: sorted, without comments."""
    return _lines(wanted(parts))


def settings(config: bytes) -> dict[str, str]:
    """What is set in a configuration that the kernel's tool wrote; what is off is not in it."""
    text = config.decode("utf-8", "replace")
    found = (_LINE.fullmatch(line) for line in text.splitlines())
    return {match[1]: match[2] for match in found if match}


def canonical(config: bytes) -> bytes:
    """A configuration in its one form: sorted, without comments."""
    return _lines(dict(sorted(settings(config).items())))


def _lines(values: Mapping[str, str]) -> bytes:
    return "".join(f"CONFIG_{name}={value}\n" for name, value in values.items()).encode("utf-8")


def check(parts: tuple[Part, ...], config: bytes) -> None:
    """Hold what came out against the table.

    Raises:
        Unavailable: an option is not there, or one that must be off is on.
    """
    found = settings(config)
    wrong = [
        f"{name} is {found.get(name, OFF)} and must be {value}"
        for name, value in wanted(parts).items()
        if found.get(name, OFF) != value
    ]
    if wrong:
        raise Unavailable(
            f"the kernel's own tool did not take the configuration: {'; '.join(wrong)}",
            fix=f"correct {FILE} to what this version of the source has",
        )
