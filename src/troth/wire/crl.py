"""What do the bytes of a certificate revocation list say (RFC 5280, section 5)? No crypto, no clock.

Only whole lists are read: a delta list, or one that speaks for some of an authority's certificates, says
so in a critical extension, and is refused.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from troth.errors import Malformed
from troth.wire.der import INTEGER, SEQUENCE, span
from troth.wire.x509 import instant, unsigned

MAX_CRL: Final = 4 * 1024 * 1024
_VERSION_2: Final = b"\x02\x01\x01"
_BIT_STRING: Final = 0x03
_OID: Final = 0x06
_TIMES: Final = (0x17, 0x18)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RevocationList:
    """A CRL of version 2, parsed and not believed.

    Attributes:
        signed: the part that is signed, DER.
        algorithm: AlgorithmIdentifier, DER; the same inside and outside.
        signature: content of the BIT STRING.
        issuer: name of the authority, DER.
        this_update, next_update: its window; both instants belong to it.
        entries: the list of revoked certificates, DER of its content; maybe empty.
    """

    signed: bytes
    algorithm: bytes
    signature: bytes
    issuer: bytes
    this_update: datetime
    next_update: datetime
    entries: bytes

    def revokes(self, serial: int) -> bool:
        """Whether the list names this serial number.

        Lists are long and numbers are rarely in them: a number whose DER occurs nowhere in the list is
        not in it, and only where it does occur is the list walked.

        Raises:
            Malformed: an entry is no DER, has a critical extension, or is below zero.
        """
        size = (serial if serial >= 0 else ~serial).bit_length() // 8 + 1
        if bytes((INTEGER, size)) + serial.to_bytes(size, "big", signed=True) not in self.entries:
            return False
        return serial in self.revoked()

    def revoked(self) -> frozenset[int]:
        """All serial numbers of the list.

        Raises:
            Malformed: as `revokes`.
        """
        return _entries(self.entries)


def read(data: bytes) -> RevocationList:
    """Exactly one list.

    Raises:
        Malformed: not DER, not version 2, without a next update, two algorithms, or with a critical
            extension. Entries are looked at by `revokes`.
    """
    field = "CRL"
    if len(data) > MAX_CRL:
        raise Malformed(f"is larger than {MAX_CRL} bytes", field=field)
    start, end = span(data, 0, len(data), field, SEQUENCE)
    if end != len(data):
        raise Malformed(f"{len(data) - end} bytes follow", field=field, offset=end)
    tbs, tbs_end = span(data, start, end, "tbsCertList", SEQUENCE)
    _, algorithm_end = span(data, tbs_end, end, "signatureAlgorithm", SEQUENCE)
    bits, bits_end = span(data, algorithm_end, end, "signature", _BIT_STRING)
    if bits_end != end or bits == end or data[bits] != 0:
        raise Malformed("is no whole number of bytes, or not last", field="signature", offset=bits)
    algorithm = data[tbs_end:algorithm_end]
    if data[tbs : tbs + 3] != _VERSION_2:
        raise Malformed("is not version 2", field=field, offset=tbs)
    inner = tbs + 3
    _, at = span(data, inner, tbs_end, "signature", SEQUENCE)
    if data[inner:at] != algorithm:
        raise Malformed("names another algorithm inside than outside", field=field, offset=inner)
    begin = at
    _, at = span(data, at, tbs_end, "issuer", SEQUENCE)
    issuer = data[begin:at]
    this_update, at = instant(data, at, tbs_end, "thisUpdate")
    next_update, at = instant(data, at, tbs_end, "nextUpdate")
    entries = b""
    if at < tbs_end and data[at] == SEQUENCE:
        begin, at = span(data, at, tbs_end, "revokedCertificates", SEQUENCE)
        entries = data[begin:at]
    if at < tbs_end:
        explicit, at = span(data, at, tbs_end, "crlExtensions", 0xA0)
        _not_critical(data, explicit, at)
    if at != tbs_end:
        raise Malformed(f"{tbs_end - at} bytes follow", field="tbsCertList", offset=at)
    return RevocationList(
        signed=data[start:tbs_end],
        algorithm=algorithm,
        signature=data[bits + 1 : bits_end],
        issuer=issuer,
        this_update=this_update,
        next_update=next_update,
        entries=entries,
    )


def _entries(data: bytes) -> frozenset[int]:
    found = []
    at, end = 0, len(data)
    while at < end:
        one, at = span(data, at, end, "revoked certificate", SEQUENCE)
        number, one = span(data, one, at, "userCertificate", INTEGER)
        found.append(unsigned(data[number:one], "userCertificate", offset=number))
        if one >= at or data[one] not in _TIMES:
            raise Malformed("has no date", field="revoked certificate", offset=one)
        _, one = span(data, one, at, "revocationDate")
        if one < at:
            _not_critical(data, one, at)
    return frozenset(found)


def _not_critical(data: bytes, at: int, end: int) -> None:
    """A list of extensions of which none is critical."""
    at, last = span(data, at, end, "extensions", SEQUENCE)
    if last != end:
        raise Malformed(f"{end - last} bytes follow", field="extensions", offset=last)
    while at < end:
        one, at = span(data, at, end, "extension", SEQUENCE)
        _, one = span(data, one, at, "extnID", _OID)
        if one < at and data[one] == 0x01:
            raise Malformed("is critical and not understood", field="extension", offset=one)
