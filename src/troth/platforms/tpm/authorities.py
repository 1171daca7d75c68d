"""Who vouches for an attestation key? From its certificate up to a root that counts.

Certificates above the key's lie in the evidence, or among the collateral (`tpm-chain`, PEM): Azure's
TPM holds none of them. Order does not matter; each is taken for what it signs.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from troth.crypto import issued, keys
from troth.crypto.issued import Leaf
from troth.errors import Malformed
from troth.model.collateral import Collateral, Item, Kind
from troth.model.roots import Root
from troth.platforms.tpm import certified
from troth.platforms.tpm.format import Document
from troth.wire.x509 import Certificate, read_pem

_LONGEST: Final = 5
# Google's older certificates name the TPM's maker and model there, critically; nothing follows from it.
_KNOWN: Final = frozenset({certified.ALTERNATIVE_NAME})
ALGORITHMS: Final = frozenset(
    {
        *(keys.ECDSA_SHA256, keys.ECDSA_SHA384),
        *(keys.RSA_SHA256, keys.RSA_SHA384, keys.RSA_SHA512),
    }
)

Held = tuple[Certificate, Item | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Certificates from the attestation key's upwards.

    Attributes:
        certificates: the key's first; complete if `root` is not None or the last one issued itself.
        items: collateral that some came from.
        root: the root that counts, at which the path ends, or None.
        unreadable: what is wrong with collateral that could not be read, in words.
    """

    certificates: tuple[Certificate, ...]
    items: tuple[Item, ...]
    root: Root | None
    unreadable: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing above: it ends at a root that counts, or at any other."""
        last = self.certificates[-1]
        return self.root is not None or last.issuer == last.subject


def path_of(document: Document, collateral: Collateral, roots: Sequence[Root]) -> Path | None:
    """The path above the key's certificate, as far as it goes; None where there is no certificate."""
    if not document.certificates:
        return None
    pool: list[Held] = [(certificate, None) for certificate in document.certificates[1:]]
    wrong = []
    for item in collateral.of(Kind.TPM_CHAIN):
        try:
            pool += [(issued.read(der), item) for der in read_pem(item.data, "tpm-chain")]
        except Malformed as error:
            wrong.append(str(error))
    chain = [document.certificates[0]]
    items: list[Item] = []
    root = None
    while root is None and len(chain) < _LONGEST and chain[-1].issuer != chain[-1].subject:
        above = next(_issuers(chain, pool, roots), None)
        if above is None:
            break
        certificate, source = above
        chain.append(certificate)
        items += [source] if source is not None else []
        root = _root(certificate, roots)
    return Path(
        certificates=tuple(chain),
        items=tuple(dict.fromkeys(items)),
        root=root,
        unreadable="; ".join(wrong),
    )


def problems(path: Path) -> list[str]:
    """Everything that is wrong with a path, times aside; also with one that goes up to no root.

    An empty list means what it means in `issued.problems`, and that the first certificate is for no other
    purpose than a TPM's keys.
    """
    leaf = path.certificates[0]
    if len(path.certificates) == 1:
        found = [f"{issued.title(leaf)}: {w}" for w in issued.of_leaf(leaf, Leaf.USAGE, _KNOWN)]
    else:
        found = issued.problems(
            path.certificates[::-1],
            algorithms=ALGORITHMS,
            leaf=Leaf.USAGE,
            known=_KNOWN,
            pinned="" if path.root is None else path.root.sha256,
        )
    if other := certified.other_purpose(leaf):
        found.append(f"{issued.title(leaf)}: {other}")
    return found


def _issuers(
    chain: Sequence[Certificate], pool: Sequence[Held], roots: Sequence[Root]
) -> Iterator[Held]:
    """Those that signed the last of the chain: roots that count before others, none twice."""
    child = chain[-1]
    named = [
        held
        for held in pool
        if held[0].subject == child.issuer and all(held[0].der != c.der for c in chain)
    ]
    signed = [held for held in named if not issued.link(child.der, held[0].der)]
    yield from sorted(signed or named, key=lambda held: _root(held[0], roots) is None)


def _root(certificate: Certificate, roots: Sequence[Root]) -> Root | None:
    key = issued.key_sha256(certificate)
    der = _sha256(certificate)
    return next((root for root in roots if root.vouches_for(certificate=der, key=key)), None)


def _sha256(certificate: Certificate) -> str:
    return hashlib.sha256(certificate.der).hexdigest()
