"""A development PKI shaped like AMD's: ARK, ASK and ASVK, the certificates they issue, the root's CRL.

Names, extensions and algorithms are AMD's but for the organisation, «troth development», which marks
the class. Certificates are written in DER by hand: AMD's have the serial number 0 and an extension
of raw bytes, and libraries make neither.

Does not protect anything: whoever holds these keys signs what he likes.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from troth.crypto import issued
from troth.crypto import keys as algorithms
from troth.errors import Malformed
from troth.model.roots import Root, RootClass
from troth.platforms.snp.format import SigningKey
from troth.platforms.snp.product import Product
from troth.wire import x509

ORGANISATION: Final = "troth development"
_BUNDLE: Final = "development PKI"
_SPKI: Final = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
_RSA_BITS: Final = 4096
_CA_LIFE: Final = timedelta(days=25 * 365)
_LIFE: Final = {SigningKey.VCEK: timedelta(days=7 * 365), SigningKey.VLEK: timedelta(days=365)}
_SERIALS: Final = {Product.MILAN: 0x10000, Product.GENOA: 0x20000, Product.TURIN: 0x30000}
_PSS: Final = padding.PSS(padding.MGF1(hashes.SHA384()), salt_length=48)
_AMD: Final = bytes.fromhex("2b060104019c7801")
_BASIC_CONSTRAINTS: Final = bytes.fromhex("551d13")
_KEY_USAGE: Final = bytes.fromhex("551d0f")
_CRL_NUMBER: Final = bytes.fromhex("551d14")
_CERTIFICATE_SIGN: Final = bytes.fromhex("03020204")
_CERTIFICATE_AND_CRL_SIGN: Final = bytes.fromhex("03020106")
# Relative names in the order of AMD's, and their string types.
_NAME: Final = (
    ("55040b", 0x0C, "Engineering"),
    ("550406", 0x13, "US"),
    ("550407", 0x0C, "Santa Clara"),
    ("550408", 0x0C, "CA"),
    ("55040a", 0x0C, ORGANISATION),
)

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The three authorities' keys. Making them takes seconds; one set may serve several products."""

    ark: rsa.RSAPrivateKey
    ask: rsa.RSAPrivateKey
    asvk: rsa.RSAPrivateKey

    @classmethod
    def generate(cls) -> Self:
        """Three new RSA keys of 4096 bits."""
        ark, ask, asvk = (
            rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS) for _ in range(3)
        )
        return cls(ark=ark, ask=ask, asvk=asvk)


@dataclass(frozen=True, slots=True, kw_only=True)
class DevelopmentPki:
    """The authorities of one product.

    Attributes:
        product: whose.
        keys: theirs.
        ark, ask, asvk: their certificates, DER.
    """

    product: Product
    keys: Keys
    ark: bytes
    ask: bytes
    asvk: bytes

    @classmethod
    def create(cls, product: Product, now: datetime, *, keys: Keys | None = None) -> Self:
        """Makes the authorities of a product, valid from `now` for 25 years.

        Args:
            product: whose.
            now: the second from which on they are valid.
            keys: theirs; new ones where None is given.
        """
        keys = keys or Keys.generate()
        serial, root = _SERIALS[product], f"ARK-{product}"

        def authority(name: str, key: rsa.RSAPrivateKey, number: int, *, is_root: bool) -> bytes:
            return certificate(
                serial=number,
                issuer=root,
                subject=name,
                key=key.public_key(),
                start=now,
                end=now + _CA_LIFE,
                extensions=_authority(is_root=is_root),
                signer=keys.ark,
            )

        return cls(
            product=product,
            keys=keys,
            ark=authority(root, keys.ark, serial, is_root=True),
            ask=authority(f"SEV-{product}", keys.ask, serial + 1, is_root=False),
            asvk=authority(f"SEV-VLEK-{product}", keys.asvk, serial + 0x101, is_root=False),
        )

    def to_pem_bundle(self) -> str:
        """Certificates (ARK, ASK, ASVK) and unencrypted PKCS#8 keys: keep the file at mode 0600."""
        keys = (self.keys.ark, self.keys.ask, self.keys.asvk)
        return to_pem(self.ark, self.ask, self.asvk).decode("ascii") + "".join(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
            for key in keys
        )

    @classmethod
    def from_pem_bundle(cls, text: str) -> Self:
        """Reads what `to_pem_bundle` wrote.

        Raises:
            Malformed: the text is not three certificates of this family and the keys that belong to
                them.
        """
        head, begin, rest = text.partition("-----BEGIN PRIVATE KEY-----")
        certificates = [
            issued.read(der) for der in x509.read_pem(head.encode("utf-8"), field=_BUNDLE)
        ]
        found = []
        for part in rest.split(begin) if begin else ():
            try:
                key = load_pem_private_key((begin + part).encode("utf-8"), password=None)
            except (ValueError, TypeError) as error:
                raise Malformed("has a key that cannot be read", field=_BUNDLE) from error
            if isinstance(key, rsa.RSAPrivateKey):
                found.append(key)
        public = [key.public_key().public_bytes(*_SPKI) for key in found]
        names = [issued.title(certificate) for certificate in certificates]
        product = next((p for p in Product if names[0] == f"ARK-{p}"), None)
        expected = [f"ARK-{product}", f"SEV-{product}", f"SEV-VLEK-{product}"]
        if product is None or names != expected or public != [c.key for c in certificates]:
            raise Malformed("is not three authorities and their keys", field=_BUNDLE)
        if any(ORGANISATION.encode("ascii") not in c.subject for c in certificates):
            raise Malformed(f"is not of the organisation {ORGANISATION!r}", field=_BUNDLE)
        ark, ask, asvk = found
        return cls(
            product=product,
            keys=Keys(ark=ark, ask=ask, asvk=asvk),
            ark=certificates[0].der,
            ask=certificates[1].der,
            asvk=certificates[2].der,
        )

    def root_pem(self) -> str:
        """The root certificate alone, as `--trust` takes it."""
        return to_pem(self.ark).decode("ascii")

    def root(self, source: str = "this user's development PKI") -> Root:
        """The ARK as a verifier takes it, of the development class and pinned by its key."""
        key = self.keys.ark.public_key().public_bytes(*_SPKI)
        return Root(
            platform="snp",
            sha256=hashlib.sha256(self.ark).hexdigest(),
            key_sha256=hashlib.sha256(key).hexdigest(),
            root_class=RootClass.DEVELOPMENT,
            source=source,
        )

    def endorse(
        self,
        key: ec.EllipticCurvePublicKey,
        parts: Mapping[str, int],
        *,
        start: datetime,
        hwid: bytes = b"",
        csp: str = "",
        name: str = "",
    ) -> bytes:
        """The certificate of a VCEK (`hwid`) or a VLEK (`csp`), DER.

        Args:
            key: the key that it endorses.
            parts: security versions by name; `fmc` on Turin.
            start: from when it is valid, for seven years or for one.
            hwid: the chip's id, 64 bytes or on Turin 8.
            csp: the cloud provider's name.
            name: the product's name in it; the product's own where empty.
        """
        kind = SigningKey.VCEK if hwid else SigningKey.VLEK
        ask = f"SEV-{self.product}" if hwid else f"SEV-VLEK-{self.product}"
        return certificate(
            serial=0,
            issuer=ask,
            subject=f"SEV-{kind.name}",
            key=key,
            start=start,
            end=start + _LIFE[kind],
            extensions=amd_extensions(
                name or str(self.product),
                parts,
                structure=int(self.product is Product.TURIN),
                hwid=hwid,
                csp=csp,
            ),
            signer=self.keys.ask if hwid else self.keys.asvk,
        )

    def crl(
        self, start: datetime, *, life: timedelta = timedelta(days=30), revoked: Iterable[int] = ()
    ) -> bytes:
        """The root's revocation list, DER.

        Args:
            start: when it was issued.
            life: how long it may be used.
            revoked: serial numbers.
        """
        entries = [tlv(0x30, integer(number), _time(start)) for number in revoked]
        number = tlv(0x30, tlv(0x06, _CRL_NUMBER), tlv(0x04, integer(1)))
        body = tlv(
            0x30,
            integer(1),
            algorithms.PSS_SHA384_SHORT,
            name_of(f"ARK-{self.product}"),
            _time(start),
            _time(start + life),
            *([tlv(0x30, *entries)] if entries else []),
            tlv(0xA0, tlv(0x30, number)),
        )
        return _sealed(body, self.keys.ark)


def certificate(
    *,
    serial: int,
    issuer: str,
    subject: str,
    key: PublicKey,
    start: datetime,
    end: datetime,
    extensions: Iterable[bytes],
    signer: rsa.RSAPrivateKey,
) -> bytes:
    """A certificate of version 3, signed with RSASSA-PSS and SHA-384, DER."""
    body = tlv(
        0x30,
        bytes.fromhex("a003020102"),
        integer(serial),
        algorithms.PSS_SHA384_SHORT,
        name_of(issuer),
        tlv(0x30, _time(start), _time(end)),
        name_of(subject),
        key.public_bytes(*_SPKI),
        tlv(0xA3, tlv(0x30, *extensions)),
    )
    return _sealed(body, signer)


def amd_extensions(
    name: str, parts: Mapping[str, int], *, structure: int, hwid: bytes = b"", csp: str = ""
) -> list[bytes]:
    """AMD's extensions of a VCEK or VLEK; the chip's id is raw bytes in no DER."""
    numbers = {"boot_loader": 1, "tee": 2, "snp": 3, "microcode": 8, "fmc": 9}
    found = [
        extension(_AMD + b"\x01", integer(structure)),
        extension(_AMD + b"\x02", tlv(0x16, name.encode("ascii"))),
    ]
    for part, version in parts.items():
        found.append(extension(_AMD + bytes((3, numbers[part])), integer(version)))
    if hwid:
        found.append(extension(_AMD + b"\x04", hwid))
    if csp:
        found.append(extension(_AMD + b"\x05", tlv(0x16, csp.encode("ascii"))))
    return found


def extension(oid: bytes, value: bytes, *, critical: bool = False) -> bytes:
    """One extension: the content of its OID and what its OCTET STRING holds."""
    flag = (b"\x01\x01\xff",) if critical else ()
    return tlv(0x30, tlv(0x06, oid), *flag, tlv(0x04, value))


def name_of(common: str) -> bytes:
    """A Name in AMD's order with this common name, DER."""
    return tlv(
        0x30,
        *(
            tlv(0x31, tlv(0x30, tlv(0x06, bytes.fromhex(oid)), tlv(tag, text.encode("ascii"))))
            for oid, tag, text in (*_NAME, ("550403", 0x0C, common))
        ),
    )


def to_pem(*certificates: bytes) -> bytes:
    """Certificates as PEM, in lines of 76 characters."""
    return b"".join(
        b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
        for der in certificates
    )


def tlv(tag: int, *parts: bytes) -> bytes:
    """One DER element of these contents."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(digits))) + digits + content


def integer(number: int) -> bytes:
    """An INTEGER that is not negative, in its shortest form."""
    return tlv(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _authority(*, is_root: bool) -> tuple[bytes, bytes]:
    limit = () if is_root else (integer(0),)
    usage = _CERTIFICATE_AND_CRL_SIGN if is_root else _CERTIFICATE_SIGN
    return (
        extension(_BASIC_CONSTRAINTS, tlv(0x30, b"\x01\x01\xff", *limit), critical=True),
        extension(_KEY_USAGE, usage, critical=True),
    )


def _sealed(body: bytes, signer: rsa.RSAPrivateKey) -> bytes:
    signature = signer.sign(body, _PSS, hashes.SHA384())
    return tlv(0x30, body, algorithms.PSS_SHA384_SHORT, tlv(0x03, b"\0", signature))


def _time(instant: datetime) -> bytes:
    """UTCTime to 2049, GeneralizedTime from then on (RFC 5280, 4.1.2.5)."""
    if instant.year < 2050:
        return tlv(0x17, f"{instant:%y%m%d%H%M%S}Z".encode("ascii"))
    return tlv(0x18, f"{instant:%Y%m%d%H%M%S}Z".encode("ascii"))
