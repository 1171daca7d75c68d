"""What the agent's libraries load and nobody calls: put off while they are loaded, a quarter of the start.

On an emulated processor a start is mostly imports. Some of them serve others: a parser of Python for
the documentation of classes, OpenSSH's files, addresses of mail. These are loaded by whoever first calls
a function of theirs. Patterns are compiled by whoever first uses one.
"""

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

LATER: Final = (
    "calendar",  # OpenSSL's times
    "cryptography.hazmat.primitives.serialization.ssh",
    "email.utils",  # mail addresses in certificates
    "random",  # factors of an RSA key out of its exponents
)
"""Modules of which libraries want functions, and call none in an agent."""
_COROUTINE: Final = 0x80  # CO_COROUTINE


@contextmanager
def loading() -> Iterator[None]:
    """While this lasts, the modules stand empty; whoever imports them afterwards gets the true ones."""
    compile_now = re.compile
    stands: dict[str, ModuleType] = {
        name: _Later(name) for name in LATER if name not in sys.modules
    }
    if "inspect" not in sys.modules:
        stands["inspect"] = _Inspect("inspect")
    sys.modules.update(stands)
    re.compile = lambda pattern, flags=0: _Pattern(compile_now, pattern, flags)  # type: ignore[assignment]
    try:
        yield
    finally:
        re.compile = compile_now
        for name, stand in stands.items():
            if sys.modules.get(name) is stand:
                del sys.modules[name]


class _Later(ModuleType):
    """Whatever is wanted of it is a function, which loads the module when it is called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*args: Any, **named: Any) -> Any:
            return getattr(_true(self), name)(*args, **named)

        return call


class _Inspect(ModuleType):
    """What the library's `dataclasses` and `warnings` ask for; for anything else the true module."""

    def get_annotations(self, owner: type) -> dict[str, Any]:
        """Those of a class."""
        return dict(vars(owner).get("__annotations__", {}))

    def signature(self, thing: Any) -> Any:
        """Of a class: for its documentation, where it has none."""
        return "()" if isinstance(thing, type) else _true(self).signature(thing)

    def iscoroutinefunction(self, function: Any) -> bool:
        """Whether it was defined as one."""
        code = getattr(function, "__code__", None)
        return code is not None and bool(code.co_flags & _COROUTINE)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_true(self), name)


def _true(stand: ModuleType) -> ModuleType:
    if sys.modules.get(stand.__name__) is stand:
        del sys.modules[stand.__name__]
    return importlib.import_module(stand.__name__)


class _Pattern:
    """A pattern that is compiled when it is first used. Functions of `re` do not take it as one."""

    def __init__(self, compile_now: Callable[[Any, Any], Any], pattern: Any, flags: Any) -> None:
        self._made = (compile_now, pattern, flags)

    def __getattr__(self, name: str) -> Any:
        compile_now, pattern, flags = self.__dict__["_made"]
        found = getattr(compile_now(pattern, flags), name)
        setattr(self, name, found)
        return found
