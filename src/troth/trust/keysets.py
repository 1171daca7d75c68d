"""Key sets that a caller names as roots: each of their keys counts, for the service whose set it is."""

import json as library

from troth.errors import Malformed
from troth.model.collateral import Item
from troth.model.roots import Root
from troth.platforms.tokens import collateral as tokens
from troth.trust import collateral


def take(text: bytes, *, source: str) -> tuple[tuple[Root, ...], bytes]:
    """The keys of the key sets with which a file of roots begins, and what follows them.

    Args:
        text: JWK sets, or files of `troth trust update` that hold some, one after another, and PEM.
        source: the file's name, for reports.

    Raises:
        Malformed: JSON in it holds no key set.
    """
    found: list[Root] = []
    while text.lstrip().startswith(b"{"):
        one, text = _split(text.lstrip(), source)
        held = [item for item in _items(one, source) if item.kind in tokens.BY_KIND]
        if not held:
            raise Malformed("holds no key set of a service that signs tokens", field=source)
        for item in held:
            found += tokens.named(item.data, item.kind, source=source)
    return tuple(found), text


def _items(one: bytes, source: str) -> tuple[Item, ...]:
    return collateral.load(one, name=source).items


def _split(text: bytes, source: str) -> tuple[bytes, bytes]:
    """The first object, as its holder wrote it, and the rest."""
    try:
        letters = text.decode("utf-8")
        _, end = library.JSONDecoder().raw_decode(letters)
    except (ValueError, RecursionError):
        raise Malformed("holds neither PEM certificates nor a key set", field=source) from None
    one, rest = letters[:end].encode("utf-8"), letters[end:].encode("utf-8")
    # A file of our own ends with its line end.
    return (one + b"\n", rest[1:]) if b'"schema":' in one and rest[:1] == b"\n" else (one, rest)
