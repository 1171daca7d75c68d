"""The roots that count: pinned ones, and those a caller passes by name."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from troth.errors import Malformed, Misuse, Unavailable
from troth.model.roots import Root, RootClass
from troth.platforms import PLATFORMS

if TYPE_CHECKING:
    from cryptography import x509

DEVELOPMENT_ORGANISATION: Final = "troth development"
_MAX_FILE: Final = 1024 * 1024
_NAMES: Final = tuple(platform.name for platform in PLATFORMS)
_ALL: Final = "all"
_LINE: Final = re.compile(rb"^# platform:([^\r\n]*)\r?$", re.MULTILINE)
# What somebody meant for one: passed over, it would let roots count for all.
_LIKE_LINE: Final = re.compile(
    rb"(?:^|\r)(?:\xef\xbb\xbf)?[ \t]*#+[ \t]*platform[ \t]*[:=]", re.MULTILINE | re.IGNORECASE
)


@cache
def vendor_roots() -> tuple[Root, ...]:
    """Every built-in root of every platform."""
    return tuple(root for platform in PLATFORMS for root in platform.roots())


def load_roots(path: Path, *, platform: str | None = None) -> tuple[Root, ...]:
    """Roots out of a PEM file that the caller names; each counts for every platform, or for one.

    A root made by a simulator says so in its subject and is of class *development*; every other one
    is *added*. A caller's root is never called a vendor's.

    Args:
        path: the file.
        platform: the only one that its roots count for, such as `nitro`; None lets them count for all.

    Raises:
        Unavailable: the file cannot be read.
        Malformed: it is not PEM certificates and nothing else of use.
        Misuse: there is no such platform, or the file holds key sets, which say whose they are.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_FILE + 1)
    except OSError as error:
        raise Unavailable(f"cannot read {path}: {error.strerror}") from None
    return parse_roots(text if platform is None else scoped(text, platform), source=str(path))


def scoped(text: bytes, platform: str) -> bytes:
    """A file of roots that count for one platform only, as `parse_roots` reads it.

    Args:
        text: PEM.
        platform: such as `nitro`, or empty for all: where files are put together, one must not count for
            what another one said.

    Raises:
        Misuse: there is no such platform, the file holds key sets, which say whose they are, or lets its
            roots count for another platform.
    """
    if platform and platform not in _NAMES:
        raise Misuse(
            f"{platform!r} is no platform", fix=f"write one of {', '.join(_NAMES)} before the colon"
        )
    if text.lstrip().startswith(b"{"):
        raise Misuse(
            "a key set says itself whose it is", fix=f"leave {platform}: before its name away"
        )
    for said in _LINE.findall(text) if platform else ():
        if said.strip() != platform.encode():
            shown = said.strip().decode("utf-8", "replace")[:40]
            raise Misuse(
                f"the file says of its roots that they count for {shown!r}, and {platform} was asked for",
                fix=f"leave {platform}: before its name away, or that line out of it",
            )
    if _LINE.match(text):
        return text  # it begins with a word of its own
    return f"# platform: {platform or _ALL}\n".encode() + text


def parse_roots(pem: bytes, *, source: str) -> tuple[Root, ...]:
    """As `load_roots`, of a file's content.

    Key sets of services that sign tokens may stand before the certificates, or alone: each of their keys
    is then a root, of that service's platform. A line `# platform: NAME` narrows the certificates that
    follow it to one platform; `# platform: all` ends that.
    """
    if len(pem) > _MAX_FILE:
        raise Malformed(f"is larger than {_MAX_FILE} bytes", field=source)
    keys: tuple[Root, ...] = ()
    if pem.lstrip().startswith(b"{"):
        from troth.trust import keysets

        keys, pem = keysets.take(pem, source=source)
        if not pem.strip():
            return keys
    return keys + tuple(
        root
        for names, part in _parts(pem, source)
        for root in _certificates(part, names, source=source)
    )


def _parts(pem: bytes, source: str) -> Iterator[tuple[tuple[str, ...], bytes]]:
    """Names of platforms, and the certificates that count for them: cut at the lines that say so."""
    first, *rest = _LINE.split(pem)
    if len(_LIKE_LINE.findall(pem)) != len(rest) // 2:
        raise Malformed(
            "has a line about platforms that is not read as one",
            field=source,
            fix="write it as `# platform: NAME`, from the beginning of the line on",
        )
    if first.strip() or not rest:
        yield _NAMES, first
    for said, part in zip(rest[::2], rest[1::2], strict=True):
        name = said.decode("utf-8", "replace").strip()
        if name != _ALL and name not in _NAMES:
            raise Malformed(f"narrows roots to {name[:40]!r}, which is no platform", field=source)
        yield (_NAMES if name == _ALL else (name,)), part


def _certificates(pem: bytes, names: tuple[str, ...], *, source: str) -> tuple[Root, ...]:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding

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
    return tuple(
        Root(
            platform=name,
            sha256=hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest(),
            key_sha256=hashlib.sha256(key).hexdigest(),
            root_class=RootClass.DEVELOPMENT
            if DEVELOPMENT_ORGANISATION in organisations
            else RootClass.ADDED,
            source=source,
            not_after=ends,
        )
        for certificate, key, organisations, ends in read
        for name in names
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
