"""A development PKI shaped like NVIDIA's: a root for devices, one for RIM documents, OCSP responders.

Names, extensions, algorithms and lives are NVIDIA's but for the organisation, «troth development»,
which marks the class. Every key is on P-384; certificates of devices end in 9999.

Does not protect anything: whoever holds these keys signs what he likes.
"""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from troth.model.roots import Root, RootClass
from troth.platforms.nvidia.device import BLACKWELL, HOPPER, LS10
from troth.platforms.nvidia.ocsp import Status
from troth.platforms.nvidia.roots import DEVICE_ROOT, RIM_ROOT

ORGANISATION: Final = "troth development"
FOREVER: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
ANSWER: Final = timedelta(days=2)
"""How long an OCSP answer counts."""

_DER: Final = serialization.Encoding.DER
_PEM: Final = serialization.Encoding.PEM
_SPKI: Final = serialization.PublicFormat.SubjectPublicKeyInfo
_CHIPS: Final = {HOPPER: "GH100", BLACKWELL: "GB100", LS10: "LS_10"}
_ENGINES: Final = {HOPPER: "GSP", BLACKWELL: "GSP", LS10: "FSP"}
# Hopper's identity authority issues for the switch.
_IDENTITIES: Final = {HOPPER: HOPPER, BLACKWELL: BLACKWELL, LS10: HOPPER}
_PRODUCTS: Final = {HOPPER: "GH100", BLACKWELL: "GB100", LS10: "LS10"}
_DEVICE_NAME: Final = "1.3.6.1.4.1.412.274.1"
_FWID: Final = ObjectIdentifier("2.23.133.5.4.1")
_TCB_INFO: Final = ObjectIdentifier("2.23.133.5.4.1.1")
_SHA384: Final = bytes.fromhex("0609608648016503040202")
_SIGNER_LIFE: Final = timedelta(days=730)
_AUTHORITY_LIFE: Final = timedelta(days=3650)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A key and its certificate; also of a leaf."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(_DER)

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(_PEM)


@dataclass(frozen=True, slots=True, kw_only=True)
class DevelopmentPki:
    """All authorities.

    Attributes:
        device_root, rim_root: the two roots.
        identities: identity authorities by architecture.
        provisioners: those below them, by architecture.
        rim_signers: by product, leaf first: L4, L3 and the product's authority.
    """

    device_root: Authority
    rim_root: Authority
    identities: dict[str, Authority]
    provisioners: dict[str, Authority]
    rim_signers: dict[str, tuple[Authority, ...]]

    @classmethod
    def create(cls, now: datetime) -> Self:
        """Makes all authorities, valid from `now`.

        Args:
            now: the second from which on they are valid.
        """
        device_root = authority(DEVICE_ROOT, None, now, FOREVER)
        rim_root = authority(RIM_ROOT, None, now, now + 3 * _AUTHORITY_LIFE)
        identities = {
            name: authority(f"NVIDIA {_CHIPS[name]} Identity", device_root, now, FOREVER)
            for name in (HOPPER, BLACKWELL)
        }
        provisioners = {
            name: authority(
                f"NVIDIA {chip} Provisioner ICA 1", identities[_IDENTITIES[name]], now, FOREVER
            )
            for name, chip in _CHIPS.items()
        }
        return cls(
            device_root=device_root,
            rim_root=rim_root,
            identities=identities,
            provisioners=provisioners,
            rim_signers={p: _rim_signers(p, rim_root, now) for p in _PRODUCTS.values()},
        )

    def roots(self) -> tuple[Root, ...]:
        """Both roots, as a caller passes them."""
        return tuple(
            Root(
                platform="nvidia",
                sha256=hashlib.sha256(root.der).hexdigest(),
                key_sha256=hashlib.sha256(
                    root.key.public_key().public_bytes(_DER, _SPKI)
                ).hexdigest(),
                root_class=RootClass.DEVELOPMENT,
                source="development PKI",
                not_after=root.certificate.not_valid_after_utc,
            )
            for root in (self.device_root, self.rim_root)
        )

    def pem(self) -> bytes:
        """Both roots, as `--trust` takes them."""
        return self.device_root.pem + self.rim_root.pem

    def above(self, architecture: str) -> tuple[Authority, ...]:
        """The authorities above a device: provisioner, identity, root."""
        identity = self.identities[_IDENTITIES[architecture]]
        return (self.provisioners[architecture], identity, self.device_root)


def authority(
    name: str,
    issuer: Authority | None,
    start: datetime,
    end: datetime,
    *,
    depth: int | None = None,
    serial: int | None = None,
) -> Authority:
    """A certificate authority; its own issuer where none is given."""
    extensions = [
        (x509.BasicConstraints(ca=True, path_length=depth), True),
        (_usage(signs=False), True),
    ]
    return issue(subject(name), issuer, (start, end), extensions, serial=serial)


def device(
    architecture: str, provisioner: Authority, start: datetime, *, pdi: bytes = b""
) -> Authority:
    """What one chip keeps for life, and makes its leaves with; its serial number ends with its PDI."""
    name = f"{_CHIPS[architecture]} A01 {_ENGINES[architecture]} BROM"
    prefix = b"\x50" if architecture == LS10 else b"\x41"
    serial = int.from_bytes(prefix + (pdi or secrets.token_bytes(8)), "big")
    return authority(name, provisioner, start, FOREVER, serial=serial)


def leaf(
    architecture: str,
    parent: Authority,
    start: datetime,
    fwid: bytes,
    *,
    chip_id: bytes = b"\x48\xb0\x2d\0\0\0\0\1",
    debug: bool = False,
) -> Authority:
    """What a device makes when it starts: a key, and its certificate that names the firmware."""
    chip = _CHIPS[architecture]
    name = f"NVIDIA:{chip}:{chip_id.hex().upper()}".encode()
    other = x509.OtherName(ObjectIdentifier(_DEVICE_NAME), _tlv(0x0C, name))
    key = ec.generate_private_key(ec.SECP384R1())
    if architecture == BLACKWELL:
        oid, value = _TCB_INFO, _tcb_info(f"{chip} A01 GSP BROM", fwid, debug=debug)
    else:
        oid, value = _FWID, _composite(parent, fwid)
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (_usage(signs=True), True),
        (x509.SubjectAlternativeName([other]), False),
        (x509.UnrecognizedExtension(oid, value), False),
    ]
    title = f"{chip} A01 {_ENGINES[architecture]} FMC LF"
    return issue(subject(title), parent, (start, FOREVER), extensions, key=key)


def answer(
    certificate: x509.Certificate,
    issuer: Authority,
    at: datetime,
    *,
    status: Status = Status.GOOD,
    nonce: bytes = b"",
    life: timedelta | None = ANSWER,
    responder: Authority | None = None,
) -> bytes:
    """An OCSP answer about one certificate, DER.

    Args:
        certificate: that it is about.
        issuer: who issued it.
        at: the second of the answer.
        status: what it says; revocations began a day before.
        nonce: to echo.
        life: until when it counts; None leaves that out.
        responder: who signs; None is a new one that the issuer certifies.
    """
    responder = responder or ocsp_responder(issuer, at - timedelta(days=1))
    reasons = {
        Status.HOLD: x509.ReasonFlags.certificate_hold,
        Status.REVOKED: x509.ReasonFlags.key_compromise,
    }
    statuses = {
        Status.GOOD: ocsp.OCSPCertStatus.GOOD,
        Status.UNKNOWN: ocsp.OCSPCertStatus.UNKNOWN,
    }
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=certificate,
            issuer=issuer.certificate,
            algorithm=hashes.SHA384(),
            cert_status=statuses.get(status, ocsp.OCSPCertStatus.REVOKED),
            this_update=at,
            next_update=None if life is None else at + life,
            revocation_time=at - timedelta(days=1) if status in reasons else None,
            revocation_reason=reasons.get(status),
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, responder.certificate)
        .certificates([responder.certificate])
    )
    if nonce:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.sign(responder.key, hashes.SHA384()).public_bytes(_DER)


def ocsp_responder(issuer: Authority, start: datetime, *, signs_answers: bool = True) -> Authority:
    """A responder that an authority certifies for a month."""
    usage = ExtendedKeyUsageOID.OCSP_SIGNING if signs_answers else ExtendedKeyUsageOID.CLIENT_AUTH
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(signs=True), True),
        (x509.ExtendedKeyUsage([usage]), False),
    ]
    return issue(subject("OCSP responder"), issuer, (start, start + timedelta(days=31)), extensions)


def subject(name: str) -> x509.Name:
    """A name as these authorities have it."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def issue(
    name: x509.Name,
    issuer: Authority | None,
    validity: tuple[datetime, datetime],
    extensions: Iterable[tuple[x509.ExtensionType, bool]],
    *,
    key: ec.EllipticCurvePrivateKey | None = None,
    serial: int | None = None,
) -> Authority:
    """Any certificate, signed by the issuer's key, or by its own where there is no issuer."""
    key = key or ec.generate_private_key(ec.SECP384R1())
    signer = key if issuer is None else issuer.key
    builder = x509.CertificateBuilder(
        issuer_name=name if issuer is None else issuer.certificate.subject,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number() if serial is None else serial,
        not_valid_before=validity[0],
        not_valid_after=validity[1],
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    builder = builder.add_extension(
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
    )
    return Authority(key=key, certificate=builder.sign(signer, hashes.SHA384()))


def _rim_signers(product: str, root: Authority, now: datetime) -> tuple[Authority, ...]:
    above = authority(f"NVIDIA Reference Value {product} CA", root, now, now + _AUTHORITY_LIFE)
    middle = authority(
        f"NVIDIA Reference Value L3 {product} 001", above, now, now + _AUTHORITY_LIFE, depth=0
    )
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(signs=True), True),
    ]
    name = subject(f"NVIDIA Reference Value L4 {product}")
    return (issue(name, middle, (now, now + _SIGNER_LIFE), extensions), middle, above)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=not signs,
        crl_sign=not signs,
        encipher_only=False,
        decipher_only=False,
    )


def _composite(parent: Authority, fwid: bytes) -> bytes:
    spki = parent.key.public_key().public_bytes(_DER, _SPKI)
    return _tlv(0x30, _tlv(0x02, b"\1") + spki + _digest(fwid))


def _tcb_info(model: str, fwid: bytes, *, debug: bool) -> bytes:
    flags = 0x80000000 | (0x10000000 if debug else 0)
    return _tlv(
        0x30,
        _tlv(0x80, b"NVIDIA")
        + _tlv(0x81, model.encode())
        + _tlv(0x84, b"\1")
        + _tlv(0xA6, _digest(fwid) + _digest(bytes(48)))
        + _tlv(0x87, b"\0" + flags.to_bytes(4, "big")),
    )


def _digest(fwid: bytes) -> bytes:
    return _tlv(0x30, _SHA384 + _tlv(0x04, fwid))


def _tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    return bytes((tag, 0x81, size)) + content
