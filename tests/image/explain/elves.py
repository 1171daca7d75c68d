"""Small ELF files with sections: enough to be taken apart by name."""

import struct


def file(sections: dict[str, bytes]) -> bytes:
    """A file whose sections hold these; code and segments it has none."""
    names = {"": b"", **sections, ".shstrtab": b""}
    strings, at = b"", {}
    for name in names:
        at[name] = len(strings)
        strings += name.encode() + b"\0"
    names[".shstrtab"] = strings
    body, rows, offset = b"", b"", 64
    for name, data in names.items():
        kind = 0 if not name else 1
        rows += struct.pack("<IIQQQQIIQQ", at[name], kind, 0, 0, offset, len(data), 0, 0, 1, 0)
        body += data
        offset += len(data)
    head = b"\x7fELF\2\1\1" + bytes(9)
    head += struct.pack(
        "<HHIQQQIHHHHHH",
        3,
        62,
        1,
        0,
        0,
        64 + len(body),
        0,
        64,
        56,
        0,
        64,
        len(names),
        len(names) - 1,
    )
    return head + body + rows


def note(identity: bytes) -> bytes:
    """What a linker writes as its build-id."""
    return struct.pack("<III", 4, len(identity), 3) + b"GNU\0" + identity
