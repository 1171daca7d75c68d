"""The signature section of an image: one encoding, and nothing of it that can be read in two ways."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from fuzz.target import Target, must, same
from troth.errors import Malformed, Misuse
from troth.platforms.nitro.signature import problems, signer
from troth.release import pcr8
from troth.release.keys import FileKey
from troth.wire import cbor, eif_signature

_PCR0 = bytes(range(48))
_AT = datetime(2026, 11, 26, tzinfo=UTC)


def _run(data: bytes) -> None:
    found = eif_signature.read(data)
    one = found.sign1
    sign1 = cbor.encode_in_order([one.protected, {}, one.payload, one.signature])
    same(eif_signature.write(found.pem, sign1), data, "a section written again")
    same(eif_signature.payload(found.value), one.payload, "a payload written again")
    if not problems(found, pcr0=_PCR0, at=_AT):
        must(_key(found.certificate) in _keys(), "a signature of nobody's is taken")
    try:
        signer(found.certificate)
    except (Malformed, Misuse):
        return


def _key(certificate: bytes) -> bytes:
    return signer(certificate).key.public_bytes(
        Encoding.X962, PublicFormat.UncompressedPoint
    )  # names may be changed: nobody signs them


@cache
def _keys() -> frozenset[bytes]:
    return frozenset(_key(eif_signature.read(seed).certificate) for seed in _seeds())


@cache
def _seeds() -> Iterable[bytes]:
    made = []
    for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()):
        key = ec.generate_private_key(curve)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "release")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(_AT - timedelta(days=1))
            .not_valid_after(_AT + timedelta(days=1))
            .sign(key, hashes.SHA384())
        )
        pem = certificate.public_bytes(Encoding.PEM)
        made.append(pcr8.sign(_PCR0, pem=pem, key=FileKey(private=key), at=_AT))
    return tuple(made)


TARGET = Target(
    run=_run,
    seeds=_seeds,
    longest=4096,
    words=(eif_signature.FIRST_BYTES, b"\x69signature", b"\x18\x84\x18\x44", b"-----"),
)
