"""Which commit an app's folder is, byte for byte: what a build record may say of its source.

Files are compared with the commit's here: git's own comparison would apply filters, which are programs.
"""

import hashlib
import os
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path

from troth.errors import Misuse, Unavailable
from troth.image import checkout, recipe, rootfs
from troth.image import lock as locks
from troth.image.checkout import Blob, Source
from troth.image.files import disk
from troth.image.git import git

_TOLD = 5


def source_of(app: Path, url: str, *, tag: str = "") -> Source:
    """The source of an app whose folder is a part of a repository's checkout.

    Args:
        app: its folder, with a recipe that `recipe.load` takes.
        url: address under which others find the repository.
        tag: that names the commit, or an empty text.

    Raises:
        Misuse: it is no checkout; files differ from the commit's, or go into the image and are neither in it
            nor ignored there; the tag is at another commit; see also `checkout.check`.
        Malformed, Unavailable: as `checkout.listed`.
    """
    try:
        said = os.fsdecode(git("rev-parse", "--show-prefix", "HEAD", folder=app))
    except Unavailable as error:
        raise Misuse(
            f"{app} is in no checkout of git's with a commit ({error})",
            fix="commit it first, or leave --source-git away",
        ) from None
    prefix, commit = said.split("\n")[:2]
    path = prefix.rstrip("/") or "."
    source = checkout.check(Source(git=url, commit=commit, tag=tag, path=path))
    if tag:
        _check_tag(app, tag, commit)
    blobs = checkout.listed(app, commit, path)
    with disk("comparing with the commit"):
        changed = [name for name, blob in blobs.items() if not _same(app / name, blob)]
        outside = [name for name in _used(app) if name not in blobs]
    made = set(_ignored(app, outside))
    changed += [name for name in outside if name not in made]
    if changed:
        more = f" and {len(changed) - _TOLD} more" if len(changed) > _TOLD else ""
        raise Misuse(
            f"{app} is not what its commit {commit} holds: {', '.join(sorted(changed)[:_TOLD])}{more}",
            fix="commit these changes, or undo them: nobody else has them",
        )
    return Source(git=source.git, commit=commit, tag=tag, path=path, made=tuple(sorted(made)))


def _check_tag(app: Path, tag: str, commit: str) -> None:
    try:
        at = git("rev-parse", "--verify", f"refs/tags/{tag}^{{commit}}", folder=app)
    except Unavailable:
        raise Misuse(f"there is no tag {tag} here", fix=f"make it: git tag {tag}") from None
    if at.decode().strip() != commit:
        raise Misuse(
            f"the tag {tag} is at {at.decode().strip()}, and this checkout at {commit}",
            fix=f"git checkout {tag}",
        )


def _same(path: Path, blob: Blob) -> bool:
    """Whether a file is what git keeps under an object's name."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    if stat.S_ISLNK(mode):
        data, kind = os.fsencode(path.readlink()), checkout.LINK
    elif stat.S_ISREG(mode):
        data = path.read_bytes()
        kind = checkout.PROGRAM if mode & 0o100 else checkout.FILE
    else:
        return False
    how = (
        hashlib.sha1 if len(blob.name) == 40 else hashlib.sha256
    )  # git's own names, by its own rule
    named = how(b"blob %d\0" % len(data) + data, usedforsecurity=False)
    return kind == blob.mode and named.hexdigest() == blob.name


def _used(app: Path) -> Iterator[str]:
    """Files that decide the image, by their paths in the app's folder."""
    yield from (recipe.FILE, locks.FILE)
    said = tomllib.loads((app / recipe.FILE).read_text(encoding="utf-8"))
    for item in said.get("config", {}).values():
        if isinstance(item.get("file"), str):
            yield str(Path(item["file"]))
    loaded = recipe.load(app)
    if loaded.requirements is not None:
        yield loaded.requirements.path
    root = app / loaded.brings
    if loaded.brings and root.resolve().is_relative_to(app.resolve()):
        every = sorted(root.rglob("*")) if root.is_dir() else [root]
        yield from (str(p.relative_to(app)) for p in every if p.is_symlink() or not p.is_dir())
    for rule in loaded.files:
        place = app / rule.source
        if not place.is_dir():
            yield rule.source
        yield from (str(path.relative_to(app)) for path in rootfs.taken(place))


def _ignored(app: Path, names: list[str]) -> list[str]:
    """Those that the repository itself says are made and not kept."""
    if not names:
        return []
    given = b"".join(os.fsencode(name) + b"\0" for name in names)
    try:
        said = git("check-ignore", "-z", "--stdin", folder=app, given=given)
    except Unavailable:  # it ends with 1 where it knows none
        return []
    return [os.fsdecode(name) for name in said.split(b"\0")[:-1]]
