"""The signature section of an enclave image file: who vouches for its PCR0. The bytes only, no keys.

    [ { "signing_certificate": [byte, …], "signature": [byte, …] } ]

Both are CBOR arrays of small integers, not byte strings. The first is a certificate in PEM, the second an
untagged COSE_Sign1 whose payload is { "register_index": 0, "register_value": [48 bytes] }, an array of
integers again. Loaders want the keys in this order and look at the first element only, so only one is
taken here.

Does not verify: the signature, the certificate, or that the value is the image's PCR0.
"""

from dataclasses import dataclass
from typing import Any, Final

from troth.errors import Malformed, Misuse
from troth.wire import cbor, cose, der, x509
from troth.wire.eif import MAX_SIGNATURE

REGISTER_SIZE: Final = 48
FIRST_BYTES: Final = bytes.fromhex("81a273") + b"signing_certificate"
"""What every such section begins with."""
ALGORITHMS: Final = {-7: ("ES256", 64), -35: ("ES384", 96), -36: ("ES512", 132)}
"""COSE algorithm (with P-256, P-384, P-521) to its name and the bytes of r ‖ s."""

_FIELD: Final = "eif.signature"
_KEYS: Final = ["signing_certificate", "signature"]
_PAYLOAD: Final = ["register_index", "register_value"]
_ARRAY_OF_FOUR: Final = 0x84


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a signature section says.

    Attributes:
        pem: the certificate's text, as it stands.
        certificate: the certificate, DER.
        sign1: the signature, with its algorithm.
        value: the PCR0 that was signed, 48 bytes.
    """

    pem: bytes
    certificate: bytes
    sign1: cose.Sign1
    value: bytes


def read(data: bytes, *, base: int = 0) -> Signature:
    """The one signature that a section holds.

    Args:
        data: the section's data, without its header.
        base: their offset in the file, for errors.

    Raises:
        Malformed: larger than a section may be; not CBOR of exactly this shape; not one certificate in
            PEM; a COSE_Sign1 with a tag, another algorithm or a signature that is not its size; a
            register that is not PCR0.
    """
    if len(data) > MAX_SIGNATURE:
        raise Malformed(f"is larger than {MAX_SIGNATURE} bytes", field=_FIELD, offset=base)
    value = cbor.decode(data, field=_FIELD, base=base)
    if not isinstance(value, list) or len(value) != 1:
        raise Malformed("is not an array of one signature", field=_FIELD, offset=base)
    pem, signed = (_bytes(item, name) for name, item in _items(value[0], _KEYS, _FIELD).items())
    sign1 = _sign1(signed)
    payload = cbor.decode(sign1.payload, field=f"{_FIELD} payload")
    register = _items(payload, _PAYLOAD, f"{_FIELD} payload")
    if type(register["register_index"]) is not int or register["register_index"] != 0:
        raise Malformed("is not 0: only PCR0 is signed", field=f"{_FIELD} register_index")
    pcr0 = _bytes(register["register_value"], "register_value")
    if len(pcr0) != REGISTER_SIZE:
        raise Malformed(
            f"is {len(pcr0)} bytes, should be {REGISTER_SIZE}", field=f"{_FIELD} register_value"
        )
    return Signature(pem=pem, certificate=certificate(pem), sign1=sign1, value=pcr0)


def write(pem: bytes, sign1: bytes) -> bytes:
    """A section's data.

    Args:
        pem: the certificate, as `certificate` takes it.
        sign1: an untagged COSE_Sign1.

    Raises:
        Misuse: it would be larger than a section may be.
    """
    data = cbor.encode_in_order([{_KEYS[0]: list(pem), _KEYS[1]: list(sign1)}])
    if len(data) > MAX_SIGNATURE:
        raise Misuse(
            f"the signature section would have {len(data)} bytes, {MAX_SIGNATURE} are allowed",
            fix="take a certificate with fewer extensions",
        )
    return data


def payload(pcr0: bytes) -> bytes:
    """What is signed for an image: the payload of its COSE_Sign1.

    Args:
        pcr0: 48 bytes.
    """
    if len(pcr0) != REGISTER_SIZE:
        raise Misuse(f"PCR0 is {REGISTER_SIZE} bytes, not {len(pcr0)}")
    return cbor.encode_in_order({_PAYLOAD[0]: 0, _PAYLOAD[1]: list(pcr0)})


def certificate(pem: bytes) -> bytes:
    """The DER of the one certificate that a PEM text is.

    Raises:
        Malformed: several certificates, text around them, or no element of DER.
    """
    field = "signing certificate"
    try:
        found = x509.read_pem(pem, field)
    except Malformed as error:
        raise Malformed(
            "is not one certificate in PEM and nothing else",
            field=field,
            offset=error.offset,
            fix="`openssl x509 -in FILE` prints the certificate alone",
        ) from None
    if len(found) != 1 or pem.endswith(b"\0"):
        raise Malformed(
            f"holds {len(found)} certificates, should be the signer's alone",
            field=field,
            fix="leave its issuers away: nobody looks at them",
        )
    der.only(found[0], field, tag=der.SEQUENCE)
    return found[0]


def _sign1(data: bytes) -> cose.Sign1:
    if data[:1] != bytes([_ARRAY_OF_FOUR]):
        raise Malformed("is not an untagged array of four", field="COSE_Sign1", offset=0)
    sign1 = cose.parse_sign1(data)
    if sign1.alg not in ALGORITHMS:
        raise Malformed(
            f"is {sign1.alg}; -7 (ES256), -35 (ES384) and -36 (ES512) are known",
            field="COSE algorithm",
        )
    name, size = ALGORITHMS[sign1.alg]
    if len(sign1.signature) != size:
        raise Malformed(
            f"is {len(sign1.signature)} bytes, {name} has {size}",
            field="COSE signature",
        )
    return sign1


def _items(value: Any, keys: list[str], field: str) -> dict[str, Any]:
    if not isinstance(value, dict) or list(value) != keys:
        raise Malformed(f"is not a map of {' and '.join(keys)}, in this order", field=field)
    return value


def _bytes(value: Any, name: str) -> bytes:
    field = f"{_FIELD} {name}"
    if not isinstance(value, list):
        raise Malformed("is not an array of bytes", field=field)
    if not all(type(item) is int and 0 <= item <= 0xFF for item in value):
        raise Malformed("holds something that is no byte", field=field)
    return bytes(value)
