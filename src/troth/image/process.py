"""What a container image says of its program: command, environment, folder and signals, as OCI means it.

OCI image-spec 1.1, config.md. ENTRYPOINT and CMD are one command: the second are the arguments of the
first, unless there is no first.
"""

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from posixpath import normpath
from typing import Any, Final

from troth.errors import Malformed, Misuse
from troth.image.environment import steers_code

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What a container's runtime sets where the image has none."""
_PORT: Final = re.compile(r"([0-9]{1,5})(/tcp)?")
_BETWEEN: Final = re.compile(r"(?:^-[A-Za-z]+(?=/)|[:;,=\s\"']-[A-Za-z]+(?=/)|[:;,=\s\"'])")
_WRITABLE: Final = re.compile(r"/(tmp|run|var/run|dev|proc)(/|$)")
_FIELD: Final = "config"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """How the app is started.

    Attributes:
        command: the program and its arguments; the program as the image names it.
        environment: all of it, PATH always among it.
        directory: absolute path in which it starts.
        stop_signal: number of the signal that asks it to end.
        exposed: TCP ports that the image says it listens on; a hint, and no more.
        said: what of the configuration has no effect here, a sentence each.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str = "/"
    stop_signal: int = signal.SIGTERM
    exposed: tuple[int, ...] = ()
    said: tuple[str, ...] = ()


def of_config(config: Mapping[str, Any], *, scratch: tuple[str, ...] = ()) -> Process:
    """Reads an image's configuration.

    Args:
        config: the image's.
        scratch: folders that the app may write to.

    Raises:
        Malformed: a value is of another form than OCI's.
        Misuse: a variable would turn a writable place into code.
    """
    inner = config.get("config")
    inner = {} if inner is None else inner
    if not isinstance(inner, dict):
        raise Malformed("is no object", field=_FIELD)
    command = (*_texts(inner, "Entrypoint"), *_texts(inner, "Cmd"))
    if any("\0" in word for word in command):
        raise Malformed("has a NUL in its command", field=_FIELD)
    environment = _environment(_texts(inner, "Env"))
    exposed, other = _ports(_keys(inner, "ExposedPorts"))
    return Process(
        command=command,
        environment={"PATH": PATH, **environment},
        directory=_directory(_text(inner, "WorkingDir")),
        stop_signal=_signal(_text(inner, "StopSignal")),
        exposed=exposed,
        said=(*_unused(inner, scratch), *other),
    )


def check(environment: Mapping[str, str], scratch: tuple[str, ...] = ()) -> None:
    """Refuses a variable that steers what code is loaded, and names a place that can be written to.

    What an image sets otherwise is measured with it, and points at measured files.

    Args:
        environment: names and values.
        scratch: such places of the app's own.

    Raises:
        Misuse: there is one.
    """
    for name, value in environment.items():
        # `//tmp`, `/./tmp` and `/usr/../tmp` are the same place.
        places = (f"/{normpath(part).lstrip('/')}" for part in _BETWEEN.split(value) if "/" in part)
        if steers_code(name) and any(_writable(place, scratch) for place in places):
            raise Misuse(
                f"the image sets {name} to {value!r:.200}, from where a program would load code, and"
                " which can be written to",
                fix="build the image without it; only what is measured may run",
            )


def _writable(place: str, scratch: tuple[str, ...]) -> bool:
    inside = any(f"{place}/".startswith(f"{folder}/") for folder in scratch)
    return inside or _WRITABLE.match(place) is not None


def _environment(rows: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for row in rows:
        name, equals, value = row.partition("=")
        if not name or not equals or "\0" in row:
            raise Malformed(f"has the variable {row!a:.200}", field=f"{_FIELD}.Env")
        found[name] = value
    check(found)
    return found


def _directory(text: str) -> str:
    if text and (not text.startswith("/") or "\0" in text):
        raise Malformed(f"is {text!a}, and must be absolute", field=f"{_FIELD}.WorkingDir")
    return text or "/"


def _signal(text: str) -> int:
    """A signal's number, of a name with or without SIG, or of a number."""
    if not text:
        return signal.SIGTERM
    if text.isascii() and text.isdecimal() and 1 <= int(text[:4]) <= 64:
        return int(text)
    name = text.upper().removeprefix("SIG")
    real = re.fullmatch(r"RTMIN(\+([0-9]{1,2}))?", name)
    if real and 34 + int(real[2] or 0) <= 64:
        return 34 + int(real[2] or 0)
    try:
        return int(signal.Signals[f"SIG{name}"])
    except KeyError:
        raise Malformed(f"is {text!a}, which is no signal", field=f"{_FIELD}.StopSignal") from None


def _ports(names: tuple[str, ...]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    ports, other = [], []
    for text in names:
        found = _PORT.fullmatch(text)
        if found and 1 <= int(found[1]) <= 65535:
            ports.append(int(found[1]))
        else:
            other.append(
                f"it exposes {text!a}, which leads nowhere: the way in is TCP, port by port"
            )
    return tuple(sorted(ports)), tuple(other)


def _unused(inner: Mapping[str, Any], scratch: tuple[str, ...]) -> tuple[str, ...]:
    said = []
    user = _text(inner, "User")
    if user.partition(":")[0] not in ("", "0", "root", "1000"):
        said.append(f"its user is {user!a}; here the app is always user 1000, and owns every file")
    volumes = [name for name in _keys(inner, "Volumes") if f"/{name.strip('/')}" not in scratch]
    if volumes:
        names = ", ".join(f"{name!a}" for name in volumes)
        said.append(
            f"its volumes {names} cannot be written to: only /tmp, /run and /dev/shm can, and what "
            "troth.toml names as scratch = [FOLDER, …]"
        )
    return tuple(said)


def _keys(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Names of an object whose values say nothing, sorted."""
    value = table.get(key)
    if value is not None and not isinstance(value, dict):
        raise Malformed("is no object", field=f"{_FIELD}.{key}")
    return tuple(sorted(value or {}))


def _texts(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = table.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Malformed("is no list of texts", field=f"{_FIELD}.{key}")
    return tuple(value)


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed("is no text", field=f"{_FIELD}.{key}")
    return value
