"""The parts of an image, out of its build record.

`looking` adds what the packages themselves say of licences, and the libraries inside them.

Does not verify: that the record is true. A rebuild shows that, and a signature says whose word it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from troth.errors import Malformed, Misuse
from troth.image.lock_fields import entries, sha256_of, text
from troth.wire import json

SCHEMA: Final = "troth/build/1"
HARDWARE: Final = "hardware"
MAX_RECORD: Final = 64 * 1024 * 1024
_FIX: Final = "`troth build` writes such files, with the ending .build.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part.

    Attributes:
        kind: `deb`, `wheel`, `kernel`, `agent`, `file` (the app's own), `root` (that the app brings),
            `inside` (found in another part), or a kind of package that the record names.
        name, version: as its maker spells them; no version is an empty text.
        sha256: of the package or file in hex, or an empty text.
        role: what it is there for: `image`, `kernel`, `interpreter`, `builder` (in no image).
        source, source_version: the source package of a Debian package.
        built_using: source packages of which parts went into it, each `name version`.
        licences: as the part states them, sorted; empty where it states none; None where it was not at hand.
        within: `kind name` of the part that holds it, for one found inside.
        place: where it was found: a file's path, or a list of parts inside a wheel.
        purl: kind of package in package URLs, for one found inside.
    """

    kind: str
    name: str
    version: str = ""
    sha256: str = ""
    role: str = "image"
    source: str = ""
    source_version: str = ""
    built_using: tuple[str, ...] = ()
    licences: tuple[str, ...] | None = None
    within: str = ""
    place: str = ""
    purl: str = "generic"

    @property
    def title(self) -> str:
        """What it is called: kind and name, and for one found inside where."""
        return f"{self.kind} {self.name}" + (f" in {self.place}" if self.within else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """Something that was not at hand, or cannot be looked into.

    Attributes:
        about: name of the part.
        what: `licences`, or `inside`: libraries within it.
        words: a sentence.
    """

    about: str
    what: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """All parts of an image that are known.

    Attributes:
        image: its file's SHA-256 in hex.
        record: SHA-256 of the build record that names them.
        suite: of Debian, such as `trixie`.
        architecture: Debian's word.
        tool: version of the troth that built it.
        parts: in the record's order, and what was found inside after them.
        unseen: what was not at hand or cannot be looked into.
    """

    image: str
    record: str
    suite: str
    architecture: str
    tool: str
    parts: tuple[Part, ...]
    unseen: tuple[Unseen, ...] = ()


def read_record(data: bytes, *, field: str) -> dict[str, Any]:
    """A build record, of which the members that are read here have the form that they should have.

    Raises:
        Malformed: it is none.
    """
    value = json.parse(data, field=field, limit=MAX_RECORD)
    try:
        json.canonical(value)
    except Misuse as error:  # half a surrogate pair, which no file may have
        raise Malformed(f"cannot be written again: {error}", field=field) from None
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise Malformed(f"is no build record ({SCHEMA})", field=field, fix=_FIX)
    for key in ("recipe_sha256", "lock_sha256"):
        sha256_of(value.get(key), f"{field}: {key}")
    sha256_of(member(value, "image", field).get("sha256"), f"{field}: image.sha256")
    sha256_of(member(value, "tool", field).get("agent_sha256"), f"{field}: tool.agent_sha256")
    registers = member(value, "nitro", field)
    if "pcr0" not in registers:
        raise Malformed("has no pcr0", field=f"{field}: nitro")
    for register, digits in registers.items():
        if len(text(digits, f"{field}: {register}")) != 96:
            raise Malformed("is not 48 bytes in hex", field=f"{field}: {register}")
    for key in ("suite", "architecture"):
        text(value.get(key), f"{field}: {key}")
    for key in ("packages", "app", "archive_keys"):
        entries(value.get(key), f"{field}: {key}")
    member(value, "kernel", field)
    _parts(value, field)
    return value


def member(value: Mapping[str, Any], key: str, field: str) -> dict[str, Any]:
    """An object inside an object.

    Raises:
        Malformed: it is not there, or none.
    """
    found = value.get(key)
    if not isinstance(found, dict):
        raise Malformed("is no object", field=f"{field}: {key}")
    return found


def of_record(record: Mapping[str, Any], *, sha256: str) -> Components:
    """What the record alone says.

    Args:
        record: from `read_record`.
        sha256: of the record's bytes.

    Raises:
        Malformed: a part is not described as parts are.
    """
    return Components(
        image=record["image"]["sha256"],
        record=sha256,
        suite=record["suite"],
        architecture=record["architecture"],
        tool=str(record["tool"].get("version", "")),
        parts=_parts(record, "build record"),
    )


def _parts(record: Mapping[str, Any], field: str) -> tuple[Part, ...]:
    found = [_package(item, f"{field}: packages") for item in record["packages"]]
    found += [_kernel(record["kernel"], f"{field}: kernel")]
    found += [
        _package({"kind": "deb", **_object(item, field)}, f"{field}: builder", role="builder")
        for item in entries(record.get("builder", []), f"{field}: builder")
    ]
    tool = record["tool"]
    found.append(
        Part(
            kind="agent",
            name=text(tool.get("name"), f"{field}: tool.name"),
            version=text(tool.get("version"), f"{field}: tool.version"),
            sha256=tool["agent_sha256"],
            licences=("Apache-2.0",),
        )
    )
    for item in record["app"]:
        one = _object(item, f"{field}: app")
        path = one.get("path")
        if not isinstance(path, str) or not path.startswith("/"):
            raise Malformed("has a file without a path", field=f"{field}: app")
        sha256 = sha256_of(one.get("sha256"), f"{field}: app")
        found.append(Part(kind="file", name=path, sha256=sha256, licences=()))
    if "root" in record:
        found.append(_root(member(record, "root", field)))
    return tuple(found)


def _object(item: Any, field: str) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise Malformed("has an item that is no object", field=field)
    return item


def _package(item: Any, field: str, *, role: str = "image") -> Part:
    one = _object(item, field)
    kind, name = text(one.get("kind"), f"{field}.kind"), text(one.get("name"), f"{field}.name")
    field = f"{field}: {name[:60]}"
    main = kind == "deb" and name.startswith("python3.") and name.endswith("-minimal")
    return Part(
        kind=kind,
        name=name,
        version=text(one.get("version"), f"{field}.version"),
        sha256=sha256_of(one.get("sha256"), f"{field}.sha256"),
        role="interpreter" if main and role == "image" else role,
        **_source(one, field),
    )


def _source(one: Mapping[str, Any], field: str) -> dict[str, Any]:
    using = entries(one.get("built_using", []), f"{field}.built_using")
    return {
        "source": text(one.get("source", ""), f"{field}.source"),
        "source_version": text(one.get("source_version", ""), f"{field}.source_version"),
        "built_using": tuple(text(item, f"{field}.built_using") for item in using),
    }


def _kernel(kernel: dict[str, Any], field: str) -> Part:
    """Of the hardware kernel the package is the source that it is compiled from."""
    package = member(kernel, "package", field)
    found = _package({"kind": "deb", **package}, field, role="kernel")
    if kernel.get("kind") != HARDWARE:
        return found
    return Part(
        kind="kernel",
        name="linux-troth",
        version=text(kernel.get("version"), f"{field}.version"),
        sha256=sha256_of(kernel.get("sha256"), f"{field}.sha256"),
        role="kernel",
        source=found.source,
        source_version=found.source_version,
        built_using=(*found.built_using, f"{found.name} {found.version} sha256:{found.sha256}"),
        licences=("GPL-2.0-only WITH Linux-syscall-note",),
    )


def _root(root: dict[str, Any]) -> Part:
    digest = root.get("config", "")
    known = isinstance(digest, str) and digest.startswith("sha256:")
    return Part(
        kind="root",
        name=str(root.get("kind", "root"))[:60],
        sha256=sha256_of(digest.removeprefix("sha256:"), "root") if known else "",
    )
