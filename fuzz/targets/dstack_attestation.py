"""dstack's versioned attestations, SCALE and MessagePack: read, and their logs replayed."""

from collections.abc import Iterable
from datetime import UTC, datetime

from fuzz.target import Target, attempt, must
from troth.channel.services.simulate import dstack as simulated
from troth.channel.services.simulate.dstack_guest import DstackGuest
from troth.platforms.tdx import dstack, dstack_attestation

DATA = bytes(range(64))


def _run(data: bytes) -> None:
    found = dstack_attestation.read(data)
    must((found.log is not None) == found.kind.endswith("tdx"), "a log of no register")
    if found.log is not None:
        attempt(dstack.replay, found.log)


def _seeds() -> Iterable[bytes]:
    guest = DstackGuest.create(datetime(2026, 11, 1, tzinfo=UTC), form=3)
    entries, quote = list(guest.entries), b"a quote, which is read elsewhere"
    yield simulated.version_0(quote, entries, DATA)
    yield simulated.version_0(quote, [], DATA)
    yield simulated.version_1(guest, quote, entries, DATA)
    yield simulated.packed(
        {
            "version": 1,
            "platform": {"kind": "sev-snp", "data": {"report": b"report", "mr_config": "{}"}},
            "stack": {
                "kind": "dstack-pod",
                "data": {"report_data": DATA, "runtime_events": [], "config": "{}"},
            },
        }
    )


TARGET = Target(
    run=_run,
    seeds=_seeds,
    words=(b"\xa7version\x01", b"\xa4kind", b"\xa4data", b"\xdc\0\x10", b"\xc4\x20", b"\0\0"),
)
