"""Colour is decoration: every word stands without it."""

from dataclasses import dataclass
from typing import Final

_CODES: Final[dict[str, str]] = {
    "good": "1;32",
    "bad": "1;31",
    "open": "1;33",
    "waived": "1;35",
    "strong": "1",
    "faint": "2",
    "key": "36",
}

# What a terminal without UTF-8 can print of the signs we use.
_PLAIN: Final = str.maketrans(
    {
        "✓": "+",
        "✗": "x",
        "·": "-",
        "…": "..",
        "╭": ",",
        "─": "-",
        "│": "|",
        "–": "-",
        "→": "->",
        "«": '"',
        "»": '"',
    }
)


@dataclass(frozen=True, slots=True)
class Paint:
    """Puts colour around words, or leaves them as they are.

    Attributes:
        on: whether escape sequences may be written at all.
    """

    on: bool = False

    def __call__(self, style: str, text: str) -> str:
        """The text in a style: good, bad, open, waived, strong, faint or key."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self.on and text else text


def for_encoding(text: str, encoding: str) -> str:
    """The text with our signs replaced where the stream's encoding does not have them."""
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return text.translate(_PLAIN).encode("ascii", "backslashreplace").decode("ascii")
    return text
