"""The key that signs a release, wherever it is kept, and the public keys that check one."""

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from troth.cli._console import read_source
from troth.errors import Misuse

if TYPE_CHECKING:
    from troth.crypto.public import PublicKey
    from troth.release.keys import CommandKey, FileKey
    from troth.release.pkcs11 import TokenKey

Given = Literal["bytes", "digest"]
MAX_SMALL: Final = 64 * 1024


def chosen(
    key: Path | None,
    passphrase_file: str | None,
    pkcs11: str | None,
    command: str | None,
    command_gets: Given,
    *,
    edwards: bool = False,
) -> "FileKey | TokenKey | CommandKey":
    """The one private key that was named.

    Args:
        key: a PEM file.
        passphrase_file: that opens it.
        pkcs11: a URI.
        command: a program with its arguments.
        command_gets: bytes or their digest.
        edwards: whether a key of Ed25519 is taken, too.

    Raises:
        Misuse: none was named, or several; or options that do not belong to it.
    """
    from troth.release import keys

    if sum(given is not None for given in (key, pkcs11, command)) != 1:
        raise Misuse("one key signs", fix="give --key, --pkcs11 or --command, and one of them only")
    if passphrase_file is not None and key is None:
        raise Misuse("a passphrase is for a key in a file", fix="leave --passphrase-file away")
    if command_gets != "bytes" and command is None:
        raise Misuse("--command-gets is for a command", fix="leave it away")
    if key is not None:
        passphrase = None if passphrase_file is None else _passphrase(passphrase_file)
        pem = read_source(str(key), limit=MAX_SMALL)
        return keys.from_pem(pem, passphrase=passphrase, edwards=edwards)
    if pkcs11 is not None:
        from troth.release.pkcs11 import from_uri

        return from_uri(pkcs11)
    return keys.CommandKey(argv=keys.split(command or ""), given=command_gets)


def public_of(private: "FileKey | TokenKey | CommandKey", given: Path | None) -> "PublicKey":
    """The public key of a private one: the file's own, else the one that is given.

    Raises:
        Misuse: a key that is not in a file has none given; or a file's own is another.
    """
    from troth.crypto import public
    from troth.release.keys import FileKey

    named = None if given is None else publics([given])[0]
    if isinstance(private, FileKey):
        own = public.of(private.private.public_key())
        if named is not None and named.id != own.id:
            raise Misuse("the public key is not that of the private one", fix="leave it away")
        return own
    if named is None:
        raise Misuse(
            "what a token or a command signs is verified before it is written",
            fix="give its public key with --public-key",
        )
    return named


def publics(paths: list[Path]) -> "list[PublicKey]":
    """Public keys in PEM files.

    Raises:
        Malformed: a file is none.
        Misuse: one is named twice.
    """
    from troth.crypto import public

    found = [public.from_pem(read_source(str(p), limit=MAX_SMALL), name=str(p)) for p in paths]
    if len({key.id for key in found}) != len(found):
        raise Misuse("a public key is named twice", fix="name each once")
    return found


def _passphrase(source: str) -> bytes:
    text = read_source(source, limit=1024)
    text = text.removesuffix(b"\n").removesuffix(b"\r")
    if not text:
        raise Misuse("the passphrase is empty", fix="write it into the file, in one line")
    return text
