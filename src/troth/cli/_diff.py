"""Two images side by side, for `troth inspect --diff`: which section, which file, which bytes, which registers."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from troth.cli._console import out, read_source
from troth.errors import Malformed, Misuse, Unavailable
from troth.render.escape import visible

if TYPE_CHECKING:
    from troth.image.compare import Difference
    from troth.image.explain.told import Told
    from troth.wire.eif import Eif

SCHEMA: Final = "troth/difference/1"
_ROW: Final = 16
_REGISTERS: Final = ("pcr0", "pcr1", "pcr2", "pcr8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A difference with all that is known of it.

    Attributes:
        difference: what was found.
        owner: who brought the file, in words, or nothing.
        told: what the file's form says.
    """

    difference: "Difference"
    owner: str
    told: "Told"


def show(first: Path, second: Path, *, json: bool) -> int:
    """Prints what differs.

    Returns:
        0 if the two files are the same bytes, else 1.

    Raises:
        Unavailable, Malformed: one of them cannot be read, or is no image.
        Misuse: one of them is something else that troth reads.
    """
    from troth.image import compare
    from troth.wire import json as strict

    images, datas = [], []
    for path in (first, second):
        image, data = _read(path)
        images.append(image)
        datas.append(data)
    one, other = images
    about = [_about(path, data) for path, data in zip((first, second), datas, strict=True)]
    equal = about[0]["sha256"] == about[1]["sha256"]
    found = compare.Comparison(differences=(), left_out=0) if equal else compare.compare(one, other)
    differences = known(found.differences, tuple(_record(path) for path in (first, second)))
    document = {
        "schema": SCHEMA,
        "equal": equal,
        "first": about[0],
        "second": about[1],
        "differences": [plain(one) for one in differences],
        "left_out": found.left_out,
        "nitro": _registers(one, other),
    }
    if json:
        out(strict.canonical(document).decode())
    else:
        _print(document, differences)
    return 0 if equal else 1


def _read(path: Path) -> "tuple[Eif, memoryview]":
    from troth.cli import _image
    from troth.wire import eif

    data = _image.read(path)
    if not bytes(data[: len(eif.MAGIC)]) == eif.MAGIC:
        raise Misuse(f"{path} is no EIF: --diff compares two of them", fix="name two images")
    return eif.read(data), data


def _about(path: Path, data: memoryview) -> dict[str, Any]:
    return {
        "name": os.fsencode(path).decode("utf-8", "replace"),
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _registers(one: "Eif", other: "Eif") -> dict[str, Any]:
    """What the two measure to; computed once where nothing that is measured differs."""
    mine = _measured(one)
    theirs = mine | {"pcr8": _signer(other)} if _measures_same(one, other) else _measured(other)
    return {
        name: {"changes": mine[name] != theirs[name], "first": mine[name], "second": theirs[name]}
        for name in _REGISTERS
    }


def _measures_same(one: "Eif", other: "Eif") -> bool:
    from troth.image.compare import MEASURED, same

    sections = [[s for s in image.sections if s.kind in MEASURED] for image in (one, other)]
    return [s.kind for s in sections[0]] == [s.kind for s in sections[1]] and all(
        same(a, b) for a, b in zip(*sections, strict=True)
    )


def _measured(image: "Eif") -> dict[str, str | None]:
    from dataclasses import replace

    from troth.platforms.nitro.measure import measure
    from troth.wire.eif import Kind

    bare = tuple(section for section in image.sections if section.kind is not Kind.SIGNATURE)
    return {**measure(replace(image, sections=bare)).hex(), "pcr8": _signer(image)}


def _signer(image: "Eif") -> str | None:
    """PCR8, or None where the image is not signed or its signature section is none."""
    from troth.platforms.nitro.measure import pcr8, signature

    try:
        signed = signature(image)
    except Malformed:
        return None
    return None if signed is None else pcr8(signed.certificate).hex()


def known(found: "Iterable[Difference]", records: Iterable[Mapping[str, Any]]) -> tuple[Known, ...]:
    """Each difference with its owner and what its file's form says.

    Args:
        found: differences.
        records: build records that may name the packages of the files.
    """
    from troth.image import owners
    from troth.image.explain import explain
    from troth.image.store import Store

    differences = tuple(found)
    inside = [d.path for d in differences if d.section.startswith("ramdisk") and d.path]
    who: dict[str, str] = {}
    for record in records:
        who |= owners.of_record(record, Store.of_user(), [p for p in inside if p not in who])
    return tuple(
        Known(
            difference=difference,
            owner=who.get(difference.path, ""),
            told=explain(difference, owner=who.get(difference.path, "")),
        )
        for difference in differences
    )


def _record(path: Path) -> dict[str, Any]:
    """The build record beside an image, for the names of packages alone; nothing where it is none."""
    from troth.image import companions
    from troth.image.stated import MOST
    from troth.wire import json

    beside = companions.of(path, companions.RECORD)
    try:
        document = json.parse(read_source(str(beside), limit=MOST), field=beside.name)
    except (Malformed, Unavailable):
        return {}
    return document if isinstance(document, dict) else {}


def plain(one: Known) -> dict[str, Any]:
    """A difference for JSON."""
    difference, told = one.difference, one.told
    values: dict[str, Any] = {
        "section": difference.section,
        "path": difference.path,
        "what": difference.what,
        "first": difference.first,
        "second": difference.second,
    }
    if difference.offset is not None:
        values["offset"] = difference.offset
    if difference.bytes is not None:
        values["bytes"] = [data.hex() for data in difference.bytes]
    if difference.line is not None:
        number, mine, theirs = difference.line
        values["line"] = {"number": number, "first": mine, "second": theirs}
    if one.owner:
        values["owner"] = one.owner
    if told.kind:
        values["kind"] = told.kind
    if told.told:
        values["told"] = list(told.told)
    if told.cause is not None:
        values["cause"] = {
            "name": told.cause.name,
            "words": told.cause.words,
            "fix": told.cause.fix,
            "more": told.cause.more,
        }
    return values


def _print(document: dict[str, Any], found: tuple[Known, ...]) -> None:
    for side in ("first", "second"):
        about = document[side]
        out(f"{side:6}  {visible(about['name'])}  {about['size']} bytes  sha256 {about['sha256']}")
    if document["equal"]:
        out("the same bytes")
        return
    print_all(found, document["left_out"])
    out("nitro:")
    for name, register in document["nitro"].items():
        if not register["changes"]:
            out(f"  {name}  the same")
            continue
        out(f"  {name}  changes")
        out(f"    first   {register['first'] or 'none: not signed'}")
        out(f"    second  {register['second'] or 'none: not signed'}")


def print_all(found: Iterable[Known], left_out: int) -> None:
    """Prints differences for people, section by section; what is known of a cause once, at its first."""
    section, causes = "", set()
    for one in found:
        if one.difference.section != section:
            section = one.difference.section
            out(f"{section}:")
        _print_one(one.difference)
        if one.owner:
            out(f"    from    {visible(one.owner)}")
        for number, text in enumerate(one.told.told):
            out(f"    {'' if number else one.told.kind and 'is':6}  {_told(one, number, text)}")
        cause = one.told.cause
        if cause is not None and cause.name not in causes:
            causes.add(cause.name)
            out(f"    cause   {cause.words}")
            out(f"    fix     {cause.fix}")
            out(f"    more    {cause.more}")
        elif cause is not None:
            out(f"    cause   {cause.words} (as above)")
    if left_out:
        out(f"and {left_out} more")


def _told(one: Known, number: int, text: str) -> str:
    kind = f"{one.told.kind}: " if one.told.kind and not number else ""
    return f"{kind}{visible(text)}"


def _print_one(difference: "Difference") -> None:
    name = visible(difference.path) or "the section"
    first, second = difference.first, difference.second
    if difference.what == "only":
        side, has = ("second", second) if first is None else ("first", first)
        out(f"  {name}  only in the {side}  ({visible(has or '')})")
    elif difference.bytes is not None:
        out(f"  {name}  {difference.what}  {first} and {second}, from byte {difference.offset} on")
        if difference.line is not None:
            number, mine, theirs = difference.line
            out(f"    first   line {number}: {visible(mine)}")
            out(f"    second  line {number}: {visible(theirs)}")
        _print_rows(difference)
    else:
        at = "" if difference.offset is None else f", from byte {difference.offset} on"
        out(f"  {name}  {difference.what}{at}")
        out(f"    first   {visible(first or '')}")
        out(f"    second  {visible(second or '')}")


def _print_rows(difference: "Difference") -> None:
    at = difference.offset or 0
    begin = at - at % _ROW
    for side, data in zip(("first", "second"), difference.bytes or (), strict=False):
        for row in range(0, max(len(data), 1), _ROW):
            part = data[row : row + _ROW]
            text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
            out(f"    {side:6}  {begin + row:08x}  {part.hex(' '):{3 * _ROW - 1}}  {text}")
