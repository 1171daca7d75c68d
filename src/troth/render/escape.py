"""Presented text is hostile on every screen: what can move a cursor or turn a line around is spelled out.

Terminals obey control sequences, and both terminals and browsers reorder text around bidirectional
marks, so that `0c1f` can be shown as `f1c0`. Everything that evidence, bundles, servers or file names
supply passes here before it is shown.
"""

import html
import re
import unicodedata
from typing import Final

# C*: control, format (bidirectional marks, zero-width, tags), surrogate, private, unassigned.
# M*: marks that pile up on the letter before. Zl, Zp: line and paragraph separators.
_HOSTILE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me", "Zl", "Zp"})
_LONG_HEX: Final = re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{40,}(?![0-9A-Za-z])")
_KEPT: Final = 8
_MAX: Final = 4096


def visible(text: str, *, limit: int = _MAX) -> str:
    r"""One line of text in which nothing is invisible and nothing acts.

    Args:
        text: anything.
        limit: characters kept; the rest is counted, not shown.

    Returns:
        The text with each hostile character spelled as `\x1b` or `\u202e`.
    """
    cut = len(text) - limit
    shown = text if cut <= 0 else text[:limit]
    if not (shown.isascii() and shown.isprintable()):
        shown = "".join(map(_spell, shown))
    return shown if cut <= 0 else f"{shown}… ({cut} more characters)"


def _spell(char: str) -> str:
    category = unicodedata.category(char)
    if category not in _HOSTILE and (char == " " or category != "Zs"):
        return char
    number = ord(char)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def shorten(text: str) -> str:
    """Cuts long runs of hex in the middle: `1c0f3a9b…77aa01c2`. For people; never for JSON."""
    return _LONG_HEX.sub(lambda m: f"{m[0][:_KEPT]}…{m[0][-_KEPT:]}", text)


def shorten_pair(first: str, second: str) -> tuple[str, str]:
    """Shortens two texts that are to be compared, but not so far that a difference disappears."""
    one, two = shorten(first), shorten(second)
    return (first, second) if one == two and first != second else (one, two)


def for_html(text: str, *, limit: int = _MAX) -> str:
    """Safe as HTML text and inside a quoted attribute."""
    return html.escape(visible(text, limit=limit), quote=True)
