"""Answers that depend on bytes alone, remembered: for where one must be able to ask whether there is one."""

from typing import TypeVar

_K = TypeVar("_K")
_V = TypeVar("_V")


class Remembered(dict[_K, _V]):
    """At most so many answers; when they are that many, all are forgotten.

    Args:
        limit: answers.
    """

    __slots__ = ("_limit",)

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def keep(self, question: _K, answer: _V) -> _V:
        """Remembers an answer, and gives it back."""
        if len(self) >= self._limit:
            self.clear()
        self[question] = answer
        return answer
