"""What an image will measure to on Nitro, from its bytes alone.

H is SHA-384 over section data in the order of the file; a register that was extended once from zero
holds H(48 zero bytes ‖ digest). PCR0 covers kernel, command line and all ramdisks, PCR1 kernel,
command line and the first ramdisk, PCR2 the other ramdisks, PCR8 the certificate of a signed image. The
metadata are in no register.
"""

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from troth.errors import Misuse
from troth.wire import eif_signature
from troth.wire.eif import Eif, Kind, Piece
from troth.wire.eif_signature import Signature

ZERO: Final = bytes(48)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registers:
    """The registers that an image alone decides, 48 bytes each; PCR8 where it is signed."""

    pcr0: bytes
    pcr1: bytes
    pcr2: bytes
    pcr8: bytes | None = None

    def hex(self) -> Mapping[str, str]:
        """Register names and lower-case hexadecimal values, as policies write them."""
        image = {"pcr0": self.pcr0.hex(), "pcr1": self.pcr1.hex(), "pcr2": self.pcr2.hex()}
        return image if self.pcr8 is None else image | {"pcr8": self.pcr8.hex()}


def extend(register: bytes, data: bytes) -> bytes:
    """The value of a register after `data` was added to it.

    Args:
        register: 48 bytes.
        data: what is added, of any length.
    """
    return hashlib.sha384(register + data).digest()


def measure(eif: Eif) -> Registers:
    """PCR0, PCR1 and PCR2, and PCR8 of a signed image.

    PCR0 and PCR1 share their beginning and cost one pass together; PCR2 is hashed beside them on a
    second thread (hashing runs outside the interpreter's lock).

    Raises:
        Malformed: there is a signature section, and it is none.

    Does not verify: the signature; see `signature.problems`.
    """
    signed = signature(eif)
    ramdisks = [section.pieces for section in eif.ramdisks]
    rest = [piece for pieces in ramdisks[1:] for piece in pieces]
    with ThreadPoolExecutor(max_workers=1) as beside:
        other = beside.submit(_hash, rest)
        running = hashlib.sha384()
        for pieces in (eif.kernel.pieces, eif.command_line.pieces, ramdisks[0]):
            for piece in pieces:
                running.update(piece)
        boot = running.digest()
        for piece in rest:
            running.update(piece)
        return Registers(
            pcr0=extend(ZERO, running.digest()),
            pcr1=extend(ZERO, boot),
            pcr2=extend(ZERO, other.result()),
            pcr8=None if signed is None else pcr8(signed.certificate),
        )


def signature(eif: Eif) -> Signature | None:
    """What the signature section says, or None where the image is not signed.

    Raises:
        Malformed: it is no such section.
    """
    section = eif.only(Kind.SIGNATURE)
    if section is None:
        return None
    return eif_signature.read(bytes(section.data), base=section.offset)


def _hash(pieces: Iterable[Piece]) -> bytes:
    running = hashlib.sha384()
    for piece in pieces:
        running.update(piece)
    return running.digest()


def pcr3(role: str) -> bytes:
    """The register of the parent instance's role.

    Args:
        role: the ARN of the IAM role; its text is measured as it stands.

    Raises:
        Misuse: the text is empty or not ASCII.
    """
    return extend(ZERO, _ascii(role, "role"))


def pcr4(instance: str) -> bytes:
    """The register of the parent instance.

    Args:
        instance: the instance's id, `i-…`, without the enclave's part; its text is measured as it stands.

    Raises:
        Misuse: the text is empty or not ASCII.
    """
    return extend(ZERO, _ascii(instance, "instance"))


def pcr8(certificate: bytes) -> bytes:
    """The register of the signer of a signed image.

    Args:
        certificate: the signing certificate in DER.

    Does not verify: the signature.
    """
    return extend(ZERO, hashlib.sha384(certificate).digest())


def _ascii(text: str, what: str) -> bytes:
    if not text or not text.isascii():
        raise Misuse(f"the {what} must be ASCII text, not {text!r}")
    return text.encode("ascii")
