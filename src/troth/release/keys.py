"""Private keys in a file, and behind a command: an agent, a cloud's key service, a script."""

import shlex
import subprocess
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from troth.errors import Malformed, Misuse, Unavailable

Given = Literal["bytes", "digest"]
"""What a command gets: the bytes to be signed, or their digest."""


class Hashing(Protocol):
    """What a key must know of an algorithm."""

    @property
    def digest(self) -> hashes.HashAlgorithm | None:
        """What is hashed with before it is signed; None where the key takes the bytes (Ed25519)."""


_MOST_ANSWERED: Final = 1024
_SECONDS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class FileKey:
    """A key that was read from a PEM file.

    Attributes:
        private: the key.
    """

    private: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

    def sign(self, data: bytes, algorithm: Hashing) -> bytes:
        """The signature: of ECDSA in DER, of Ed25519 as it is.

        Raises:
            Misuse: the key is of the other kind than the algorithm.
        """
        digest = algorithm.digest
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            if digest is None:
                return self.private.sign(data)
        elif digest is not None:
            return self.private.sign(data, ec.ECDSA(digest))
        raise Misuse("the key is of another kind than its public key", fix="give the right one")


def from_pem(pem: bytes, *, passphrase: bytes | None = None, edwards: bool = False) -> FileKey:
    """The key in a PEM file (PKCS#8, or as OpenSSL writes it), encrypted or not.

    Args:
        pem: the file.
        passphrase: that opens it, or None.
        edwards: whether a key of Ed25519 is taken, too.

    Raises:
        Misuse: it needs a passphrase, or another one; or it is no key of these kinds.
        Malformed: it is no private key.
    """
    try:
        key = serialization.load_pem_private_key(pem, password=passphrase)
    except TypeError:  # how the library says both
        raise (
            Misuse("the key is encrypted", fix="name a file with --passphrase-file")
            if passphrase is None
            else Misuse("the key is not encrypted", fix="leave --passphrase-file away")
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        if passphrase is not None:
            raise Misuse(
                "the key cannot be opened with this passphrase",
                fix="check the file with the passphrase, and whether a line end belongs to it",
            ) from None
        raise Malformed(
            "is no private key in PEM",
            field="signing key",
            fix="`openssl pkey -in FILE` writes other kinds in PEM",
        ) from None
    if edwards and isinstance(key, ed25519.Ed25519PrivateKey):
        return FileKey(private=key)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        if edwards:
            raise Misuse(
                "the key is neither of Ed25519 nor on an elliptic curve",
                fix="make one: `openssl genpkey -algorithm ed25519`",
            )
        raise Misuse(
            "the key is not on an elliptic curve; Nitro takes P-256, P-384 and P-521 alone",
            fix="make a key on P-384: `openssl ecparam -name secp384r1 -genkey -noout`",
        )
    return FileKey(private=key)


def split(command: str) -> tuple[str, ...]:
    """A command's words, quoted as for a shell.

    Raises:
        Misuse: there are none, or a quotation does not end.
    """
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise Misuse(f"the command cannot be read: {error}", fix="end each quotation") from None
    if not words or not words[0]:
        raise Misuse("the command is empty", fix="name a program with its arguments")
    return words


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandKey:
    """A key behind a command.

    The command gets the bytes on stdin, and ends with 0 and the signature on stdout: DER or r ‖ s, not
    encoded otherwise and with no line end. What it says on stderr is shown as it stands. It is started
    without a shell, in the folder and with the environment of troth.

    Attributes:
        argv: the program and its arguments.
        given: whether it gets the bytes to be signed, which it hashes, or their digest.
    """

    argv: tuple[str, ...]
    given: Given = "bytes"

    def sign(self, data: bytes, algorithm: Hashing) -> bytes:
        """What the command answers.

        Raises:
            Unavailable: it does not start, fails, answers too much, or takes five minutes.
            Misuse: it shall get a digest, and the algorithm signs none.
        """
        if self.given == "digest":
            if algorithm.digest is None:
                raise Misuse(
                    "Ed25519 signs the bytes and no digest", fix="let the command get bytes"
                )
            digest = hashes.Hash(algorithm.digest)
            digest.update(data)
            data = digest.finalize()
        name = self.argv[0]
        try:
            with subprocess.Popen(
                self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            ) as process:
                try:
                    return self._answer(process, data)
                finally:
                    process.kill()
        except OSError as error:
            raise Unavailable(
                f"{name} does not start: {error.strerror}", fix="name a program that is there"
            ) from None

    def _answer(self, process: "subprocess.Popen[bytes]", data: bytes) -> bytes:
        name = self.argv[0]
        try:
            answer, _ = process.communicate(data, timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"{name} has not answered in {_SECONDS} s") from None
        if process.returncode:
            raise Unavailable(
                f"{name} ended with {process.returncode}", fix="see what it said above"
            )
        if len(answer) > _MOST_ANSWERED:
            raise Unavailable(f"{name} answered {len(answer)} bytes, which is no signature")
        return answer
