"""The ACPI table CCEL, as it comes and with the checksum that an attacker would give it."""

from collections.abc import Iterable

from tests.platforms.tdx.make_log import ccel_table

from fuzz.target import Target, attempt
from fuzz.vectors import vectors
from troth.wire import ccel

_CHECKSUM = 9


def _run(data: bytes) -> None:
    attempt(ccel.read, data)
    if len(data) > _CHECKSUM:
        sealed = bytearray(data)
        sealed[_CHECKSUM] = (sealed[_CHECKSUM] - sum(data)) % 256
        ccel.read(bytes(sealed))


def _seeds() -> Iterable[bytes]:
    yield ccel_table()
    yield from vectors("tdx/eventlog/*ccel_table.bin")


TARGET = Target(run=_run, seeds=_seeds, longest=80)
