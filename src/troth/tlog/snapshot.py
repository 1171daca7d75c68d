"""All that a verifier is given of a log, in one file: the checkpoint, earlier ones, and every entry.

Canonical CBOR, one encoding for each. With all entries at hand nothing can be left out in silence: they must
give the root that the log signed. The earlier checkpoints carry witnesses' times, and show since when an entry
is known.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from troth.crypto import merkle
from troth.errors import Malformed, Misuse
from troth.tlog import checkpoint, tiles
from troth.tlog import note as notes
from troth.tlog.checkpoint import Signed
from troth.tlog.note import VerifierKey
from troth.wire import cbor

SCHEMA: Final = "troth/log-snapshot/1"
MOST_BYTES: Final = 8 * 1024 * 1024
MOST_OLDER: Final = 512
MOST_ENTRIES: Final = 1 << 16
MOST_SIGNATURES: Final = 8192
_KEYS: Final = ("older", "schema", "entries", "checkpoint")
_LINE: Final = "\n— ".encode()
_T = TypeVar("_T")
_BEGIN: Final = b"\xa4\x65older"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A log as somebody handed it over; nothing says yet that the log signed it.

    Attributes:
        checkpoint: the newest, a signed note.
        older: earlier ones, the smallest first.
        entries: all.
    """

    checkpoint: bytes
    older: tuple[bytes, ...]
    entries: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A snapshot whose log signed it: its entries are all that the log has, in their order.

    Attributes:
        newest: the checkpoint.
        older: earlier ones, each of which is the beginning of the log.
        entries: all.
    """

    newest: Signed
    older: tuple[Signed, ...]
    entries: tuple[bytes, ...]


class Forked(Malformed):
    """Something that a log signed contradicts its entries, or something else that it signed."""


def looks_like(data: bytes) -> bool:
    """Whether these bytes begin as a snapshot does."""
    return data.startswith(_BEGIN)


def pack(snapshot: Snapshot) -> bytes:
    """The snapshot's one encoding.

    Raises:
        Misuse: it is larger than any that is read.
    """
    data = cbor.encode(
        {
            "schema": SCHEMA,
            "checkpoint": snapshot.checkpoint,
            "older": list(snapshot.older),
            "entries": list(snapshot.entries),
        }
    )
    if len(data) > MOST_BYTES or len(snapshot.entries) > MOST_ENTRIES:
        raise Misuse(
            f"the log has more than the {MOST_ENTRIES} entries, or {MOST_BYTES} bytes, that fit into one file for"
            " a verifier",
            fix="keep a log for this app alone",
        )
    return data


def whole(checkpoint: bytes, older: Sequence[bytes], entries: Iterable[bytes]) -> bytes:
    """A snapshot out of a log that may be too large for one: no more of it is taken than fits.

    Args:
        checkpoint: the newest.
        older: earlier ones, the smallest first; as many as fit go in.
        entries: all, read only as far as they fit.

    Raises:
        Misuse: the log is too large.
    """
    found, size = [], 0
    for entry in entries:
        size += len(entry)
        found.append(entry)
        if size > MOST_BYTES or len(found) > MOST_ENTRIES:
            break
    lines = MOST_SIGNATURES - checkpoint.count(_LINE)
    longest = max((note.count(_LINE) for note in older), default=1)
    kept = thinned(older, min(MOST_OLDER, lines // max(longest, 1)))
    return pack(Snapshot(checkpoint=checkpoint, older=tuple(kept), entries=tuple(found)))


def thinned(items: Sequence[_T], most: int) -> list[_T]:
    """At most so many: the newest, and of the others some of every time, above all the first.

    A busy log has many checkpoints. If the newest alone were kept, it would be known of no release since when it is
    known, and each would wait again.
    """
    if len(items) <= most:
        return list(items)
    new = most // 2
    rest, some = len(items) - new, most - new
    return [*(items[place * rest // some] for place in range(some)), *items[rest:]]


def unpack(data: bytes, *, field: str = "log") -> Snapshot:
    """Reads a snapshot. Nothing is verified.

    Raises:
        Malformed: it is not in its one form.
    """
    if len(data) > MOST_BYTES:
        raise Malformed(f"is larger than {MOST_BYTES} bytes", field=field)
    value = cbor.decode(data, field=field, most=MOST_ENTRIES + MOST_OLDER + len(_KEYS))
    if not isinstance(value, dict) or tuple(value) != _KEYS or value["schema"] != SCHEMA:
        raise Malformed(f"is no log of schema {SCHEMA}", field=field, offset=0)
    newest = value["checkpoint"]
    if not isinstance(newest, bytes):
        raise Malformed("the checkpoint should be bytes", field=field)
    older = _listed(value, "older", MOST_OLDER, notes.MOST_BYTES, field)
    entries = _listed(value, "entries", MOST_ENTRIES, tiles.MOST_ENTRY, field)
    lines = sum(note.count(_LINE) for note in (newest, *older))
    if lines > MOST_SIGNATURES:  # each takes time, and they come before anybody is believed
        raise Malformed(f"has {lines} signatures, at most {MOST_SIGNATURES} may be", field=field)
    return Snapshot(checkpoint=newest, older=older, entries=entries)


def opened(
    data: bytes, *, log: VerifierKey, witnesses: Sequence[VerifierKey], field: str = "log"
) -> Opened:
    """Reads a snapshot and verifies that it is the log's, whole.

    Args:
        data: the file.
        log: its key.
        witnesses: whose times shall be read.
        field: for errors.

    Raises:
        Malformed: it is not in its one form.
        NotSigned: a checkpoint is another log's, or its signature is missing or wrong.
        Forked: the entries are not those that the log signed, or an earlier checkpoint is not the
            beginning of this log.

    Does not verify: that enough witnesses saw it, that it is new, or what an entry says.
    """
    found = unpack(data, field=field)
    newest = checkpoint.opened(found.checkpoint, log=log, witnesses=witnesses, field=field)
    size = newest.checkpoint.size
    if size != len(found.entries):
        raise Forked(
            f"has {len(found.entries)} entries, and its checkpoint says {size}", field=field
        )
    older = [
        checkpoint.opened(note, log=log, witnesses=witnesses, field=f"{field}: older[{place}]")
        for place, note in enumerate(found.older)
    ]
    sizes = [one.checkpoint.size for one in older]
    if sizes != sorted(set(sizes)) or (sizes and sizes[-1] >= size):
        raise Malformed("its earlier checkpoints are not in their order", field=field)
    roots = roots_at(found.entries, {size, *sizes})
    for one in (newest, *older):
        if roots[one.checkpoint.size] != one.checkpoint.root:
            raise Forked(
                f"the log signed another root for its first {one.checkpoint.size} entries",
                field=field,
            )
    return Opened(newest=newest, older=tuple(older), entries=found.entries)


def roots_at(entries: Sequence[bytes], sizes: set[int]) -> dict[int, bytes]:
    """The roots of the trees of the first entries, for each of these sizes that there is."""
    frontier = merkle.Frontier()
    found = {0: frontier.root()}
    for entry in entries:
        frontier.append(merkle.leaf(entry))
        if frontier.size in sizes:
            found[frontier.size] = frontier.root()
    return found


def _listed(
    value: dict[str, Any], key: str, most: int, longest: int, field: str
) -> tuple[bytes, ...]:
    items = value[key]
    if not isinstance(items, list) or len(items) > most:
        raise Malformed(f"{key} should be a list of at most {most}", field=field)
    if not all(isinstance(item, bytes) and len(item) <= longest for item in items):
        raise Malformed(f"{key} should be bytes, at most {longest} each", field=field)
    return tuple(items)
