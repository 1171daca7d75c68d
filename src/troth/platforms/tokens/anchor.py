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
from troth.crypto.issued import Leaf
from troth.errors import Malformed
from troth.model.roots import Root, RootClass
from troth.platforms.tokens.jwks import Candidate
from troth.platforms.tokens.roots import of_a_test_service
from troth.wire.x509 import Certificate

ALGORITHMS: Final = frozenset(
    {
        keys.ECDSA_SHA256,
        keys.ECDSA_SHA384,
        keys.RSA_SHA256,
        keys.RSA_SHA384,
        keys.RSA_SHA512,
    }
)
_EXTENDED_USAGE: Final = bytes.fromhex("551d25")
# tcg-kp, 2.23.133.8: what the purposes of TPMs' keys begin with. And Google's name of a virtual machine,
# 1.3.6.1.4.1.11129.2.1.21, which the certificates of its TPM have in place of a purpose.
_TPM_PURPOSES: Final = bytes.fromhex("060567810508")
_INSTANCE: Final = bytes.fromhex("2b06010401d679020115")


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


def problems(found: Anchor) -> list[str]:
    """What is wrong with the path to a key; times aside. None where the root is the key's own.

    Roots that a caller names count for every platform, so that the authority of TPMs may be among them.
    Their keys sign whatever does not begin as a quote does, and no such key is a service's.
    """
    if found.root is None or len(found.path) < 2:
        return []
    wrong = issued.problems(
        found.path, algorithms=ALGORITHMS, leaf=Leaf.ANY, pinned=found.root.sha256
    )
    leaf = found.path[-1]
    if _INSTANCE in leaf.extensions or _TPM_PURPOSES in leaf.extensions.get(_EXTENDED_USAGE, b""):
        wrong.append(f"{issued.title(leaf)}: is of a TPM's key")
    return wrong


def _vouching(roots: Sequence[Root], *, certificate: str, key: str) -> Root | None:
    return next((r for r in roots if r.vouches_for(certificate=certificate, key=key)), None)


def _class(root: Root, test: bool) -> RootClass:
    return RootClass.DEVELOPMENT if test else root.root_class
