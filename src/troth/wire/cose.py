"""COSE_Sign1 (RFC 9052 section 4.2), as attestation documents use it: the bytes only, no keys."""

from dataclasses import dataclass
from typing import Final

from troth.errors import Malformed
from troth.wire import cbor

ES384: Final = -35
TAG_SIGN1: Final = 18
_ALG: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign1:
    """One signature over one payload.

    Attributes:
        protected: the protected header as it stands, still encoded; it is signed.
        alg: the algorithm number out of it.
        payload: the signed bytes, never re-encoded.
        payload_offset: where the payload begins in the input.
        signature: r ‖ s, big-endian, each half of the length.
    """

    protected: bytes
    alg: int
    payload: bytes
    payload_offset: int
    signature: bytes

    def to_be_signed(self) -> bytes:
        """Sig_structure of RFC 9052 section 4.4 with empty external data."""
        return cbor.encode_in_order(["Signature1", self.protected, b"", self.payload])


def parse_sign1(data: bytes) -> Sign1:
    """Reads a COSE_Sign1, tagged with 18 or bare.

    Raises:
        Malformed: not an array of four; the protected header is not exactly {1: alg}; the unprotected
            header is not empty (nothing signs it); bytes follow.
    """
    value = cbor.decode(data, field="COSE_Sign1", tags=frozenset({TAG_SIGN1}))
    if isinstance(value, cbor.Tagged):
        value = value.value
    if not isinstance(value, list) or len(value) != 4:
        raise Malformed("is not an array of four", field="COSE_Sign1", offset=0)
    protected, unprotected, payload, signature = value
    if not isinstance(protected, bytes):
        raise Malformed("is not a byte string", field="COSE protected header")
    header = cbor.decode(protected, field="COSE protected header")
    if not isinstance(header, dict) or set(header) != {_ALG} or type(header[_ALG]) is not int:
        raise Malformed("is not exactly {1: alg}", field="COSE protected header")
    if unprotected != {} or not isinstance(unprotected, dict):
        raise Malformed("is not an empty map", field="COSE unprotected header")
    if not isinstance(payload, bytes) or not isinstance(signature, bytes):
        raise Malformed("payload or signature is not a byte string", field="COSE_Sign1")
    # The signature is the last item: its head is 1 byte below 24 bytes of content, 2 below 256.
    head = 1 if len(signature) < 24 else 2 if len(signature) < 256 else 3
    return Sign1(
        protected=protected,
        alg=header[_ALG],
        payload=payload,
        payload_offset=len(data) - len(signature) - head - len(payload),
        signature=signature,
    )
