"""A log as a server that lies has it: whatever its files are, no entry but the true ones is given out."""

from collections.abc import Iterable

from fuzz.target import Target, must
from troth.crypto import merkle
from troth.errors import Malformed, Unavailable
from troth.tlog import tiles
from troth.tlog.checkpoint import Checkpoint
from troth.tlog.read import Reader

ENTRIES = tuple(b"entry %d" % index for index in range(260))
DIGESTS = tuple(map(merkle.leaf, ENTRIES))
STATE = Checkpoint(origin="example.com/log", size=len(ENTRIES), root=merkle.root(DIGESTS))
FULL = merkle.root(DIGESTS[:256])
# What the mutants are of; the rest of the log is as it should be.
BENT = ("tile/entries/001.p/4", "tile/0/001.p/4", "tile/1/000.p/1", "tile/0/000")
FILES = {
    "tile/entries/001.p/4": tiles.pack(ENTRIES[256:]),
    "tile/0/001.p/4": b"".join(DIGESTS[256:]),
    "tile/1/000.p/1": FULL,
    "tile/0/000": b"".join(DIGESTS[:256]),
    "tile/entries/000": tiles.pack(ENTRIES[:256]),
}
LENGTH = 2  # of a length, before each file but the last


def _run(data: bytes) -> None:
    files = dict(FILES)
    for name in BENT[:-1]:
        size = int.from_bytes(data[:LENGTH], "big")
        files[name], data = data[LENGTH : LENGTH + size], data[LENGTH + size :]
    files[BENT[-1]] = data

    def fetch(path: str) -> bytes:
        if path not in files:
            raise Unavailable(path)
        return files[path]

    for index in (3, 258):
        try:
            reader = Reader(fetch)
            entry, proof = reader.entry(index, STATE), reader.inclusion(index, STATE)
        except (Malformed, Unavailable):
            continue
        must(entry == ENTRIES[index], "an entry was given out that the log has not")
        wrong = merkle.included(DIGESTS[index], index, STATE.size, proof, STATE.root)
        must(not wrong, "a proof was given out that proves nothing")


def _seeds() -> Iterable[bytes]:
    *parts, last = (FILES[name] for name in BENT)
    yield b"".join(len(part).to_bytes(LENGTH, "big") + part for part in parts) + last


TARGET = Target(run=_run, seeds=_seeds, words=(FULL, DIGESTS[256], b"entry ", b"\x00\x09"))
