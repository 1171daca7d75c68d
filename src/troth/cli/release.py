"""`troth release`: sign an image where the key is, and put the signature into it where the image is."""

from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Parameter

from troth.cli import _image, _release_attestations, _release_provenance, _release_supply
from troth.cli._console import read_source, refuse_existing, say, write_file
from troth.cli._help import PlainHelp
from troth.cli._release_keys import MAX_SMALL, Given, chosen
from troth.errors import Malformed, Misuse

# Name, module and line of help: nothing is imported before it is asked for, as in `main`.
LATER: Final[tuple[tuple[str, str, str], ...]] = (
    ("entry", "_entries", "Write a log's entry for a release, which its owners then sign."),
    ("freeze", "_entries", "Write an entry that freezes something of an app for ever."),
    ("revoke", "_entries", "Write an entry that revokes a release."),
    ("owners", "_entries", "Write an entry that announces the owners' next keys."),
    ("policy", "_entries", "Write an entry that says that the owners stand for a policy."),
    (
        "publish",
        "_entries",
        "Append an entry to a log, if as many owners have signed it as the policy asks for.",
    ),
    ("artifacts", "_release_logged", "Write a log's entry for files that no platform measures."),
    ("logged", "_release_logged", "Look a file up in a log."),
)
app = App(
    name="release",
    help_formatter=PlainHelp({name: summary for name, _, summary in LATER}),
    help="""What becomes of an image once it is built: signed, its origin stated and checked, its parts listed, logged.

Nitro measures the certificate of a signed image into PCR8. The signature is over PCR0 alone, so the machine
that has the key needs no image: a file of measurements is enough.

    troth release sign app.measurements.json --pcr8 --certificate cert.pem --key key.pem -o app.pcr8
    troth release attach app.eif app.pcr8

How it came to be is a statement that is signed, and checked by making it again from the build record:

    troth release provenance app.eif --key key.pem --builder https://example.com/ci -o app.provenance.json
    troth release check app.eif --provenance app.provenance.json --key public.pem

A release in a log names what an app measures to; its owners sign it, each with a key of their own.

    troth release entry app.eif --app auction --version 1.2.0 -o app.entry
    troth release sign app.entry --owner-key anna.key
    troth release publish app.entry --log log --key log.key --policy app.policy.toml
""",
)
for _name, _module, _ in LATER:
    app.command(f"troth.cli.{_module}:{_name}", name=_name)
for _more in (_release_provenance, _release_supply, _release_attestations):
    for _command in _more.COMMANDS:
        app.command(_command)
_Out = Annotated[Path, Parameter(name=["--output", "-o"])]


@app.command
def sign(
    image: Path,
    *,
    certificate: Path | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    pcr8: bool = False,
    owner_key: Path | None = None,
    key: Path | None = None,
    passphrase_file: str | None = None,
    pkcs11: str | None = None,
    command: str | None = None,
    command_gets: Given = "bytes",
) -> int:
    r"""Make a detached signature of an image, which `troth release attach` puts into it; or sign a log's entry.

    The key is in a file, in a token or module that speaks PKCS#11, or behind a command of yours. What it
    gives is verified with the certificate before anything is written.

        troth release sign app.eif --pcr8 --certificate cert.pem --key key.pem -o app.pcr8
        troth release sign app.measurements.json --pcr8 --certificate cert.pem -o app.pcr8 \
            --command 'openssl dgst -sha384 -sign key.pem'
        troth release sign app.measurements.json --pcr8 --certificate cert.pem -o app.pcr8 \
            --pkcs11 'pkcs11:token=release;object=nitro?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=pin'

    With --owner-key an entry is signed in its place, after what it says was shown.

        troth release sign app.entry --owner-key anna.key

    Args:
        image: an EIF, or a *.measurements.json that you trust; with --owner-key an entry.
        certificate: the signing certificate, PEM, with a key on P-256, P-384 or P-521. It must be valid
            now, and for as long as the image shall start.
        output: file to write; it must not exist. An entry is signed in its place without it.
        pcr8: sign for PCR8 of AWS Nitro Enclaves. It must be said.
        owner_key: sign an entry of a log with this key, from `troth tlog key`.
        key: a private key in PEM.
        passphrase_file: file with the passphrase of an encrypted key, its last line end left away;
            `-` for stdin, or /dev/fd/N.
        pkcs11: a private key's URI (RFC 7512), with module-path, and pin-source for the PIN.
        command: a program with its arguments, started without a shell. It gets the bytes to be signed on
            stdin, and gives the signature on stdout: DER, or r and s one after the other.
        command_gets: what the command gets: the bytes, which it must hash, or their digest.
    """
    from datetime import UTC, datetime

    from troth.release import pcr8 as signing

    if owner_key is not None:
        told = (certificate, key, passphrase_file, pkcs11, command)
        if pcr8 or any(flag is not None for flag in told):
            raise Misuse(
                "an entry is signed with --owner-key alone", fix="leave the other flags away"
            )
        from troth.cli import _entries

        return _entries.sign(image, owner_key, output)
    if not pcr8:
        raise Misuse("say what shall be signed", fix="add --pcr8, or --owner-key for a log's entry")
    if certificate is None or output is None:
        raise Misuse(
            "a signature for PCR8 needs a certificate and a file", fix="add --certificate and -o"
        )
    refuse_existing(output)
    value = _pcr0(image)
    pem = read_source(str(certificate), limit=MAX_SMALL)
    private = chosen(key, passphrase_file, pkcs11, command, command_gets)
    made = signing.sign(value, pem=pem, key=private, at=datetime.now(UTC))
    write_file(output, made, replace=False)
    say(f"wrote {output}: a signature over PCR0 {value.hex()[:16]}…")
    return 0


@app.command
def attach(
    image: Path,
    signature: Path,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
) -> int:
    """Put a detached signature into an image, in the place of one that it has.

    The file of measurements beside the image is written with it. Nothing is written unless a host would
    start the image: the signature is over this image, and its certificate is valid now.

        troth release attach app.eif app.pcr8
        troth release attach app.eif app.pcr8 -o signed/app.eif

    Args:
        image: an EIF.
        signature: from `troth release sign`.
        output: file to write; neither it nor its file of measurements must exist. Default: the image itself.
    """
    import contextlib
    import hashlib
    from datetime import UTC, datetime

    from troth.image import companions
    from troth.image.files import write_together
    from troth.platforms.nitro.measure import measure
    from troth.release import pcr8 as signing
    from troth.wire import eif, json

    place = image if output is None else output
    beside = companions.of(place, companions.MEASUREMENTS)
    if output is not None:
        refuse_existing(output, beside)
    if place.suffix != ".eif":
        raise Misuse(f"{place} would not be taken for an image", fix="end its name in .eif")
    parsed = eif.read(_image.read(image))
    with contextlib.suppress(Malformed):  # what is no signature, or no file beside it, is replaced
        _image.measure_eif(image, parsed)  # refuses where the file beside it says something else
    section = read_source(str(signature), limit=MAX_SMALL)
    signed = signing.attach(parsed, section, at=datetime.now(UTC))
    registers = dict(measure(signed).hex())
    running = hashlib.sha256()
    for piece in eif.pieces(signed):
        running.update(piece)
    measurements = companions.measurements(
        {"nitro": registers},
        name=place.stem,
        sha256=running.hexdigest(),
        size=signed.size,
        raw_nsm=_image.has_module(parsed),
    )
    write_together(
        place.parent,
        {
            beside.name: [json.canonical(measurements)],
            place.name: eif.pieces(signed),
        },
    )
    say(f"wrote {place}: signed, PCR8 {registers['pcr8'][:16]}…")
    return 0


def _pcr0(image: Path) -> bytes:
    """PCR0 of an image, or out of a file of measurements that says exactly one; whatever its app has."""
    measurements, _ = _image.measured(image)
    found = measurements.get("nitro", {}).get("pcr0", ())
    values = (found,) if isinstance(found, str) else found
    if len(values) != 1 or len(values[0]) != 96:
        raise Misuse(
            f"{image} gives {len(values)} values of pcr0 for nitro, of 48 bytes in hex; should be one",
            fix="name the image, or its own file of measurements",
        )
    return bytes.fromhex(values[0])
