"""UEFI's structures inside events."""

import base64
import json
import re
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.tdx.make_log import u64, variable

from troth.errors import Malformed
from troth.wire import efi

END = b"\x7f\xff\x04\0"


def node(kind: int, subtype: int, body: bytes) -> bytes:
    return bytes([kind, subtype]) + (len(body) + 4).to_bytes(2, "little") + body


def _theirs(text: str) -> str:
    """The other reader writes small numbers in decimal, and a Pci node's function first."""
    if match := re.fullmatch(r"Pci\(0x(\w+),0x(\w+)\)", text):
        return f"Pci({match[2]},{match[1]})"
    return text.replace(",0x0)", ",0)") if text.startswith("ACPI") else text


@pytest.mark.parametrize("name", ["trustee-ovmf", "trustee-grub"])
def test_real_structures_as_another_reader_has_them(vectors: Path, name: str) -> None:
    expected = json.loads((vectors / f"tdx/eventlog/{name}.expected.json").read_text())
    seen = 0
    for row in expected["uefi_event_logs"]:
        data, details = base64.b64decode(row["event"]), row["details"]
        if "unicode_name" in details:
            found = efi.variable(data)
            assert found.name == details["unicode_name"]
            assert found.data == base64.b64decode(details["variable_data"])
            # The other reader shows a GUID's bytes in the order of memory.
            assert found.vendor.bytes_le.hex() == details["variable_name"].replace("-", "")
            seen += 1
        elif row["type_name"] == "EV_EFI_BOOT_SERVICES_APPLICATION":
            assert [_theirs(text) for text in efi.image(data).path] == [
                text.replace(",)", ")") for text in details.get("device_paths", [])
            ]
            seen += 1
    assert seen >= 8


def test_nodes_in_words() -> None:
    guid = uuid.UUID("14ad42d0-270b-444e-aeb5-3918a5a94d9b")
    path = (
        node(2, 1, bytes.fromhex("d041030a00000000"))
        + node(2, 1, bytes(8))
        + node(1, 1, b"\0\4")
        + node(3, 23, b"\1\0\0\0" + bytes(range(8)))
        + node(4, 1, bytes(36) + b"\1\1")
        + node(4, 6, guid.bytes_le)
        + node(4, 7, guid.bytes_le)
        + node(9, 9, b"\xaa")
    )
    assert efi.device_path(path + END) == (
        "ACPI(PNP0A03,0x0)",
        "ACPI(0x00000000,0x0)",
        "Pci(0x4,0x0)",
        "NVMe(0x1,07-06-05-04-03-02-01-00)",
        f"HD(0,1,{'00' * 16},0x0,0x0)",
        f"FvFile({str(guid).upper()})",
        f"Fv({str(guid).upper()})",
        "Path(9,9,aa)",
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        END + b"\0",
        node(1, 1, b"\0\4"),
        b"\1\1\3\0" + END,
        b"\1\1\xff\xff" + END,
        node(4, 4, b"\0\xd8") + END,  # half a surrogate pair
        node(4, 4, b"a") + END,
        65 * node(1, 1, b"\0\4") + END,
    ],
    ids=range(8),
)
def test_bad_device_paths(data: bytes) -> None:
    with pytest.raises(Malformed):
        efi.device_path(data)
    with pytest.raises(Malformed):
        efi.image(bytes(24) + u64(len(data) or 1) + data)


def test_node_too_short_to_hold_its_own_length() -> None:
    for length in range(4):
        with pytest.raises(Malformed, match="at least 4"):
            efi.device_path(bytes([1, 1, length, 0]) + END)


def test_bad_variables() -> None:
    good = variable("SecureBoot", b"\1")
    assert efi.variable(good) == efi.Variable(vendor=efi.GLOBAL, name="SecureBoot", data=b"\1")
    for size in range(len(good)):
        with pytest.raises(Malformed):
            efi.variable(good[:size])
    for bad in (
        good + b"\0",
        good[:16] + u64(2**63) + good[24:],
        good[:24] + u64(2**64 - 1) + good[32:],
        good[:32] + b"\0\xd8" + good[34:],
    ):
        with pytest.raises(Malformed):
            efi.variable(bad)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (efi.variable, efi.image, efi.device_path):
        try:
            read(data)
        except Malformed:
            pass
