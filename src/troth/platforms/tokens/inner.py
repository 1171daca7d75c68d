"""The SGX quote inside Azure Attestation's own key: evidence within a key set, handed up as a value.

The service makes its signing key inside an enclave, signs a certificate for it with itself, and puts a
quote into that (OID 1.3.6.1.4.1.311.105.1) whose REPORTDATA begins with the SHA-256 of the key as PEM
with the NUL behind it. The same digest, in base64, is the key's name (`kid`).

What binds: the quote names the key, and the key signs the token. That the enclave is Microsoft's, is for
the policy to say (`[sgx]`), and for the SGX platform to judge.

Does not verify: the quote, or that the certificate is signed.
"""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from troth.errors import Malformed
from troth.model.collateral import Collateral
from troth.model.composite import Composite, Part
from troth.platforms.tokens.format import Token, parse, unwrap
from troth.platforms.tokens.issuers import MAA
from troth.wire import jose, x509
from troth.wire.reader import Reader

# 1.3.6.1.4.1.311.105.1, content bytes.
_EXTENSION: Final = bytes.fromhex("2b0601040182376901")
_VERSION: Final = 1
_REMOTE: Final = 2
_REPORT_DATA: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """A key of a set and the quote that is to vouch for it.

    Attributes:
        kid: the key's name.
        key_sha256: of its SubjectPublicKeyInfo, in lower-case hex.
        quote: the SGX quote, without Open Enclave's header.
        report_data: the 64 bytes that the quote must carry to speak of this key.
        named: whether the key is named as its enclave names it.
        trouble: why the key must not be used whatever the quote says; empty where nothing does.
    """

    kid: str
    key_sha256: str
    quote: bytes
    report_data: bytes
    named: bool
    trouble: str


def inner(data: bytes) -> tuple[Inner, ...]:
    """Every quote in a key set, in the set's order.

    Raises:
        Malformed: it is no key set, or a quote's header is none.
    """
    return tuple(_quotes(data))


def composite(evidence: bytes, collateral: Collateral) -> Composite | None:
    """A token of Azure Attestation and the enclave that signs it, as parts.

    Returns:
        The token, which leads, and its key's enclave; None if it is no such token, or the key sets at
        hand hold no quote for its key.

    Raises:
        Malformed: it has a token's first letters, and is none.
    """
    found = unwrap(MAA, evidence)
    if found is None:
        return None
    token = parse(MAA, found[0])
    if not isinstance(token, Token):
        return None
    for item in collateral.of(MAA.keys):
        try:
            quotes = inner(item.data)
        except Malformed:
            continue  # said where the key is looked for
        for one in quotes:
            if one.kid == token.jws.kid and not one.trouble:
                return _parts(evidence, one)
    return None


def _parts(evidence: bytes, one: Inner) -> Composite:
    return Composite(
        parts=(
            Part(
                name="token",
                platform=MAA.name,
                evidence=evidence,
                says="signed by the key that the service's enclave made",
                key=one.key_sha256,
                key_in="service",
            ),
            Part(
                name="service",
                platform="sgx",
                evidence=one.quote,
                says="REPORTDATA is the SHA-256 of the key that signs tokens",
                user_data=one.report_data,
                fresh_by="token",
            ),
        ),
        framing="the enclave of the service was taken out of its key's certificate",
    )


def _quotes(data: bytes) -> Iterator[Inner]:
    for key in jose.read_set(data):
        if not key.x5c:
            continue
        try:
            certificate = x509.read(key.x5c[0])
        except Malformed:
            continue  # the key has said so
        extension = certificate.extensions.get(_EXTENSION)
        if extension is None:
            continue
        digest = hashlib.sha256(pem(certificate.key) + b"\0").digest()
        yield Inner(
            kid=key.kid,
            key_sha256=hashlib.sha256(certificate.key).hexdigest(),
            quote=_quote(extension, key.kid),
            report_data=digest.ljust(_REPORT_DATA, b"\0"),
            named=key.kid == base64.b64encode(digest).decode("ascii"),
            trouble=key.trouble,
        )


def _quote(value: bytes, kid: str) -> bytes:
    """Open Enclave's header (oe_report_header_t) around a quote: version, kind, size."""
    reader = Reader(value)
    field = f"quote of key {kid[:60]!r}"
    version, kind = (reader.uint(4, field, "little") for _ in range(2))
    if (version, kind) != (_VERSION, _REMOTE):
        raise Malformed(f"has a header of version {version} and kind {kind}", field=field)
    size = reader.uint(8, field, "little")
    quote = reader.take(size, field)
    reader.end(field)
    return quote


def pem(spki: bytes) -> bytes:
    """A public key as PEM, in lines of 64 characters, each ended (RFC 7468)."""
    text = base64.b64encode(spki)
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    begin, end = b"-----BEGIN PUBLIC KEY-----", b"-----END PUBLIC KEY-----"
    return b"\n".join((begin, *lines, end, b""))
