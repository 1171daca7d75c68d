"""What is shown of a log: what was appended; and to `troth inspect` an entry, or a whole log in one file, unverified."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from troth.cli._console import out, say
from troth.errors import Malformed

if TYPE_CHECKING:
    from troth.tlog.checkpoint import Checkpoint


def shown(data: bytes, *, field: str) -> dict[str, Any] | None:
    """A document of it; None where it is neither.

    Raises:
        Malformed: it begins so, and is not understood.
    """
    from troth.tlog import entry, snapshot

    if data.startswith(entry.BEGIN):
        return _entry(data, field)
    if snapshot.looks_like(data):
        return _log(data, field)
    return None


def appended(published: "Checkpoint", places: Sequence[tuple[Path, int]], *, json: bool) -> None:
    """Prints where entries stand in a log, by the files that they are from."""
    from troth.wire import json as strict

    if json:
        document = {
            "schema": "troth/tlog-append/1",
            "log": published.origin,
            "size": published.size,
            "root": published.root.hex(),
            "entries": [{"entry": str(path), "index": index} for path, index in places],
        }
        out(strict.canonical(document).decode())
        return
    for path, index in places:
        out(f"{index}  {path}")
    sys.stdout.flush()  # talk comes after the data, in a pipe as well
    say(f"{published.origin} has {published.size} entries, root {published.root.hex()[:16]}…")


def _entry(data: bytes, field: str) -> dict[str, Any]:
    import hashlib

    from troth.tlog import entry
    from troth.wire import json

    text, note = entry.draft(data, field=field)
    says = json.parse(text.partition("\n")[2], field=field)
    names = [] if note is None else [s.name for s in note.signatures]
    return {
        "kind": "entry of a log",
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "says": says,
        "names_of_signers": names,
    }


def _log(data: bytes, field: str) -> dict[str, Any]:
    from troth.tlog import checkpoint, snapshot
    from troth.tlog import note as notes

    found = snapshot.unpack(data, field=field)
    newest = notes.parse(found.checkpoint, field=field)
    said = checkpoint.parse(newest.text, field=field)
    return {
        "kind": "whole log",
        "log": said.origin,
        "size": said.size,
        "root": said.root.hex(),
        "names_of_signers": [s.name for s in newest.signatures],
        "earlier_checkpoints": len(found.older),
        "entries": [_row(entry, f"entry {index}") for index, entry in enumerate(found.entries)],
    }


def _row(data: bytes, field: str) -> dict[str, Any]:
    from troth.tlog import entry

    if not data.startswith(entry.BEGIN):
        return {"kind": "another's", "size": len(data)}
    try:
        return _entry(data, field)
    except Malformed as error:
        return {"kind": "not understood", "why": str(error)}
