"""What is every field of a report, for somebody who has never seen one? For `inspect`; never a verdict."""

from collections.abc import Iterable, Iterator
from typing import Final

from troth.platforms.nvidia import device
from troth.platforms.nvidia.format import OFF, ON, Document, Field, Kind, parse

_MEANINGS: Final = {
    Field.DRIVER_VERSION: "version of the driver",
    Field.GPU_INFO: "vendor-specific",
    Field.VBIOS_VERSION: "version of the VBIOS",
    Field.NVDEC0_STATUS: "video decoder; off: measurement 35 is not compared",
    Field.MSRSCNT: "how often each measurement was extended, 32 bits each",
    Field.CPR_INFO: "vendor-specific",
    Field.BOARD_ID: "board",
    Field.CHIP_SKU: "variant of the chip",
    Field.CHIP_SKU_MOD: "modification of that variant",
    Field.PROJECT: "project, for the name of the VBIOS' RIM document",
    Field.PROJECT_SKU: "variant of the project",
    Field.PROJECT_SKU_MOD: "modification of that variant",
    Field.FWID: "digest of the firmware that made the signing key; also in the leaf certificate",
    Field.PROTECTED_PCIE_STATUS: "protected PCIe: GPUs and switches trust each other, NVLink is clear",
    Field.PDI: "switches at the links of this GPU, 8 bytes each",
    Field.FLOORSWEPT_PORTS: "ports that are not there",
    Field.POSITION_ID: "place of the switch",
    Field.LOCK_SWITCH_STATUS: "whether the switch's configuration is locked",
    Field.SWITCH_GPU_PDIS: "GPUs at the ports of this switch, 8 bytes each",
    Field.GPU_LINK_CONN: "links",
    Field.SYS_ENABLE_STATUS: "vendor-specific",
    Field.OPAQUE_DATA_VERSION: "version of these fields",
    Field.CHIP_INFO: "chip, for the name of the driver's RIM document",
    Field.FEATURE_FLAG: "mode: 0 one GPU (SPT), 1 several (MPT), 2 protected PCIe (PPCIE)",
}
_TEXT: Final = frozenset(
    {
        Field.CHIP_SKU,
        Field.CHIP_SKU_MOD,
        Field.PROJECT,
        Field.PROJECT_SKU,
        Field.PROJECT_SKU_MOD,
        Field.CHIP_INFO,
    }
)
_STATUS: Final = {ON: "on", OFF: "off"}


def fields(data: bytes) -> Iterable[tuple[str, str]]:
    """Every field: its value in words where it has any, its bytes and its meaning.

    Raises:
        Malformed: as `format.parse`.
    """
    document = parse(data)
    yield "device", f"{document.kind}, {device.architecture(document) or 'no certificates'}"
    yield "nonce", f"{document.nonce.hex()}  [the verifier's, from the request]"
    for index, value in enumerate(document.measurements):
        yield f"measurement[{index}]", value.hex()
    yield "responder_nonce", f"{document.responder_nonce.hex()}  [the device's own]"
    yield from _opaque(document)
    yield "signature", f"{document.signature.hex()}  [r and s, over all before; not checked here]"
    for index, certificate in enumerate(document.chain):
        yield f"certificate[{index}]", certificate.der.hex()


def _opaque(document: Document) -> Iterator[tuple[str, str]]:
    for kind, value in document.opaque.items():
        if kind not in _MEANINGS:
            yield f"opaque[{kind}]", f"{value.hex()}  [a field that troth does not know]"
            continue
        field = Field(kind)
        meaning = _MEANINGS[field]
        if field is Field.PDI and document.kind is Kind.SWITCH:
            meaning = "this switch"
        said = _said(document, field, value)
        yield field.name.lower(), f"{f'{said} = ' if said else ''}{value.hex()}  [{meaning}]"


def _said(document: Document, field: Field, value: bytes) -> str:
    if field is Field.DRIVER_VERSION:
        return document.driver_version
    if field is Field.VBIOS_VERSION:
        return document.vbios_version
    if field in _TEXT:
        return document.word(field)
    if field in (Field.NVDEC0_STATUS, Field.PROTECTED_PCIE_STATUS):
        return _STATUS.get(value, "neither on nor off")
    if field in (Field.OPAQUE_DATA_VERSION, Field.FEATURE_FLAG):
        return str(int.from_bytes(value, "little"))
    return ""
