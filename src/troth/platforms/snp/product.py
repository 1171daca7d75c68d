"""Which AMD product is it, and how does that product write its security versions?

The eight bytes of a TCB_VERSION have two layouts. The wrong one gives wrong numbers silently, so it is
chosen by the CPU's family and model and never by what the bytes look like.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Product(StrEnum):
    """AMD's names in certificates and addresses. Bergamo and Siena are endorsed as Genoa."""

    MILAN = "Milan"
    GENOA = "Genoa"
    TURIN = "Turin"


_FIRST: Final = MappingProxyType({"boot_loader": 0, "tee": 1, "snp": 6, "microcode": 7})
_TURIN: Final = MappingProxyType({"fmc": 0, "boot_loader": 1, "tee": 2, "snp": 3, "microcode": 7})

# Name of a part to its byte in TCB_VERSION; the other bytes are reserved and zero.
LAYOUTS: Final[Mapping[Product, Mapping[str, int]]] = MappingProxyType(
    {Product.MILAN: _FIRST, Product.GENOA: _FIRST, Product.TURIN: _TURIN}
)
_RESERVED: Final = {
    product: sum(0xFF << (8 * at) for at in range(8) if at not in layout.values())
    for product, layout in LAYOUTS.items()
}
_MODELS: Final = (
    (0x19, range(0x10), Product.MILAN),
    (0x19, range(0x10, 0x20), Product.GENOA),
    (0x19, range(0xA0, 0xB0), Product.GENOA),
    (0x1A, range(0x12), Product.TURIN),
)


def of_cpu(family: int, model: int) -> Product | None:
    """The product with this CPUID family and model, or None for one that troth does not know."""
    return next((p for f, models, p in _MODELS if f == family and model in models), None)


def parts(tcb: bytes, product: Product) -> dict[str, int]:
    """The security versions in a TCB_VERSION of 8 bytes, by name."""
    return {name: tcb[at] for name, at in LAYOUTS[product].items()}


def reserved(tcb: bytes, product: Product) -> bool:
    """Whether a byte is set that this product's layout does not use; none ever is."""
    return bool(int.from_bytes(tcb, "little") & _RESERVED[product])
