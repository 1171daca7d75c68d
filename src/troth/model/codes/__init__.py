"""The table of codes: every finding has a number, a name, a meaning and a fix.

Codes go by question: F form, G genuineness, R revocation and freshness, T TCB, M measurement,
B binding, P policy, A audit. `troth explain CODE` and the pages under `docs/reference/codes` are made
from this table.
"""

from types import ModuleType
from typing import Final

from troth.model.codes import (
    answer,
    binding,
    form,
    fresh,
    genuine,
    measurement,
    policy,
    released,
    tcb,
)
from troth.model.codes._code import Code

_PARTS: Final[tuple[ModuleType, ...]] = (
    form,
    genuine,
    fresh,
    tcb,
    measurement,
    released,
    binding,
    answer,
    policy,
)

TABLE: Final[dict[str, Code]] = {
    value.id: value for part in _PARTS for value in vars(part).values() if isinstance(value, Code)
}

__all__ = ["TABLE", "Code", "find"]


def find(name: str) -> Code | None:
    """The code with this number or slug, in any case of letters."""
    wanted = name.strip().lower()
    return next((c for c in TABLE.values() if wanted in (c.id.lower(), c.slug)), None)
