"""Every error that leaves troth is one of these; anything else is a bug in troth.

The two verdict errors, `Rejected` and `Undecided`, carry a report and live in `troth.model.report`.
"""

from typing import ClassVar, Final

EXIT_BUG: Final = 70
"""The exit code of what should not have happened: a bug in troth, or an end without a word."""


class TrothError(Exception):
    """Base of all our errors.

    Attributes:
        exit_code: what the command line exits with.
        fix: the next move, as one imperative sentence, or an empty string.
    """

    exit_code: ClassVar[int] = EXIT_BUG

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix


class Malformed(TrothError):  # noqa: N818 - the field's word for the thing, not for the class
    """The bytes are not what they claim to be.

    Attributes:
        field: the name of the field that could not be read, in the format's own words.
        offset: byte offset in the input at which the trouble was seen, or None where the input is text.
    """

    exit_code = 3

    def __init__(
        self, message: str, *, field: str, offset: int | None = None, fix: str = ""
    ) -> None:
        where = field if offset is None else f"{field} at byte {offset}"
        super().__init__(f"{where}: {message}", fix=fix)
        self.field = field
        self.offset = offset


class Misuse(TrothError, ValueError):  # noqa: N818
    """The caller's mistake: a bad policy, an unknown name, contradictory expectations."""

    exit_code = 2


class Unavailable(TrothError):  # noqa: N818
    """It could not be done here and now: disk, network, a missing part."""

    exit_code = 5
