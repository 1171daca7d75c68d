"""The roots that count: pinned ones, and those a caller passes by name."""

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from troth.errors import Malformed, Unavailable
from troth.model.roots import Root, RootClass
from troth.platforms import PLATFORMS

if TYPE_CHECKING:
    from cryptography import x509

DEVELOPMENT_ORGANISATION: Final = "troth development"
_MAX_FILE: Final = 1024 * 1024


@cache
def vendor_roots() -> tuple[Root, ...]:
    """Every built-in root of every platform."""
    return tuple(root for platform in PLATFORMS for root in platform.roots())


def load_roots(path: Path) -> tuple[Root, ...]:
    """Roots out of a PEM file that the caller names; each counts for every platform.

    A root made by a simulator says so in its subject and is of class *development*; every other one
    is *added*. A caller's root is never called a vendor's.

    Raises:
        Unavailable: the file cannot be read.
        Malformed: it is not PEM certificates and nothing else of use.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_FILE + 1)
    except OSError as error:
        raise Unavailable(f"cannot read {path}: {error.strerror}") from None
    return parse_roots(text, source=str(path))


def parse_roots(pem: bytes, *, source: str) -> tuple[Root, ...]:
    """As `load_roots`, of a file's content.

    Key sets of services that sign tokens may stand before the certificates, or alone: each of their keys
    is then a root, of that service's platform.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding

    if len(pem) > _MAX_FILE:
        raise Malformed(f"is larger than {_MAX_FILE} bytes", field=source)
    keys: tuple[Root, ...] = ()
    if pem.lstrip().startswith(b"{"):
        from troth.trust import keysets

        keys, pem = keysets.take(pem, source=source)
        if not pem.strip():
            return keys
    try:
        certificates = x509.load_pem_x509_certificates(pem)
        # Read at once: the library reads fields late, and raises for hostile ones then.
        read = [(c, _key(c), _organisations(c), c.not_valid_after_utc) for c in certificates]
    except (
        ValueError,
        TypeError,
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
        Warning,  # raised where the interpreter was told to: an environment must not make this a crash
    ):
        raise Malformed("holds no PEM certificates that can be read", field=source) from None
    return keys + tuple(
        Root(
            platform=platform.name,
            sha256=hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest(),
            key_sha256=hashlib.sha256(key).hexdigest(),
            root_class=RootClass.DEVELOPMENT
            if DEVELOPMENT_ORGANISATION in organisations
            else RootClass.ADDED,
            source=source,
            not_after=ends,
        )
        for certificate, key, organisations, ends in read
        for platform in PLATFORMS
    )


def _organisations(certificate: "x509.Certificate") -> tuple[str | bytes, ...]:
    from cryptography.x509.oid import NameOID

    names = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return tuple(name.value for name in names)


def _key(certificate: "x509.Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def development_by_digest(digests: Iterable[str], *, source: str) -> tuple[Root, ...]:
    """Development roots that a policy admits by their digests."""
    return tuple(
        Root(
            platform=platform.name,
            sha256=digest,
            key_sha256="",
            root_class=RootClass.DEVELOPMENT,
            source=f"{source}: roots.development",
        )
        for digest in sorted(digests)
        for platform in PLATFORMS
    )
