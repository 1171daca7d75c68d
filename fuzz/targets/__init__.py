"""One module for each target, each with a `TARGET`; its name is the module's."""

import importlib
import pkgutil

from fuzz.target import Target

NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def load(name: str) -> Target:
    """The target of this name; nothing of the others is imported."""
    target = importlib.import_module(f"{__name__}.{name}").TARGET
    assert isinstance(target, Target)  # noqa: S101 - a module here has one
    return target
