"""`troth init`: a new app from a template."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable


def init(name: str, *, template: Literal["hello", "shell", "auction"] = "hello") -> int:
    """Start a new app in a folder of its own.

        troth init my-app
        troth init my-app --template auction

    Args:
        name: of the app and of the folder; lower-case letters, digits and hyphens.
        template: hello answers in Python, shell without it; auction seals bids and signs the outcome,
            and has a client that `troth up` runs.
    """
    import re
    from importlib.resources import files

    from troth.cli._console import out, write_file
    from troth.errors import Misuse, Unavailable

    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", name):
        raise Misuse(
            f"{name!r} is no name for an app", fix="lower-case letters, digits and hyphens"
        )
    folder = Path(name)
    source = files("troth.cli").joinpath("templates", template)
    made = dict(_files(source, folder))
    try:
        folder.mkdir(parents=True)
        for place in made:
            place.parent.mkdir(exist_ok=True)
    except FileExistsError:
        raise Misuse(f"{folder} exists", fix="choose another name") from None
    except OSError as error:
        raise Unavailable(f"cannot make {folder}: {error.strerror}") from None
    recipe = folder / "troth.toml"
    named = f'name = "{name}"'.encode()
    made[recipe] = re.sub(rb'^name = ".*"$', named, made[recipe], flags=re.MULTILINE)
    for place, data in made.items():
        write_file(place, data)
    out(f"{folder}: next, troth lock {folder}, then troth up {folder}")
    return 0


def _files(source: "Traversable", folder: Path) -> "Iterator[tuple[Path, bytes]]":
    """Where each file of a template goes, and what is in it."""
    for item in source.iterdir():
        if item.is_file():
            yield folder / item.name, item.read_bytes()
        elif item.name != "__pycache__":
            yield from _files(item, folder / item.name)
