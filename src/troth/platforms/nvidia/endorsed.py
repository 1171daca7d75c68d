"""Which reference values belong to a report, and are they NVIDIA's? RIM documents and their signers."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from troth.crypto import issued, keys
from troth.model.collateral import Item
from troth.model.roots import Root
from troth.platforms.nvidia import golden, rim
from troth.platforms.nvidia.collateral import Shelf, wanted
from troth.platforms.nvidia.format import Document, Kind
from troth.platforms.nvidia.rim import Rim
from troth.platforms.nvidia.roots import RIM_ROOT
from troth.wire.x509 import Certificate

ALGORITHMS: Final = frozenset({keys.ECDSA_SHA384})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The document for one role.

    Attributes:
        role: `driver RIM` or `VBIOS RIM`.
        version: that the report says.
        item, rim: the document, None where none is at hand.
        root: the root that its signers end at; None where they end at none that counts.
        trouble: why it is not to be believed, in words; empty if it is.
    """

    role: str
    version: str
    item: Item | None = None
    rim: Rim | None = None
    root: Root | None = None
    trouble: str = ""

    @property
    def path(self) -> tuple[Certificate, ...]:
        """Its signers, root first."""
        return () if self.rim is None else self.rim.signers[::-1]


def references(
    document: Document, chip: str, shelf: Shelf, roots: Sequence[Root]
) -> tuple[Reference, ...]:
    """The document for each role: one that is to be believed, and of several one that the report meets.

    A version names a VBIOS of several boards, and the document does not say which board it is for.

    Args:
        document: the report.
        chip: of the certificates, such as `GH100`.
        shelf: what is at hand.
        roots: the roots that count.
    """
    found = []
    for role, version in wanted(document):
        at_hand = [
            _judged(role, version, pair, roots) for pair in _fitting(document, chip, version, shelf)
        ]
        if len(at_hand) > 1:
            at_hand.sort(key=lambda reference: _rank(document, reference))
        found.append(at_hand[0] if at_hand else Reference(role=role, version=version))
    return tuple(found)


def vouching(root: Certificate, roots: Sequence[Root], name: str) -> tuple[Root | None, list[str]]:
    """The root that vouches for a certificate as the authority of this name, and what is wrong with it.

    Roots are pinned by their key. A certificate that is not the very one that NVIDIA published must be
    signed by that key itself, or anybody could write its name and its dates.
    """
    certificate, key = hashlib.sha256(root.der).hexdigest(), issued.key_sha256(root)
    found = next((r for r in roots if r.vouches_for(certificate=certificate, key=key)), None)
    wrong = []
    if issued.title(root) != name:
        wrong.append(f"{issued.title(root)}: should be {name}")
    if found is None or found.sha256 != certificate:
        wrong += [f"{issued.title(root)}: {word}" for word in issued.link(root.der, root.der)]
    return found, wrong


def _fitting(document: Document, chip: str, version: str, shelf: Shelf) -> list[tuple[Item, Rim]]:
    """The documents about this version for this chip."""
    edition = rim.SWITCH if document.kind is Kind.SWITCH else rim.GPU
    asked = (chip, edition, version.upper())
    return [
        pair
        for pair in shelf.rims
        if (pair[1].product, pair[1].edition, pair[1].version.upper()) == asked
    ]


def _judged(role: str, version: str, pair: tuple[Item, Rim], roots: Sequence[Root]) -> Reference:
    item, found = pair
    root, wrong = vouching(found.signers[-1], roots, RIM_ROOT)
    wrong += issued.problems(found.signers[::-1], algorithms=ALGORITHMS)
    if found.trouble:
        wrong.insert(0, found.trouble)
    if root is None:
        wrong.append("its signers end at no root that you trust")
    return Reference(
        role=role, version=version, item=item, rim=found, root=root, trouble="; ".join(wrong)
    )


def _rank(document: Document, reference: Reference) -> int:
    values = () if reference.rim is None else [(reference.role, reference.rim.golden)]
    return 2 * bool(reference.trouble) + bool(golden.compare(document, values).wrong)
