"""What a code is."""

from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of finding. Number and slug are both stable for ever.

    Attributes:
        id: letter of the question and a number, such as `M201`.
        slug: the same in words, such as `wrong-measurement`.
        title: what a person reads when the check did not pass; lower case, no full stop.
        meaning: what was looked at, why it matters, what it does not say. One or more paragraphs.
        fix: the next move.
    """

    id: str
    slug: str
    title: str
    meaning: str
    fix: str

    def __reduce__(self) -> tuple[Callable[..., "Code"], tuple[Any, ...]]:
        """A code of the table is sent to another process by its number: reports hold some thirty."""
        from troth.model.codes import TABLE

        if TABLE.get(self.id) is self:
            return _listed, (self.id,)
        return Code, astuple(self)


def _listed(number: str) -> Code:
    from troth.model.codes import TABLE

    return TABLE[number]
