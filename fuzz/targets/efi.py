"""UEFI's structures inside events: variables, images, device paths."""

from collections.abc import Iterable

from tests.platforms.tdx.make_log import u64, variable

from fuzz.target import Target, attempt, same
from fuzz.vectors import vectors
from troth.errors import Malformed
from troth.wire import efi, tcg

_END = b"\x7f\xff\x04\0"
_PCI = b"\x01\x01\x06\0\x00\x1f"
_FILE = b"\x04\x04\x0e\0" + "EFI\0\0".encode("utf-16-le")


def _run(data: bytes) -> None:
    attempt(_variable, data)
    attempt(efi.image, data)
    efi.device_path(data)


def _variable(data: bytes) -> None:
    found = efi.variable(data)
    same(variable(found.name, found.data, found.vendor)[24:], data[24:], "a variable written again")


def _seeds() -> Iterable[bytes]:
    path = _PCI + _FILE + _END
    yield path
    yield u64(1) + u64(2) + u64(3) + u64(len(path)) + path
    yield variable("SecureBoot", b"\1")
    for data in vectors("tdx/eventlog/*ccel_data.bin"):
        try:
            yield from (event.data for event in tcg.read(data).events)
        except Malformed:
            continue


TARGET = Target(run=_run, seeds=_seeds, longest=4096, words=(_END, _PCI, b"\x04\0", b"\x04\x04"))
