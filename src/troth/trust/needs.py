"""Which endorsements does this evidence need? The platforms' requests, behind one question."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from troth.errors import Malformed, Misuse
from troth.model.collateral import Request
from troth.platforms import detect

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
        known = detect(data)
        if known is None:
            raise Malformed("is no evidence that troth reads", field=name, offset=0)
        platform, bare, _ = known
        document = platform.parse(bare)
        match platform.name:
            case "sgx" | "tdx":
                from troth.platforms.dcap import requests as intel

                found |= dict.fromkeys(intel.for_quote(document.quote, early=early))
                if early:  # a hint, too: that it is missing must stop nothing
                    numbers = intel.evaluation_numbers(document.quote.tee)
                    found[replace(numbers, early=True)] = None
            case "snp":
                from troth.platforms.snp import collateral as amd

                found |= dict.fromkeys(amd.requests(document, product=_product(product)))
            case _:
                pass  # its evidence brings all that there is
    return tuple(found)


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
