"""Documents of the true form that are wrong in one chosen place, under a root made for the test."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID

import troth
from troth.model.check import Outcome
from troth.model.report import Report
from troth.model.roots import Root, RootClass
from troth.wire import cbor

NOW = datetime(2026, 11, 23, 3, 10, tzinfo=UTC)
INSTANCE = "i-0123456789abcdef0"
NONCE = bytes(range(32))
PCRS = {0: b"\x01" * 48, 1: b"\x02" * 48, 2: b"\x03" * 48}
DEPTH = 5  # root, region, zonal, instance, leaf
LEAF = DEPTH - 1


@dataclass
class Spec:
    """One certificate of the chain; the defaults are right."""

    name: str
    begin: datetime = NOW - timedelta(hours=1)
    end: datetime = NOW + timedelta(hours=3)
    ca: bool | None = True
    constraints_critical: bool = True
    path_length: int | None = None
    sign_certificates: bool | None = True
    digital_signature: bool = False
    curve: Any = field(default_factory=ec.SECP384R1)
    digest: Any = field(default_factory=hashes.SHA384)
    issuer: str | None = None
    critical: bool = False
    mangle: Callable[[bytes], bytes] = bytes


def specs() -> list[Spec]:
    chain = [Spec(name) for name in ("root", "region", "zonal", "instance", "leaf")]
    for spec, length in zip(chain, (None, 2, 1, 0), strict=False):
        spec.path_length = length
    chain[LEAF] = Spec("leaf", ca=False, sign_certificates=False, digital_signature=True)
    return chain


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(spec: Spec) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=spec.digital_signature,
        key_cert_sign=bool(spec.sign_certificates),
        crl_sign=bool(spec.sign_certificates),
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


_KEYS = {
    curve.name: [ec.generate_private_key(curve) for _ in range(DEPTH)]
    for curve in (ec.SECP384R1(), ec.SECP256R1())
}


def chain(wanted: list[Spec]) -> tuple[list[bytes], ec.EllipticCurvePrivateKey]:
    """DER of each certificate, root first, and the leaf's key."""
    keys = [_KEYS[spec.curve.name][i] for i, spec in enumerate(wanted)]
    made = []
    for i, spec in enumerate(wanted):
        issuer = wanted[max(i - 1, 0)].name if spec.issuer is None else spec.issuer
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(spec.name))
            .issuer_name(_name(issuer))
            .public_key(keys[i].public_key())
            .serial_number(i + 1)
            .not_valid_before(spec.begin)
            .not_valid_after(spec.end)
        )
        if spec.ca is not None:
            length = spec.path_length if spec.ca else None
            builder = builder.add_extension(
                x509.BasicConstraints(ca=spec.ca, path_length=length),
                critical=spec.constraints_critical,
            )
        if spec.sign_certificates is not None:
            builder = builder.add_extension(_usage(spec), critical=True)
        if spec.critical:
            unknown = x509.UnrecognizedExtension(
                x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\5\0"
            )
            builder = builder.add_extension(unknown, critical=True)
        certificate = builder.sign(keys[max(i - 1, 0)], spec.digest)
        made.append(spec.mangle(certificate.public_bytes(serialization.Encoding.DER)))
    return made, keys[-1]


def payload(certificates: list[bytes], **changes: Any) -> dict[str, Any]:
    pcr4 = hashlib.sha384(bytes(48) + INSTANCE.encode()).digest()
    return {
        "module_id": f"{INSTANCE}-enc0123456789abcdef",
        "digest": "SHA384",
        "timestamp": int(NOW.timestamp() * 1000),
        "pcrs": {**PCRS, 3: bytes(48), 4: pcr4},
        "certificate": certificates[-1],
        "cabundle": certificates[:-1],
        "public_key": None,
        "user_data": None,
        "nonce": NONCE,
    } | changes


def sign(key: ec.EllipticCurvePrivateKey, body: bytes, *, alg: int = -35) -> bytes:
    protected = cbor.encode({1: alg})
    signed = cbor.encode_in_order(["Signature1", protected, b"", body])
    r, s = utils.decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA384())))
    return cbor.encode_in_order(
        [protected, {}, body, r.to_bytes(48, "big") + s.to_bytes(48, "big")]
    )


def document(
    wanted: list[Spec] | None = None, *, alg: int = -35, **changes: Any
) -> tuple[bytes, Root]:
    """A signed document and the root that it chains to, of class `added`."""
    certificates, key = chain(wanted or specs())
    body = cbor.encode_in_order(payload(certificates, **changes))
    return sign(key, body, alg=alg), root(certificates[0])


def root(der: bytes, kind: RootClass = RootClass.ADDED, **more: Any) -> Root:
    sha256 = hashlib.sha256(der).hexdigest()
    return Root(platform="nitro", sha256=sha256, root_class=kind, source="test", **more)


def policy(**changes: Any) -> troth.Policy:
    registers = {f"pcr{i}": frozenset({v.hex()}) for i, v in PCRS.items()}
    return troth.Policy(**({"name": "test", "registers": {"nitro": registers}} | changes))


def judge(evidence: bytes, trusted: Root, **more: Any) -> Report:
    arguments = {"policy": policy(), "at": NOW, "trust": [trusted]} | more
    return troth.appraise(evidence, **arguments)


def codes(report: Report, outcome: Outcome = Outcome.FAILED) -> set[str]:
    return {check.code.id for check in report.checks if check.outcome is outcome}
