"""What is at hand for a device's report, and what is to be asked for: reference values and OCSP answers.

NVIDIA's RIM service has one document for each driver and each VBIOS; its OCSP responder answers for
the certificates that NVIDIA issued: device, provisioner and identity, and those that signed a RIM
document. It cannot know the leaf, which the device makes itself when it starts.

No network: requests are values. Does not verify: anything.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final
from urllib.parse import quote, unquote
from weakref import WeakKeyDictionary

from troth.errors import Malformed, Unavailable
from troth.model.collateral import Collateral, Item, Kind, Request
from troth.platforms.nvidia import device, ocsp, rim
from troth.platforms.nvidia.device import HOPPER
from troth.platforms.nvidia.format import Document, Field
from troth.platforms.nvidia.format import Kind as Made
from troth.platforms.nvidia.ocsp import Answer
from troth.platforms.nvidia.rim import Rim
from troth.wire.x509 import Certificate

RIM: Final = "https://rim.attestation.nvidia.com"
OCSP: Final = "https://ocsp.ndis.nvidia.com"
DRIVER: Final = "driver RIM"
VBIOS: Final = "VBIOS RIM"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """What could be read, each with the item it came from; and in words what could not.

    Attributes:
        rims: documents with reference values.
        answers: OCSP answers by the serial number that they are about.
        trouble: for each item that could not be read, its kind and why.
        missing: why documents could not be read that may be good: libraries that are not installed.
        remembered: why an answer counts nothing for a certificate, by the bytes of both and of the issuer.
    """

    rims: tuple[tuple[Item, Rim], ...]
    answers: Mapping[int, tuple[tuple[Item, Answer], ...]]
    trouble: tuple[tuple[Kind, str], ...]
    missing: str
    remembered: dict[tuple[bytes, bytes, bytes], str] = field(default_factory=dict)

    def unreadable(self, kind: Kind) -> str:
        """Why items of a kind could not be read, in words."""
        return "; ".join(dict.fromkeys(words for found, words in self.trouble if found is kind))


_shelves: "WeakKeyDictionary[Collateral, Shelf]" = WeakKeyDictionary()


def gather(collateral: Collateral) -> Shelf:
    """All that is at hand; read once for each object of collateral."""
    shelf = _shelves.get(collateral)
    if shelf is None:
        shelf = _shelves[collateral] = _read(collateral.items)
    return shelf


def wanted(document: Document) -> tuple[tuple[str, str], ...]:
    """The documents that a report is compared with: role, and the version that they must be of."""
    vbios = (VBIOS, document.vbios_version)
    if document.kind is Made.SWITCH:
        return (vbios,)
    return ((DRIVER, document.driver_version), vbios)


def requests(document: Document) -> tuple[Request, ...]:
    """What to ask NVIDIA's services for, for this report; certificates are asked about by serial number."""
    found = [
        Request(url=f"{RIM}/v1/rim/{name}", kind=Kind.NVIDIA_RIM, accept="application/json")
        for name in rim_ids(document)
    ]
    return (*found, *about(document.chain[1:]))


def following(items: Iterable[Item]) -> tuple[Request, ...]:
    """What RIM documents, once they are here, need themselves: OCSP answers about their signers.

    Raises:
        Malformed, Unavailable: as `rim.read`.
    """
    found: dict[Request, None] = {}
    for item in items:
        if item.kind is Kind.NVIDIA_RIM:
            found |= dict.fromkeys(about(rim.read(item.data).signers))
    return tuple(found)


def about(chain: tuple[Certificate, ...]) -> tuple[Request, ...]:
    """Requests about each certificate of a chain, leaf first, but for the root."""
    return tuple(
        Request(
            # RFC 6960, appendix A.1. Whoever sends it puts a nonce in and sends it by POST.
            url=f"{OCSP}/{quote(base64.b64encode(ocsp.request(certificate, issuer)), safe='')}",
            kind=Kind.NVIDIA_OCSP,
            accept="application/ocsp-response",
        )
        for certificate, issuer in pairwise(chain)
    )


def asked(path: str) -> bytes:
    """The OCSP request in the path of such an address.

    Raises:
        Malformed: there is none.
    """
    try:
        return base64.b64decode(unquote(path.removeprefix("/")), validate=True)
    except ValueError:
        raise Malformed("holds no request", field="address of an OCSP responder") from None


def rim_ids(document: Document) -> tuple[str, ...]:
    """The names that NVIDIA's service gives to the documents of this device."""
    vbios = document.vbios_version.replace(".", "").upper()
    if document.kind is Made.SWITCH:
        return (
            f"NV_SWITCH_BIOS_5612_0002_890_{vbios}",
        )  # a switch's report does not name its board
    project = "_".join(
        document.word(field) for field in (Field.PROJECT, Field.PROJECT_SKU, Field.CHIP_SKU)
    )
    if device.architecture(document) == HOPPER:
        driver = f"NV_GPU_DRIVER_GH100_{document.driver_version}"
    else:
        chip = document.word(Field.CHIP_INFO) or "GB100"
        driver = f"NV_GPU_CC_DRIVER_{chip}_{document.driver_version}"
    return (driver, f"NV_GPU_VBIOS_{project.upper()}_{vbios}")


def _read(items: Iterable[Item]) -> Shelf:
    rims: list[tuple[Item, Rim]] = []
    answers: dict[int, tuple[tuple[Item, Answer], ...]] = {}
    trouble: list[tuple[Kind, str]] = []
    missing = ""
    for item in items:
        try:
            if item.kind is Kind.NVIDIA_RIM:
                rims.append((item, rim.read(item.data)))
            elif item.kind is Kind.NVIDIA_OCSP:
                answer = ocsp.read(item.data)
                answers[answer.serial] = (*answers.get(answer.serial, ()), (item, answer))
        except Malformed as error:
            trouble.append((item.kind, str(error)))
        except Unavailable as error:
            missing = f"{error}: {error.fix}"
    return Shelf(rims=tuple(rims), answers=answers, trouble=tuple(trouble), missing=missing)
