"""Attacks on images by what two readers of one ramdisk see: ours, and a kernel's."""

import zlib
from stat import S_IFREG

import pytest

from troth.errors import Malformed
from troth.wire import cpio, ramdisk


def archive(content: bytes) -> bytes:
    return b"".join(cpio.pack([cpio.Entry(path="init", mode=S_IFREG | 0o755, data=content)]))


def as_a_kernel_unpacks(data: bytes) -> bytes:
    """Linux's lib/decompress_inflate.c: ten bytes of header, a name, and raw deflate at once."""
    at = 10
    if data[3] & 0x08:
        at = data.index(0, at) + 1
    return zlib.decompressobj(-15).decompress(data[at:])


def deflated(data: bytes) -> bytes:
    tool = zlib.compressobj(9, zlib.DEFLATED, -15)
    return tool.compress(data) + tool.flush()


def two_in_one(shown: bytes, booted: bytes) -> bytes:
    """A member of gzip whose extra field, for a kernel, is the compressed archive itself.

    The field's size, 0x4000, is for a kernel the beginning of a stored block of 64 bytes.
    """
    extra = b"\0" + (0xFFFF ^ 0x40).to_bytes(2, "little") + booted[:64] + deflated(booted[64:])
    size = (0x4000).to_bytes(2, "little")
    head = b"\x1f\x8b\x08\x04" + bytes(6) + size + extra.ljust(0x4000, b"\0")
    sums = zlib.crc32(shown).to_bytes(4, "little") + len(shown).to_bytes(4, "little")
    return head + deflated(shown) + sums


def test_an_archive_in_the_extra_field() -> None:
    shown, booted = archive(b"what is shown"), archive(b"what is booted")
    made = two_in_one(shown, booted)
    assert zlib.decompress(made, 31) == shown
    assert as_a_kernel_unpacks(made).startswith(booted)
    with pytest.raises(Malformed, match="header that kernels read otherwise"):
        ramdisk.read(made)


@pytest.mark.parametrize("flag", [0x02, 0x04, 0x10, 0x20, 0x80])
def test_parts_of_a_header_that_kernels_do_not_know(flag: int) -> None:
    made = bytearray(zlib.compress(archive(b"a"), wbits=31))
    made[3] |= flag
    with pytest.raises(Malformed):
        ramdisk.read(bytes(made))


def test_a_name_is_passed_over_by_both() -> None:
    plain = zlib.compress(archive(b"a"), wbits=31)
    named = plain[:3] + b"\x08" + plain[4:10] + b"ramdisk.cpio\0" + plain[10:]
    assert as_a_kernel_unpacks(named) == archive(b"a")
    assert [bytes(entry.data) for entry in ramdisk.read(named)] == [b"a"]
