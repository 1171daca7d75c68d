"""Which device is this, by its certificates? Names and extensions; nothing is checked against a key.

The leaf is made by the device itself when it starts (DICE), and names the firmware that it started with
(FWID): Hopper and LS10 in TCG's older extension, Blackwell in DiceTcbInfo.
"""

import re
from collections.abc import Iterator
from typing import Final

from troth.errors import Malformed
from troth.platforms.nvidia.format import Document, Kind
from troth.wire import x509
from troth.wire.der import INTEGER, SEQUENCE, span
from troth.wire.x509 import Certificate

HOPPER: Final = "hopper"
BLACKWELL: Final = "blackwell"
LS10: Final = "ls10"
ARCHITECTURES: Final = {HOPPER: Kind.GPU, BLACKWELL: Kind.GPU, LS10: Kind.SWITCH}
"""Architecture to the kind of its devices."""

DEPTH: Final = 5
# TCG DICE: 2.23.133.5.4.1, and 2.23.133.5.4.1.1 (DiceTcbInfo).
FWID: Final = bytes.fromhex("678105050401")
TCB_INFO: Final = bytes.fromhex("67810505040101")
_SHA384: Final = bytes.fromhex("0609608648016503040202")
_OCTET_STRING: Final = 0x04
_FWIDS: Final = 0xA6
_FLAGS: Final = 0x87
_DEBUG: Final = 0x10000000

_LEAF: Final = re.compile(r"(GH\d{3}|GB\d{3}|LS_10) [A-Z]\d{2} (?:GSP|FSP) FMC LF")
_DEVICE: Final = re.compile(r"(GH\d{3}|GB\d{3}|LS_10) [A-Z]\d{2} (?:GSP|FSP) BROM")
_PROVISIONER: Final = re.compile(r"NVIDIA (GH\d{3}|GB\d{3}|LS_10) Provisioner ICA \d{1,8}")
_IDENTITY: Final = re.compile(r"NVIDIA (GH\d{3}|GB\d{3}|LS_10) Identity")
_ROLES: Final = (_LEAF, _DEVICE, _PROVISIONER, _IDENTITY)


def architecture(document: Document) -> str:
    """What the leaf says that it is; empty where it says none, or none that troth knows."""
    return _of(document.chain[0], _LEAF) if document.chain else ""


def chip(document: Document) -> str:
    """The chip that the leaf names, as RIM documents write it, such as `GH100` or `LS10`; or empty."""
    match = _LEAF.fullmatch(x509.common_name(document.chain[0].subject)) if document.chain else None
    return match[1].replace("_", "") if match else ""


def misfits(document: Document) -> list[str]:
    """Where certificates and report are not of one kind of device, in words.

    The switch LS10 has no identity authority of its own: Hopper's issues for it.
    """
    found = architecture(document)
    if not found:
        return [f"{x509.common_name(document.chain[0].subject)!r} is no device that troth knows"]
    wrong = []
    if ARCHITECTURES[found] is not document.kind:
        wrong.append(f"the report is a {document.kind}'s, the certificate {found}'s")
    for certificate, role in zip(document.chain[1:], _ROLES[1:], strict=False):
        other = _of(certificate, role)
        if other != found and not (role is _IDENTITY and (found, other) == (LS10, HOPPER)):
            wrong.append(f"{x509.common_name(certificate.subject)!r} is not of {found} in its role")
    return wrong


def fwid(leaf: Certificate) -> bytes | None:
    """The firmware's digest that the leaf names; None where it names none.

    Raises:
        Malformed: the extension is not in TCG's form, or there are both.
    """
    old, new = (leaf.extensions.get(oid) for oid in (FWID, TCB_INFO))
    if old is not None and new is not None:
        raise Malformed("is named in two forms", field="FWID")
    if old is not None:
        return _composite(old)
    if new is not None:
        start, end = _tagged(new)[_FWIDS]
        return _digest(new, start, end)
    return None


def debug(leaf: Certificate) -> bool:
    """Whether DiceTcbInfo says that the firmware was started for debugging; only Blackwell has it.

    Raises:
        Malformed: the extension is not in TCG's form.
    """
    extension = leaf.extensions.get(TCB_INFO)
    if extension is None:
        return False
    start, end = _tagged(extension).get(_FLAGS, (0, 0))
    bits = extension[start:end]
    if bits and (len(bits) != 5 or bits[0] != 0):
        raise Malformed("is no 32 bits", field="DiceTcbInfo.flags")
    return bool(int.from_bytes(bits[1:], "big") & _DEBUG)


def _composite(value: bytes) -> bytes:
    """SEQUENCE { version, SubjectPublicKeyInfo, fwid }."""
    start, end = span(value, 0, len(value), "FWID", SEQUENCE)
    _, at = span(value, start, end, "FWID.version", INTEGER)
    _, at = span(value, at, end, "FWID.deviceID", SEQUENCE)
    digest = _digest(value, at, end)
    if end != len(value):
        raise Malformed("bytes follow", field="FWID", offset=end)
    return digest


def _digest(value: bytes, at: int, end: int) -> bytes:
    """The first SEQUENCE { SHA-384, OCTET STRING }; only DiceTcbInfo may have others behind it."""
    start, stop = span(value, at, end, "FWID", SEQUENCE)
    middle = start + len(_SHA384)
    if value[start:middle] != _SHA384:
        raise Malformed("is no SHA-384", field="FWID", offset=start)
    begin, last = span(value, middle, stop, "FWID.digest", _OCTET_STRING)
    if last != stop or last - begin != 48:
        raise Malformed("is not 48 bytes", field="FWID.digest", offset=begin)
    return value[begin:last]


def _tagged(value: bytes) -> dict[int, tuple[int, int]]:
    """The members of DiceTcbInfo by their tags."""
    at, end = span(value, 0, len(value), "DiceTcbInfo", SEQUENCE)
    if end != len(value):
        raise Malformed("bytes follow", field="DiceTcbInfo", offset=end)
    found = dict(_members(value, at, end))
    if _FWIDS not in found:
        raise Malformed("has no fwids", field="DiceTcbInfo")
    return found


def _members(value: bytes, at: int, end: int) -> Iterator[tuple[int, tuple[int, int]]]:
    last = -1
    while at < end:
        tag = value[at]
        if tag & 0x1F <= last:
            raise Malformed("has members out of order", field="DiceTcbInfo", offset=at)
        last = tag & 0x1F
        start, at = span(value, at, end, "DiceTcbInfo")
        yield tag, (start, at)


def _of(certificate: Certificate, role: re.Pattern[str]) -> str:
    match = role.fullmatch(x509.common_name(certificate.subject))
    if match is None:
        return ""
    return {"GH": HOPPER, "GB": BLACKWELL, "LS": LS10}[match[1][:2]]
