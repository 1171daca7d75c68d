"""What do UEFI's structures inside events say? Variables, loaded images, device paths.

Sources: TCG PC Client Platform Firmware Profile 1.05, section 10.2 (`UEFI_VARIABLE_DATA`,
`UEFI_IMAGE_LOAD_EVENT`); UEFI 2.10, section 10 (device paths and their text form). Text made here is
for people: of the node types only those that firmware of confidential guests uses are spelled out.
"""

import uuid
from dataclasses import dataclass
from typing import Final

from troth.errors import Malformed
from troth.wire.reader import Reader

GLOBAL: Final = uuid.UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")
"""The namespace of UEFI's own variables."""
_END: Final = (0x7F, 0xFF)
_PNP: Final = 0x41D0  # the EISA id of "PNP", low half of a HID
_MAX_NODES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """`UEFI_VARIABLE_DATA`: a firmware variable as it was measured.

    Attributes:
        vendor: the namespace of the name.
        name: the variable's name.
        data: its value.
    """

    vendor: uuid.UUID
    name: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """`UEFI_IMAGE_LOAD_EVENT`: a program that firmware loaded.

    Attributes:
        address: where it was loaded in memory.
        size: its size in memory.
        path: where it came from, one text per node of the device path; empty if not said.
    """

    address: int
    size: int
    path: tuple[str, ...]


def variable(data: bytes) -> Variable:
    """Reads `UEFI_VARIABLE_DATA`: vendor GUID, both lengths as u64, name in UTF-16, value.

    Raises:
        Malformed: lengths that do not add up, or a name that is not UTF-16.
    """
    reader = Reader(data)
    vendor = uuid.UUID(bytes_le=reader.take(16, "variable's vendor"))
    characters = reader.uint(8, "variable's name length", "little")
    size = reader.uint(8, "variable's data length", "little")
    name = _utf16(reader.take(2 * characters, "variable's name"), "variable's name")
    value = reader.take(size, "variable's data")
    reader.end("variable")
    return Variable(vendor=vendor, name=name, data=value)


def image(data: bytes) -> Image:
    """Reads `UEFI_IMAGE_LOAD_EVENT`: address, size, link-time address, device path with its length.

    Raises:
        Malformed: lengths that do not add up, or a device path that is none.
    """
    reader = Reader(data)
    address = reader.uint(8, "image's address", "little")
    size = reader.uint(8, "image's size", "little")
    reader.uint(8, "image's link-time address", "little")
    length = reader.uint(8, "device path's length", "little")
    path = reader.take(length, "device path")
    reader.end("image")
    return Image(address=address, size=size, path=device_path(path) if path else ())


def device_path(data: bytes) -> tuple[str, ...]:
    """The nodes of a device path as text, without the end node.

    Raises:
        Malformed: a node's length is impossible, or no end node closes the path exactly.
    """
    reader = Reader(data)
    nodes: list[str] = []
    while len(nodes) < _MAX_NODES:
        where = reader.offset
        kind = (reader.uint(1, "node type"), reader.uint(1, "node subtype"))
        length = reader.uint(2, "node length", "little")
        if length < 4:
            raise Malformed(f"is {length}, at least 4", field="node length", offset=where + 2)
        body = reader.take(length - 4, "node")
        if kind == _END:
            reader.end("device path")
            return tuple(nodes)
        nodes.append(_node(kind, body))
    raise Malformed(f"has more than {_MAX_NODES} nodes", field="device path")


def _node(kind: tuple[int, int], body: bytes) -> str:
    match kind, len(body):
        case (1, 1), 2:
            return f"Pci({body[1]:#x},{body[0]:#x})"
        case (2, 1), 8:
            return _acpi(body)
        case (3, 23), 12:
            namespace = int.from_bytes(body[:4], "little")
            return f"NVMe({namespace:#x},{'-'.join(f'{byte:02X}' for byte in body[:3:-1])})"
        case (4, 1), 38:
            return _hard_drive(body)
        case (4, 3), size if size >= 16:
            return f"VenMedia({_guid(body[:16])})"
        case (4, 4), _:
            return f"File({_utf16(body, 'file path').rstrip(chr(0))})"
        case (4, 6), 16:
            return f"FvFile({_guid(body)})"
        case (4, 7), 16:
            return f"Fv({_guid(body)})"
        case _:
            return f"Path({kind[0]},{kind[1]},{body[:64].hex()})"


def _acpi(body: bytes) -> str:
    hid, uid = int.from_bytes(body[:4], "little"), int.from_bytes(body[4:], "little")
    if hid & 0xFFFF == _PNP:
        return f"ACPI(PNP{hid >> 16:04X},{uid:#x})"
    return f"ACPI({hid:#010x},{uid:#x})"


def _hard_drive(body: bytes) -> str:
    number, start, size = (
        int.from_bytes(part, "little") for part in (body[:4], body[4:12], body[12:20])
    )
    signature, form, how = body[20:36], body[36], body[37]
    if (form, how) == (2, 2):
        return f"HD({number},GPT,{_guid(signature)},{start:#x},{size:#x})"
    return f"HD({number},{form},{signature.hex()},{start:#x},{size:#x})"


def _guid(data: bytes) -> str:
    return str(uuid.UUID(bytes_le=data)).upper()


def _utf16(data: bytes, field: str) -> str:
    try:
        return data.decode("utf-16-le")
    except UnicodeDecodeError:
        raise Malformed("is not UTF-16", field=field) from None
