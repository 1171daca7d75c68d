"""What is told of one difference."""

from dataclasses import dataclass

from troth.image.explain.causes import Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a file's own form says of a difference; what it quotes is as hostile as the file.

    Attributes:
        kind: of file, such as `ELF`.
        told: sentences.
        cause: the usual one, or None where nothing is known.
    """

    kind: str = ""
    told: tuple[str, ...] = ()
    cause: Cause | None = None


def short(value: object, most: int = 120) -> str:
    """A value for a sentence."""
    text = value if isinstance(value, str) else ascii(value)
    return text if len(text) <= most else f"{text[:most]}…"
