"""The formats we read, one folder each, all with the same file names.

The registry of them is loaded on first use: the agent in an enclave asks its hardware, and reads nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from troth.platforms.registry import PLATFORMS, assemble, detect

__all__ = ["PLATFORMS", "assemble", "detect"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module("troth.platforms.registry"), name)
    globals()[name] = value
    return value
