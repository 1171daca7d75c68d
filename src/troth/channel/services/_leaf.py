"""What a TLS certificate carries beside a key: extensions by their number, and names.

These certificates hold evidence, so they are larger than others; their dates and their issuer decide
nothing.
"""

from collections.abc import Iterator
from typing import Final

from troth.errors import Malformed
from troth.wire import der, x509
from troth.wire.x509 import Certificate

MAX: Final = 128 * 1024
_OCTET_STRING: Final = 0x04
_DNS_NAME: Final = 0x82
_ALT_NAMES: Final = bytes.fromhex("551d11")


def read(certificate: bytes) -> Certificate | None:
    """The TLS leaf; None where it is of a form without extensions, or larger than any that we know.

    Such a certificate carries no evidence, and that is all that is asked of it here.
    """
    try:
        return x509.read(certificate, limit=MAX)
    except Malformed:
        return None


def oid(dotted: str) -> bytes:
    """The content bytes of an object identifier, such as extensions are found by."""
    first, second, *rest = map(int, dotted.split("."))
    return b"".join(_base128(number) for number in (40 * first + second, *rest))


def octets(certificate: Certificate, number: bytes) -> bytes | None:
    """An extension's value that is once more wrapped in an OCTET STRING; None if it is absent.

    Raises:
        Malformed: it is wrapped in something else.
    """
    found = certificate.extensions.get(number)
    if found is None:
        return None
    field = f"extension {number.hex()}"
    return found[der.only(found, field, tag=_OCTET_STRING) :]


def dns_names(certificate: Certificate) -> Iterator[str]:
    """The DNS names among the subject's alternative names (RFC 5280 section 4.2.1.6).

    Raises:
        Malformed: the extension is not DER, or a name is not ASCII.
    """
    found = certificate.extensions.get(_ALT_NAMES)
    if found is None:
        return
    data, field = found, "subjectAltName"
    at = der.only(data, field, tag=der.SEQUENCE)
    while at < len(data):
        start, end = der.element(data, at, field)
        if data[at] == _DNS_NAME:
            try:
                yield data[start:end].decode("ascii")
            except UnicodeDecodeError:
                raise Malformed("has a name that is not ASCII", field=field, offset=at) from None
        at = end


def _base128(number: int) -> bytes:
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(0x80 | number & 0x7F)
    return bytes(reversed(digits))
