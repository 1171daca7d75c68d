"""Keys and notes that tests of logs are about."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.crypto import naive_merkle as naive

from troth.crypto import merkle
from troth.errors import Unavailable
from troth.tlog import checkpoint
from troth.tlog import note as notes
from troth.tlog.checkpoint import Checkpoint
from troth.tlog.log import Cosign, Log
from troth.tlog.note import Kind, Note, Signature, VerifierKey
from troth.tlog.read import Reader
from troth.tlog.signer import SigningKey

LOG = SigningKey.generate("example.com/log")
WITNESSES = tuple(SigningKey.generate(f"witness.example/{n}", Kind.COSIGNATURE) for n in range(3))
AT = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp())


def note(text: str, *keys: SigningKey, times: tuple[int, ...] = (AT,)) -> bytes:
    """A note with a signature of each key; of witnesses one for each time."""
    signatures = tuple(
        key.sign(text, time=time)
        for key in keys
        for time in (times if key.verifier.kind is Kind.COSIGNATURE else (None,))
    )
    return Note(text=text, signatures=signatures).encode()


def opened(data: bytes, log: VerifierKey = LOG.verifier) -> Checkpoint:
    return checkpoint.opened(data, log=log).checkpoint


def entries(size: int, start: int = 0) -> list[bytes]:
    return [b"entry %d" % index for index in range(start, start + size)]


def log(folder: Path, *sizes: int, key: SigningKey = LOG) -> tuple[Reader, Checkpoint]:
    """A log that grew in these steps, closed, with its newest checkpoint."""
    with Log.create(folder, key) as new:
        for size in sizes:
            new.append(entries(size, new.pending.size))
        return new.reader, new.published


def cosigner(*witnesses: SigningKey, at: int = AT, seen: list[int] | None = None) -> Cosign:
    """Witnesses that check what they are shown, and sign."""

    def cosign(
        data: bytes, old_size: int, proof: Callable[[int], tuple[bytes, ...]]
    ) -> Sequence[Signature]:
        shown = opened(data)
        everyone = entries(shown.size)
        for old in {0, old_size, shown.size // 2, shown.size}:
            before = naive.tree(everyone[:old])
            assert merkle.consistent(old, before, shown.size, shown.root, proof(old)) == ""
        if seen is not None:
            seen.append(old_size)
        text = notes.parse(data).text
        return [witness.sign(text, time=at) for witness in witnesses]

    return cosign


def unavailable(*_: object) -> Sequence[Signature]:
    raise Unavailable("two witnesses are needed, one answered")
