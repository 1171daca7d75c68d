"""A database of advisories from files: OSV records (schema 1.x) in JSON, one by one, in a folder, or in a zip.

Only what is about the packages that are asked for is kept, so memory does not grow with the database.
"""

import errno
import hashlib
import json
import lzma
import os
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from troth.errors import Malformed, Misuse
from troth.image.files import disk
from troth.image.pins import canonical

MAX_RECORD: Final = 16 * 1024 * 1024
MAX_FILE: Final = 4 << 30
MAX_RECORDS: Final = 2_000_000
MAX_UNPACKED: Final = 4 << 30
_PIECE: Final = 1 << 20
_MODIFIED: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z")
_KNOWN: Final = {"pypi": "PyPI", "debian": "Debian"}
# What may hold records, and is not read inside of something else.
_SEVERAL: Final = (
    *(".zip", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".tar", ".7z"),
    *(".jsonl", ".ndjson"),
)
_ID: Final = re.compile(r"[!-~]{1,200}")
# What `zipfile` and its decompressors raise over damaged archives.
_DAMAGE: Final = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
    EOFError, NotImplementedError, RuntimeError, ValueError,
)  # fmt: skip
_WHERE: Final = "the database is what `--osv` names: records in JSON, a folder of them, or a zip"

Package = tuple[str, str]
"""Ecosystem, as `Debian:13` or `PyPI`, and name, as it is compared there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """What one record says of one package.

    Attributes:
        id: of the record.
        aliases: other names of it, sorted.
        package: which.
        versions: that are affected, as it lists them.
        ranges: type and events of each range.
    """

    id: str
    aliases: tuple[str, ...]
    package: Package
    versions: tuple[str, ...]
    ranges: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """What a database says of the packages that were asked for.

    Attributes:
        sha256: of the file; of a folder over the digests and paths of its files.
        modified: of the newest record.
        records: how many there are in all.
        ecosystems: how many of them are about each, without those that were withdrawn.
        advisories: about each package.
    """

    sha256: str
    modified: str
    records: int
    ecosystems: dict[str, int]
    advisories: dict[Package, tuple[Advisory, ...]]


def place(ecosystem: str) -> str:
    """An ecosystem's name as it is compared here: databases differ in its case; PyPI has no releases."""
    head, colon, release = ecosystem.strip().partition(":")
    known = _KNOWN.get(head.lower(), head)
    return known if known == "PyPI" else f"{known}{colon}{release}"


def plain(ecosystem: str, name: str) -> str:
    """A package's name as its ecosystem compares it."""
    return canonical(name) if ecosystem == "PyPI" else name


def read(path: Path, *, wanted: frozenset[Package]) -> Database:
    """A database, of which the advisories about these packages are kept.

    Args:
        path: a record, a list of them, a folder, or a zip.
        wanted: ecosystems and `plain` names.

    Raises:
        Unavailable: the disk fails, or there is no such file.
        Malformed: a record is none; one comes twice; what is packed is larger than such a thing can be.
        Misuse: there is no record at all.
    """
    sha256 = hashlib.sha256()
    seen: set[str] = set()
    newest = ""
    count: Counter[str] = Counter()
    kept: dict[Package, list[Advisory]] = {}
    for name, data in _documents(path, sha256):
        for record in records(data, name):
            identity, modified = _head(record, name)
            if identity in seen:
                raise Malformed(f"the record {identity} comes twice", field=name)
            seen.add(identity)
            if len(seen) > MAX_RECORDS:
                raise Malformed(f"has more than {MAX_RECORDS} records", field=str(path))
            newest = max(newest, modified)
            if _withdrawn(record, identity, name):
                continue
            found = tuple(affected(record, identity, name))
            count.update({ecosystem for ecosystem, _ in (one.package for one in found)})
            for one in found:
                if one.package in wanted:
                    kept.setdefault(one.package, []).append(one)
    if not seen:
        raise Misuse(f"{path} holds no record of OSV", fix=_WHERE)
    return Database(
        sha256=sha256.hexdigest(),
        modified=newest,
        records=len(seen),
        ecosystems=dict(sorted(count.items())),
        advisories={package: tuple(every) for package, every in kept.items()},
    )


def _documents(path: Path, sha256: "hashlib._Hash") -> Iterator[tuple[str, bytes]]:
    with disk(f"reading {path}"):
        if path.is_dir():
            yield from _folder(path, sha256)
            return
        size = path.stat().st_size
        if not path.is_file():
            raise Misuse(f"{path} is no file and no folder", fix=_WHERE)
        if size > MAX_FILE:
            raise Malformed(f"is larger than {MAX_FILE >> 30} GiB", field=str(path))
        with path.open("rb") as file:  # once, so that what is hashed is what is read
            packed = file.read(2) == b"PK"
            file.seek(0)
            while piece := file.read(_PIECE):
                sha256.update(piece)
            file.seek(0)
            if packed:
                yield from _zip(file, path.name)
            else:
                yield path.name, _bounded(file, path.name)


def _folder(path: Path, sha256: "hashlib._Hash") -> Iterator[tuple[str, bytes]]:
    for item in sorted(_below(path)):
        kind = item.suffix.lower()
        if (item.is_symlink() and not item.is_file()) or kind in _SEVERAL:
            what = f"of the kind {kind}" if kind in _SEVERAL else "a link to no file"
            raise Misuse(
                f"{item.relative_to(path)} is {what}, and what it holds is not read in a folder",
                fix="unpack or copy it, or take it out and ask for it by itself",
            )
        if kind == ".json" and item.is_file():
            with item.open("rb") as file:
                data, name = _bounded(file, item.name), item.relative_to(path).as_posix()
            digest = hashlib.sha256(data).hexdigest()
            sha256.update(f"{digest}  {name}\n".encode("utf-8", "surrogateescape"))
            yield name, data


def _below(folder: Path) -> Iterator[Path]:
    """All names in it and its folders. `Path.rglob` passes over a folder that it may not read."""

    def refuse(error: OSError) -> None:
        raise error

    for place, folders, names in os.walk(folder, onerror=refuse):
        yield from (Path(place, name) for name in (*folders, *names))


def _bounded(file: IO[bytes], name: str) -> bytes:
    data = file.read(MAX_RECORD + 1)
    if len(data) > MAX_RECORD:
        raise Malformed(f"is larger than {MAX_RECORD >> 20} MiB", field=name)
    return data


def _zip(packed: IO[bytes], name: str) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(packed) as archive:
            listed = archive.infolist()
            for item in listed:
                if item.filename.lower().endswith(_SEVERAL):
                    raise Malformed(f"holds {item.filename!a:.200}, not read in a zip", field=name)
            items = [item for item in listed if item.filename.lower().endswith(".json")]
            # What is read of each ends where it says that it ends, so these sizes hold.
            if (
                len(items) > MAX_RECORDS
                or sum(item.file_size for item in items) > MAX_UNPACKED
                or any(item.file_size > MAX_RECORD for item in items)
            ):
                raise Malformed(
                    f"holds more than {MAX_RECORDS} records, {MAX_UNPACKED >> 30} GiB in all, or "
                    f"{MAX_RECORD >> 20} MiB in one",
                    field=name,
                )
            for item in items:
                with archive.open(item) as file:
                    yield item.filename, _bounded(file, item.filename)
    except _DAMAGE as error:
        raise Malformed(f"is a damaged zip: {error}", field=name) from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # where it points outside itself
            raise
        raise Malformed("is a damaged zip: it points outside itself", field=name) from None


def records(data: bytes, name: str) -> list[dict[str, Any]]:
    """The records in a file: one, or a list.

    Raises:
        Malformed: it is no JSON, or holds something else.
    """
    # Not troth's own reader: what databases add to a record may hold fractions, which we never look at.
    try:
        value = json.loads(data, object_pairs_hook=_once, parse_float=str, parse_constant=str)
    except RecursionError:
        raise Malformed("is nested too deep", field=name) from None
    except ValueError as error:
        raise Malformed(f"is no JSON: {error}", field=name) from None
    items = value if isinstance(value, list) else [value]
    for item in items:
        if not isinstance(item, dict):
            raise Malformed("is no record of OSV", field=name, fix=_WHERE)
    return items


def _once(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(items)
    if len(found) != len(items):
        raise ValueError("a key stands twice in one object")
    return found


def _head(record: dict[str, Any], name: str) -> tuple[str, str]:
    identity, modified = record.get("id"), record.get("modified")
    if not isinstance(identity, str) or not _ID.fullmatch(identity):
        raise Malformed("is a record without an id", field=name, fix=_WHERE)
    if not isinstance(modified, str) or not _MODIFIED.fullmatch(modified):
        raise Malformed(f"{identity} does not say when it was modified", field=name)
    return identity, f"{modified[:19]}Z"


def _withdrawn(record: dict[str, Any], identity: str, name: str) -> bool:
    when = record.get("withdrawn")
    if when is None:  # some databases write null where there is nothing
        return False
    if not isinstance(when, str) or not _MODIFIED.fullmatch(when):
        raise Malformed(f"{identity} does not say when it was withdrawn", field=name)
    return True


def affected(record: dict[str, Any], identity: str, name: str) -> Iterator[Advisory]:
    """What a record says, package by package.

    Raises:
        Malformed: it says so in another form than the schema's.
    """
    aliases = _texts(record.get("aliases", []), f"{identity}: aliases", name)
    for item in _list(record.get("affected", []), f"{identity}: affected", name):
        package = item.get("package") if isinstance(item, dict) else None
        if package is None and isinstance(item, dict):
            continue  # of a git repository, by commits alone
        ecosystem, title = (
            (package.get("ecosystem"), package.get("name")) if isinstance(package, dict) else (0, 0)
        )
        if not isinstance(ecosystem, str) or not isinstance(title, str):
            raise Malformed(f"{identity} names a package without a name", field=name)
        ecosystem = place(ecosystem)
        yield Advisory(
            id=identity,
            aliases=tuple(sorted(aliases)),
            package=(ecosystem, plain(ecosystem, title)),
            versions=_texts(item.get("versions", []), f"{identity}: versions", name),
            ranges=tuple(
                _range(one, identity, name)
                for one in _list(item.get("ranges", []), f"{identity}: ranges", name)
            ),
        )


def _range(item: Any, identity: str, name: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    kind = item.get("type") if isinstance(item, dict) else None
    if not isinstance(kind, str):
        raise Malformed(f"{identity} has a range without a type", field=name)
    events = []
    for event in _list(item.get("events", []), f"{identity}: events", name):
        if not isinstance(event, dict) or len(event) != 1:
            raise Malformed(f"{identity} has an event that is not one thing", field=name)
        ((what, version),) = event.items()
        if not isinstance(version, str):
            raise Malformed(f"{identity} has an event without a version", field=name)
        events.append((what, version))
    return kind, tuple(events)


def _list(value: Any, what: str, name: str) -> list[Any]:
    # Some databases write null for an empty list.
    found = [] if value is None else value
    if not isinstance(found, list):
        raise Malformed(f"{what} is no list", field=name)
    return found


def _texts(value: Any, what: str, name: str) -> tuple[str, ...]:
    found = _list(value, what, name)
    if not all(isinstance(item, str) for item in found):
        raise Malformed(f"{what} has something that is no text", field=name)
    return tuple(found)
