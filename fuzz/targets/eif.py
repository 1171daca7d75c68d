"""Enclave images, as they come and with the CRC that an attacker would give them."""

import zlib
from collections.abc import Iterable

from fuzz.target import Target, attempt, same
from troth.platforms.nitro.measure import measure
from troth.wire import eif
from troth.wire.eif import Eif, Kind, Section

_CRC = slice(0x220, 0x224)


def _run(data: bytes) -> None:
    attempt(_whole, data)
    if len(data) >= _CRC.stop:
        crc = zlib.crc32(data[_CRC.stop :], zlib.crc32(data[: _CRC.start]))
        _whole(data[: _CRC.start] + crc.to_bytes(4, "big") + data[_CRC.stop :])


def _whole(data: bytes) -> None:
    found = eif.read(data)
    if found.version == eif.VERSION:
        same(eif.pack(found), data, "an image written again")
    attempt(lambda _: measure(found), data)


def _seeds() -> Iterable[bytes]:
    sections = (
        Section(kind=Kind.KERNEL, pieces=(b"kernel",)),
        Section(kind=Kind.COMMAND_LINE, pieces=(b"console=ttyS0",)),
        Section(kind=Kind.METADATA, pieces=(b"{}",)),
        Section(kind=Kind.RAMDISK, pieces=(b"first",)),
        Section(kind=Kind.RAMDISK, pieces=(b"second",)),
    )
    yield eif.pack(Eif(sections=sections, default_memory=1 << 30, default_cpus=2))
    signed = (*sections, Section(kind=Kind.SIGNATURE, pieces=(b"signed",)))
    yield eif.pack(Eif(sections=signed, flags=eif.FLAG_AARCH64))


TARGET = Target(run=_run, seeds=_seeds, longest=2048, words=(b".eif", b"\0" * 8, b"\0\3", b"\0\5"))
