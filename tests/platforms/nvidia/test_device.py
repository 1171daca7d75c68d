"""What a leaf says of its firmware, in TCG's two forms: every other form is refused by name."""

from dataclasses import replace

import pytest
from tests.wire.der import der as tlv

from troth.errors import Malformed
from troth.platforms.nvidia import device
from troth.platforms.nvidia.device import FWID, TCB_INFO
from troth.platforms.nvidia.simulate import Device
from troth.wire import x509

SHA384 = bytes.fromhex("0609608648016503040202")
KEY = tlv(0x30, b"")
VERSION = tlv(0x02, b"\1")


def digest(value: bytes = b"\xf1" * 48, *, behind: bytes = b"", algorithm: bytes = SHA384) -> bytes:
    return tlv(0x30, algorithm + tlv(0x04, value) + behind)


def info(*members: bytes, behind: bytes = b"") -> bytes:
    return tlv(0x30, b"".join(members)) + behind


FWIDS = tlv(0xA6, digest())
FLAGS = tlv(0x87, b"\0\x10\0\0\0")


@pytest.fixture
def leaf(hopper: Device) -> x509.Certificate:
    return replace(x509.read(hopper.leaf.der), extensions={})


def test_both_forms_say_the_digest(leaf: x509.Certificate) -> None:
    old = replace(leaf, extensions={FWID: tlv(0x30, VERSION + KEY + digest())})
    new = replace(leaf, extensions={TCB_INFO: info(FWIDS, FLAGS)})
    assert device.fwid(old) == device.fwid(new) == b"\xf1" * 48
    assert device.fwid(leaf) is None
    assert (device.debug(old), device.debug(new), device.debug(leaf)) == (False, True, False)
    assert not device.debug(replace(leaf, extensions={TCB_INFO: info(FWIDS)}))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (tlv(0x30, VERSION + KEY + digest()) + b"\0", "FWID at byte .*bytes follow"),
        (tlv(0x30, VERSION + KEY + digest(bytes(47))), "is not 48 bytes"),
        (tlv(0x30, VERSION + KEY + digest(bytes(49))), "is not 48 bytes"),
        (tlv(0x30, VERSION + KEY + digest(behind=b"\5\0")), "is not 48 bytes"),
        (tlv(0x30, VERSION + KEY + digest(algorithm=SHA384[:-1] + b"\1")), "is no SHA-384"),
        (tlv(0x30, VERSION + digest()), "FWID"),
        (b"", "FWID"),
    ],
)
def test_the_older_form(leaf: x509.Certificate, value: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        device.fwid(replace(leaf, extensions={FWID: value}))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (info(FWIDS, behind=b"\0"), "bytes follow"),
        (info(FLAGS), "has no fwids"),
        (info(), "has no fwids"),
        (info(FWIDS, FWIDS), "has members out of order"),
        (info(FLAGS, FWIDS), "has members out of order"),
        (info(tlv(0xA6, digest(bytes(20)))), "is not 48 bytes"),
    ],
)
def test_the_newer_form(leaf: x509.Certificate, value: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        device.fwid(replace(leaf, extensions={TCB_INFO: value}))


@pytest.mark.parametrize("bits", [b"\0", b"\0\x10", b"\0\x10\0\0\0\0", b"\1\x10\0\0\0"])
def test_flags_are_32_bits(leaf: x509.Certificate, bits: bytes) -> None:
    with pytest.raises(Malformed, match="is no 32 bits"):
        device.debug(replace(leaf, extensions={TCB_INFO: info(FWIDS, tlv(0x87, bits))}))
