"""`troth release artifacts` and `logged`: files that no platform measures, into a log, and looked up in it."""

import hashlib
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from troth.cli import _entries
from troth.cli._console import out, read_source
from troth.errors import Malformed, Misuse
from troth.render.escape import visible

if TYPE_CHECKING:
    from troth.policy import Policy
    from troth.release.logged import Judged

SCHEMA: Final = "troth/logged/1"
_Out = Annotated[Path, Parameter(name=["--output", "-o"])]
_MOST: Final = 256 << 20


def artifacts(
    *files: Path,
    app: str,
    version: str,
    sbom: Path,
    provenance: Path,
    output: _Out,
    source_git: str | None = None,
    source_commit: str | None = None,
    source_path: str = ".",
) -> int:
    r"""Write a log's entry for files that no platform measures, such as a wheel, which the owners then sign.

    It names each file with its digest, and the digests of their bill of materials and provenance, which must be
    about these files. No measurement counts because of such an entry.

        troth release artifacts app-1.0-py3-none-any.whl --app auction --version 1.0 --sbom app.cdx.json \
            --provenance app.provenance.json --source-git https://git.example/auction --source-commit 0123456789… \
            -o app.entry

    Args:
        files: what is released.
        app: the app's name in the log.
        version: for people.
        sbom: from `troth release sbom`.
        provenance: from `troth release provenance`.
        output: file to write; it must not exist.
        source_git: where the source is.
        source_commit: its commit, whole.
        source_path: the project's folder in it.
    """
    from troth.tlog.statement import Artifacts

    if not files:
        raise Misuse("no file is named", fix="name the wheel, or whatever is released")
    said, statement, claimed = _provenance(provenance)
    stated = _entries.source(source_git, source_commit, source_path)
    if claimed and (stated is None or claimed != {n: getattr(stated, n) for n in claimed}):
        raise Misuse(
            f"{provenance} says that the source is {claimed['git'][:200]}, commit {claimed['commit'][:64]}, "
            f"{claimed['path'][:200]}",
            fix="name the same with --source-git, --source-commit and --source-path",
        )
    bill, about = _bill(sbom)
    names = {}
    for path in files:
        sha256 = hashlib.sha256(read_source(str(path), limit=_MOST)).hexdigest()
        if sha256 not in statement:
            raise Misuse(f"{provenance} is not about {path}: its SHA-256 is {sha256}")
        if sha256 not in about:
            raise Misuse(f"{sbom} is not about {path}: its SHA-256 is {sha256}")
        names[statement[sha256]] = sha256
    if set(statement) - set(names.values()):
        raise Misuse(f"{provenance} is about further files", fix="name all of them")
    _entries.write(
        output,
        Artifacts(
            app=app,
            version=version,
            files=names,
            source=stated,
            sbom_sha256=bill,
            provenance_sha256=said,
        ),
    )
    return 0


def logged(
    file: Path,
    *,
    log: str,
    policy: str,
    name: str | None = None,
    sbom: Path | None = None,
    provenance: Path | None = None,
    at: str | None = None,
    json: bool = False,
) -> int:
    """Look a file up in a log: is there an entry that names it, signed by enough owners, seen by enough witnesses?

    All entries of the log are read. Exits 0 where an entry counts, 1 where none does, 4 where it cannot be told.

        troth release logged app-1.0-py3-none-any.whl --log https://log.example/2026 --policy app.policy.toml

    Args:
        file: the wheel, or whatever was released.
        log: file (`troth tlog prove --whole`), folder or address of the log.
        policy: a policy with [release]: it names app, log, witnesses and owners.
        name: of the file, as it was released. Default: its own; of the hardware kernel vmlinuz-VERSION.
        sbom: a bill of materials that must be the one that the entry names.
        provenance: a statement of provenance that must be the one that the entry names.
        at: the instant of judgement, such as 2026-11-26T13:20:00Z; now by default.
        json: print as JSON.
    """
    from troth.cli import _expect, _release_log
    from troth.release import logged as judging
    from troth.render import words
    from troth.tlog import governance, snapshot

    chosen = _expect.named_policy(policy)
    terms = chosen.release
    if terms is None:
        raise Misuse(f"{policy} asks for no release in a log", fix="name a policy with [release]")
    instant, claimed = _expect.instant(at)
    data = read_source(str(file), limit=_MOST)
    sha256 = hashlib.sha256(data).hexdigest()
    called = os.fsencode(name or _called(file, data)).decode("utf-8", "replace")
    item = _release_log.load(log, chosen, offline=False).items[0]
    opened = snapshot.opened(item.data, log=terms.log, witnesses=terms.witnesses)
    state = governance.state(governance.read(opened, terms), instant)
    found = judging.judge(
        state, name=called, sha256=sha256, at=instant, max_age=terms.max_checkpoint_age
    )
    for path, digest in (
        (sbom, found.entry and found.entry.sbom_sha256),
        (provenance, found.entry and found.entry.provenance_sha256),
    ):
        if path is not None and found.outcome is judging.Outcome.LOGGED:
            here = hashlib.sha256(read_source(str(path), limit=_MOST)).hexdigest()
            if here != digest:
                why = f"{path} is another file than the entry names"
                found = judging.Judged(outcome=judging.Outcome.REFUSED, entry=found.entry, why=why)
    found = _in_force(found, chosen, instant)
    judged_at = {"at": words.rfc3339(instant), "as_of": claimed}
    document = {**_document(found, called, sha256, state), **judged_at}
    if json:
        from troth.wire import json as strict

        out(strict.canonical(document).decode())
    else:
        _print(found, document)
    return found.outcome.exit_code


def _in_force(found: "Judged", policy: "Policy", at: datetime) -> "Judged":
    """A policy that has ended, or that nobody has read, says yes to no file, as to no evidence."""
    from troth.release import logged as judging

    if found.outcome is not judging.Outcome.LOGGED:
        return found
    if policy.unreviewed:
        why = f"the policy {policy.name} is unreviewed: nobody has read it"
    elif policy.expires is not None and at > policy.expires:
        why = f"the policy {policy.name} has ended at {policy.expires:%Y-%m-%d %H:%M}Z"
    else:
        return found
    return judging.Judged(outcome=judging.Outcome.UNDECIDED, entry=found.entry, why=why)


def _document(found: "Judged", name: str, sha256: str, state: Any) -> dict[str, Any]:
    entry = found.entry
    since = entry.known_since if entry else None
    return {
        "schema": SCHEMA,
        "result": str(found.outcome),
        "why": found.why,
        "file": {"name": name, "sha256": sha256},
        "log": state.log,
        "size": state.size,
        "app": state.app,
        "owner_threshold": state.owner_threshold,
        "witnessed": state.witnessed,
        "witness_threshold": state.witness_threshold,
        "entry": None
        if entry is None
        else {
            "index": entry.index,
            "id": entry.id,
            "version": entry.version,
            "signed": entry.signed,
            "known_since": f"{since:%Y-%m-%dT%H:%M:%SZ}" if since else None,
            "standing": str(entry.standing),
            "commit": entry.commit,
            "sbom_sha256": entry.sbom_sha256,
            "provenance_sha256": entry.provenance_sha256,
        },
    }


def _print(found: "Judged", document: dict[str, Any]) -> None:
    out(
        f"{found.outcome}   {visible(document['file']['name'])}  sha256 {document['file']['sha256']}"
    )
    if found.why:
        out(f"  why         {visible(found.why)}")
    if document["as_of"]:
        out(f"  as of       {document['at']}, chosen by you")
    entry = document["entry"]
    if entry is None:
        return
    out(
        f"  entry       {entry['index']} of the {document['size']} of {visible(document['log'])}: "
        f"{visible(document['app'])} {visible(entry['version'])}"
    )
    out(f"  owners      {entry['signed']} signed, {document['owner_threshold']} are needed")
    out(
        f"  witnesses   {document['witnessed']} saw the newest checkpoint, "
        f"{document['witness_threshold']} are needed; known since {entry['known_since'] or 'no time'}"
    )
    out(f"  source      {'commit ' + entry['commit'] if entry['commit'] else 'not said'}")
    out(f"  sbom        {entry['sbom_sha256']}")
    out(f"  provenance  {entry['provenance_sha256']}")


def _called(path: Path, data: bytes) -> str:
    from troth.image.hardware import again

    version = again.version(data)
    return f"vmlinuz-{version}" if version else path.name


def _provenance(path: Path) -> tuple[str, dict[str, str], dict[str, str]]:
    """The digest of a statement's file, its subjects by their digests, and the source that it names.

    Who signed it is for `troth release check`.
    """
    from troth.release import artifact_provenance, dsse
    from troth.release import provenance as made

    data = read_source(str(path))
    envelope = dsse.read(data)
    if envelope.payload_type != dsse.IN_TOTO:
        raise Malformed(f"holds {envelope.payload_type[:80]!r}", field=str(path))
    found: dict[str, str] = {}
    statement = made.parse(envelope.payload)
    subjects = statement["subject"]
    for one in subjects if isinstance(subjects, list) else ():
        digest = one.get("digest") if isinstance(one, dict) else None
        sha256 = digest.get("sha256") if isinstance(digest, dict) else None
        if isinstance(sha256, str) and isinstance(one.get("name"), str):
            found[sha256] = one["name"]
    return hashlib.sha256(data).hexdigest(), found, artifact_provenance.source(statement)


def _bill(path: Path) -> tuple[str, frozenset[str]]:
    """The digest of a bill of materials, and the digests that it gives of what it is about."""
    from troth.wire import json

    data = read_source(str(path))
    value = json.parse(data, field=str(path), limit=_MOST)
    for key in ("metadata", "component", "hashes"):
        value = value.get(key) if isinstance(value, dict) else None
    hashes = value if isinstance(value, list) else []
    found = frozenset(str(one.get("content")) for one in hashes if isinstance(one, dict))
    if not found:
        raise Malformed("is no bill of materials of a file", field=str(path))
    return hashlib.sha256(data).hexdigest(), found
