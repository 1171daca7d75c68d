"""HTML by functions: text is escaped unless it was made here, so forgetting to escape is not possible."""

from collections.abc import Iterable
from typing import Final

from troth.render.escape import for_html

_VOID: Final = frozenset({"meta", "hr", "br", "wbr"})


class Html(str):
    """Markup that was made by `tag` or vouched for by its caller; a plain `str` is text."""

    __slots__ = ()


def tag(
    name: str, /, *children: str | Iterable[Html], limit: int = 4096, **attributes: str | bool
) -> Html:
    """One element.

    Args:
        name: of the element.
        children: `Html` is put in as it stands, any other text is escaped, and iterables of `Html` are joined.
        limit: characters of text shown of one child.
        attributes: `cls` stands for `class`, `_` for `-`; True is a bare attribute, False none at all.
    """
    inner = "".join(_child(child, limit) for child in children)
    start = name + "".join(_attribute(key, value) for key, value in attributes.items())
    return Html(f"<{start}>" if name in _VOID else f"<{start}>{inner}</{name}>")


def join(parts: Iterable[Html]) -> Html:
    """Several elements, one after the other."""
    return Html("".join(parts))


def _child(child: str | Iterable[Html], limit: int) -> str:
    if isinstance(child, Html):
        return child
    if isinstance(child, str):
        return for_html(child, limit=limit)
    return "".join(child)


def _attribute(key: str, value: str | bool) -> str:
    name = "class" if key == "cls" else key.rstrip("_").replace("_", "-")
    if value is False:
        return ""
    if value is True:
        return f" {name}"
    return f' {name}="{value if isinstance(value, Html) else for_html(value)}"'
