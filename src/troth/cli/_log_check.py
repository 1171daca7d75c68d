"""`troth tlog check`: does a log only grow, who saw it, and does it hold what its owners did not make?"""

import contextlib
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from troth.cli import _log_source
from troth.cli._console import out, read_source, say, write_file
from troth.errors import Misuse
from troth.render.escape import visible

if TYPE_CHECKING:
    from troth.tlog.checkpoint import Signed
    from troth.tlog.monitor import Finding, Outcome, Witnessed
    from troth.tlog.note import VerifierKey

_Many = Annotated[Sequence[str], Parameter(consume_multiple=True)]
_FOUND: Final = 1
_UNDECIDED: Final = 4
_PROOF: Final = "troth/tlog-proof-check/1"


def check(
    source: str,
    *,
    log: str,
    witness_key: _Many = (),
    witness_threshold: int | None = None,
    max_age: str = "24h",
    state: Path | None = None,
    app: str | None = None,
    owner: _Many = (),
    mine: Path | None = None,
    entry: Path | None = None,
    json: bool = False,
) -> int:
    """Look at a log, or at a proof out of one.

    With --state it is held against what it showed before: a log that shows less, or something else, is told
    and never remembered. With --app and --mine every entry for that app which you did not make is told, signed
    or not, each time until you add it to that folder.

        troth tlog check https://log.example/2026 --log log.pub --state log.state
        troth tlog check log --log log.pub --state log.state --app auction --owner anna.pub --mine entries/
        troth tlog check app.tlog-proof --log log.pub --entry app.entry

    Args:
        source: folder or address of the log, or the file of a proof.
        log: the log's public key, or a file with it.
        witness_key: public key of a witness that counts; may be repeated.
        witness_threshold: how many of them must have seen the newest checkpoint. Default: all.
        max_age: how long ago at most, such as 90m, 24h or 7d.
        state: file to remember the log in. Without it nothing is known of its past.
        app: an app's name: its entries are listed.
        owner: public key of an owner of the app; may be repeated.
        mine: folder with the *.entry files that the owners made.
        entry: the entry that a proof is of.
        json: print as JSON.
    """
    from troth.tlog import monitor

    key = _log_source.key(log, name="--log")
    witnesses = tuple(_log_source.key(text, name="--witness-key") for text in witness_key)
    witnessed = monitor.Witnessed(
        keys=witnesses,
        threshold=len(witnesses) if witness_threshold is None else witness_threshold,
        max_age=monitor.age(max_age),
    )
    if entry is not None or Path(source).is_file():
        if state is not None or app is not None or mine is not None or owner:
            raise Misuse("a proof is of one entry, and has no past", fix="name the log itself")
        return _proof(source, entry, key, witnessed, json=json)
    if app is None and (owner or mine is not None):
        raise Misuse("--owner and --mine are for an app", fix="name it with --app")
    watched = None
    if app is not None:
        watched = monitor.Watched(
            app=app,
            owners=tuple(_log_source.key(text, name="--owner") for text in owner),
            mine=None if mine is None else _log_source.digests(mine),
        )
    outcome = _looked(source, key, witnessed, watched, state)
    if json:
        _print_json(outcome)
    else:
        _print(outcome)
        if app is not None and not outcome.listed:
            say(f"no entry for {app} since the last look")
    return _FOUND if outcome.findings else _UNDECIDED if outcome.undecided else 0


def _looked(
    source: str, key: "VerifierKey", witnessed: "Witnessed", watched: Any, state: Path | None
) -> "Outcome":
    """One look, and the memory of it: two at once would forget one."""
    from troth.tlog import kept, monitor, monitor_state

    reader = _log_source.reader(source)
    at = datetime.now(UTC)
    with contextlib.ExitStack() as held:
        if state is None:
            memory = monitor_state.Memory(log=key)
        else:
            held.enter_context(kept.alone(state.with_name(f".{state.name}.lock")))
            memory = monitor_state.load(state, key)
        outcome = monitor.check(reader, memory, witnessed=witnessed, watched=watched, at=at)
        if state is not None and outcome.memory is not memory:
            monitor_state.save(state, outcome.memory)
        if state is not None:
            for finding in outcome.findings:
                _keep(state, finding)
    return outcome


def _keep(state: Path, finding: "Finding") -> None:
    """Checkpoints that prove what a log did, beside the memory of it."""
    import hashlib

    if not finding.notes:
        return
    data = b"\n".join(finding.notes)
    name = f"{state.name}.{finding.kind}-{hashlib.sha256(data).hexdigest()[:16]}"
    write_file(state.with_name(name), data)
    say(f"what proves it is kept in {state.with_name(name)}")


def _print(outcome: "Outcome") -> None:
    if outcome.signed is not None:
        tree = outcome.signed.checkpoint
        grown = "" if outcome.before is None else f", {tree.size - outcome.before} new"
        out(f"{visible(tree.origin)}: {tree.size} entries{grown}, root {tree.root.hex()[:16]}…")
        for witness, times in outcome.signed.times.items():
            out(f"seen by {visible(witness.name)} at {max(times):%Y-%m-%d %H:%M}Z")
    for row in outcome.listed:
        mark = {True: "yours", False: "NOT YOURS", None: "-"}[row.mine]
        by = ", ".join(map(visible, row.signed)) or "nobody known"
        out(f"{row.index:>6}  {row.kind:11}  {visible(row.words)}  {mark}, signed by {by}")
    for finding in outcome.findings:
        out(f"{finding.kind.upper()}: {visible(finding.words)}")
    for words in outcome.undecided:
        out(visible(f"undecided: {words}"))
    sys.stdout.flush()  # talk comes after the data, in a pipe as well
    if outcome.strange:
        say(f"{outcome.strange} entries are not understood")
    if outcome.before is None:
        say("it was looked at for the first time: nothing is known of its past")


def _print_json(outcome: "Outcome") -> None:
    from troth.wire import json as strict

    document: dict[str, Any] = {
        "schema": "troth/tlog-check/1",
        "log": str(outcome.memory.log),
        "before": outcome.before,
        "checkpoint": None,
        "seen": {},
        "findings": [
            {"kind": str(f.kind), "words": f.words, "index": f.index} for f in outcome.findings
        ],
        "undecided": list(outcome.undecided),
        "not_understood": outcome.strange,
        "entries": [
            {
                "index": row.index,
                "kind": row.kind,
                "words": row.words,
                "id": row.id,
                "signed": list(row.signed),
                "mine": row.mine,
            }
            for row in outcome.listed
        ],
    }
    if outcome.signed is not None:
        tree = outcome.signed.checkpoint
        document["checkpoint"] = {"size": tree.size, "root": tree.root.hex()}
        document["seen"] = _times(outcome.signed)
    out(strict.canonical(document).decode())


def _times(signed: "Signed") -> dict[str, list[str]]:
    return {
        witness.name: [time.isoformat() for time in times]
        for witness, times in signed.times.items()
    }


def _proof(
    source: str, entry: Path | None, key: "VerifierKey", witnessed: "Witnessed", *, json: bool
) -> int:
    """What a proof proves. The log itself is not asked."""
    from troth.tlog import monitor, proof, tiles
    from troth.tlog.checkpoint import NotSigned
    from troth.wire import json as strict

    if entry is None:
        raise Misuse("a proof is of an entry", fix="name the entry's file with --entry")
    data = read_source(str(entry), limit=tiles.MOST_ENTRY)
    parsed = proof.parse(read_source(source, limit=proof.MOST_BYTES), field=source)
    try:
        proved = proof.check(parsed, data, log=key, witnesses=witnessed.keys, field=source)
    except (proof.NotIncluded, NotSigned) as error:
        if json:
            failed = {"schema": _PROOF, "log": str(key), "proved": False, "why": str(error)}
            out(strict.canonical(failed).decode())
        else:
            out(visible(f"NOT PROVED: {error}"))
        return _FOUND
    undecided = monitor.unseen(proved.signed, witnessed, datetime.now(UTC))
    if json:
        document = {
            "schema": _PROOF,
            "log": str(key),
            "proved": True,
            "index": proved.index,
            "size": proved.signed.checkpoint.size,
            "seen": _times(proved.signed),
            "undecided": list(undecided),
        }
        out(strict.canonical(document).decode())
    else:
        out(
            f"entry {proved.index} of {visible(key.name)}, which had {proved.signed.checkpoint.size}"
        )
        for witness, times in proved.signed.times.items():
            out(f"seen by {visible(witness.name)} at {max(times):%Y-%m-%d %H:%M}Z")
        for words in undecided:
            out(visible(f"undecided: {words}"))
    return _UNDECIDED if undecided else 0
