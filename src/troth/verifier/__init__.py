"""The numbered steps from evidence to report, loaded on first use: the agent binds, and does not judge."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from troth.verifier.appraisal import appraise, verify

__all__ = ["appraise", "verify"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module("troth.verifier.appraisal"), name)
    globals()[name] = value
    return value
