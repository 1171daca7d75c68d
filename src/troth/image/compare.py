"""Two images side by side: which section, which file, which field differs first."""

from pathlib import Path
from stat import filemode
from typing import Final

from troth.errors import Malformed
from troth.wire import cpio, eif

_MOST: Final = 20
_DEVICES: Final = frozenset({"dev/console", "dev/null"})


def differences(first: Path, second: Path) -> tuple[str, ...]:
    """What differs, in words; empty if the files are the same bytes."""
    one, other = first.read_bytes(), second.read_bytes()
    if one == other:
        return ()
    return compare(eif.read(one), eif.read(other)) or ("the files' headers differ",)


def compare(one: eif.Eif, other: eif.Eif) -> tuple[str, ...]:
    """Section by section, and inside ramdisks file by file; the first twenty."""
    found: list[str] = []
    kinds = [section.kind.name.lower() for section in one.sections]
    if kinds != [section.kind.name.lower() for section in other.sections]:
        found.append(f"sections: {', '.join(kinds)} and others")
    disks = 0
    for left, right in zip(one.sections, other.sections, strict=False):
        label = left.kind.name.lower()
        if left.kind is eif.Kind.RAMDISK:
            label = f"ramdisk {disks}"
            disks += 1
        if left.data == right.data:
            continue
        if left.kind is eif.Kind.RAMDISK:
            found += _ramdisks(left, right, label)
        else:
            found.append(f"{label}: {_first_byte(bytes(left.data), bytes(right.data))}")
    return tuple(found[:_MOST])


def _ramdisks(left: eif.Section, right: eif.Section, label: str) -> list[str]:
    try:
        mine = {e.path: e for e in cpio.read(left.data, devices=_DEVICES)}
        theirs = {e.path: e for e in cpio.read(right.data, devices=_DEVICES)}
    except Malformed:
        return [f"{label}: {_first_byte(bytes(left.data), bytes(right.data))}"]
    found = []
    for path in sorted(set(mine) | set(theirs)):
        a, b = mine.get(path), theirs.get(path)
        if a is None or b is None:
            found.append(f"{label}: /{path}: only in the {'second' if a is None else 'first'}")
        elif a.mode != b.mode:
            found.append(f"{label}: /{path}: {filemode(a.mode)} and {filemode(b.mode)}")
        elif a.data != b.data:
            found.append(f"{label}: /{path}: {_first_byte(bytes(a.data), bytes(b.data))}")
    return found or [f"{label}: the archives are laid out differently"]


def _first_byte(a: bytes, b: bytes) -> str:
    at = next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
    return f"differs from byte {at} on ({len(a)} and {len(b)} bytes)"
