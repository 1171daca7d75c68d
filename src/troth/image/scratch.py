"""The folders that an app may write to: empty in the image, and mounted over when it starts."""

from collections.abc import Iterator
from stat import S_IFDIR, S_IFMT
from typing import Final

from troth.errors import Misuse
from troth.image.foreign import Folder, Foreign
from troth.image.tree import Tree
from troth.wire import places

_KEY: Final = "scratch"
_GOES: Final = "/root"  # see agent/machine.py


def check(paths: tuple[str, ...], source: str) -> tuple[str, ...]:
    """The paths, if an app can have them.

    Args:
        paths: from a recipe.
        source: its name, for errors.

    Raises:
        Misuse: it cannot.
    """
    if why := places.trouble(paths):
        raise Misuse(
            f"{source}: {_KEY} {why}", fix="name folders of the app's own, such as /var/lib/app"
        )
    return paths


def in_tree(tree: Tree, paths: tuple[str, ...]) -> None:
    """Makes the folders in an image's own root.

    Raises:
        Misuse: something else is there, or files are in it, which nobody would see; or it goes at the start.
    """
    for path in paths:
        if path == _GOES:
            raise Misuse(
                f"{_KEY} has {path}, which is taken away at the start: every kernel brings an empty one",
                fix=f"name a folder inside, such as {path}/app",
            )
        plain = path.lstrip("/")
        for name in tree:
            inside = name == plain or name.startswith(f"{plain}/")
            if inside and S_IFMT(tree[name].mode) != S_IFDIR:
                raise _hidden(path, name)
        parts = plain.split("/")
        for end in range(1, len(parts) + 1):  # those above first: they are nobody's otherwise
            tree.add_folder("/".join(parts[:end]), owner="image")


def in_root(root: Foreign, paths: tuple[str, ...]) -> None:
    """The same in a root that was brought; and no link may lead elsewhere."""
    for path in paths:
        there = root.root
        for part in path.split("/")[1:]:
            node = there.children.setdefault(part, Folder(-1))
            if not isinstance(node, Folder):
                raise Misuse(
                    f"{_KEY} has {path}, and /{part} on the way there is no folder in {root.name}",
                    fix="name the folder that it leads to",
                )
            there = node
        for name in _files(there):
            raise _hidden(path, f"{path.lstrip('/')}/{name}")


def _files(folder: Folder) -> Iterator[str]:
    todo = [("", folder)]
    while todo:
        above, place = todo.pop()
        for name, node in place.children.items():
            if isinstance(node, Folder):
                todo.append((f"{above}{name}/", node))
            else:
                yield f"{above}{name}"


def _hidden(path: str, name: str) -> Misuse:
    return Misuse(
        f"{_KEY} has {path}, and the image has the file /{name}, which the app would not see",
        fix="put the file elsewhere and have the app copy it, or name a folder that is empty",
    )
