"""Where the source of a rebuild is taken from: a folder as it stands, or a commit of a repository."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from troth.cli import _rebuilt
from troth.errors import Misuse

if TYPE_CHECKING:
    from troth.image.checkout import Source
    from troth.image.stated import Stated

_MOST_NAME: Final = 200


def of(
    target: str,
    stated: "Stated | None",
    named: str | None,
    *,
    tag: str | None,
    commit: str | None,
    path: str | None,
) -> "Path | Source":
    """Where the source is taken from.

    Raises:
        Misuse: nobody says.
    """
    from troth.image import checkout
    from troth.image.checkout import Source

    said = None if stated is None else stated.source
    itself = _rebuilt.is_place(target)
    where = target if itself else named
    if itself and named is not None:
        raise Misuse("the target is a source already", fix="leave --source away")
    if where is None:
        if said is None:
            raise Misuse(
                "the build record does not say where the source is",
                fix="name its folder or address: --source PLACE",
            )
        where = said.git
    folder = local(where)
    asked = tag is not None or commit is not None
    if folder is not None:
        if not asked:
            return folder / path if path else folder
        where = folder.resolve().as_uri()
    inside = path or (said.path if said else ".")
    found = Source(git=where, tag=tag or "", commit=commit or "", path=inside)
    if said is not None and not asked:
        found = replace(said, git=where, path=inside)
    return checkout.check(found)


def local(where: str) -> Path | None:
    """The folder that is named, or None for an address.

    Raises:
        Misuse: it is neither.
    """
    from troth.image import git

    if "://" in where or "::" in where:
        return None
    if not Path(where).is_dir():
        raise Misuse(
            f"{where[:_MOST_NAME]} is no folder and no address",
            fix=f"addresses begin with {', '.join(f'{p}://' for p in git.PROTOCOLS)}",
        )
    return Path(where)


def fetched(place: "Path | Source", into: Path, tell: Any) -> tuple[Path, dict[str, object]]:
    """The folder with the source, and what is said of it.

    Raises:
        Misuse, Malformed, Unavailable: as `checkout.take`.
    """
    from troth.image import checkout
    from troth.image.rootfs import COMPILE

    if isinstance(place, Path):
        return place, {"folder": _rebuilt.shown(place)}
    if place.made:
        raise Misuse(
            f"{', '.join(place.made)[:_MOST_NAME]} is made from the source, and nothing of a source is run",
            fix=f"clone {place.git}, make it there (./{COMPILE}), and name that folder as the target, "
            "with --image",
        )
    tell(f"fetching {place.git}")
    source = checkout.take(place, into)
    return into, source.stated()
