"""Sign an image for PCR8, and put the signature into it: two steps, so that two machines can take them.

A detached signature is the data of an EIF's signature section and nothing else. It is over PCR0, so whoever
signs needs that value and not the image.
"""

import contextlib
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import utils

from troth.errors import Misuse
from troth.platforms.nitro.measure import measure
from troth.platforms.nitro.signature import Algorithm, Signer, problems, signer
from troth.wire import eif_signature
from troth.wire.eif import VERSION, Eif, Kind, Section


class Key(Protocol):
    """A private key, wherever it is kept."""

    def sign(self, data: bytes, algorithm: Algorithm) -> bytes:
        """The signature of these bytes, as DER (ECDSA-Sig-Value) or as r ‖ s."""


def sign(pcr0: bytes, *, pem: bytes, key: Key, at: datetime) -> bytes:
    """A detached signature, verified before it is given out.

    Args:
        pcr0: of the image, 48 bytes.
        pem: the signing certificate, PEM.
        key: that belongs to it.
        at: now, aware; the certificate must be valid.

    Raises:
        Malformed: the certificate cannot be read.
        Misuse: it is not valid now, has no key on P-256, P-384 or P-521, or another key than this one.
        Unavailable: as the key does.
    """
    by = signer(eif_signature.certificate(pem))
    if wrong := by.not_valid(at):
        raise Misuse(wrong.words, fix=wrong.fix)
    made = key.sign(by.to_be_signed(pcr0), by.algorithm)
    for raw in _readings(made, by.algorithm.size):
        section = eif_signature.write(pem, by.sign1(pcr0, raw))
        if not problems(eif_signature.read(section), pcr0=pcr0, at=at):
            return section
    raise _not_this_key(made, by)


def attach(image: Eif, section: bytes, *, at: datetime) -> Eif:
    """The image with a signature at its end, in the place of any other.

    Args:
        image: as it was built, or signed before.
        section: a detached signature.
        at: now, aware.

    Raises:
        Malformed: it is no detached signature.
        Misuse: no host would start the image with it; or the image is of a version before 4.
    """
    signature = eif_signature.read(section)
    if image.version != VERSION:
        raise Misuse(
            f"the image is of version {image.version}, only version {VERSION} is written",
            fix="build it again with a newer tool",
        )
    kept = tuple(part for part in image.sections if part.kind is not Kind.SIGNATURE)
    signed = replace(image, sections=(*kept, Section(kind=Kind.SIGNATURE, pieces=(section,))))
    found = problems(signature, pcr0=measure(signed).pcr0, at=at)
    if found:
        raise Misuse("; ".join(one.words for one in found), fix=found[0].fix)
    return signed


def _readings(made: bytes, size: int) -> list[bytes]:
    """The r ‖ s that the bytes may mean; the certificate's key decides between them."""
    found = [made] if len(made) == 2 * size else []
    with contextlib.suppress(ValueError, OverflowError):
        r, s = utils.decode_dss_signature(made)
        found.append(r.to_bytes(size) + s.to_bytes(size))
    return found


def _not_this_key(made: bytes, by: Signer) -> Misuse:
    name, size = by.algorithm.name, by.algorithm.size
    if not _readings(made, size):
        return Misuse(
            f"the key gave {len(made)} bytes that are no signature of {name}",
            fix=f"it must give DER, or r and s of {size} bytes each, and nothing else",
        )
    return Misuse(
        "the key is not that of the certificate, or signed something else",
        fix=f"give the key of this certificate; it signs with {name} on {by.algorithm.curve}",
    )
