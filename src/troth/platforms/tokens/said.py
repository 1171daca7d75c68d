"""Values out of a token's claims, in the forms that policies compare.

Never raises: what is not as it should be is absent, and absent is what no policy accepts.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from troth.errors import Malformed
from troth.wire import jose

Said = Mapping[str, Any]
_SHORTEST: Final = 8


def inner(claims: Any, *path: str) -> Any:
    """The value at a path of names, or None."""
    for name in path:
        if not isinstance(claims, Mapping):
            return None
        claims = claims.get(name)
    return claims


def part(claims: Any, *path: str) -> Said:
    """The object at a path; empty where there is none."""
    found = inner(claims, *path)
    return found if isinstance(found, Mapping) else {}


def words(value: Any) -> tuple[str, ...]:
    """Text, a number, yes or no, or a list of these, as texts; none for anything else."""
    if isinstance(value, bool):
        return ("true" if value else "false",)
    if isinstance(value, int):
        return (str(value),)
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list):
        return tuple(word for item in value if not isinstance(item, list) for word in words(item))
    return ()


def digest(value: Any, size: int) -> str:
    """A hash of so many bytes in lower-case hex; empty where it is none."""
    if not isinstance(value, str):
        return ""
    text = value.lower()
    return text if len(text) == 2 * size and not text.strip("0123456789abcdef") else ""


def octets(value: Any) -> bytes | None:
    """Bytes of hex; None where it is none."""
    if not isinstance(value, str) or len(value) % 2 or value.lower().strip("0123456789abcdef"):
        return None
    return bytes.fromhex(value)


def unbase64(value: Any) -> bytes | None:
    """Bytes of base64 in either alphabet, padded or not; None where it is none, or of nothing."""
    if not isinstance(value, str) or not value.isascii():
        return None
    text = value.rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return jose.from_url(text, "claim") or None
    except Malformed:
        return None


def whole(said: Said, names: Mapping[str, str]) -> dict[str, int]:
    """Whole numbers from zero on by the names that policies have for them: claim to name."""
    return {
        ours: said[name]
        for name, ours in names.items()
        if type(said.get(name)) is int and said[name] >= 0
    }


def nonces(value: Any) -> tuple[bytes, ...]:
    """What a nonce that is carried as text, or several, can stand for.

    Services take nonces as text, so callers write the bytes that they drew in hex or base64. Each text
    stands for its own letters, and for the bytes that it is hex or base64 of.
    """
    return tuple(dict.fromkeys(_nonces(value)))


def spki(value: Any) -> bytes | None:
    """The key of a JWK in the claims as SubjectPublicKeyInfo; None where it is none."""
    try:
        return jose.read_key(dict(value, use="sig")).spki or None
    except (Malformed, TypeError, ValueError):
        return None


def _nonces(value: Any) -> Iterator[bytes]:
    for text in words(value) if isinstance(value, str | list) else ():
        if not text.isascii():
            continue
        hexadecimal = octets(text)
        if hexadecimal is not None and len(hexadecimal) >= _SHORTEST:
            yield hexadecimal
        yield text.encode("ascii")
        decoded = unbase64(text)
        if decoded is not None and len(decoded) >= _SHORTEST:
            yield decoded
