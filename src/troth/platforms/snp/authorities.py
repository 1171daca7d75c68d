"""Which of the certificates at hand stand above a VCEK or VLEK? AMD's chains have one shape.

ARK-Milan → SEV-Milan → VCEK, and ARK-Milan → SEV-VLEK-Milan → VLEK; so for each product.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from troth.crypto import beside, issued
from troth.model.collateral import Item
from troth.model.roots import Root
from troth.platforms._review import vouching
from troth.platforms.snp.collateral import Shelf
from troth.platforms.snp.endorsement import Endorsement
from troth.platforms.snp.format import SigningKey
from troth.wire.x509 import Certificate

_FEW: Final = 4
_Held = tuple[Item, Certificate]


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """The two authorities above a key.

    Attributes:
        ark: the root's certificate, as presented.
        ask: the certificate of the authority that issued the key's (for a VLEK: the ASVK's).
        root: the root that vouches for `ark`; None where nobody does.
        items: where they came from.
    """

    ark: Certificate
    ask: Certificate
    root: Root | None
    items: tuple[Item, ...]

    def problems(self, found: Endorsement) -> list[str]:
        """What is wrong beside the links: names of another role or product, and the root's own seal.

        Roots are pinned by their key. A certificate that is not the very one that AMD published must
        be signed by that key itself, or anybody could write its dates.
        """
        role = "SEV-VLEK" if found.signing_key is SigningKey.VLEK else "SEV"
        expected = (f"ARK-{found.product}", f"{role}-{found.product}")
        presented = (issued.title(self.ark), issued.title(self.ask))
        wrong = []
        if presented != expected:
            wrong.append(f"issued by {' → '.join(presented)}, should be {' → '.join(expected)}")
        if self.root is None or issued.sha256(self.ark) != self.root.sha256:
            wrong += [f"{presented[0]}: {word}" for word in issued.link(self.ark.der, self.ark.der)]
        return wrong


def path_of(leaf: Certificate, shelves: Sequence[Shelf], roots: Sequence[Root]) -> Path | None:
    """The authorities above a leaf, by their names; None where they are not at hand.

    Names are no proof, and there may be several of one name: those whose links hold and whose root is
    trusted are taken before others. Of roots with one key one is looked at, and of roots that nobody
    trusts few are, so that the time grows with what is at hand and not with its square.
    """
    at_hand = [held for shelf in shelves for held in shelf.authorities]
    together: dict[int, list[_Held]] = {}
    for held in at_hand:
        together.setdefault(id(held[0]), []).append(held)
    above = _by_name(at_hand, roots)
    best: tuple[int, Path] | None = None
    for ask_item, ask in at_hand:
        if ask.subject != leaf.issuer or ask.subject == ask.issuer:
            continue
        # From the same item first, so that reports name no more items than are needed.
        for ark_item, ark in (*together[id(ask_item)], *above.get(ask.issuer, ())):
            if ark.subject != ask.issuer:
                continue
            path = Path(ark=ark, ask=ask, root=vouching(ark, roots), items=(ask_item, ark_item))
            beside.begin(issued.asked((ark, ask, leaf)))
            wrong = bool(issued.link(leaf.der, ask.der)) + bool(issued.link(ask.der, ark.der))
            rank = 3 * (path.root is None) + wrong
            if rank == 0:
                return path
            if best is None or rank < best[0]:
                best = rank, path
    return None if best is None else best[1]


def _by_name(at_hand: Sequence[_Held], roots: Sequence[Root]) -> dict[bytes, list[_Held]]:
    """Subject to one certificate for each trusted key, and to a few others behind these."""
    trusted: dict[tuple[bytes, bytes, str], _Held] = {}
    others: dict[bytes, list[_Held]] = {}
    for held in at_hand:
        certificate = held[1]
        root = vouching(certificate, roots)
        if root is not None:
            trusted.setdefault((certificate.subject, certificate.key, root.sha256), held)
        elif len(few := others.setdefault(certificate.subject, [])) < _FEW:
            few.append(held)
    found: dict[bytes, list[_Held]] = {}
    for held in (*trusted.values(), *(held for few in others.values() for held in few)):
        found.setdefault(held[1].subject, []).append(held)
    return found
