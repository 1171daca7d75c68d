"""What an ELF file needs at run time, and how it was hardened (System V ABI, 64-bit)."""

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
_MOST_TAGS: Final = 65536  # of a dynamic section; Debian's largest library has under 100
# What the GNU tool chain adds (Linux Standard Base, and glibc's elf.h).
_PT_GNU_STACK: Final = 0x6474E551
_PT_GNU_RELRO: Final = 0x6474E552
_DT_FLAGS_1: Final = 0x6FFFFFFB
_DF_1_PIE: Final = 0x08000000
_PF_X: Final = 1
_ET_REL: Final = 1
_ET_EXEC: Final = 2
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


_NOTHING: Final = Needs(libraries=(), search=(), interpreter="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """How a file was linked.

    Attributes:
        kind: `program`, `library`, or `object` for what is linked or loaded by something else, such as a
            kernel's module; of an object nothing else is said.
        needs: what the loader will look for.
        static: a program that needs no loader and no library.
        pie: it can stand at any address.
        relro: what the loader fills in is made read-only.
        executable_stack: it asks for a stack that code may run on, or does not say that it needs none.
    """

    kind: str
    needs: Needs
    static: bool = False
    pie: bool = True
    relro: bool = True
    executable_stack: bool = False


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
    return _dynamic(data, name)[0]


def traits(data: bytes, *, name: str) -> Traits:
    """How a file was linked; which of its code is ever run, nobody can read there.

    Raises:
        Malformed: as `needs`.
    """
    if data[4:6] == _LITTLE_64 and int.from_bytes(data[16:18], "little") == _ET_REL:
        return Traits(kind="object", needs=_NOTHING)
    found, flags = _dynamic(data, name)
    fixed = int.from_bytes(data[16:18], "little") == _ET_EXEC
    program = fixed or bool(found.interpreter or flags & _DF_1_PIE)
    stack = [flag for kind, flag in _flags(data) if kind == _PT_GNU_STACK]
    return Traits(
        kind="program" if program else "library",
        needs=found,
        static=program and not found.interpreter and not found.libraries,
        pie=not fixed,
        relro=any(kind == _PT_GNU_RELRO for kind, _ in _flags(data)),
        executable_stack=not stack or any(flag & _PF_X for flag in stack),
    )


def _flags(data: bytes) -> list[tuple[int, int]]:
    """Type and flags of each segment, of a file whose table `_segments` has read."""
    table, count = int.from_bytes(data[32:40], "little"), int.from_bytes(data[56:58], "little")
    rows = (data[at : at + 8] for at in range(table, table + 56 * count, 56))
    return [(int.from_bytes(r[:4], "little"), int.from_bytes(r[4:], "little")) for r in rows]


def _dynamic(data: bytes, name: str) -> tuple[Needs, int]:
    """What the dynamic section says, and its flags of the second kind."""
    if not is_elf(data) or data[4:6] != _LITTLE_64:
        raise Malformed("is no 64-bit little-endian ELF file", field=name, offset=0)
    loads, dynamic, interpreter = [], b"", ""
    for kind, offset, address, size in _segments(data, name):
        if kind == _PT_LOAD:
            loads.append((address, offset, size))
        elif kind == _PT_DYNAMIC:
            dynamic = Reader(data, at=offset).take(size, name)
        elif kind == _PT_INTERP:
            interpreter = _text(data, offset, name)
    tags = [
        (
            int.from_bytes(dynamic[i : i + 8], "little"),
            int.from_bytes(dynamic[i + 8 : i + 16], "little"),
        )
        for i in range(0, len(dynamic) - 15, 16)
    ]
    if len(tags) > _MOST_TAGS:
        raise Malformed(f"has more than {_MOST_TAGS} dynamic entries", field=name)
    flags = next((value for tag, value in tags if tag == _DT_FLAGS_1), 0)
    strings = next((value for tag, value in tags if tag == _DT_STRTAB), None)
    if strings is None:
        return Needs(libraries=(), search=(), interpreter=interpreter), flags
    table = next((o + strings - a for a, o, s in loads if a <= strings < a + s), None)
    if table is None:
        raise Malformed("has its names outside the file", field=name)
    texts = {
        wanted: [_text(data, table + value, name) for tag, value in tags if tag == wanted]
        for wanted in (_DT_NEEDED, _DT_RPATH, _DT_RUNPATH)
    }
    paths = [*texts[_DT_RPATH], *texts[_DT_RUNPATH]]
    found = Needs(
        libraries=tuple(texts[_DT_NEEDED]),
        search=tuple(folder for path in paths for folder in path.split(":") if folder),
        interpreter=interpreter,
    )
    return found, flags


def _segments(data: bytes, name: str) -> list[tuple[int, int, int, int]]:
    """(type, file offset, address, size in file) of each program header."""
    table = int.from_bytes(data[32:40], "little")
    size, count = int.from_bytes(data[54:56], "little"), int.from_bytes(data[56:58], "little")
    if size != 56 or table > len(data):
        raise Malformed("has no table of segments", field=name, offset=32)
    reader = Reader(data, at=table)
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
