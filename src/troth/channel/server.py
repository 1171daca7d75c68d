"""The enclave's end: shakes hands, answers one question for evidence, then gives the stream.

Knows no platform: evidence comes from a callable. It runs where the private key was made, so that the
key that the evidence names never left the enclave.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from troth.channel.frames import Answer, read_question
from troth.channel.session import ALPN, Session, context

HANDSHAKE_SECONDS: Final = 15.0
IDLE_SECONDS: Final = 300.0
# «No well-defined expiry» of RFC 5280 section 4.1.2.5: the certificate ends with the enclave, and
# nobody's trust hangs on its dates.
_FROM: Final = datetime(2000, 1, 1, tzinfo=UTC)
_UNTIL: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)

Attest = Callable[[bytes, bytes, bytes], bytes]
"""(exporter, SubjectPublicKeyInfo of the certificate, nonce) to evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A key pair made inside, and the self-signed certificate that TLS wants to see.

    Attributes:
        spki: the SubjectPublicKeyInfo (DER), which evidence binds.
        tls: OpenSSL's context with key and certificate in it.
    """

    spki: bytes
    tls: SSL.Context


def make_credentials() -> Credentials:
    """Draws a P-256 key and signs a certificate for it; once for each start of an enclave."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "troth attested channel")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .sign(key, hashes.SHA256())
    )
    tls = context()
    tls.use_privatekey(key)
    tls.use_certificate(certificate)
    tls.set_alpn_select_callback(_select)
    spki = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return Credentials(spki=spki, tls=tls)


def accept(
    sock: socket.socket,
    credentials: Credentials,
    attest: Attest,
    *,
    platform: str,
    seconds: float = HANDSHAKE_SECONDS,
    idle: float = IDLE_SECONDS,
) -> Session:
    """Takes an accepted connection to the point where the application's bytes begin.

    Args:
        sock: the connection; closed on failure.
        credentials: of this start of the enclave.
        attest: makes evidence that binds its three arguments under the channel's tag.
        platform: what the evidence is, such as `nitro`.
        seconds: for handshake, question and answer together.
        idle: seconds without a byte after which the stream ends.

    Raises:
        Unavailable, Malformed: the other side is no client of this protocol, or went away; or `attest`
            raised it.
    """
    connection = SSL.Connection(credentials.tls, None)
    connection.set_accept_state()
    session = Session(sock, connection, idle=idle)
    try:
        session.handshake(seconds=seconds)
        question = read_question(session.take)
        evidence = attest(session.exporter(question.nonce), credentials.spki, question.nonce)
        session.write(Answer(platform=platform, evidence=evidence).encode())
        session.begin()
    except BaseException:
        session.close()
        raise
    return session


def _select(_: SSL.Connection, offered: Sequence[bytes]) -> Any:
    # Raising here would give a fatal alert, but through a list that all connections of a context
    # share: one hostile client could end another's session. `handshake` refuses instead.
    return ALPN if ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS
