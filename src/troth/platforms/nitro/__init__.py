"""AWS Nitro Enclaves: attestation documents signed by the Nitro hypervisor.

What reads them is loaded on first use: the agent in an enclave asks for documents, and reads none.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from troth.platforms.nitro.platform import PLATFORM

__all__ = ["PLATFORM"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module("troth.platforms.nitro.platform"), name)
    globals()[name] = value
    return value
