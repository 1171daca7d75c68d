"""A Sigstore of one's own: an authority like Fulcio, a CT log, a Rekor of few entries, and bundles.

What it signs is read by the same package as the public instance's bundles; the trusted root alone
tells them apart.

Does not witness anything: its log is a tree that is made for each bundle.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from troth.channel.services.tinfoil_release import GITHUB, Identity
from troth.wire import json

ORGANISATION: Final = "troth development"
_LIFE: Final = timedelta(minutes=10)
_FULCIO: Final = "1.3.6.1.4.1.57264.1."
_SCT_LIST: Final = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_PAYLOAD: Final = "application/vnd.in-toto+json"
_ECDSA: Final = ec.ECDSA(hashes.SHA256())
_ORIGIN: Final = "rekor.troth.invalid - 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sigstore:
    """The keys of an instance.

    Attributes:
        authority: of the certificate authority.
        certificates: of the CT log.
        log: of the transparency log.
        root: the authority's certificate.
        since: from when on all of it is valid.
    """

    authority: ec.EllipticCurvePrivateKey
    certificates: ec.EllipticCurvePrivateKey
    log: ec.EllipticCurvePrivateKey
    root: x509.Certificate
    since: datetime

    @classmethod
    def create(cls, now: datetime) -> Self:
        """A new instance, valid from a day before `now`."""
        authority, certificates, log = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        since = now.replace(microsecond=0) - timedelta(days=1)
        name = _name("fulcio.troth.invalid")
        root = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(authority.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(since)
            .not_valid_after(since + timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(_key_id(authority), critical=False)
            .sign(authority, hashes.SHA256())
        )
        return cls(authority=authority, certificates=certificates, log=log, root=root, since=since)

    def trusted_root(self) -> bytes:
        """What a verifier has to be given, as Sigstore's JSON."""
        valid = {"start": _instant(self.since)}

        def log(key: ec.EllipticCurvePrivateKey, name: str) -> dict[str, Any]:
            return {
                "baseUrl": f"https://{name}.troth.invalid",
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": _base64(_spki(key)),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": valid,
                },
                "logId": {"keyId": _base64(hashlib.sha256(_spki(key)).digest())},
            }

        return json.canonical(
            {
                "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "tlogs": [log(self.log, "rekor")],
                "certificateAuthorities": [
                    {
                        "subject": {"organization": ORGANISATION, "commonName": "fulcio"},
                        "uri": "https://fulcio.troth.invalid",
                        "certChain": {"certificates": [{"rawBytes": _base64(_der(self.root))}]},
                        "validFor": valid,
                    }
                ],
                "ctlogs": [log(self.certificates, "ct")],
                "timestampAuthorities": [],
            }
        )

    def sign(
        self,
        statement: Mapping[str, Any],
        identity: Identity,
        *,
        at: datetime,
        logged_at: datetime | None = None,
        san: str = "",
        says: Mapping[int, str] | None = None,
        payload_type: str = _PAYLOAD,
    ) -> bytes:
        """A bundle of version 0.3 over a statement.

        Args:
            statement: what is signed, as JSON.
            identity: who signs; a workflow `build.yml` where it names none.
            at: when its certificate begins.
            logged_at: when the log took it; `at`, if not given.
            san: the certificate's name, where it is to be another than the identity's.
            says: other values of Fulcio's extensions, by their last number.
            payload_type: of the envelope.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        at = at.replace(microsecond=0)
        workflow = identity.workflow or "build.yml"
        uri = f"https://github.com/{identity.repository}/.github/workflows/{workflow}"
        san = san or f"{uri}@refs/tags/{identity.tag}"
        certificate = self._issue(key, san, _extensions(identity, says or {}), at)
        payload = json.canonical(dict(statement))
        signature = key.sign(_pae(payload_type, payload), _ECDSA)
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        body = json.canonical(
            {
                "apiVersion": "0.0.1",
                "kind": "dsse",
                "spec": {
                    "envelopeHash": _hash(payload + signature),
                    "payloadHash": _hash(payload),
                    "signatures": [{"signature": _base64(signature), "verifier": _base64(pem)}],
                },
            }
        )
        return json.canonical(
            {
                "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
                "verificationMaterial": {
                    "certificate": {"rawBytes": _base64(_der(certificate))},
                    "tlogEntries": [self._entry(body, int((logged_at or at).timestamp()))],
                },
                "dsseEnvelope": {
                    "payload": _base64(payload),
                    "payloadType": payload_type,
                    "signatures": [{"sig": _base64(signature)}],
                },
            }
        )

    def _issue(
        self,
        key: ec.EllipticCurvePrivateKey,
        san: str,
        extensions: Mapping[str, bytes],
        at: datetime,
    ) -> x509.Certificate:
        """A leaf with the CT log's timestamp in it, over the same leaf without (RFC 6962 section 3.2)."""
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.root.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(at)
            .not_valid_after(at + _LIFE)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False
            )
            .add_extension(_key_id(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority.public_key()),
                critical=False,
            )
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(san)]), critical=True
            )
        )
        for oid, value in extensions.items():
            said = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
            builder = builder.add_extension(said, critical=False)
        before = builder.sign(self.authority, hashes.SHA256())
        timestamps = _octets(self._timestamps(before.tbs_certificate_bytes, at))
        builder = builder.add_extension(
            x509.UnrecognizedExtension(_SCT_LIST, timestamps), critical=False
        )
        return builder.sign(self.authority, hashes.SHA256())

    def _timestamps(self, tbs: bytes, at: datetime) -> bytes:
        when = int(at.timestamp() * 1000).to_bytes(8, "big")
        issuer = hashlib.sha256(_spki(self.authority)).digest()
        signed = b"\0\0" + when + b"\0\1" + issuer + len(tbs).to_bytes(3, "big") + tbs + b"\0\0"
        signature = self.certificates.sign(signed, _ECDSA)
        one = b"\0" + hashlib.sha256(_spki(self.certificates)).digest() + when + b"\0\0"
        one += b"\4\3" + len(signature).to_bytes(2, "big") + signature
        listed = len(one).to_bytes(2, "big") + one
        return len(listed).to_bytes(2, "big") + listed

    def _entry(self, body: bytes, when: int) -> dict[str, Any]:
        """An entry with its promise, and its proof in a tree of two (RFC 6962 section 2.1)."""
        log_id = hashlib.sha256(_spki(self.log)).digest()
        promised = {
            "body": _base64(body),
            "integratedTime": when,
            "logID": log_id.hex(),
            "logIndex": 1,
        }
        beside = hashlib.sha256(b"\0somebody else's entry").digest()
        leaf = hashlib.sha256(b"\0" + body).digest()
        root = hashlib.sha256(b"\1" + beside + leaf).digest()
        note = f"{_ORIGIN}\n2\n{_base64(root)}\n"
        signed = _base64(log_id[:4] + self.log.sign(note.encode("ascii"), _ECDSA))
        return {
            "logIndex": "1",
            "logId": {"keyId": _base64(log_id)},
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": str(when),
            "inclusionPromise": {
                "signedEntryTimestamp": _base64(self.log.sign(json.canonical(promised), _ECDSA))
            },
            "inclusionProof": {
                "logIndex": "1",
                "rootHash": _base64(root),
                "treeSize": "2",
                "hashes": [_base64(beside)],
                "checkpoint": {"envelope": f"{note}\n\N{EM DASH} rekor.troth.invalid {signed}\n"},
            },
            "canonicalizedBody": _base64(body),
        }


def statement(kind: str, predicate: Mapping[str, Any], *, digest: str) -> dict[str, Any]:
    """An in-toto statement about one artefact."""
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "artefact", "digest": {"sha256": digest}}],
        "predicateType": kind,
        "predicate": dict(predicate),
    }


def _extensions(identity: Identity, says: Mapping[int, str]) -> dict[str, bytes]:
    """What Fulcio writes of a workflow's token: up to number 6 bare, from 8 on as UTF8String."""
    ref = f"refs/tags/{identity.tag}"
    values = {
        1: identity.issuer,
        2: "push",
        3: "0" * 40,
        4: "build",
        5: identity.repository,
        6: ref,
        8: identity.issuer,
        11: "github-hosted",
        12: f"https://github.com/{identity.repository}",
        13: "0" * 40,
        14: ref,
    } | dict(says)
    return {
        f"{_FULCIO}{number}": text.encode() if number < 8 else _text(text)
        for number, text in values.items()
    }


def _pae(kind: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _key_id(key: ec.EllipticCurvePrivateKey) -> x509.SubjectKeyIdentifier:
    return x509.SubjectKeyIdentifier.from_public_key(key.public_key())


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _hash(data: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}


def _octets(data: bytes) -> bytes:
    return _element(b"\x04", data)


def _text(text: str) -> bytes:
    return _element(b"\x0c", text.encode())


def _element(tag: bytes, data: bytes) -> bytes:
    size = len(data)
    if size < 0x80:
        return tag + bytes((size,)) + data
    width = (size.bit_length() + 7) // 8
    return tag + bytes((0x80 | width,)) + size.to_bytes(width, "big") + data


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


__all__ = ["GITHUB", "Identity", "Sigstore", "statement"]
