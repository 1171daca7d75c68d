"""A whole log in one file: one encoding, and opened or refused by our own errors."""

from collections.abc import Iterable

from fuzz.target import Target, same
from troth.crypto import merkle
from troth.tlog import snapshot
from troth.tlog.checkpoint import Checkpoint
from troth.tlog.note import Kind, Note
from troth.tlog.signer import SigningKey
from troth.tlog.snapshot import Snapshot

_LOG = SigningKey.generate("example.com/log")
_WITNESS = SigningKey.generate("witness.example", Kind.COSIGNATURE)


def _run(data: bytes) -> None:
    same(snapshot.pack(snapshot.unpack(data)), data, "a log written again")
    snapshot.opened(data, log=_LOG.verifier, witnesses=(_WITNESS.verifier,))


def _note(entries: list[bytes]) -> bytes:
    root = merkle.root(map(merkle.leaf, entries))
    text = Checkpoint(origin="example.com/log", size=len(entries), root=root).text()
    signatures = (_LOG.sign(text), _WITNESS.sign(text, time=1_700_000_000))
    return Note(text=text, signatures=signatures).encode()


def _seeds() -> Iterable[bytes]:
    entries = [b"one", b"two", b""]
    older = tuple(_note(entries[:size]) for size in range(3))
    for count in (0, 1, 3):
        yield snapshot.pack(
            Snapshot(checkpoint=_note(entries), older=older[:count], entries=tuple(entries))
        )


TARGET = Target(run=_run, seeds=_seeds, words=(b"\x67entries", b"\x80", b"\x9a\xff\xff\xff\xff"))
