"""What do a TPM's structures say? Quotes, signatures and public areas (TPM 2.0 Library, part 2).

Big-endian, sizes before bytes, one encoding only: what is read here is all of what was given, and
flags are 0 or 1. Sections: 10.12 (TPMS_ATTEST), 10.6 (TPML_PCR_SELECTION), 11.3 (TPMT_SIGNATURE),
12.2 (TPMT_PUBLIC), 8.3 (TPMA_OBJECT).

Does not verify: anything. A key's name is a hash and is made elsewhere.
"""

from dataclasses import dataclass
from typing import Final

from troth.errors import Malformed
from troth.wire.reader import Reader

SHA1: Final = 0x0004
SHA256: Final = 0x000B
SHA384: Final = 0x000C
SHA512: Final = 0x000D
NULL: Final = 0x0010
RSASSA: Final = 0x0014
RSAES: Final = 0x0015
RSAPSS: Final = 0x0016
OAEP: Final = 0x0017
ECDSA: Final = 0x0018
RSA: Final = 0x0001
ECC: Final = 0x0023
P256: Final = 0x0003
P384: Final = 0x0004
P521: Final = 0x0005

DIGESTS: Final = {SHA1: 20, SHA256: 32, SHA384: 48, SHA512: 64}
"""Hash algorithm to size of its digest in bytes."""
BANKS: Final = {SHA1: "sha1", SHA256: "sha256", SHA384: "sha384", SHA512: "sha512"}
"""Hash algorithm to its name, of which banks of registers are named."""

FIXED_TPM: Final = 1 << 1
FIXED_PARENT: Final = 1 << 4
RESTRICTED: Final = 1 << 16
DECRYPT: Final = 1 << 17
SIGN: Final = 1 << 18
ATTRIBUTES: Final = {
    FIXED_TPM: "fixedTPM",
    FIXED_PARENT: "fixedParent",
    RESTRICTED: "restricted",
    DECRYPT: "decrypt",
    SIGN: "sign",
}
"""Attribute bits that say whether a key is an attestation key."""

PCRS: Final = 24
MAX_STRUCTURE: Final = 4096
GENERATED: Final = 0xFF544347
QUOTE: Final = 0x8018
_MAX_BANKS: Final = 16
_MAX_NAME: Final = 66  # an algorithm and its digest
_MAX_DATA: Final = 66
_MAX_KEY: Final = 512
# RFC 3279, 2.3.1 and RFC 5480: algorithm identifiers in DER.
_RSA_ENCRYPTION: Final = bytes.fromhex("300d06092a864886f70d0101010500")
_EC_PUBLIC_KEY: Final = bytes.fromhex("06072a8648ce3d0201")
_CURVES: Final = {
    P256: (32, _EC_PUBLIC_KEY + bytes.fromhex("06082a8648ce3d030107")),
    P384: (48, _EC_PUBLIC_KEY + bytes.fromhex("06052b81040022")),
}
_SELECT: Final = 3  # bytes of a selection's bitmap


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """One bank of registers and those selected of it.

    Attributes:
        algorithm: the bank's hash algorithm.
        pcrs: indices, ascending; may be none.
    """

    algorithm: int
    pcrs: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attest:
    """TPMS_ATTEST of a quote.

    Attributes:
        data: all of it, which is what is signed.
        qualified_signer: the signing key's qualified name: an algorithm and a digest.
        extra_data: what whoever asked gave along.
        clock: milliseconds that the TPM has run.
        reset_count: how often it was started anew.
        restart_count: how often it was resumed since.
        safe: whether no clock value greater than this one was ever given out.
        firmware_version: the vendor's number.
        selections: banks and registers, in the order in which they were hashed.
        pcr_digest: over the selected registers' values.
    """

    data: bytes
    qualified_signer: bytes
    extra_data: bytes
    clock: int
    reset_count: int
    restart_count: int
    safe: bool
    firmware_version: int
    selections: tuple[Selection, ...]
    pcr_digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """TPMT_SIGNATURE.

    Attributes:
        scheme: `RSASSA`, `RSAPSS` or `ECDSA`.
        hash: the scheme's hash algorithm, which also makes the quote's digest of registers.
        values: the signature of RSA; r and s of ECDSA.
    """

    scheme: int
    hash: int
    values: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RsaKey:
    """An RSA key: modulus (big-endian) and exponent."""

    modulus: bytes
    exponent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EccKey:
    """A point on a curve: TPM number of the curve, coordinates (big-endian)."""

    curve: int
    x: bytes
    y: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Public:
    """TPMT_PUBLIC of an RSA or ECC key.

    Attributes:
        data: all of it; the key's name is `name_algorithm` and the hash of this.
        name_algorithm: of the key's name.
        attributes: TPMA_OBJECT.
        auth_policy: digest of the policy that guards the key's use, or empty.
        scheme: the one signing scheme of the key, or `NULL` for any.
        scheme_hash: the scheme's hash, or `NULL`.
        key: the key.
    """

    data: bytes
    name_algorithm: int
    attributes: int
    auth_policy: bytes
    scheme: int
    scheme_hash: int
    key: RsaKey | EccKey


def attest(data: bytes) -> Attest:
    """Reads a quote.

    Raises:
        Malformed: the TPM did not generate it, it is no quote, or any departure from the form.
    """
    reader = Reader(data)
    magic = reader.uint(4, "magic")
    if magic != GENERATED:
        raise Malformed(f"is {magic:#010x}, should be {GENERATED:#010x}", field="magic", offset=0)
    kind = reader.uint(2, "type")
    if kind != QUOTE:
        raise Malformed(f"is {kind:#06x}, should be {QUOTE:#06x}, a quote", field="type", offset=4)
    signer = _sized(reader, "qualified signer", _MAX_NAME)
    extra = _sized(reader, "extra data", _MAX_DATA)
    clock = reader.uint(8, "clock")
    reset = reader.uint(4, "reset count")
    restart = reader.uint(4, "restart count")
    where = reader.offset
    safe = reader.uint(1, "safe")
    if safe > 1:
        raise Malformed(f"is {safe}, should be 0 or 1", field="safe", offset=where)
    firmware = reader.uint(8, "firmware version")
    selections = _selections(reader)
    digest = _sized(reader, "PCR digest", _MAX_DATA)
    reader.end("quote")
    return Attest(
        data=data,
        qualified_signer=signer,
        extra_data=extra,
        clock=clock,
        reset_count=reset,
        restart_count=restart,
        safe=bool(safe),
        firmware_version=firmware,
        selections=selections,
        pcr_digest=digest,
    )


def selections(data: bytes) -> tuple[Selection, ...]:
    """Reads a TPML_PCR_SELECTION.

    Raises:
        Malformed: too many banks, one twice, an unknown one, or a bitmap of another size.
    """
    reader = Reader(data)
    found = _selections(reader)
    reader.end("PCR selection")
    return found


def selected(wanted: tuple[Selection, ...]) -> bytes:
    """TPML_PCR_SELECTION: what `selections` reads."""
    parts = [len(wanted).to_bytes(4, "big")]
    for one in wanted:
        bitmap = sum(1 << index for index in set(one.pcrs)).to_bytes(_SELECT, "little")
        parts.append(one.algorithm.to_bytes(2, "big") + bytes([_SELECT]) + bitmap)
    return b"".join(parts)


def signature(data: bytes) -> Signature:
    """Reads a TPMT_SIGNATURE.

    Raises:
        Malformed: another scheme or hash than attestation keys use, or bytes left.
    """
    reader = Reader(data)
    scheme = reader.uint(2, "scheme")
    if scheme not in (RSASSA, RSAPSS, ECDSA):
        raise Malformed(
            f"is {scheme:#06x}, should be RSASSA, RSAPSS or ECDSA", field="scheme", offset=0
        )
    digest = _hash(reader, "scheme's hash")
    names = ("r", "s") if scheme == ECDSA else ("signature",)
    values = tuple(_sized(reader, name, _MAX_KEY) for name in names)
    reader.end("signature")
    return Signature(scheme=scheme, hash=digest, values=values)


def public(data: bytes) -> Public:
    """Reads a TPMT_PUBLIC of an RSA or ECC key.

    Raises:
        Malformed: another kind of object, an unknown parameter, or bytes left.
    """
    reader = Reader(data)
    kind = reader.uint(2, "type")
    if kind not in (RSA, ECC):
        raise Malformed(f"is {kind:#06x}, should be RSA or ECC", field="type", offset=0)
    name_algorithm = _hash(reader, "name algorithm")
    attributes = reader.uint(4, "attributes")
    policy = _sized(reader, "authorization policy", _MAX_DATA)
    if reader.uint(2, "symmetric algorithm") != NULL:
        reader.take(4, "symmetric parameters")
    scheme = reader.uint(2, "scheme")
    scheme_hash = NULL if scheme in (NULL, RSAES) else _hash(reader, "scheme's hash")
    key = _rsa(reader) if kind == RSA else _ecc(reader)
    reader.end("public area")
    return Public(
        data=data,
        name_algorithm=name_algorithm,
        attributes=attributes,
        auth_policy=policy,
        scheme=scheme,
        scheme_hash=scheme_hash,
        key=key,
    )


def spki(found: Public) -> bytes:
    """The key as SubjectPublicKeyInfo, DER: what a certificate of the same key holds.

    Raises:
        Malformed: a curve other than P-256 and P-384, or coordinates of another size.
    """
    if isinstance(found.key, RsaKey):
        return rsa_spki(found.key)
    known = _CURVES.get(found.key.curve)
    if known is None or {len(found.key.x), len(found.key.y)} != {known[0]}:
        raise Malformed("is not a point on P-256 or P-384", field="key")
    point = b"\0\4" + found.key.x + found.key.y
    return _der(0x30, _der(0x30, known[1]) + _der(0x03, point))


def rsa_spki(key: RsaKey) -> bytes:
    """An RSA key as SubjectPublicKeyInfo, DER."""
    exponent = key.exponent.to_bytes(key.exponent.bit_length() // 8 + 1, "big")
    modulus = b"\0" + key.modulus if key.modulus[:1] >= b"\x80" else key.modulus
    numbers = _der(0x30, _der(0x02, modulus) + _der(0x02, exponent))
    return _der(0x30, _RSA_ENCRYPTION + _der(0x03, b"\0" + numbers))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    width = (size.bit_length() + 7) // 8
    return bytes([tag, 0x80 | width]) + size.to_bytes(width, "big") + content


def _rsa(reader: Reader) -> RsaKey:
    where = reader.offset
    bits = reader.uint(2, "key bits")
    exponent = reader.uint(4, "exponent") or 65537  # 0 stands for the usual one
    modulus = _sized(reader, "modulus", _MAX_KEY)
    if len(modulus) * 8 != bits or not modulus or not modulus[0] & 0x80:
        raise Malformed(f"are {bits}, the modulus has others", field="key bits", offset=where)
    return RsaKey(modulus=modulus, exponent=exponent)


def _ecc(reader: Reader) -> EccKey:
    curve = reader.uint(2, "curve")
    if reader.uint(2, "key derivation") != NULL:
        _hash(reader, "key derivation's hash")
    return EccKey(curve=curve, x=_sized(reader, "x", _MAX_KEY), y=_sized(reader, "y", _MAX_KEY))


def _selections(reader: Reader) -> tuple[Selection, ...]:
    where = reader.offset
    count = reader.uint(4, "banks")
    if count > _MAX_BANKS:
        raise Malformed(f"are {count}, at most {_MAX_BANKS}", field="banks", offset=where)
    found: dict[int, Selection] = {}
    for _ in range(count):
        where = reader.offset
        algorithm = _hash(reader, "bank")
        if algorithm in found:
            raise Malformed(f"{BANKS[algorithm]} is there twice", field="bank", offset=where)
        size = reader.uint(1, "bitmap's size")
        if size != _SELECT:
            raise Malformed(
                f"is {size}, should be {_SELECT}", field="bitmap's size", offset=where + 2
            )
        bitmap = reader.uint(_SELECT, "bitmap", "little")
        found[algorithm] = Selection(
            algorithm=algorithm, pcrs=tuple(i for i in range(PCRS) if bitmap >> i & 1)
        )
    return tuple(found.values())


def _hash(reader: Reader, field: str) -> int:
    where = reader.offset
    number = reader.uint(2, field)
    if number not in DIGESTS:
        raise Malformed(f"is {number:#06x}, which is no hash we know", field=field, offset=where)
    return number


def _sized(reader: Reader, field: str, limit: int) -> bytes:
    where = reader.offset
    size = reader.uint(2, f"{field}'s size")
    if size > limit:
        raise Malformed(f"is {size}, at most {limit}", field=f"{field}'s size", offset=where)
    return reader.take(size, field)
