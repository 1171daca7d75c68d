"""What does a VCEK's or VLEK's certificate say of the key it endorses?

Source: AMD, «Versioned Chip Endorsement Key (VCEK) Certificate and KDS Interface» (57230): extensions
under 1.3.6.1.4.1.3704.1, each with its one encoding. Security versions are DER INTEGERs, names are
IA5Strings, and the chip's id is raw bytes in no DER at all.

Does not verify: the certificate; its path is `chain`'s affair.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from troth.crypto import issued
from troth.errors import Malformed
from troth.platforms.snp.format import SigningKey
from troth.platforms.snp.product import Product
from troth.wire import x509
from troth.wire.der import span
from troth.wire.x509 import Certificate

_IA5_STRING: Final = 0x16
_ARC: Final = bytes.fromhex("2b060104019c7801")
_VERSION: Final = _ARC + b"\x01"
_PRODUCT: Final = _ARC + b"\x02"
_SVN: Final = _ARC + b"\x03"
_HWID: Final = _ARC + b"\x04"
_CSP: Final = _ARC + b"\x05"
_SVNS: Final = MappingProxyType(
    {
        "boot_loader": _SVN + b"\x01",
        "tee": _SVN + b"\x02",
        "snp": _SVN + b"\x03",
        "microcode": _SVN + b"\x08",
    }
)
_SVNS_TURIN: Final = MappingProxyType({**_SVNS, "fmc": _SVN + b"\x09"})
_SVNS_RESERVED: Final = tuple(_SVN + bytes((number,)) for number in range(4, 8))
# «Milan-B0» names a stepping beside the product; a VLEK serves many chips and names the product alone.
_NAME: Final = re.compile(r"(Milan|Genoa|Turin)(-[A-Z][0-9])?")
_MAX_CSP: Final = 256
# The one encoding of each INTEGER of one byte's value.
_NUMBERS: Final = {
    (b"\x02\x01" if number < 0x80 else b"\x02\x02\0") + bytes((number,)): number
    for number in range(256)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endorsement:
    """A key's certificate, parsed and not believed.

    Attributes:
        certificate: the whole.
        signing_key: `VCEK` (one chip's) or `VLEK` (a cloud provider's, for its chips).
        product: the product that it counts for.
        product_name: as it stands there, with the stepping.
        parts: security versions by name.
        hwid: the chip's id: 64 bytes, 8 on Turin; None in a VLEK's.
        csp: the provider's name; None in a VCEK's.
    """

    certificate: Certificate
    signing_key: SigningKey
    product: Product
    product_name: str
    parts: Mapping[str, int]
    hwid: bytes | None
    csp: str | None


@lru_cache(maxsize=1024)
def read(der: bytes) -> Endorsement:
    """Reads a VCEK's or a VLEK's certificate; a pure function of its bytes, remembered for speed.

    Raises:
        Malformed: it is not one, an extension is missing, not known, or in another encoding.
    """
    certificate = issued.read(der)
    values = {
        name: value for name, value in certificate.extensions.items() if name.startswith(_ARC)
    }
    name = _text(values, _PRODUCT, "productName")
    match = _NAME.fullmatch(name)
    if match is None:
        raise Malformed(f"is {name[:40]!r}, which troth does not know", field="productName")
    product = Product(match[1])
    turin = product is Product.TURIN
    structure = _integer(values, _VERSION, "structVersion")
    if structure != turin:
        raise Malformed(f"is {structure}, should be {int(turin)}", field="structVersion")
    parts = {
        part: _integer(values, oid, f"{part} SPL")
        for part, oid in (_SVNS_TURIN if turin else _SVNS).items()
    }
    for oid in _SVNS_RESERVED:
        if oid in values and _integer(values, oid, "reserved SPL"):
            raise Malformed("is not zero", field="reserved SPL")
    hwid = values.pop(_HWID, None)
    csp = _text(values, _CSP, "CSP id") if _CSP in values else None
    if values:
        raise Malformed(
            f"has extensions that are not known: {', '.join(sorted(n.hex() for n in values))}",
            field="endorsement",
        )
    if (hwid is None) == (csp is None):
        raise Malformed("names a chip and a provider, or neither", field="endorsement")
    if hwid is not None and len(hwid) != (8 if turin else 64):
        raise Malformed(f"is {len(hwid)} bytes on {product}", field="HWID")
    signing_key = SigningKey.VLEK if hwid is None else SigningKey.VCEK
    role = x509.common_name(certificate.subject)
    if role != f"SEV-{signing_key.name}" or (hwid is None and match[2]):
        raise Malformed(
            f"is of {role[:40]!r} and {name!r}, not both of one kind", field="endorsement"
        )
    return Endorsement(
        certificate=certificate,
        signing_key=signing_key,
        product=product,
        product_name=name,
        parts=MappingProxyType(parts),
        hwid=hwid,
        csp=csp,
    )


def _integer(values: dict[bytes, bytes], oid: bytes, field: str) -> int:
    """A DER INTEGER of 0 to 255 and nothing else; takes it out of `values`."""
    number = _NUMBERS.get(_take(values, oid, field))
    if number is None:
        raise Malformed("is not one byte's number in DER", field=field)
    return number


def _text(values: dict[bytes, bytes], oid: bytes, field: str) -> str:
    value = _take(values, oid, field)
    start, end = span(value, 0, len(value), field, _IA5_STRING)
    text = value[start:end]
    if end != len(value) or not 1 <= len(text) <= _MAX_CSP or not text.isascii():
        raise Malformed("is not one short text of ASCII", field=field)
    return text.decode("ascii")


def _take(values: dict[bytes, bytes], oid: bytes, field: str) -> bytes:
    if oid not in values:
        raise Malformed("is missing", field=field)
    return values.pop(oid)
