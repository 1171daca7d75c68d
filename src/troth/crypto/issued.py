"""Was this certificate issued by that one? Links, from a pinned root down to a leaf (RFC 5280, 6.1).

Where a root is pinned by its key, anybody can write another certificate of that key, with other dates. So
the first certificate of a path is the very one that is pinned, or has signed itself: `pinned` asks for it
here, and where that is empty the caller does.

Does not verify: that the first key is one you trust, times, and revocation: the caller's three steps.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import Final

from troth.crypto import beside, keys, signature
from troth.crypto.beside import Asked
from troth.crypto.remembered import Remembered
from troth.errors import Malformed
from troth.wire import x509
from troth.wire.der import INTEGER, SEQUENCE, span
from troth.wire.x509 import BASIC_CONSTRAINTS, KEY_USAGE, Certificate

_SIGNS_DATA: Final = 0x80
_SIGNS_CERTIFICATES: Final = 0x04
_KNOWN_CRITICAL: Final = frozenset({BASIC_CONSTRAINTS, KEY_USAGE})

_links: Remembered[tuple[bytes, bytes], tuple[str, ...]] = Remembered(512)


class Leaf(StrEnum):
    """What a path's last certificate must say of itself; what it says beyond must be a leaf's as well."""

    WHOLE = "basic constraints and key usage"
    USAGE = "key usage"  # NVIDIA's devices, attestation keys of TPMs
    BARE = "neither, or both"  # AMD's
    ANY = "nothing"  # keys of services that sign tokens


@lru_cache(maxsize=256)
def read(der: bytes) -> Certificate:
    """`wire.x509.read`, a pure function of its bytes, remembered for speed.

    Raises:
        Malformed: as there.
    """
    return x509.read(der)


def sha256(certificate: Certificate) -> str:
    """SHA-256 of the certificate, in lower-case hex."""
    return _sha256(certificate.der)


def key_sha256(certificate: Certificate) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, in lower-case hex: what roots are pinned by."""
    return _sha256(certificate.key)


@lru_cache(maxsize=512)
def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def problems(
    path: Sequence[Certificate],
    *,
    algorithms: frozenset[bytes],
    leaf: Leaf = Leaf.WHOLE,
    known: frozenset[bytes] = frozenset(),
    pinned: str = "",
) -> list[str]:
    """Everything that is wrong with a path, root first, leaf last; times aside.

    Args:
        path: a root, authorities if any, and a leaf.
        algorithms: AlgorithmIdentifiers that this platform's certificates are signed with.
        leaf: what the leaf must say of itself.
        known: OIDs of critical extensions that the leaf may have beside those two.
        pinned: SHA-256 of the certificate that is pinned, where its key is; empty if the caller asks.

    An empty list means: each certificate is signed by the one before it, names meet, authorities are
    authorities and within their path lengths, and the leaf is one that signs data.
    A pure function of the certificates' bytes, remembered for speed.
    """
    return list(_problems(tuple(c.der for c in path), algorithms, leaf, known, pinned))


@lru_cache(maxsize=512)
def _problems(
    ders: tuple[bytes, ...],
    algorithms: frozenset[bytes],
    leaf: Leaf,
    known: frozenset[bytes],
    pinned: str,
) -> tuple[str, ...]:
    if len(ders) < 2:
        return ("the path needs a root and a leaf",)
    path = [read(der) for der in ders]
    beside.begin(asked(path))
    last = len(path) - 1
    found = []
    for index, certificate in enumerate(path):
        if index == last:
            wrong = of_leaf(certificate, leaf, known)
        else:
            wrong = [*_strange(certificate, frozenset()), *authority(certificate, last - index - 1)]
        if index > 0:
            if certificate.algorithm not in algorithms:
                wrong.append(f"is signed with another algorithm ({certificate.algorithm.hex()})")
            wrong += link(certificate.der, path[index - 1].der)
        elif pinned and sha256(certificate) != pinned and link(certificate.der, certificate.der):
            wrong.append("is not the one that is pinned, and has not signed itself")
        found += [f"{title(certificate)}: {problem}" for problem in wrong]
    return tuple(found)


def title(certificate: Certificate) -> str:
    """What people call it: its common name."""
    return x509.common_name(certificate.subject) or "a certificate without a common name"


def not_valid(path: Sequence[Certificate], at: datetime) -> list[str]:
    """The certificates that are not valid at an instant, in words; both ends belong to it."""
    found = []
    for certificate in path:
        if at < certificate.not_before:
            found.append(f"{title(certificate)}: not before {_stamp(certificate.not_before)}")
        elif at > certificate.not_after:
            found.append(f"{title(certificate)}: ended {_stamp(certificate.not_after)}")
    return found


def authority(certificate: Certificate, below: int) -> list[str]:
    """What forbids this certificate to stand above `below` further authorities."""
    ca, limit = _constraints(certificate)
    wrong = []
    if not ca or BASIC_CONSTRAINTS not in certificate.critical:
        wrong.append("is not a certificate authority")
    if not _usage(certificate) & _SIGNS_CERTIFICATES:
        wrong.append("may not sign certificates")
    if limit is not None and below > limit:
        wrong.append(f"{below} authorities follow, {limit} may")
    return wrong


def of_leaf(certificate: Certificate, rule: Leaf, known: frozenset[bytes]) -> list[str]:
    """What forbids this certificate to be the last one, of a key that signs data; see `problems`."""
    said = certificate.extensions.keys()
    wrong = _strange(certificate, known)
    if rule is Leaf.BARE and not _KNOWN_CRITICAL & said:
        return wrong
    ca, limit = _constraints(certificate)
    silent = rule in (Leaf.USAGE, Leaf.ANY) and BASIC_CONSTRAINTS not in said
    if (ca is not False or limit is not None) and not silent:
        wrong.append("the leaf must say that it is no authority")
    silent = rule is Leaf.ANY and KEY_USAGE not in said
    if not _usage(certificate) & _SIGNS_DATA and not silent:
        wrong.append("may not sign data")
    return wrong


def asked(path: Sequence[Certificate]) -> Iterator[Asked]:
    """What `link` will ask along a path, root first, and of which nothing is known yet."""
    for issuer, child in pairwise(path):
        if child.issuer == issuer.subject and (child.der, issuer.der) not in _links:
            yield Asked(issuer.key, child.algorithm, child.signature, child.signed)


def link(child_der: bytes, issuer_der: bytes) -> tuple[str, ...]:
    """What is wrong between two neighbours; a pure function of their bytes, remembered for speed."""
    found = _links.get((child_der, issuer_der))
    if found is None:
        found = _links.keep((child_der, issuer_der), _link(child_der, issuer_der))
    return found


def _link(child_der: bytes, issuer_der: bytes) -> tuple[str, ...]:
    child, issuer = read(child_der), read(issuer_der)
    if child.issuer != issuer.subject:
        return ("its issuer's name is not the next subject",)
    wrong = signature.verify(issuer.key, child.algorithm, child.signature, child.signed)
    return (wrong,) if wrong else ()


def forget() -> None:
    """Empties what is remembered, for benchmarks that measure the first time."""
    read.cache_clear()
    _links.clear()
    _problems.cache_clear()
    _sha256.cache_clear()
    x509.forget()
    keys.load.cache_clear()


def _strange(certificate: Certificate, known: frozenset[bytes]) -> list[str]:
    unknown = sorted(certificate.critical - _KNOWN_CRITICAL - known)
    return [f"unknown critical extension {name.hex()}" for name in unknown]


def _constraints(certificate: Certificate) -> tuple[bool | None, int | None]:
    """(is an authority, path length); (None, None) where it says nothing, or nothing legible."""
    value = certificate.extensions.get(BASIC_CONSTRAINTS)
    if value is None:
        return None, None
    try:
        at, end = span(value, 0, len(value), "basicConstraints", SEQUENCE)
        if end != len(value):
            return None, None
        if at == end:
            return False, None
        if value[at : at + 3] != b"\x01\x01\xff":
            return None, None
        at += 3
        if at == end:
            return True, None
        number, at = span(value, at, end, "pathLenConstraint", INTEGER)
        if at != end:
            return None, None
        return True, x509.unsigned(value[number:at], "pathLenConstraint")
    except Malformed:
        return None, None


def _usage(certificate: Certificate) -> int:
    """The first byte of the key usage's bits; 0 where there is none."""
    value = certificate.extensions.get(KEY_USAGE, b"")
    if len(value) not in (4, 5) or value[0] != 0x03 or value[1] != len(value) - 2 or value[2] > 7:
        return 0
    return value[3]


def _stamp(at: datetime) -> str:
    return at.isoformat(" ", "seconds")[:19] + "Z"
