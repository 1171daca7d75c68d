"""Libraries inside programs and libraries: what no list of packages names, read from what they say of themselves.

A wheel may carry an OpenSSL of its own, a program in Go all its modules. They leave texts with their version,
and Go a table. What leaves none is not found.

Does not verify: a file may say anything; and that a library is called.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from troth.errors import Malformed
from troth.image import elf
from troth.image.pins import canonical
from troth.wire import json

MAX_FOUND: Final = 10_000
"""Parts that one file names; more are a file that wants to be long."""
MAX_LIST: Final = 4 * 1024 * 1024
"""Bytes of a list of parts inside a wheel."""

_VERSIONS: Final = (
    ("openssl", rb"OpenSSL (\d+\.\d+\.\d+[a-z]{0,2}(?:-[a-z0-9]{1,12})?) +\d{1,2} [A-Z][a-z]{2} \d{4}"),
    ("libressl", rb"LibreSSL (\d+\.\d+\.\d+)"),
    ("boringssl", rb"\0(?:OpenSSL \d\.\d\.\d \(compatible; )?BoringSSL\)?()\0"),
    ("aws-lc", rb"AWS-LC (?:FIPS )?(\d+\.\d+\.\d+)"),
    ("zlib", rb"(?:in|de)flate (\d+\.\d+(?:\.\d+){0,2}) Copyright"),
    ("bzip2", rb"\0(1\.0\.\d{1,2}), \d{1,2}-[A-Z][a-z]{2}-\d{4}\0"),
    ("expat", rb"expat_(\d+\.\d+\.\d+)\0"),
    ("sqlite", rb"\0\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [0-9a-f]{64}()\0"),
    ("curl", rb"libcurl/(\d+\.\d+\.\d+)"),
    ("libpng", rb"libpng version (\d+\.\d+\.\d+)"),
    ("libjpeg-turbo", rb"libjpeg-turbo version (\d+\.\d+\.\d+)"),
    ("rust", rb"rustc version (\d+\.\d+\.\d+)"),
    ("go", rb"\xff Go buildinf:[\s\S]{0,40}?go(\d+\.\d+(?:\.\d+)?)"),
)  # fmt: skip
_PATTERNS: Final = tuple((name, re.compile(pattern)) for name, pattern in _VERSIONS)
_MODULE: Final = re.compile(rb"\ndep\t([!-~]{1,200})\t(v[!-~]{1,100})\t")
_PURL: Final = re.compile(r"pkg:([a-z]{2,12})/([^@?#]*)(?:@([^?#]*))?")
_WORD: Final = re.compile(r"[ -~]{1,200}")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Inside:
    """A part inside a file.

    Attributes:
        name: of the library or module.
        version: as it says, or empty where it says none.
        kind: of package, in the words of package URLs: `generic`, `golang`, `cargo`, `pypi`.
        sha256: of what it was made from, where a list says it, or empty.
        licences: where a list states them.
    """

    name: str
    version: str
    kind: str = "generic"
    sha256: str = ""
    licences: tuple[str, ...] = ()


def scan(data: bytes) -> tuple[Inside, ...]:
    """Libraries whose traces an ELF file has, sorted; nothing for any other file."""
    if not elf.is_elf(data):
        return ()
    found = {
        Inside(name=name, version=match[1].decode("ascii"))
        for name, pattern in _PATTERNS
        for match in _some(pattern, data)
    }
    if any(one.name == "go" for one in found):
        found |= {
            Inside(name=m[1].decode("ascii"), version=m[2].decode("ascii"), kind="golang")
            for m in _some(_MODULE, data)
        }
    return tuple(sorted(found))


def _some(pattern: re.Pattern[bytes], data: bytes) -> Iterator[re.Match[bytes]]:
    for number, match in enumerate(pattern.finditer(data)):
        if number >= MAX_FOUND:
            return
        yield match


def is_list(path: str) -> bool:
    """Whether a wheel's file is a list of parts that its maker put in (PEP 770), in whatever form."""
    return ".dist-info/sboms/" in path


def listed(data: bytes, *, name: str) -> tuple[Inside, ...]:
    """What a list of parts names: CycloneDX in JSON, of any version.

    Raises:
        Malformed: it is no such list.
    """
    value = json.parse(data, field=name, limit=MAX_LIST)
    if not isinstance(value, dict) or value.get("bomFormat") != "CycloneDX":
        raise Malformed("is no list of parts in CycloneDX", field=name)
    return tuple(sorted({_one(item, name) for item in _components(value, name)}))


def _components(value: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Those of a list, and those that these hold in their turn."""
    found: list[dict[str, Any]] = []
    holders = [value]
    while holders:
        items = holders.pop().get("components", [])
        if not isinstance(items, list) or len(found) + len(items) > MAX_FOUND:
            raise Malformed(f"has no list of components, or more than {MAX_FOUND}", field=name)
        if not all(isinstance(item, dict) for item in items):
            raise Malformed("has a component that is no object", field=name)
        found += items
        holders += items
    return found


def _one(item: dict[str, Any], name: str) -> Inside:
    title, version, purl = (item.get(key, "") for key in ("name", "version", "purl"))
    if not isinstance(title, str) or not _WORD.fullmatch(title):
        raise Malformed("has a component without a name", field=name)
    if not isinstance(version, str) or (version and not _WORD.fullmatch(version)):
        raise Malformed(f"has no readable version for {title}", field=name)
    kind = _PURL.match(purl) if isinstance(purl, str) else None
    known = kind[1] if kind and kind[1] in ("cargo", "golang", "pypi") else "generic"
    if (
        kind
        and known == "pypi"
        and (canonical(kind[2]), kind[3] or version) != (canonical(title), version)
    ):
        known = "generic"  # of two names or versions nobody knows which to ask for
    return Inside(
        name=title,
        version=version,
        kind=known,
        sha256=_sha256(item.get("hashes")),
        licences=_licences(item.get("licenses")),
    )


def _licences(stated: Any) -> tuple[str, ...]:
    found: set[str] = set()
    for item in stated if isinstance(stated, list) else ():
        if isinstance(item, dict):
            inner = item.get("license")
            named = inner if isinstance(inner, dict) else {}
            said = (item.get("expression"), named.get("id"), named.get("name"))
            found |= {one for one in said if isinstance(one, str) and _WORD.fullmatch(one)}
    return tuple(sorted(found))


def _sha256(hashes: Any) -> str:
    for item in hashes if isinstance(hashes, list) else ():
        if isinstance(item, dict) and item.get("alg") == "SHA-256":
            content = item.get("content")
            if isinstance(content, str) and re.fullmatch(r"[0-9a-f]{64}", content):
                return content
    return ""
