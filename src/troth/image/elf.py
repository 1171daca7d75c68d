"""What an ELF file needs at run time: a small reader of dynamic sections (System V ABI, 64-bit)."""

from dataclasses import dataclass
from typing import Final

from troth.errors import Malformed
from troth.wire.reader import Reader

MAGIC: Final = b"\x7fELF"
_LITTLE_64: Final = b"\x02\x01"
_PT_LOAD: Final = 1
_PT_DYNAMIC: Final = 2
_PT_INTERP: Final = 3
_DT_NEEDED: Final = 1
_DT_STRTAB: Final = 5
_DT_RPATH: Final = 15
_DT_RUNPATH: Final = 29
_MOST: Final = 4096
X86_64: Final = "64-bit x86"
ARM_64: Final = "64-bit Arm"
_MACHINES: Final = {
    3: "Intel 386",
    20: "PowerPC",
    21: "PowerPC",
    22: "S/390",
    40: "Arm",
    62: "x86",
    183: "Arm",
    243: "RISC-V",
    247: "BPF",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What the loader will look for.

    Attributes:
        libraries: names, as in `libc.so.6`.
        search: folders that the file itself names (RPATH and RUNPATH), `$ORIGIN` unexpanded.
        interpreter: the loader's path, or an empty text for a library.
    """

    libraries: tuple[str, ...]
    search: tuple[str, ...]
    interpreter: str


def is_elf(data: bytes) -> bool:
    """Whether the file is for the loader at all."""
    return data.startswith(MAGIC)


def machine(data: bytes) -> str:
    """What a file that `is_elf` is compiled for, in words; `X86_64` and `ARM_64` where it is one of these."""
    width = {1: 32, 2: 64}.get(data[4] if len(data) > 4 else 0, 0)
    number = int.from_bytes(data[18:20], "big" if data[5:6] == b"\2" else "little")
    return f"{width}-bit {_MACHINES.get(number, f'machine {number}')}"


def needs(data: bytes, *, name: str) -> Needs:
    """Reads the dynamic section.

    Raises:
        Malformed: no 64-bit little-endian ELF file, or one that points outside itself.
    """
    if not is_elf(data) or data[4:6] != _LITTLE_64:
        raise Malformed("is no 64-bit little-endian ELF file", field=name, offset=0)
    loads, dynamic, interpreter = [], b"", ""
    for kind, offset, address, size in _segments(data, name):
        if kind == _PT_LOAD:
            loads.append((address, offset, size))
        elif kind == _PT_DYNAMIC:
            dynamic = Reader(data[offset:]).take(size, name)
        elif kind == _PT_INTERP:
            interpreter = _text(data, offset, name)
    tags = [
        (
            int.from_bytes(dynamic[i : i + 8], "little"),
            int.from_bytes(dynamic[i + 8 : i + 16], "little"),
        )
        for i in range(0, len(dynamic) - 15, 16)
    ]
    strings = next((value for tag, value in tags if tag == _DT_STRTAB), None)
    if strings is None:
        return Needs(libraries=(), search=(), interpreter=interpreter)
    table = next((o + strings - a for a, o, s in loads if a <= strings < a + s), None)
    if table is None:
        raise Malformed("has its names outside the file", field=name)
    texts = {
        wanted: [_text(data, table + value, name) for tag, value in tags if tag == wanted]
        for wanted in (_DT_NEEDED, _DT_RPATH, _DT_RUNPATH)
    }
    paths = [*texts[_DT_RPATH], *texts[_DT_RUNPATH]]
    return Needs(
        libraries=tuple(texts[_DT_NEEDED]),
        search=tuple(folder for path in paths for folder in path.split(":") if folder),
        interpreter=interpreter,
    )


def _segments(data: bytes, name: str) -> list[tuple[int, int, int, int]]:
    """(type, file offset, address, size in file) of each program header."""
    table = int.from_bytes(data[32:40], "little")
    size, count = int.from_bytes(data[54:56], "little"), int.from_bytes(data[56:58], "little")
    if size != 56 or table > len(data):
        raise Malformed("has no table of segments", field=name, offset=32)
    reader = Reader(data[table:], base=table)
    found = []
    for _ in range(count):
        row = reader.take(size, name)
        kind = int.from_bytes(row[:4], "little")
        offset, address = int.from_bytes(row[8:16], "little"), int.from_bytes(row[16:24], "little")
        found.append((kind, offset, address, int.from_bytes(row[32:40], "little")))
    return found


def _text(data: bytes, offset: int, name: str) -> str:
    end = data.find(b"\0", offset, offset + _MOST)
    if end < 0:
        raise Malformed("has a name without an end", field=name, offset=offset)
    return data[offset:end].decode("utf-8", "replace")
