"""The attack surface of an image, for people; and a budget as somebody types it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from troth.cli._console import exists, out, read_source
from troth.errors import Malformed, Misuse
from troth.render.escape import visible
from troth.wire import json as strict

if TYPE_CHECKING:
    from troth.image.budget import Budget

SCHEMA: Final = "troth/surface/1"
_MOST_NAMED: Final = 12
_MOST_OWNERS: Final = 40


def budget_of(text: str | None) -> "Budget | None":
    """The budget that a flag names: a file with a build record, or numbers.

    Raises:
        Misuse: neither.
        Malformed, Unavailable: a file that is no build record, or can't be read.
    """
    from troth.image import budget

    if text is None:
        return None
    if exists(Path(text)):
        return budget.of_record(read_source(text), name=Path(text).name)
    if "=" not in text:
        raise Misuse(
            f"there is no file {text}, and it is no list of numbers",
            fix="give a build record, or numbers: --budget files=900,megabytes=60,setuid=0",
        )
    return budget.of_text(text)


def show(source: str, *, json: bool) -> int:
    """Print a report."""
    document = {"schema": SCHEMA, **_of(read_source(source, limit=1 << 30), source)}
    if json:
        out(strict.canonical(document).decode("utf-8"))
        return 0
    for line in lines(document):
        out(visible(line))
    out("nothing above was verified; programs are known by their names, and none was run")
    return 0


def _of(data: bytes, source: str) -> dict[str, Any]:
    from troth.image import describe, surface_build
    from troth.wire import eif, ramdisk

    if data.startswith(eif.MAGIC):
        image = eif.read(data)
        disks = ((disk.data, disk.offset) for disk in image.ramdisks)
        return surface_build.of_entries(
            tuple(ramdisk.read_all(disks, devices=describe.DEVICES)),
            command_line=bytes(image.command_line.data).decode("utf-8", "replace"),
            size=image.kernel.size,
        )
    if not data.startswith(b"{"):
        raise Malformed("is no image and no build record", field=source, offset=0)
    record = strict.parse(data, field=source)
    surface = record.get("surface") if isinstance(record, dict) else None
    if not isinstance(surface, dict) or not _whole(surface):
        raise Malformed(
            "has no attack surface", field=source, fix="build the image again, and name its record"
        )
    return surface


def _whole(value: dict[str, Any]) -> bool:
    """Whether a report has the parts that are printed; a record is a file that anybody wrote."""
    parts = {"numbers": dict, "named": dict, "owners": list, "kernel": dict}
    if set(value) != set(parts):
        return False
    if any(type(value[name]) is not kind for name, kind in parts.items()):
        return False
    rows = [value["numbers"], *(r.get("numbers") for r in value["owners"] if isinstance(r, dict))]
    return (
        len(rows) == len(value["owners"]) + 1
        and all(isinstance(r, dict) and all(type(n) is int for n in r.values()) for r in rows)
        and all(isinstance(paths, list) for paths in value["named"].values())
        and isinstance(value["kernel"].get("options"), dict)
    )


def lines(document: dict[str, Any]) -> list[str]:
    """The report as a person reads it: what there is, what each megabyte is for, and the kernel."""
    from troth.image.surface_names import OPTIONS
    from troth.image.surface_words import KINDS, NUMBERS

    found, named = document["numbers"], document["named"]
    text = ["what there is"]
    for name, words in NUMBERS.items():
        paths = [str(path) for path in named.get(name, ())]
        more = ", …" if len(paths) > _MOST_NAMED else ""
        told = f": {', '.join(paths[:_MOST_NAMED])}{more}" if paths else ""
        number = found.get(name)
        said = "unknown" if number is None else f"{number:,}"
        text.append(f"  {said:>12}  {name}, {words}{told}")
    text += ["", "what each megabyte is for"]
    kinds: dict[str, list[tuple[int, str]]] = {}
    for owner in document["owners"]:
        size = owner["numbers"].get("bytes", 0)
        kinds.setdefault(str(owner.get("kind")), []).append((size, str(owner.get("name"))))
    for kind in sorted(kinds, key=lambda kind: -sum(size for size, _ in kinds[kind])):
        rows = sorted(kinds[kind], key=lambda row: (-row[0], row[1]))
        total = sum(size for size, _ in rows)
        text.append(f"  {total / 1e6:>8.2f}  {KINDS.get(kind, kind)}")
        text += [f"  {size / 1e6:>8.2f}    {name}" for size, name in rows[:_MOST_OWNERS]]
        if len(rows) > _MOST_OWNERS:
            rest = sum(size for size, _ in rows[_MOST_OWNERS:])
            text.append(f"  {rest / 1e6:>8.2f}    {len(rows) - _MOST_OWNERS} more")
    linux = document["kernel"]
    text += ["", f"the kernel: {linux.get('kind')}, {linux.get('version')}"]
    text.append(f"  command line: {linux.get('command_line')}")
    for option, words in OPTIONS.items():
        text.append(f"  {linux['options'].get(option, 'unknown')!s:>8}  {option}, {words}")
    return text
