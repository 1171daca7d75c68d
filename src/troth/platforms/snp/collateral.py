"""What else is needed, where is it had from, and which of it belongs to this report?

AMD's key distribution service serves three things: the certificate of a chip's key at a TCB version,
the chain above it, and the root's revocation list. VLEK certificates come with the evidence or from
the cloud provider; AMD serves them to providers alone.

No network: requests are values. Does not verify: anything; what is picked here, `chain` judges.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from troth.crypto import issued
from troth.errors import Malformed, Misuse
from troth.model.collateral import Collateral, Item, Kind, Request
from troth.platforms.snp import endorsement
from troth.platforms.snp.endorsement import Endorsement
from troth.platforms.snp.format import Document, SigningKey
from troth.platforms.snp.product import Product, parts
from troth.wire import crl, x509
from troth.wire.crl import RevocationList
from troth.wire.x509 import Certificate

_KDS: Final = "https://kdsintf.amd.com"
# The names that the service gives to security versions, in the order that it documents.
_SPL: Final = (
    ("fmcSPL", "fmc"),
    ("blSPL", "boot_loader"),
    ("teeSPL", "tee"),
    ("snpSPL", "snp"),
    ("ucodeSPL", "microcode"),
)
Held = tuple[Item, Endorsement]
_SOURCE: Final = "the evidence's certificate table"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """What could be read, each with the item it came from; and in words what could not.

    Attributes:
        endorsements: certificates of VCEKs and VLEKs.
        chips: the same, by `chip_of`.
        authorities: certificates of the chains: ASKs, ASVKs and ARKs.
        crls: revocation lists.
        trouble: for each item that could not be read, its kind and why.
    """

    endorsements: tuple[Held, ...]
    chips: Mapping[bytes, tuple[Held, ...]]
    authorities: tuple[tuple[Item, Certificate], ...]
    crls: tuple[tuple[Item, RevocationList], ...]
    trouble: tuple[tuple[Kind, str], ...]

    def unreadable(self, kind: Kind) -> str:
        """Why items of a kind could not be read, in words."""
        return "; ".join(words for found, words in self.trouble if found is kind)


_shelves: "WeakKeyDictionary[Collateral, Shelf]" = WeakKeyDictionary()


def gather(document: Document, collateral: Collateral) -> tuple[Shelf, ...]:
    """All that is at hand for a report: what came in its own table first, then the caller's."""
    shelf = _shelves.get(collateral)
    if shelf is None:
        shelf = _shelves[collateral] = _read(collateral.items)
    embedded = _embedded(document)
    return (_read(embedded), shelf) if embedded else (shelf,)


def chip_of(found: Endorsement) -> bytes:
    """CHIP_ID as reports under this key carry it: 64 bytes, zeros under a VLEK."""
    return (found.hwid or b"").ljust(64, b"\0")


def requests(document: Document, *, product: Product | None = None) -> tuple[Request, ...]:
    """What to ask AMD's service for, for this report; what came with it is asked for no more.

    Args:
        document: a parsed report.
        product: whose chip it is, for reports that do not say it: those of version 2 that came
            without a certificate. Of others it is not asked.

    Raises:
        Misuse: nothing says which product it is.
    """
    held = _read(_embedded(document))
    own = next((e.product for _, e in held.endorsements), None)
    wanted = document.product or own or product
    if wanted is None:
        raise Misuse(
            "nothing in this report says which product made it",
            fix="name the product: Milan, Genoa or Turin",
        )
    vlek = document.signing_key is SigningKey.VLEK
    base = f"{_KDS}/{'vlek' if vlek else 'vcek'}/v1/{wanted}"
    found = []
    if not vlek and not held.endorsements and any(document.chip_id):
        versions = parts(document.reported_tcb, wanted)
        query = "&".join(f"{name}={versions[part]:02d}" for name, part in _SPL if part in versions)
        chip = document.chip_id[:8] if wanted is Product.TURIN else document.chip_id
        found.append(Request(url=f"{base}/{chip.hex()}?{query}", kind=Kind.AMD_ENDORSEMENT))
    found.append(Request(url=f"{base}/cert_chain", kind=Kind.AMD_CHAIN))
    found.append(Request(url=f"{base}/crl", kind=Kind.AMD_CRL))
    return tuple(found)


def _embedded(document: Document) -> tuple[Item, ...]:
    kinds = {
        "VCEK": Kind.AMD_ENDORSEMENT,
        "VLEK": Kind.AMD_ENDORSEMENT,
        "ASK": Kind.AMD_CHAIN,
        "ARK": Kind.AMD_CHAIN,
        "CRL": Kind.AMD_CRL,
    }
    return tuple(
        Item(kind=kinds[name], data=data, source=_SOURCE)
        for name, data in document.table.entries.items()
    )


def _read(items: Iterable[Item]) -> Shelf:
    endorsements: list[Held] = []
    authorities: list[tuple[Item, Certificate]] = []
    crls: list[tuple[Item, RevocationList]] = []
    trouble: list[tuple[Kind, str]] = []
    for item in items:
        try:
            if item.kind is Kind.AMD_ENDORSEMENT:
                endorsements += [(item, endorsement.read(der)) for der in _certificates(item)]
            elif item.kind is Kind.AMD_CHAIN:
                authorities += [(item, issued.read(der)) for der in _certificates(item)]
            elif item.kind is Kind.AMD_CRL:
                crls.append((item, crl.read(item.data)))
        except Malformed as error:
            trouble.append((item.kind, str(error)))
    chips: dict[bytes, tuple[Held, ...]] = {}
    for held in endorsements:
        chip = chip_of(held[1])
        chips[chip] = (*chips.get(chip, ()), held)
    return Shelf(
        endorsements=tuple(endorsements),
        chips=chips,
        authorities=tuple(authorities),
        crls=tuple(crls),
        trouble=tuple(trouble),
    )


def _certificates(item: Item) -> tuple[bytes, ...]:
    """DER, or PEM: both are served, and hosts put either into their tables."""
    if item.data.startswith(b"-----BEGIN"):
        return x509.read_pem(item.data, field=str(item.kind))
    return (item.data,)
