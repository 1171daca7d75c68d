"""Who vouches for an attestation key? From its certificate up to a root that counts.

Certificates above the key's lie in the evidence, or among the collateral (`tpm-chain`, PEM): Azure's
TPM holds none of them. Order does not matter; each is taken for what it signs.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from troth.crypto import issued
from troth.errors import Malformed
from troth.model.collateral import Collateral, Item, Kind
from troth.model.roots import Root
from troth.platforms.tpm import certified
from troth.platforms.tpm.format import Document
from troth.wire.x509 import BASIC_CONSTRAINTS, KEY_USAGE, Certificate, read_pem

_LONGEST: Final = 5
_SIGNS_DATA: Final = 0x80
_KNOWN: Final = frozenset({BASIC_CONSTRAINTS, KEY_USAGE})
# Google's older certificates name the TPM's maker and model there, critically; nothing follows from it.
_KNOWN_IN_LEAF: Final = _KNOWN | {certified.ALTERNATIVE_NAME}

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
    """Everything that is wrong with a path, times aside.

    A root that is not the pinned certificate itself, and only has its key, must have signed itself.

    An empty list means: each certificate is signed by the one above it, names meet, authorities are
    authorities and within their path lengths, no critical extension is unknown, and the first one is of
    a key that signs data.
    """
    found = []
    last = len(path.certificates) - 1
    for index, certificate in enumerate(path.certificates):
        wrong = _leaf(certificate) if index == 0 else issued.authority(certificate, index - 1)
        known = _KNOWN_IN_LEAF if index == 0 else _KNOWN
        unknown = sorted(certificate.critical - known)
        wrong += [f"unknown critical extension {name.hex()}" for name in unknown]
        if index < last:
            wrong += issued.link(certificate.der, path.certificates[index + 1].der)
        elif path.root is not None and _sha256(certificate) != path.root.sha256:
            wrong += issued.link(certificate.der, certificate.der)
        name = issued.title(certificate) if index else "the attestation key's certificate"
        found += [f"{name}: {problem}" for problem in wrong]
    return found


def _leaf(certificate: Certificate) -> list[str]:
    wrong = []
    constraints = certificate.extensions.get(BASIC_CONSTRAINTS)
    if constraints is not None and constraints != b"\x30\0":
        wrong.append("does not say that it is no authority")
    usage = certificate.extensions.get(KEY_USAGE)
    # BIT STRING of one or two bytes; an endorsement key's has encipherment there instead.
    if usage is None or len(usage) not in (4, 5) or usage[0] != 0x03 or not usage[3] & _SIGNS_DATA:
        wrong.append("may not sign data")
    if other := certified.other_purpose(certificate):
        wrong.append(other)
    return wrong


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
