"""`troth release provenance` and `check`: how an image came to be, signed and held against the image."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from troth.cli import _image, _release_artifact
from troth.cli._console import out, read_source, refuse_existing, say, write_file
from troth.cli._release_artifact import NOWHERE, Origin
from troth.cli._release_keys import Given, chosen, public_of, publics
from troth.errors import Malformed, Misuse

if TYPE_CHECKING:
    from troth.crypto.public import PublicKey
    from troth.release.keys import CommandKey, FileKey
    from troth.release.pkcs11 import TokenKey

    Private = FileKey | TokenKey | CommandKey

_Out = Annotated[Path, Parameter(name=["--output", "-o"])]
_Keys = Annotated[tuple[Path, ...], Parameter(name=["--key", "-k"])]


def provenance(
    image: Path,
    origin: Origin = NOWHERE,
    *,
    builder: str,
    output: _Out,
    record: Path | None = None,
    key: Path | None = None,
    passphrase_file: str | None = None,
    pkcs11: str | None = None,
    command: str | None = None,
    command_gets: Given = "bytes",
    public_key: Path | None = None,
    beside: Path | None = None,
    unsigned: bool = False,
) -> int:
    r"""State how an image came to be, and sign it: SLSA provenance v1 in a DSSE envelope.

    The statement names the image, what it measures to, and every input with its digest, out of the build
    record beside the image. Whoever signs it says that this is so.

        troth release provenance app.eif --key key.pem --builder https://example.com/ci -o app.provenance.json
        troth release provenance app.eif --public-key public.pem --builder https://example.com/ci \
            --command 'openssl pkeyutl -sign -rawin -inkey key.pem' -o app.provenance.json
        troth release provenance app-1.0-py3-none-any.whl --source https://example.org/app.git \
            --source-commit 0123456789… --key key.pem --builder https://example.com/ci -o app.provenance.json

    Of a wheel the inputs are the commit of its source and the packages that build it, which the source names by
    hash; of the hardware kernel all that this troth pins.

    Args:
        image: an EIF, a pure-Python wheel, or the hardware kernel.
        origin: of a wheel.
        builder: URI that says what built it, in words of yours.
        output: file to write; it must not exist.
        record: the build record, where it is not beside the image.
        key: a private key in PEM: of Ed25519, or on P-256 or P-384.
        passphrase_file: file with the passphrase of an encrypted key; `-` for stdin, or /dev/fd/N.
        pkcs11: a private key's URI (RFC 7512), with module-path, and pin-source for the PIN.
        command: a program with its arguments, started without a shell. It gets the bytes to be signed on
            stdin, and gives the signature on stdout.
        command_gets: what the command gets: the bytes, or their digest.
        public_key: of a key that is not in a file, PEM: what it signs is verified before it is written.
        beside: an envelope with the same statement that others signed; this signature is added to theirs.
        unsigned: write the bare statement, for others to sign, such as through Sigstore. It proves nothing.
    """
    from troth.cli._release_image import at_hand, plain
    from troth.release import artifact_provenance
    from troth.release import provenance as making

    refuse_existing(output)
    if unsigned and (key, pkcs11, command, public_key, beside) != (None,) * 5:
        raise Misuse("--unsigned takes no key", fix="leave the key away, or --unsigned")
    private = (
        None
        if unsigned
        else chosen(key, passphrase_file, pkcs11, command, command_gets, edwards=True)
    )
    file = _release_artifact.of(image, record)
    if file is not None:
        with file.made(origin) as artifact:
            statement = artifact_provenance.statement(artifact, builder=builder)
        _write(output, statement, private, public_key, beside)
        return 0
    origin.refuse()
    found = at_hand(image, record)
    if found.record is None or found.subject is None:
        what = "build record" if found.record is None else "image"
        raise Misuse(
            f"{image} has no {what} beside it, and the statement is about both",
            fix="name the image that `troth build` wrote; --record names its record",
        )
    statement = making.statement(
        found.record, record_sha256=found.record_sha256, name=plain(image.name), builder=builder
    )
    wrong = making.problems(
        statement, found.subject, record=found.record, record_sha256=found.record_sha256
    )
    if wrong:
        raise Misuse(f"the record does not fit the image: {wrong[0]}", fix="build it again")
    _write(output, statement, private, public_key, beside)
    return 0


def check(
    image: Path,
    origin: Origin = NOWHERE,
    *,
    provenance: Path,
    key: _Keys = (),
    builder: str = "",
    record: Path | None = None,
    sigstore_identity: str = "",
    sigstore_issuer: str = "",
    trusted_root: Path | None = None,
    json: bool = False,
) -> int:
    r"""Check a statement of provenance: who signed it, and that every word of it is about this image.

    All signatures must verify, and each key that is named must have signed. The statement is then made again
    from the image and its build record, and compared member by member. Without the record the inputs are
    compared with nothing: that is undecided, and exits 4.

        troth release check app.eif --provenance app.provenance.json --key public.pem
        troth release check app.eif --provenance app.sigstore.json --sigstore-identity \
            https://github.com/OWNER/REPO/.github/workflows/release.yml@refs/tags/v1 \
            --sigstore-issuer https://token.actions.githubusercontent.com
        troth release check app-1.0-py3-none-any.whl --provenance app.provenance.json --key public.pem \
            --source https://example.org/app.git

    Of a wheel the inputs are made again from its source, at the commit that the statement names.

    Args:
        image: an EIF, a pure-Python wheel, or the hardware kernel.
        origin: of a wheel.
        provenance: the envelope, or a Sigstore bundle of version 0.3 with one in it.
        key: a public key in PEM that must have signed; may be given again.
        builder: URI of what must have built it; anything that the signers name by default.
        record: the build record, where it is not beside the image.
        sigstore_identity: who must have signed a bundle: the name in the certificate.
        sigstore_issuer: of the token that Sigstore saw.
        trusted_root: Sigstore's roots, JSON; those that come with the package sigstore by default.
        json: print the result as JSON.
    """
    from troth.release import provenance as made
    from troth.wire import json as strict

    through = bool(sigstore_identity or sigstore_issuer)
    if through == bool(key):
        raise Misuse(
            "who must have signed is not said" if not key else "two kinds of signer are named",
            fix="give --key, or --sigstore-identity and --sigstore-issuer",
        )
    if trusted_root is not None and not through:
        raise Misuse("a trusted root is for Sigstore's bundles", fix="leave --trusted-root away")
    about = _release_artifact.of(image, record) or _Image(image, record)
    data = read_source(str(provenance))
    if through:
        kind, payload, wrong = _bundle(data, sigstore_identity, sigstore_issuer, trusted_root)
        signers = [f"{sigstore_identity} by {sigstore_issuer}"]
    else:
        keys = publics(list(key))
        kind, payload, wrong = _envelope(data, keys)
        signers = [f"{one.algorithm}, key {one.id}" for one in keys]
    said = ""
    if not wrong:
        statement = _statement(kind, payload)
        wrong = list(about.problems(statement, origin, builder=builder))
        said = "" if wrong else made.builder_of(statement)
    code = 1 if wrong else (0 if about.compared else 4)
    result = {1: "refused", 0: "verified", 4: "undecided"}[code]
    if json:
        summary = {
            "result": result,
            "problems": wrong,
            "signers": [] if wrong else signers,
            "builder": said,
            "builder_expected": builder,
            "image_sha256" if isinstance(about, _Image) else "file_sha256": about.sha256,
            "inputs_compared": code == 0,
            **({"signed_for_pcr8": about.signed} if isinstance(about, _Image) else {}),
        }
        out(strict.canonical(summary).decode())
        return code
    _report(result, wrong, signers=signers, said=said, builder=builder, about=about)
    return code


COMMANDS: Final = (provenance, check)


def _write(
    output: Path,
    statement: dict[str, Any],
    private: "Private | None",
    public_key: Path | None,
    beside: Path | None,
) -> None:
    """Signs a statement and writes it; without a key the bare statement."""
    from troth.release import dsse
    from troth.wire import json

    payload = json.canonical(statement)
    count = len(statement["predicate"]["buildDefinition"]["resolvedDependencies"])
    if private is None:
        write_file(output, payload, replace=False)
        say(f"wrote {output}: {count} inputs, signed by nobody")
        return
    public = public_of(private, public_key)
    others = None if beside is None else dsse.read(read_source(str(beside)))
    envelope = dsse.sign(
        payload, payload_type=dsse.IN_TOTO, keys=[(public, private)], beside=others
    )
    write_file(output, envelope.to_json(), replace=False)
    say(f"wrote {output}: {count} inputs, signed with {public.algorithm}, key {public.id[:16]}…")


class _Image:
    """An image that a statement is held against, as `_release_artifact.File` is for a file.

    Attributes:
        kind: for words.
        name: of the image.
        sha256: in hex.
        signed: whether it is signed for PCR8.
        compared: whether a statement's inputs were compared with a build record.
        inputs: what came of that, in words.
    """

    kind: Final = "image"

    def __init__(self, path: Path, record: Path | None) -> None:
        from troth.cli._release_image import at_hand

        found = at_hand(path, record)
        if found.image is None or found.subject is None:
            raise Misuse("a build record is no image", fix="name the image itself")
        self._image, self._subject, self._found = found.image, found.subject, found
        self.name = found.name
        self.sha256 = found.subject.sha256
        self.signed = found.subject.signed
        self.compared = False
        self.inputs = "not compared: there is no build record beside the image"

    def problems(
        self, statement: Mapping[str, Any], origin: Origin, *, builder: str
    ) -> tuple[str, ...]:
        """What speaks against a statement about this image."""
        from troth.release import provenance as made

        origin.refuse()
        wrong = (
            *_image.unsound(self._image, self._subject.registers["pcr0"]),
            *made.problems(
                statement,
                self._subject,
                record=self._found.record,
                record_sha256=self._found.record_sha256,
                builder=builder,
            ),
        )
        self.compared = not wrong and self._found.record is not None
        if self.compared:
            self.inputs = "all as the build record has them"
        return wrong


def _report(
    result: str,
    wrong: list[str],
    *,
    signers: list[str],
    said: str,
    builder: str,
    about: "_release_artifact.File | _Image",
) -> None:
    from troth.render.escape import visible

    out(f"{result}   {visible(about.name)}")
    for words in wrong:
        out(f"  {visible(words)}")
    if wrong:
        return
    out(f"  {about.kind:8} {about.sha256}")
    for signer in signers:
        out(f"  signed   {visible(signer)}")
    out(
        f"  builder  {visible(said)}"
        + ("" if builder else "   (as the signer says; --builder asks for one)")
    )
    out(f"  inputs   {visible(about.inputs)}")
    if isinstance(about, _Image) and about.signed:
        out("  note     the image is signed for PCR8 since; the statement is about all else of it")


def _envelope(data: bytes, keys: "list[PublicKey]") -> tuple[str, bytes, list[str]]:
    from troth.release import dsse

    envelope = dsse.read(data)
    return envelope.payload_type, envelope.payload, list(dsse.problems(envelope, keys))


def _bundle(
    data: bytes, identity: str, issuer: str, trusted_root: Path | None
) -> tuple[str, bytes, list[str]]:
    from troth.release import sigstore

    root = None if trusted_root is None else read_source(str(trusted_root), limit=1024 * 1024)
    try:
        kind, payload = sigstore.verified(data, identity=identity, issuer=issuer, trusted_root=root)
    except Malformed as error:
        if error.field == "trusted root":
            raise
        return "", b"", [str(error)]
    return kind, payload, []


def _statement(kind: str, payload: bytes) -> dict[str, Any]:
    from troth.release import dsse
    from troth.release import provenance as made

    if kind != dsse.IN_TOTO:
        raise Malformed(f"holds {kind[:80]!r}, should be {dsse.IN_TOTO}", field="envelope")
    return made.parse(payload)
