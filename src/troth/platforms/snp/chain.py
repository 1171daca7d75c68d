"""Is a report genuine? AMD's steps, and what its text leaves out, in order.

Does not verify: what runs, how the guest was started and which security versions are good enough (the
policy's), freshness (the verifier's), and that nobody took the key out of its chip.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import Final

from troth.crypto import issued, keys
from troth.model import collateral as model
from troth.model.check import Check, failed, passed, stamp, undecided
from troth.model.codes import Code
from troth.model.codes.fresh import R103, R201
from troth.model.codes.genuine import G101, G102, G103, G104, G105, G206, G301
from troth.model.codes.tcb import T109
from troth.model.collateral import Collateral, Item, Kind
from troth.model.platform import Genuineness
from troth.model.roots import Root
from troth.model.tcb import Finding, Tcb
from troth.platforms._review import review
from troth.platforms.snp import fits, revocation
from troth.platforms.snp.authorities import Path, path_of
from troth.platforms.snp.collateral import Held, Shelf, gather
from troth.platforms.snp.endorsement import Endorsement
from troth.platforms.snp.format import ECDSA_P384_SHA384, Document, SigningKey
from troth.platforms.snp.product import LAYOUTS, Product, reserved
from troth.wire.x509 import Certificate, common_name

ALGORITHMS: Final = frozenset({keys.PSS_SHA384, keys.PSS_SHA384_SHORT})
_MILAN: Final = (
    "the root secret of a Milan chip can be extracted by software (arXiv 2605.12990): a report of one is "
    "as good as its chip's history, so name the chips that you trust"
)

# A pure function of the item, remembered for speed.
_name = lru_cache(maxsize=256)(model.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """A report with what was found for it.

    Attributes:
        document: the report.
        held: its key's endorsement and the item that it came from, None where none is at hand.
        path: ARK and ASK and the items that they came from; None where they are not at hand.
        root: the root that the path ends at, if it ends at one.
    """

    document: Document
    held: Held | None
    path: Path | None
    root: Root | None

    @property
    def chain(self) -> tuple[Certificate, ...]:
        if self.held is None or self.path is None:
            return ()
        return (self.path.ark, self.path.ask, self.held[1].certificate)


def genuine(
    document: Document, roots: Sequence[Root], collateral: Collateral, at: datetime
) -> Genuineness:
    """Takes every step, and goes on after a failure wherever going on has meaning.

    Args:
        document: parsed, not believed.
        roots: the roots that count; the first that vouches gives its class.
        collateral: endorsements, chains and revocation lists of any number of machines.
        at: the instant of judgement, aware.
    """
    shelves = gather(document, collateral)
    held = fits.pick(document, shelves, at)
    if held is not None:
        fits.begin(document, held[1])
    path = None if held is None else path_of(held[1].certificate, shelves, roots)
    judged = _Judged(
        document=document, held=held, path=path, root=None if path is None else path.root
    )
    revoked, lists = revocation.checks(path, shelves, at)
    used = (*_items(judged), *lists)
    return Genuineness(
        checks=(
            _algorithm(document),  # (1)
            _at_hand(judged, shelves),  # (2)
            _endorsement(judged, shelves),  # (3)
            _fit(judged),  # (4)
            _root(judged),  # (5)
            _review(judged, at),  # (6)
            _path(judged, shelves),  # (7)
            _validity(judged, at),  # (8)
            *revoked,  # (9)
            _signature(judged),  # (10)
            _order(judged),  # (11)
        ),
        root_class=None if judged.root is None else judged.root.root_class,
        tcb=_tcb(judged),
        collateral=tuple(dict.fromkeys(map(_name, used))),
        notes=_notes(judged),
    )


def _algorithm(document: Document) -> Check:
    make = passed if document.signature_algorithm == ECDSA_P384_SHA384 else failed
    return make(
        G105,
        "signature_algorithm",
        presented=str(document.signature_algorithm),
        expected=f"{ECDSA_P384_SHA384} (ECDSA P-384 with SHA-384)",
    )


def _at_hand(judged: _Judged, shelves: Sequence[Shelf]) -> Check:
    if judged.held is None:
        key = judged.document.signing_key.name
        return undecided(R201, "endorsement", expected=f"the certificate of the report's {key}")
    if judged.path is None:
        issuer = common_name(judged.held[1].certificate.issuer)
        return undecided(
            R201,
            "chain",
            expected=f"the certificates of {issuer} and of the root above it",
            why=_unreadable(shelves, Kind.AMD_CHAIN),
        )
    return passed(R201, "endorsement and chain", source=judged.held[0].source)


def _endorsement(judged: _Judged, shelves: Sequence[Shelf]) -> Check:
    if judged.held is None:
        why = _unreadable(shelves, Kind.AMD_ENDORSEMENT)
        return failed(G206, "endorsement", why=why) if why else _open(G206, "endorsement", judged)
    found = judged.held[1]
    # What it says could be read, or it would not be held.
    presented = f"{found.signing_key.name} for {found.product_name}"
    if found.csp is not None:
        presented += f", provider {found.csp!r}"
    return passed(G206, "endorsement", presented=presented)


def _fit(judged: _Judged) -> Check:
    if judged.held is None:
        return _open(G301, "endorsement", judged)
    found = judged.held[1]
    presented = f"{found.signing_key.name} for {found.product_name}: {_versions(found)}"
    if wrong := fits.misfits(judged.document, found):
        return failed(G301, "endorsement", presented=presented, why="; ".join(wrong))
    if why := fits.unknown(judged.document, found):
        return undecided(G301, "endorsement", presented=presented, why=why)
    return passed(G301, "endorsement", presented=presented)


def _root(judged: _Judged) -> Check:
    if judged.path is None:
        return _open(G101, "root", judged)
    presented = f"{issued.title(judged.path.ark)}, key sha256 {issued.key_sha256(judged.path.ark)}"
    if judged.root is None:
        return failed(G101, "root", presented=presented, expected="a root you trust")
    return passed(G101, "root", presented=presented, source=judged.root.source)


def _review(judged: _Judged, at: datetime) -> Check:
    if judged.path is None:
        return _open(R103, "root", judged)
    return review(judged.root, at)


def _path(judged: _Judged, shelves: Sequence[Shelf]) -> Check:
    if judged.held is None:
        return _open(G102, "chain", judged)
    found = judged.held[1]
    if judged.path is None:
        others = [issued.title(c) for shelf in shelves for _, c in shelf.authorities]
        why = _unreadable(shelves, Kind.AMD_CHAIN)
        if others:
            issuer = common_name(found.certificate.issuer)
            why = f"issued by {issuer}, and at hand are {', '.join(dict.fromkeys(others))}"
        return failed(G102, "chain", why=why) if why else _open(G102, "chain", judged)
    wrong = issued.problems(judged.chain, algorithms=ALGORITHMS, leaf=issued.Leaf.BARE)
    wrong += judged.path.problems(found)
    if wrong:
        return failed(G102, "chain", why="; ".join(wrong))
    return passed(G102, "chain", presented=" → ".join(map(issued.title, judged.chain)))


def _validity(judged: _Judged, at: datetime) -> Check:
    chain = judged.chain
    if not chain:
        return _open(G103, "chain", judged)
    found = issued.not_valid(chain, at)
    instant = f"valid at {stamp(at)}"
    if found:
        return failed(G103, "chain", presented="; ".join(found), expected=instant)
    return passed(G103, "chain", expected=instant)


def _signature(judged: _Judged) -> Check:
    document = judged.document
    if document.mask_chip_key or document.signing_key is SigningKey.NONE:
        return failed(
            G104,
            "signature",
            presented="MASK_CHIP_KEY is set" if document.mask_chip_key else "SIGNING_KEY is none",
            expected="a report that the chip's or the provider's key signed",
        )
    if judged.held is None:
        return _open(G104, "signature", judged)
    if document.signature_algorithm != ECDSA_P384_SHA384:
        return undecided(G104, "signature", why="it is of another algorithm")
    wrong = fits.unsigned(document, judged.held[1])
    return failed(G104, "signature", why=wrong) if wrong else passed(G104, "signature")


def _order(judged: _Judged) -> Check:
    """What is reported must not exceed what is committed, nor that what runs, part by part."""
    product = _product(judged)
    if product is None:
        return undecided(T109, "TCB", why="nothing says which product's layout its versions have")
    document = judged.document
    steps = (
        ("reported", document.reported_tcb),
        ("committed", document.committed_tcb),
        ("current", document.current_tcb),
    )
    wrong = [
        f"{low} {part} {below[at]} is above {high} {above[at]}"
        for (low, below), (high, above) in pairwise(steps)
        for part, at in LAYOUTS[product].items()
        if below[at] > above[at]
    ]
    wrong += [
        f"{name} has bytes that {product} does not use"
        for name, tcb in (*steps, ("launch", document.launch_tcb))
        if reserved(tcb, product)
    ]
    return failed(T109, "TCB", why="; ".join(wrong)) if wrong else passed(T109, "TCB")


def _product(judged: _Judged) -> Product | None:
    """By the report itself from version 3 on, else by the key's certificate."""
    if judged.document.cpu is not None:
        return judged.document.product
    return None if judged.held is None else judged.held[1].product


def _tcb(judged: _Judged) -> Tcb | None:
    """AMD publishes no levels: what is known is the product, whose minimum a policy asks for."""
    product = _product(judged)
    if product is None:
        return None
    return Tcb(
        status="",
        date=None,
        advisories=(),
        evaluation_number=None,
        findings=(Finding(part=str(product), status="", date=None),),
    )


def _notes(judged: _Judged) -> tuple[str, ...]:
    notes = []
    if _product(judged) is Product.MILAN:
        notes.append(_MILAN)
    document = judged.document
    if judged.held is not None and judged.held[1].hwid is not None and not any(document.chip_id):
        notes.append(f"CHIP_ID is masked; by its key the chip is {judged.held[1].hwid.hex()}")
    if document.table.unknown:
        count = len(document.table.unknown)
        notes.append(f"the host's certificate table holds {count} entries that are no certificates")
    return tuple(notes)


def _items(judged: _Judged) -> tuple[Item, ...]:
    if judged.held is None:
        return ()
    return (judged.held[0], *(judged.path.items if judged.path is not None else ()))


def _open(code: Code, subject: str, judged: _Judged) -> Check:
    what = "endorsement" if judged.held is None else "chain"
    return undecided(code, subject, why=f"no {what} is at hand")


def _unreadable(shelves: Sequence[Shelf], kind: Kind) -> str:
    return "; ".join(filter(None, (shelf.unreadable(kind) for shelf in shelves)))


def _versions(found: Endorsement) -> str:
    return ", ".join(f"{part} {number}" for part, number in found.parts.items())
