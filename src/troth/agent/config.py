"""The app's measured configuration, `/etc/troth/app.json`: strict, and in its one form."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from troth.errors import Malformed, Misuse
from troth.wire import json, places, text

PATH: Final = Path("/etc/troth/app.json")
_KEYS: Final = frozenset(
    {"cpus", "directory", "entry", "environment", "free", "listen", "measured", "memory", "name"}
    | {"raw_nsm", "root", "scratch", "sealed", "stop_signal"}
)
FOREIGN_ROOT: Final = "/rootfs"
_ROOTS: Final = ("/", FOREIGN_ROOT)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppConfig:
    """What the image says of its app; all of it is measured.

    Attributes:
        name: of the app.
        root: folder that the app sees as its root: `/`, or the one of a file system that was brought.
        directory: absolute path in which the app starts, seen from its root.
        entry: the command, the program's absolute path first.
        environment: all that the app gets beside what the agent fixes.
        listen: ports on the enclave's loopback that the attested channel leads to.
        measured: configuration that is part of the image.
        free: names of data that the host may hand over.
        sealed: names of secrets for this image only; there is no key service yet, so none is had.
        stop_signal: number of the signal that asks the app to end.
        scratch: folders that the app may write to, seen from its root.
        memory: MiB that the image asks for.
        raw_nsm: whether the app has the security module itself; the agent then attests nothing.
    """

    name: str
    root: str
    directory: str
    entry: tuple[str, ...]
    environment: Mapping[str, str]
    listen: tuple[int, ...]
    measured: Mapping[str, Any]
    free: frozenset[str]
    sealed: frozenset[str]
    stop_signal: int
    scratch: tuple[str, ...]
    memory: int
    raw_nsm: bool


def read(data: bytes) -> AppConfig:
    """Reads the file's content.

    Raises:
        Malformed: another form than the builder writes.
    """
    value = json.parse(data, field="app.json")
    if not isinstance(value, dict) or set(value) != _KEYS:
        raise Malformed("has missing or unknown keys", field="app.json")
    try:
        canonical = json.canonical(value)
    except Misuse:  # it can be read, and written in no form
        canonical = b""
    if canonical != data:
        raise Malformed("is not canonical", field="app.json")
    if type(value["raw_nsm"]) is not bool:
        raise Malformed("is not true or false", field="raw_nsm")
    name = value["name"]
    if not isinstance(name, str) or not text.NAME.fullmatch(name):
        raise Malformed("is no name", field="name")
    if value["root"] not in _ROOTS:
        raise Malformed("is no root that an app can have", field="root")
    if type(value["stop_signal"]) is not int or not 1 <= value["stop_signal"] <= 64:
        raise Malformed("is no signal's number", field="stop_signal")
    return AppConfig(
        name=name,
        root=value["root"],
        directory=_absolute(value["directory"], "directory"),
        entry=_entry(value["entry"]),
        environment=_environment(value["environment"]),
        listen=_listen(value["listen"]),
        measured=MappingProxyType(_table(value["measured"], "measured")),
        free=_names(value["free"], "free"),
        sealed=_names(value["sealed"], "sealed"),
        stop_signal=value["stop_signal"],
        scratch=_scratch(value["scratch"]),
        memory=_memory(value["memory"]),
        raw_nsm=value["raw_nsm"],
    )


def _table(value: Any, field: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Malformed("is not an object", field=field)
    return value


def _entry(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise Malformed("is not a list of words", field="entry")
    if any("\0" in word for word in value):
        raise Malformed("holds a NUL", field="entry")
    return (_absolute(value[0], "entry"), *value[1:])


def _absolute(value: Any, field: str) -> str:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise Malformed("does not begin with an absolute path", field=field)
    return value


def _environment(value: Any) -> Mapping[str, str]:
    table = _table(value, "environment")
    for key, item in table.items():
        if not isinstance(item, str) or not key or "=" in key or "\0" in key + item:
            raise Malformed(f"has a bad variable {key!r}", field="environment")
    return MappingProxyType(table)


def _listen(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise Malformed("is not a list", field="listen")
    ports = []
    for item in value:
        port = item.get("port") if isinstance(item, dict) and set(item) == {"port"} else None
        if type(port) is not int or not 1 <= port <= 65535 or port in ports:
            raise Malformed("holds something else than different ports", field="listen")
        ports.append(port)
    return tuple(ports)


def _scratch(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Malformed("is not a list of paths", field="scratch")
    if why := places.trouble(value):
        raise Malformed(why, field="scratch")
    return tuple(value)


def _memory(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise Malformed("is no number of MiB", field="memory")
    return value


def _names(value: Any, field: str) -> frozenset[str]:
    if not isinstance(value, list):
        raise Malformed("is not a list", field=field)
    if not all(isinstance(v, str) and text.NAME.fullmatch(v) for v in value):
        raise Malformed("holds something else than names", field=field)
    return frozenset(value)
