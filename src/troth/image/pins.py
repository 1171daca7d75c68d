"""Python packages that somebody has pinned by hash already: `pylock.toml` (PEP 751) and hashed requirements.

Read strictly: what names a folder, a repository or an address, what has no hash, and what exists as source
only is refused with words. Markers are judged for the image's Python and machine, not for this one.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Final

from troth.errors import Malformed, Misuse, Unavailable
from troth.image.architecture import Architecture
from troth.image.store import DIGEST
from troth.wire import toml

MAX_SIZE: Final = 16 * 1024 * 1024
_MOST: Final = 5000  # packages
_LONGEST: Final = 256 * 1024  # of a requirement with its hashes
_HASH: Final = re.compile(r"--hash(?:=|\s+)(\S+)")
_BETWEEN: Final = re.compile(r"[-_.]+")
_VERSION: Final = re.compile(r"[A-Za-z0-9.+!_-]{1,200}")
_COMMENT: Final = re.compile(r"(^|(?<!\s)\s+)#.*$")  # once for each run of white space
_HARMLESS: Final = (
    "--require-hashes",
    "--prefer-binary",
    "--only-binary :all:",
    "--only-binary=:all:",
)
_UNDECIDED: Final = ("platform_release", "platform_version")
_ANEW: Final = "make it again: `uv export --format pylock.toml`, or `pip-compile --generate-hashes`"
_ADDRESS: Final = "pin the package by name, version and hash, from an index"
_SOURCE: Final = "choose a version that has one; or build one (`pip wheel`), let pip find it (its find-links), and pin that"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A package with the files that it may be.

    Attributes:
        name: as packages are compared: small letters and hyphens.
        version: exactly.
        sha256: of each file that is allowed.
        extras: that were asked for, sorted.
    """

    name: str
    version: str
    sha256: tuple[str, ...]
    extras: tuple[str, ...] = ()


def read(data: bytes, *, name: str, python: str, machine: Architecture) -> tuple[Pin, ...]:
    """The packages that a file pins for an image, sorted by name.

    Args:
        data: of the file.
        name: its path; what ends in `.toml` is read as `pylock.toml`.
        python: the image's, in full, such as `3.13.5`.
        machine: that the image is for.

    Raises:
        Malformed: it is neither, or a part has no hash.
        Misuse: it names what is not taken from an index by hash, or has no wheel for the image.
        Unavailable: the package `packaging` is not installed.
    """
    if len(data) > MAX_SIZE:
        raise Malformed(f"is larger than {MAX_SIZE} bytes", field=name)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("is not UTF-8", field=name, offset=error.start) from None
    rules = environment(python, machine)
    if name.endswith(".toml"):
        pins = list(_pylock(text, name, rules, machine))
    else:
        pins = list(_requirements(text, name, rules))
    if len(pins) > _MOST:
        raise Malformed(f"pins more than {_MOST} packages", field=name)
    return tuple(sorted(_once(pins, name).values(), key=lambda pin: pin.name))


def environment(python: str, machine: Architecture) -> dict[str, str]:
    """What markers ask about, as it is in an image.

    Args:
        python: in full.
        machine: that it is for.
    """
    return {
        "implementation_name": "cpython",
        "implementation_version": python,
        "os_name": "posix",
        "platform_machine": machine.machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
        "sys_platform": "linux",
    }


def canonical(name: str) -> str:
    """A package's name as such names are compared (PEP 503)."""
    return _BETWEEN.sub("-", name).lower()


def packaging(part: str) -> ModuleType:
    """A module of the package that Python's own tools read versions and markers with."""
    from importlib import import_module

    try:
        module = import_module(f"packaging.{part}")
    except ImportError:
        module = None
    if module is None or (part == "pylock" and not hasattr(module.Pylock, "select")):
        raise Unavailable(
            "python.requirements is read with the package packaging, which is not here, or too old",
            fix='install it: pip install "troth[locks]"',
        )
    return module


def _once(pins: list[Pin], name: str) -> dict[str, Pin]:
    found: dict[str, Pin] = {}
    for pin in pins:
        there = found.get(pin.name, pin)
        extras = tuple(sorted({*there.extras, *pin.extras}))
        found[pin.name] = replace(pin, extras=extras)
        if (there.version, there.sha256) != (pin.version, pin.sha256):
            raise Malformed(
                f"pins {pin.name} twice, as {there.version} and as {pin.version}", field=name
            )
    return found


def _requirements(text: str, name: str, rules: Mapping[str, str]) -> Iterator[Pin]:
    found = [(number, line) for number, line in _logical(text, name)]
    wanted = [(number, line) for number, line in found if not line.startswith("-")]
    for number, line in found:
        if line.startswith("-") and line not in _HARMLESS:
            raise Misuse(f"{name}, line {number}: {_why_not(line)}", fix=_fix_of(line))
    hashed = [bool(_HASH.search(line)) for _, line in wanted]
    if not all(hashed):
        number, line = wanted[hashed.index(False)]
        some = "only some lines have hashes" if any(hashed) else "no line has a hash"
        raise Malformed(f"{some}; line {number} has none: {line[:80]!r}", field=name, fix=_ANEW)
    for number, line in wanted:
        pin = _line(line, f"{name}, line {number}", rules)
        if pin is not None:
            yield pin


def _logical(text: str, name: str) -> Iterator[tuple[int, str]]:
    """Lines with what continues them, without comments, as pip joins them."""
    begun, held = 0, ""
    for number, raw in enumerate(text.splitlines(), 1):
        begun = begun if held else number
        line = raw if held and not raw.strip().startswith("#") else _COMMENT.sub("", raw)
        if line.endswith("\\"):
            held += line[:-1] + " "
        else:
            whole = _COMMENT.sub("", held + line).strip()
            held = ""
            if whole:
                yield begun, whole
        if len(held) > _LONGEST:
            raise Malformed(f"line {begun} is too long", field=name)
    if held.strip():
        yield begun, held.strip()


def _why_not(line: str) -> str:
    option = line.split("=", maxsplit=1)[0].split(maxsplit=1)[0]
    if option in ("-e", "--editable"):
        return f"{line[:120]!r} is installed from a folder or a repository, which no hash pins"
    if option in ("-r", "--requirement", "-c", "--constraint"):
        return f"{line[:120]!r} leads to another file, and one file is pinned"
    if option in (
        "-i",
        "--index-url",
        "--extra-index-url",
        "-f",
        "--find-links",
        "--trusted-host",
        "--no-index",
    ):
        return (
            f"{option} says where packages come from, which is pip's configuration on each machine"
        )
    return f"the option {option} has no meaning for an image"


def _fix_of(line: str) -> str:
    if line.startswith(("-e", "--editable")):
        return _ADDRESS
    if line.startswith(("-r", "--requirement", "-c", "--constraint")):
        return "put what it says into this one"
    return "remove the line"


def _line(line: str, where: str, rules: Mapping[str, str]) -> Pin | None:
    """One requirement, or None where its marker says that it is not for an image."""
    requirements = packaging("requirements")
    words = _HASH.sub("", line).strip()
    sha256 = _sha256s((said.partition(":") for said in _HASH.findall(line)), where)
    if " --" in f" {words}" or "${" in words:
        raise Misuse(f"{where}: {words[:120]!r} has an option or a variable", fix="write it out")
    try:
        said = requirements.Requirement(words)
    except (requirements.InvalidRequirement, RecursionError):
        raise Misuse(f"{where}: {words[:120]!r} is no name with a version", fix=_ADDRESS) from None
    if said.url is not None:
        raise Misuse(f"{where}: {said.name} is taken from an address or a repository", fix=_ADDRESS)
    if not _applies(said.marker, rules, where):
        return None
    exact = list(said.specifier)
    if len(exact) != 1 or exact[0].operator not in ("==", "===") or "*" in exact[0].version:
        raise Misuse(f"{where}: {said.name} is not pinned to one version with ==", fix=_ANEW)
    version = exact[0].version
    if not _VERSION.fullmatch(version):  # `===` takes any text
        raise Misuse(f"{where}: {version[:80]!r} is no version", fix=_ANEW)
    return Pin(
        name=canonical(said.name), version=version, sha256=sha256, extras=tuple(sorted(said.extras))
    )


def _sha256s(said: Any, where: str) -> tuple[str, ...]:
    found = sorted({value.lower() for kind, _, value in said if kind == "sha256"})
    if not found or not all(DIGEST.fullmatch(value) for value in found):
        raise Malformed("has no SHA-256, or one that is none", field=where, fix=_ANEW)
    return tuple(found)


def _applies(marker: Any, rules: Mapping[str, str], where: str) -> bool:
    if marker is None:
        return True
    if any(word in str(marker) for word in _UNDECIDED):
        raise Misuse(
            f"{where}: a marker asks for the release of a kernel, which an image does not decide",
            fix="remove that marker",
        )
    try:
        return bool(marker.evaluate(dict(rules)))
    except (ValueError, RecursionError, KeyError) as error:
        raise Misuse(f"{where}: the marker can't be judged: {error}"[:300]) from None


def _pylock(text: str, name: str, rules: Mapping[str, str], machine: Architecture) -> Iterator[Pin]:
    pylock = packaging("pylock")
    # What the TOML, the versions and the markers in it can raise.
    damage = (pylock.PylockValidationError, ValueError, RecursionError, KeyError)
    try:
        lock = pylock.Pylock.from_dict(toml.loads(text))
    except damage as error:
        raise Malformed(f"is no pylock.toml: {error}"[:400], field=name, fix=_ANEW) from None
    _check(lock, name)
    try:
        chosen = list(lock.select(environment=dict(rules), tags=_tags(rules, machine)))
    except pylock.PylockSelectError as error:
        raise Misuse(f"{name}: not for this image: {error}"[:400], fix=_SOURCE) from None
    except damage as error:
        raise Malformed(f"can't be judged: {error}"[:400], field=name, fix=_ANEW) from None
    for package, file in chosen:
        if not isinstance(file, pylock.PackageWheel):
            raise Misuse(
                f"{name}: {package.name} has no wheel for Python {rules['python_version']} on "
                f"{machine.machine}, and nothing is built from source here",
                fix=_SOURCE,
            )
        if package.version is None:
            raise Malformed(f"says no version of {package.name}", field=name, fix=_ANEW)
        hashes = [(kind, ":", str(value)) for kind, value in file.hashes.items()]
        sha256 = _sha256s(hashes, f"{name}: {package.name}")
        yield Pin(name=str(package.name), version=str(package.version), sha256=sha256)


def _check(lock: Any, name: str) -> None:
    """Refuses packages that are no files of an index, whether they are for this image or not."""
    for package in lock.packages:
        for kind in ("vcs", "directory", "archive"):
            if getattr(package, kind) is not None:
                words = {"vcs": "a repository", "directory": "a folder", "archive": "an address"}
                raise Misuse(
                    f"{name}: {package.name} is taken from {words[kind]}, and not from an index",
                    fix=_ADDRESS,
                )
        if any(word in str(package.marker or "") for word in _UNDECIDED):
            _applies(package.marker, {}, f"{name}: {package.name}")


def _tags(rules: Mapping[str, str], machine: Architecture) -> list[Any]:
    """What wheels may say they are for, best first."""
    from troth.image.wheels import PLATFORMS

    tags = packaging("tags")
    major, minor = rules["python_version"].split(".")
    version = (int(major), int(minor))
    platforms = [f"{platform}_{machine.machine}" for platform in PLATFORMS]
    own = f"cp{major}{minor}"
    return [
        *tags.cpython_tags(version, [own], platforms),
        *tags.compatible_tags(version, own, platforms),
    ]
