"""Keys and notes that tests of logs are about."""

from datetime import UTC, datetime
from pathlib import Path

from troth.tlog import checkpoint
from troth.tlog.checkpoint import Checkpoint
from troth.tlog.log import Log
from troth.tlog.note import Kind, Note, VerifierKey
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
