"""Which endorsements does this evidence need? The platforms' requests, behind one question."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from troth.errors import Malformed, Misuse
from troth.model.collateral import Item, Kind, Request
from troth.platforms import assemble, detect

if TYPE_CHECKING:
    from troth.platforms.snp.product import Product


def needs(
    evidence: Iterable[tuple[str, bytes]], *, early: bool = False, product: str = ""
) -> tuple[Request, ...]:
    """The requests for all of this evidence, each once.

    Args:
        evidence: name and bytes of each.
        early: ask also for what decides nothing yet: Intel's documents of the next evaluation number,
            and its list of those numbers.
        product: the product of AMD's chips, for reports that do not say it.

    Raises:
        Malformed: one is no evidence that troth reads.
        Misuse: nothing in one says which platform it is of.
    """
    found: dict[Request, None] = {}
    for name, data in evidence:
        several = assemble(data)
        parts = [data] if several is None else [part.evidence for part in several.parts]
        for part in parts:
            found |= dict.fromkeys(_of(name, part, early=early, product=product))
    return tuple(found)


def _of(name: str, data: bytes, *, early: bool, product: str) -> Iterable[Request]:
    """The requests for one piece of evidence."""
    known = detect(data)
    if known is None:
        raise Malformed("is no evidence that troth reads", field=name, offset=0)
    platform, bare, _ = known
    document = platform.parse(bare)
    match platform.name:
        case "sgx" | "tdx":
            from troth.platforms.dcap import requests as intel

            yield from intel.for_quote(document.quote, early=early)
            if early:  # a hint, too: that it is missing must stop nothing
                yield replace(intel.evaluation_numbers(document.quote.tee), early=True)
        case "nvidia":
            from troth.platforms.nvidia import collateral as nvidia

            yield from nvidia.requests(document)
        case "maa" | "gcs" | "ita" | "nras":
            from troth.platforms.tokens import collateral as tokens

            yield from tokens.requests(document)
        case "snp":
            from troth.platforms.snp import collateral as amd

            yield from amd.requests(document, product=_product(product))
        case _:
            pass  # its evidence brings all that there is


def following(items: Iterable[Item]) -> tuple[Request, ...]:
    """What items that are here need themselves: of NVIDIA's RIM documents, their signers' OCSP answers.

    Raises:
        Malformed: one is not what it is called.
        Unavailable: a library that reads one is not installed.
    """
    held = [item for item in items if item.kind is Kind.NVIDIA_RIM]
    if not held:
        return ()
    from troth.platforms.nvidia import collateral as nvidia

    return nvidia.following(held)


def _product(name: str) -> "Product | None":
    from troth.platforms.snp.product import Product

    if not name:
        return None
    for product in Product:
        if str(product).lower() == name.lower():
            return product
    raise Misuse(
        f"{name[:40]!r} is none of AMD's products that troth knows",
        fix=f"write {', '.join(str(product) for product in Product)}",
    )
