"""`troth release entry|freeze|revoke|owners|policy`, and signing and publishing what they wrote."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import Parameter

from troth.cli import _expect, _image, _log_shown, _log_source
from troth.cli._console import read_source, refuse_existing, say, write_file
from troth.errors import Malformed, Misuse
from troth.render.escape import visible

if TYPE_CHECKING:
    from troth.model.governed import Registers
    from troth.tlog.note import Note
    from troth.tlog.statement import Source, Statement

_Out = Annotated[Path, Parameter(name=["--output", "-o"])]
_Many = Annotated[Sequence[str], Parameter(consume_multiple=True)]
_MOST: Final = 128 * 1024


def entry(
    image: Path,
    *,
    app: str,
    version: str,
    output: _Out,
    measurements: Annotated[Sequence[Path], Parameter(consume_multiple=True)] = (),
    record: Path | None = None,
    source_git: str | None = None,
    source_commit: str | None = None,
    source_path: str = ".",
) -> int:
    """Write a log's entry for a release, which its owners then sign.

    It says what the image measures to, and the digests of image, lock and build record.

        troth release entry app.eif --app auction --version 1.2.0 -o app.entry
        troth release entry app.eif --app auction --version 1.2.0 --measurements tdx.measurements.json \
            --source-git https://git.example/auction --source-commit 0123456789… -o app.entry

    Args:
        image: the EIF, which is measured here.
        app: the app's name in the log.
        version: for people.
        output: file to write; it must not exist.
        measurements: further *.measurements.json that you trust, of other platforms; may be repeated.
        record: the image's build record. Default: the *.build.json beside it.
        source_git: where the source is.
        source_commit: its commit, whole.
        source_path: the app's folder in it.
    """
    from troth.image import companions
    from troth.policy import Policy
    from troth.tlog.statement import Release

    if image.name.endswith(_image.ENDING):
        raise Misuse("an entry names the image's own digest", fix="name the image itself")
    named = dict(_image.expected(image))
    for path in measurements:
        for platform, registers in _image.expected(path).items():
            if platform in named:
                raise Misuse(f"{path} and another file measure for {platform}", fix="name one")
            named[platform] = registers
    checked = Policy.for_image(
        named, name=image.name
    )  # refuses names, sizes, and a debug image's zeros
    place = record or companions.of(image, companions.RECORD)
    said, record_bytes = _record(place)
    image_sha256 = _digest(image)
    if said["image"].get("sha256") not in {image_sha256, _as_built(image, image_sha256)}:
        raise Misuse(
            f"{place} is the record of another image than {image}",
            fix="name the image's own record with --record, or build it again",
        )
    write(
        output,
        Release(
            app=app,
            version=version,
            measurements=checked.registers,
            source=source(source_git, source_commit, source_path),
            lock_sha256=said["lock_sha256"],
            record_sha256=hashlib.sha256(record_bytes).hexdigest(),
            image_sha256=image_sha256,
        ),
    )
    return 0


def freeze(app: str, what: Literal["code", "policy", "keys"], *, output: _Out) -> int:
    """Write an entry that freezes something of an app for ever. Nothing in a log undoes it.

    Once it is in the log, no later release counts (code), no later policy, or no later set of owners (keys).

        troth release freeze auction code -o freeze.entry

    Args:
        app: the app's name in the log.
        what: code, policy or keys.
        output: file to write; it must not exist.
    """
    from troth.tlog.statement import Freeze

    write(output, Freeze(app=app, what=what))
    return 0


def revoke(release: Path, *, why: str, output: _Out) -> int:
    """Write an entry that revokes a release: it counts no longer, and no copy of it logged before does.

        troth release revoke app.entry --why 'bids could be read' -o revoke.entry

    Args:
        release: the file of its entry.
        why: for people.
        output: file to write; it must not exist.
    """
    from troth.tlog import entry as entries
    from troth.tlog.statement import Artifacts, Release, Revoke

    text, _ = _draft(release)
    says = entries.statement(text)
    if not isinstance(says, Release | Artifacts):
        raise Misuse(f"{release} is no release", fix="name the entry of the release")
    of = hashlib.sha256(text.encode()).hexdigest()
    write(output, Revoke(app=says.app, release=of, why=why))
    return 0


def owners(app: str, *, key: _Many, threshold: int, output: _Out) -> int:
    """Write an entry that announces the owners' next keys. Policies follow by hand, so tell whoever has one.

        troth release owners auction --key anna.pub --key dora.pub --key emil.pub --threshold 2 -o next.entry

    Args:
        app: the app's name in the log.
        key: an owner's public key, or a file with it; may be repeated.
        threshold: how many of them must sign.
        output: file to write; it must not exist.
    """
    from troth.tlog.statement import Owners

    keys = tuple(str(_log_source.key(text, name="--key")) for text in key)
    write(output, Owners(app=app, keys=keys, threshold=threshold))
    return 0


def policy(policy: str, *, app: str, version: str, output: _Out) -> int:
    """Write an entry that says that the owners stand for a policy.

        troth release policy app.policy.toml --app auction --version 3 -o policy.entry

    Args:
        policy: a policy file.
        app: the app's name in the log.
        version: for people.
        output: file to write; it must not exist.
    """
    from troth.tlog.statement import PolicyChange

    chosen = _expect.named_policy(policy)
    write(output, PolicyChange(app=app, policy_sha256=chosen.sha256, version=version))
    return 0


def sign(file: Path, key: Path, output: Path | None) -> int:
    """Adds a signature to an entry, after saying what is signed.

    Raises:
        Malformed: it is no entry that is understood.
        Misuse: the key signs no entries, or has signed this one.
    """
    from troth.tlog import entry as entries
    from troth.tlog.note import Kind, Note

    refuse_existing(output)
    text, note = _draft(file)
    owner = _log_source.signing_key(key)
    if owner.verifier.kind is not Kind.ED25519:
        raise Misuse(f"{owner.verifier.name} is a witness's key, and signs no entry")
    before = () if note is None else note.signatures
    if any(s.names(owner.verifier) for s in before):
        raise Misuse(f"{owner.verifier.name} has signed it already")
    say(f"{owner.verifier.name} signs:")
    for row in words(entries.statement(text)):
        say(f"  {visible(row)}")
    made = Note(text=text, signatures=(*before, owner.sign(text))).encode()
    entries.parse(made, field=str(file))
    write_file(file if output is None else output, made, replace=output is None)
    count = len(before) + 1
    say(f"wrote {output or file}: {count} signature{'' if count == 1 else 's'}")
    return 0


def publish(
    file: Path,
    *,
    log: Path,
    key: Path,
    policy: str,
    witness: _Many = (),
    witness_key: _Many = (),
    witness_threshold: int = 0,
    json: bool = False,
) -> int:
    r"""Append an entry to a log, if as many owners have signed it as the policy asks for.

        troth release publish app.entry --log log --key log.key --policy app.policy.toml \
            --witness ../w1 --witness ../w2

    Args:
        file: the entry.
        log: the log's folder.
        key: the log's key.
        policy: a policy with [release]: it names app, log and owners.
        witness: an address, or the folder of a witness on this machine; may be repeated.
        witness_key: for each witness that is an address its public key, in the same order.
        witness_threshold: how many must cosign. Default: all.
        json: print as JSON.
    """
    from troth.tlog import entry as entries
    from troth.tlog import note as notes
    from troth.tlog.log import Log

    terms = _expect.named_policy(policy).release
    if terms is None:
        raise Misuse(f"{policy} asks for no release in a log", fix="name a policy with [release]")
    text, note = _draft(file)
    says = entries.statement(text)
    if says.app != terms.app:
        raise Misuse(f"{file} is of {says.app}, and the policy is of {terms.app}")
    signed = 0 if note is None else len(notes.signers(note, terms.owners))
    if note is None or signed < terms.owner_threshold:
        raise Misuse(
            f"{file} is signed by {signed} of the {terms.owner_threshold} owners that it needs",
            fix=f"let another owner sign it: troth release sign {file} --owner-key FILE",
        )
    signer = _log_source.signing_key(key)
    if signer.verifier != terms.log:
        raise Misuse(f"{key} is not the key of {terms.log.name}, the log that the policy names")
    asking = _log_source.asking(witness, witness_key, threshold=witness_threshold)
    with Log.open(log, signer) as opened:
        (index,) = opened.append([note.encode()], cosign=asking, dedupe=True)
        published = opened.published
    for row in words(says):
        say(visible(row))
    _log_shown.appended(published, [(file, index)], json=json)
    return 0


def words(says: "Statement") -> Iterator[str]:
    """What a statement says, for whoever is asked to sign it."""
    from troth.tlog import statement

    match says:
        case statement.Release():
            yield f"release {says.version} of {says.app}"
            yield from _registers(says.measurements)
            yield _source_words(says.source)
            yield f"lock {says.lock_sha256}"
            yield f"build record {says.record_sha256}"
            yield f"image {says.image_sha256}"
        case statement.Artifacts():
            yield f"files of {says.app} {says.version}, which no platform measures:"
            yield from (f"{name} {sha256}" for name, sha256 in says.files.items())
            yield _source_words(says.source)
            yield f"bill of materials {says.sbom_sha256}"
            yield f"provenance {says.provenance_sha256}"
        case statement.PolicyChange():
            yield f"policy {says.version} of {says.app}: sha256 {says.policy_sha256}"
        case statement.Freeze():
            yield f"the {says.what} of {says.app} is frozen, for ever"
        case statement.Revoke():
            yield f"a release of {says.app} is revoked: {says.release}"
            yield f"why: {says.why}"
        case statement.Owners():
            yield f"the next owners of {says.app}, {says.threshold} of whom must sign:"
            yield from says.keys
        case statement.KeyRelease():
            yield f"generation {says.generation} of {says.scope} was released to {says.app}, {says.at}"
            yield from _registers(says.measurements)


def _registers(measurements: "Registers") -> Iterator[str]:
    for platform, registers in measurements.items():
        for name, values in registers.items():
            yield f"{platform} {name} {' or '.join(sorted(values))}"


def _source_words(source: "Source | None") -> str:
    if source is None:
        return "source: not said"
    return f"source: {source.git}, commit {source.commit}, {source.path}"


def write(path: Path, says: "Statement") -> None:
    """A new file of an entry that nobody has signed yet; says what it says.

    Raises:
        Misuse: no entry can say this, or the file exists.
    """
    from troth.tlog import entry as entries

    text = entries.text(says)
    write_file(path, text.encode(), replace=False)
    for row in words(says):
        say(f"  {visible(row)}")
    say(
        f"wrote {path}: not signed yet; each owner signs with: troth release sign {path} --owner-key FILE"
    )


def _draft(path: Path) -> "tuple[str, Note | None]":
    from troth.tlog import entry as entries

    return entries.draft(read_source(str(path), limit=_MOST), field=str(path))


def _record(path: Path) -> tuple[dict[str, Any], bytes]:
    """What a build record says that an entry needs."""
    from troth.image.components import MAX_RECORD
    from troth.wire import json

    data = read_source(str(path))
    said = json.parse(data, field=str(path), limit=MAX_RECORD)
    known = isinstance(said, dict) and isinstance(said.get("image"), dict)
    if not known or not isinstance(said.get("lock_sha256"), str):
        raise Malformed("is no build record", field=str(path), fix="`troth build` writes one")
    return said, data


def _digest(path: Path) -> str:
    return hashlib.sha256(_image.read(path)).hexdigest()


def _as_built(image: Path, sha256: str) -> str:
    """The digest of an EIF without its signature for PCR8, which comes in after the build; else its own."""
    from troth.release.provenance import subject
    from troth.wire import eif

    if not _image.begins(image):
        return sha256
    return subject(eif.read(_image.read(image)), {}, sha256=sha256).sha256


def source(git: str | None, commit: str | None, path: str) -> "Source | None":
    """A source as it was named, or None.

    Raises:
        Misuse: half of it was.
    """
    from troth.tlog.statement import Source

    if (git is None) != (commit is None):
        raise Misuse(
            "a source is an address and a commit", fix="give --source-git and --source-commit"
        )
    if git is None or commit is None:
        return None
    return Source(git=git, commit=commit, path=path)
