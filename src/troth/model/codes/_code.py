"""What a code is."""

from dataclasses import dataclass


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
