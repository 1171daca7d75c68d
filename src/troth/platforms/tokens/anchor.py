"""Why does a key count? Because a root names it, or a certificate above it.

Two ways, and no third: the key's own SHA-256 is that of a root that the caller named (a key set is
trusted by naming it), or its certificates lead to a pinned key. That a server handed the set over
TLS is neither.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from troth.crypto import issued, keys
from troth.errors import Malformed
from troth.model.roots import Root, RootClass
from troth.platforms.tokens.jwks import Candidate
from troth.platforms.tokens.roots import of_a_test_service
from troth.wire.x509 import BASIC_CONSTRAINTS, KEY_USAGE, Certificate

ALGORITHMS: Final = frozenset(
    {
        keys.ECDSA_SHA256,
        keys.ECDSA_SHA384,
        keys.RSA_SHA256,
        keys.RSA_SHA384,
        keys.RSA_SHA512,
    }
)
_NO_AUTHORITY: Final = bytes.fromhex("3000")
_KNOWN_CRITICAL: Final = frozenset({BASIC_CONSTRAINTS, KEY_USAGE})
_SIGNS_DATA: Final = 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """Whether and why a key counts.

    Attributes:
        root: the root by which it counts, or None.
        root_class: its class; a vendor's test keys are *development*, whoever names them.
        named: whether the root is the key itself.
        path: certificates from the root's down to the key's own; empty where the key itself is named
            or none was found.
        top: SHA-256 of the key at which its certificates end, in lower-case hex; for reports.
        trouble: why its certificates cannot be read, in words.
    """

    root: Root | None
    root_class: RootClass | None = None
    named: bool = False
    path: tuple[Certificate, ...] = ()
    top: str = ""
    trouble: str = ""

    @property
    def alone(self) -> bool:
        """Whether nobody else's certificate stands above the key: then it is only unknown."""
        return not self.top


def anchor(candidate: Candidate, roots: Sequence[Root]) -> Anchor:
    """The first root by which the key counts."""
    try:
        certificates = [issued.read(der) for der in candidate.x5c]
        test = of_a_test_service(candidate.x5c)
    except Malformed as error:
        return Anchor(root=None, trouble=str(error))
    own = hashlib.sha256(candidate.spki).hexdigest() if candidate.spki else ""
    root = _vouching(roots, certificate=own, key=own) if own else None
    if root is not None:
        return Anchor(root=root, root_class=_class(root, test), named=True)
    if not certificates:
        return Anchor(root=None)
    if certificates[0].key != candidate.spki:
        return Anchor(root=None, trouble="its first certificate is of another key")
    for place, certificate in enumerate(certificates):
        key = issued.key_sha256(certificate)
        digest = hashlib.sha256(certificate.der).hexdigest()
        root = _vouching(roots, certificate=digest, key=key)
        if root is not None:
            path = tuple(reversed(certificates[: place + 1]))
            return Anchor(root=root, root_class=_class(root, test), path=path, top=key)
    last = certificates[-1]
    signed_itself = len(certificates) == 1 and last.issuer == last.subject
    return Anchor(root=None, top="" if signed_itself else issued.key_sha256(last))


def problems(path: Sequence[Certificate]) -> list[str]:
    """What is wrong with a path, root first; times aside. None where the root is the key's own."""
    if len(path) < 2:
        return []
    last = len(path) - 1
    found = []
    for index, certificate in enumerate(path):
        unknown = sorted(certificate.critical - _KNOWN_CRITICAL)
        wrong = [f"unknown critical extension {name.hex()}" for name in unknown]
        wrong += issued.authority(certificate, last - index - 1) if index < last else []
        wrong += _leaf(certificate) if index == last else []
        if index and certificate.algorithm not in ALGORITHMS:
            wrong.append(f"is signed with another algorithm ({certificate.algorithm.hex()})")
        wrong += issued.link(certificate.der, path[index - 1].der) if index else ()
        found += [f"{issued.title(certificate)}: {problem}" for problem in wrong]
    return found


def _leaf(certificate: Certificate) -> list[str]:
    """No authority, and may sign data; NVIDIA's leaves carry no basic constraints at all."""
    wrong = []
    constraints = certificate.extensions.get(BASIC_CONSTRAINTS)
    if constraints is not None and constraints != _NO_AUTHORITY:
        wrong.append("the leaf must not be an authority")
    usage = certificate.extensions.get(KEY_USAGE)
    if usage is not None and not (len(usage) == 4 and usage[3] & _SIGNS_DATA):
        wrong.append("may not sign data")
    return wrong


def _vouching(roots: Sequence[Root], *, certificate: str, key: str) -> Root | None:
    return next((r for r in roots if r.vouches_for(certificate=certificate, key=key)), None)


def _class(root: Root, test: bool) -> RootClass:
    return RootClass.DEVELOPMENT if test else root.root_class
