"""What do the bytes of an X.509 certificate say (RFC 5280)? Strict DER, no crypto, no clock.

A reader of our own, because real certificates trip the library's: AMD's VCEKs have the serial number
0, and an extension that holds raw bytes. It walks by index, and reads only what path validation needs.

Does not verify: anything. Names are compared as DER, byte for byte, by whoever builds a path.
"""

import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from troth.errors import Malformed
from troth.wire.der import INTEGER, SEQUENCE, span

MAX_CERTIFICATE: Final = 16 * 1024
MAX_CHAIN: Final = 8
MAX_PEM: Final = 2 * MAX_CHAIN * MAX_CERTIFICATE

BASIC_CONSTRAINTS: Final = bytes.fromhex("551d13")
KEY_USAGE: Final = bytes.fromhex("551d0f")
COMMON_NAME: Final = bytes.fromhex("0603550403")

_CRITICAL: Final = b"\x01\x01\xff"  # DEFAULT FALSE is not encoded in DER
_BIT_STRING: Final = 0x03
_OCTET_STRING: Final = 0x04
_OID: Final = 0x06
# Tag and length: to the second and in Z, each of the two has one size.
_UTC_TIME: Final = b"\x17\x0d"
_GENERALIZED_TIME: Final = b"\x18\x0f"
_VERSION_3: Final = bytes.fromhex("a003020102")
_PEM: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----\r?\n([^-]+)-----END CERTIFICATE-----(?:\r?\n|\Z)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """An X.509 v3 certificate, parsed and not believed.

    Attributes:
        der: all of it.
        signed: the part that is signed (TBSCertificate), DER.
        algorithm: AlgorithmIdentifier, DER; the same inside and outside.
        signature: content of the BIT STRING.
        serial: a number; AMD's are 0, and some authorities' of virtual TPMs are negative.
        issuer, subject: names, DER.
        not_before, not_after: its validity; both instants belong to it.
        key: SubjectPublicKeyInfo, DER.
        extensions: content bytes of the OID to the content of the extension's OCTET STRING.
        critical: the OIDs of those that are critical.
    """

    der: bytes
    signed: bytes
    algorithm: bytes
    signature: bytes
    serial: int
    issuer: bytes
    subject: bytes
    not_before: datetime
    not_after: datetime
    key: bytes
    extensions: Mapping[bytes, bytes]
    critical: frozenset[bytes]


def read(data: bytes, *, limit: int = MAX_CERTIFICATE) -> Certificate:
    """Exactly one certificate.

    Args:
        data: DER.
        limit: bytes that it may have; those that carry evidence have more than others.

    Raises:
        Malformed: not DER, not version 3, two algorithms, an extension twice, or bytes follow.
    """
    field = "certificate"
    if len(data) > limit:
        raise Malformed(f"is larger than {limit} bytes", field=field)
    start, end = span(data, 0, len(data), field, SEQUENCE)
    _ends(end, len(data), field)
    tbs, tbs_end = span(data, start, end, "tbsCertificate", SEQUENCE)
    _, algorithm_end = span(data, tbs_end, end, "signatureAlgorithm", SEQUENCE)
    bits, bits_end = span(data, algorithm_end, end, "signature", _BIT_STRING)
    _ends(bits_end, end, field)
    if bits == bits_end or data[bits] != 0:
        raise Malformed("is no whole number of bytes", field="signature", offset=bits)
    outer_algorithm = data[tbs_end:algorithm_end]

    if data[tbs : tbs + 5] != _VERSION_3:
        raise Malformed("is not version 3", field=field, offset=tbs)
    at = tbs + 5
    number, at = span(data, at, tbs_end, "serialNumber", INTEGER)
    serial = _serial(data[number:at], number)
    inner = at
    _, at = span(data, at, tbs_end, "signature", SEQUENCE)
    if data[inner:at] != outer_algorithm:
        raise Malformed("names another algorithm inside than outside", field=field, offset=inner)
    begin = at
    _, at = span(data, at, tbs_end, "issuer", SEQUENCE)
    issuer = data[begin:at]
    times, at = span(data, at, tbs_end, "validity", SEQUENCE)
    not_before, middle = instant(data, times, at, "notBefore")
    not_after, last = instant(data, middle, at, "notAfter")
    _ends(last, at, "validity")
    begin = at
    _, at = span(data, at, tbs_end, "subject", SEQUENCE)
    subject = data[begin:at]
    begin = at
    _, at = span(data, at, tbs_end, "subjectPublicKeyInfo", SEQUENCE)
    key = data[begin:at]
    explicit, at = span(data, at, tbs_end, "extensions", 0xA3)
    _ends(at, tbs_end, "tbsCertificate")
    extensions, critical = _extensions(data, explicit, at)
    return Certificate(
        der=data,
        signed=data[start:tbs_end],
        algorithm=outer_algorithm,
        signature=data[bits + 1 : bits_end],
        serial=serial,
        issuer=issuer,
        subject=subject,
        not_before=not_before,
        not_after=not_after,
        key=key,
        extensions=extensions,
        critical=critical,
    )


def read_pem(data: bytes, field: str) -> tuple[bytes, ...]:
    """The DER of each certificate in a PEM text (RFC 7468) of nothing else; NULs may end it.

    Raises:
        Malformed: anything before, between or after the blocks, bad base64, none, or too many.
    """
    if len(data) > MAX_PEM:  # blank lines and NULs may be any number, and are remembered
        raise Malformed(f"is larger than {MAX_PEM} bytes", field=field)
    try:
        return _blocks(data)
    except _NotPemError as error:
        raise Malformed(error.words, field=field, offset=error.at) from None


class _NotPemError(Exception):
    """What is wrong with a text, and where; whoever reads it names the field."""

    def __init__(self, words: str, at: int | None = None) -> None:
        super().__init__(words)
        self.words, self.at = words, at


@lru_cache(maxsize=256)
def _blocks(data: bytes) -> tuple[bytes, ...]:
    """A pure function of its bytes, remembered for speed."""
    text = data.rstrip(b"\0")  # Intel's quoting library puts one there
    found, at = [], 0
    while at < len(text):
        match = _PEM.match(text, at)
        if match is None:
            raise _NotPemError("is not PEM certificates and nothing else", at)
        der = _decoded(match[1])
        if der is None:
            raise _NotPemError("is not base64 in its one form", match.start(1))
        found.append(der)
        at = match.end()
    if not 1 <= len(found) <= MAX_CHAIN:
        raise _NotPemError(f"holds {len(found)} certificates, should be 1 to {MAX_CHAIN}")
    return tuple(found)


@lru_cache(maxsize=64)  # a text may be long
def _decoded(lines: bytes) -> bytes | None:
    """What stands in base64 of one form, or None; remembered, because chains end at the same roots."""
    body = lines.replace(b"\r", b"").replace(b"\n", b"")
    try:
        der = binascii.a2b_base64(body, strict_mode=True)
    except binascii.Error:
        return None
    # Of one DER there are two texts only where the last four characters have bits to spare.
    last = der[-(len(der) % 3 or 3) :]
    return der if binascii.b2a_base64(last, newline=False) == body[-4:] else None


@lru_cache(maxsize=512)
def common_name(name: bytes) -> str:
    """The common name in a Name, as text; empty where there is none, or one that is no text.

    A pure function of its bytes, remembered for speed.
    """
    at = name.rfind(COMMON_NAME)
    if at < 0:
        return ""
    try:
        start, end = span(name, at + len(COMMON_NAME), len(name), "commonName")
        return name[start:end].decode("utf-8")
    except (Malformed, UnicodeDecodeError):
        return ""


def unsigned(content: bytes, field: str, *, offset: int | None = None) -> int:
    """The value of an INTEGER's content that must not be negative, in its shortest form."""
    if not content or content[0] & 0x80:
        raise Malformed("is empty or negative", field=field, offset=offset)
    if len(content) > 1 and content[0] == 0 and not content[1] & 0x80:
        raise Malformed("is not in its shortest form", field=field, offset=offset)
    return int.from_bytes(content, "big")


def _serial(content: bytes, at: int) -> int:
    """Of either sign, in its shortest form: RFC 5280 asks readers to bear with zero and negative ones."""
    if not content:
        raise Malformed("is empty", field="serialNumber", offset=at)
    if len(content) > 1 and (content[0], content[1] >> 7) in ((0, 0), (0xFF, 1)):
        raise Malformed("is not in its shortest form", field="serialNumber", offset=at)
    return int.from_bytes(content, "big", signed=True)


def _extensions(
    data: bytes, start: int, end: int
) -> tuple[Mapping[bytes, bytes], frozenset[bytes]]:
    at, last = span(data, start, end, "extensions", SEQUENCE)
    _ends(last, end, "extensions")
    found: dict[bytes, bytes] = {}
    critical = []
    while at < end:
        one, at = span(data, at, end, "extension", SEQUENCE)
        oid, one = span(data, one, at, "extnID", _OID)
        name = data[oid:one]
        if data[one : one + 3] == _CRITICAL:
            critical.append(name)
            one += 3
        value, one = span(data, one, at, "extnValue", _OCTET_STRING)
        if one != at:
            raise Malformed(f"{at - one} bytes follow", field="extension", offset=one)
        if name in found:
            raise Malformed("stands twice", field=f"extension {name.hex()}", offset=oid)
        found[name] = data[value:one]
    return MappingProxyType(found), frozenset(critical)


def instant(data: bytes, at: int, end: int, field: str) -> tuple[datetime, int]:
    """UTCTime to 2049, GeneralizedTime from 2050 on, both to the second and in Z (4.1.2.5)."""
    head = data[at : at + 2]
    stop = at + (15 if head == _UTC_TIME else 17)
    digits = data[at + 2 : stop - 1]
    if (
        head not in (_UTC_TIME, _GENERALIZED_TIME)
        or stop > end
        or data[stop - 1] != ord("Z")
        or not digits.isdigit()
    ):
        raise Malformed("is no time to the second in UTC", field=field, offset=at)
    text = digits.decode("ascii")
    if head == _UTC_TIME:
        text = ("20" if text < "50" else "19") + text
    try:
        if (
            text[8:10] < "24"
        ):  # from Python 3.14 on the library takes 24:00 for the next day's start
            return datetime.fromisoformat(f"{text[:8]}T{text[8:]}Z"), stop
    except ValueError:
        pass
    raise Malformed("is no time of the calendar", field=field, offset=at)


def _ends(at: int, end: int, field: str) -> None:
    if at != end:
        raise Malformed(f"{end - at} bytes follow", field=field, offset=at)


def forget() -> None:
    """Empties what is remembered, for benchmarks that measure the first time."""
    _blocks.cache_clear()
    _decoded.cache_clear()
