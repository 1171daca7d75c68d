"""Boot logs of TPMs, in both forms, replayed in every bank."""

from collections.abc import Iterable
from functools import partial

from tests.platforms.tpm import made

from fuzz.target import Target, attempt
from fuzz.vectors import vectors
from troth.platforms._tcg import Replay
from troth.platforms.tpm import log


def _run(data: bytes) -> None:
    for replay in log.banks(data).values():
        attempt(partial(_said, replay), data)


def _said(replay: Replay, _: bytes) -> object:
    return log.said(replay)


def _seeds() -> Iterable[bytes]:
    yield made.booted().log()
    yield (0).to_bytes(4, "little") + (8).to_bytes(4, "little") + bytes(24)
    yield from vectors("tpm/eventlog/*.bin")
    yield from vectors("tpm/eventlog/go-attestation/*_eventlog")


TARGET = Target(
    run=_run,
    seeds=_seeds,
    longest=64 * 1024,
    words=(b"Spec ID Event03\0", b"StartupLocality\0\3", b"\x0b\0", b"\x04\0"),
)
