"""An answer that does not count: a service was accepted, and what came back was not its answer to this."""

from collections.abc import Iterable
from typing import ClassVar

from troth.errors import TrothError
from troth.model.check import Check, Outcome


class AnswerRefused(TrothError):  # noqa: N818 - what became of it, not what went wrong
    """A receipt or signature does not fit the answer, or there is none; a stream was cut or changed.

    What was handed out of a stream before this was raised is not to be used.

    Attributes:
        checks: every finding on this answer.
        receipt: the receipt or signature as it came, or empty.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, checks: Iterable[Check], *, receipt: bytes = b"") -> None:
        self.checks = tuple(checks)
        self.receipt = receipt
        wrong = [check for check in self.checks if check.outcome is not Outcome.PASSED]
        said = [f"{c.code.id} {c.code.title}" + (f": {c.why}" if c.why else "") for c in wrong]
        first = wrong[0].code.fix if wrong else ""
        super().__init__(f"the answer is refused: {'; '.join(said)}", fix=first)
