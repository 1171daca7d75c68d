"""Does an endorsement belong to a report? And which of those at hand does?

The certificate of the key names product, chip and TCB version; so does the report; a key counts for
no other report.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from troth.crypto import beside, keys
from troth.crypto.beside import Asked
from troth.crypto.signature import ecdsa_p384_raw
from troth.platforms.snp.collateral import Held, Shelf, chip_of
from troth.platforms.snp.endorsement import Endorsement
from troth.platforms.snp.format import Document, SigningKey
from troth.platforms.snp.product import Product, parts, reserved


def misfits(document: Document, found: Endorsement) -> list[str]:
    """Everything in which report and certificate differ, in words; empty where they are of one key.

    The key follows the *reported* TCB, whatever runs or is committed.
    """
    wrong = []
    if found.signing_key is not document.signing_key:
        wrong.append(
            f"the report says {document.signing_key.name}, this is a {found.signing_key.name}'s"
        )
    if document.product not in (None, found.product):
        wrong.append(f"the report is of a {document.product}, this is for {found.product}")
    else:
        wrong += _versions(document, found)
    masked = not any(document.chip_id)
    if found.hwid is None and not masked:
        wrong.append("the report names a chip, and a VLEK's reports name none")
    elif found.hwid is not None and not masked and document.chip_id != chip_of(found):
        wrong.append(f"CHIP_ID is {document.chip_id.hex()}, HWID is {found.hwid.hex()}")
    return wrong


def unknown(document: Document, found: Endorsement) -> str:
    """Why nothing tells how this report writes its versions; empty where it is known."""
    if document.cpu is not None and document.product is None:
        cpu = document.cpu
        return f"no product is known with CPUID family {cpu.family:#x}, model {cpu.model:#x}"
    if document.cpu is None and found.product is Product.TURIN:
        return (
            "no version 2 report of a Turin is known, and nothing says how it writes its versions"
        )
    return ""


def pick(document: Document, shelves: Sequence[Shelf], at: datetime) -> Held | None:
    """The endorsement to judge a report by; None where none at all is at hand.

    That is the one that fits it. Of several (a provider's keys name no chip, and a chip may be masked)
    the one whose key signed the report counts, and of those one that is valid at the instant. Where none
    fits, one of the same chip is taken before others, so that the reader learns in what it differs.
    """
    masked = document.signing_key is SigningKey.VCEK and not any(document.chip_id)
    fitting: dict[bytes, Held] = {}
    for shelf in shelves:
        near = shelf.endorsements if masked else shelf.chips.get(document.chip_id, ())
        for held in near:
            if not misfits(document, held[1]):
                fitting.setdefault(held[1].certificate.der, held)
    if len(fitting) > 1:
        return _signer(document, fitting.values(), at)
    if fitting:
        return next(iter(fitting.values()))
    same = (held for shelf in shelves for held in shelf.chips.get(document.chip_id, ()))
    others = (held for shelf in shelves for held in shelf.endorsements)
    return next(same, None) or next(others, None)


def _signer(document: Document, fitting: Iterable[Held], at: datetime) -> Held:
    def rank(held: Held) -> tuple[bool, bool]:
        certificate = held[1].certificate
        return (
            bool(unsigned(document, held[1])),
            not certificate.not_before <= at <= certificate.not_after,
        )

    return min(fitting, key=rank)


def begin(document: Document, found: Endorsement) -> None:
    """Begins what `unsigned` will ask."""
    key = found.certificate.key
    beside.begin((Asked(key, keys.P384_RAW, document.signature, document.signed),))


def unsigned(document: Document, found: Endorsement) -> str:
    """Why the report is not signed by this key; empty where it is."""
    return ecdsa_p384_raw(found.certificate.key, document.signature, document.signed)


def _versions(document: Document, found: Endorsement) -> list[str]:
    presented = parts(document.reported_tcb, found.product)
    wrong = [
        f"reported {part} is {presented[part]}, the key's is {number}"
        for part, number in found.parts.items()
        if presented[part] != number
    ]
    if reserved(document.reported_tcb, found.product):
        wrong.append(f"REPORTED_TCB has bytes that {found.product} does not use")
    return wrong
