"""Slimming: what of the base packages an image keeps is what its programs need, and nothing else."""

import re
from pathlib import PurePosixPath
from typing import Final

from troth.errors import Misuse
from troth.image import elf
from troth.image.tree import Node, Tree, normal

LIBRARIES: Final = (
    "usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib", "usr/lib64",
)  # fmt: skip
"""Where Debian's loaders look; an image has the first or the second, as its machine is."""
_ADD: Final = (
    "link it statically, or add the Debian package that has it to debian.packages in troth.toml"
)
DLOPENED: Final = ("libgcc_s.so.1",)
"""Opened by name at run time, so no file lists it: glibc's for ending threads."""

# Never kept, whoever brings it: nothing in an image reads documents.
_UNREAD: Final = re.compile(
    r"usr/share/(doc|man|info|locale|lintian|bug|doc-base|gdb|applications|pixmaps|icons|menu)/"
    r"|usr/(include|games)/|.*\.a$|usr/lib/[^/]+/gconv/|var/cache/|usr/share/bash-completion/"
)
# Of the base packages, only Python stays; its libraries come back by the closure.
_PYTHON: Final = re.compile(r"usr/lib/python3\.\d+/|usr/bin/python3\.\d+$")
_PYTHON_UNUSED: Final = re.compile(
    r"usr/lib/python3\.\d+/(test|idlelib|tkinter|turtledemo|ensurepip|lib2to3|distutils|pydoc_data|"
    r"curses|dbm|config-[^/]*|venv|__phello__)/"
    r"|usr/lib/python3\.\d+/(turtle|pydoc|antigravity|this|sitecustomize)\.py$"
    r"|usr/lib/python3\.\d+/(unittest|ctypes|sqlite3)/(test|tests)/"
    r"|usr/lib/python3\.\d+/lib-dynload/"
    r"(_curses|_curses_panel|_dbm|_gdbm|_tkinter|readline|nis|ossaudiodev|xx\w+|_test\w+|_ctypes_test)\."
    r"|.*/__pycache__/|.*\.pyc$"
)


def unread(path: str) -> bool:
    """Whether a package's file is never part of an image."""
    return _UNREAD.match(path) is not None


def kept_of_base(path: str) -> bool:
    """Whether a base package's file is kept for itself; libraries are decided by `close`."""
    if _PYTHON.match(path):
        return _PYTHON_UNUSED.match(path) is None
    return is_library(path)


def is_library(path: str) -> bool:
    """Whether the path is where the loader looks for shared libraries."""
    return ".so" in path and path.rpartition("/")[0] in LIBRARIES


def close(tree: Tree, *, base: frozenset[str]) -> None:
    """Removes the base packages' libraries that nothing reaches.

    Args:
        tree: changed in place.
        base: names of the packages that are slimmed.

    Raises:
        Misuse: something needs a library that the tree lacks; the error names both.
    """
    candidates = {path for path in tree if is_library(path) and tree[path].owner in base}
    todo = [path for path, node in tree.files() if path not in candidates and elf.is_elf(node.data)]
    todo += [found for name in DLOPENED if (found := _find(tree, name, ()))]
    reached: set[str] = set()
    while todo:
        path = todo.pop()
        if path in reached:
            continue
        reached.add(path)
        todo += _needed(tree, path, tree[path])
    keep = reached | {path for path in candidates if tree.resolve(path) in reached}
    for path in candidates - keep:
        tree.remove(path)


def _needed(tree: Tree, path: str, node: Node) -> list[str]:
    needs = elf.needs(node.data, name=path)
    origin = str(PurePosixPath(path).parent)
    search = tuple(
        normal(folder.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", origin))
        for folder in needs.search
    )
    found = []
    for name in needs.libraries:
        place = _find(tree, name, search)
        if place is None:
            raise Misuse(
                f"/{path} (of {node.owner}) needs {name}, which is not in the image",
                fix=_ADD,
            )
        found.append(place)
    if needs.interpreter:
        loader = tree.resolve(needs.interpreter)
        if loader is None:
            raise Misuse(
                f"/{path} (of {node.owner}) needs the loader {needs.interpreter}, which is not in the image",
                fix=_ADD,
            )
        found.append(loader)
    return found


def _find(tree: Tree, name: str, search: tuple[str, ...]) -> str | None:
    for folder in (*search, *LIBRARIES):
        place = tree.resolve(f"{folder}/{name}")
        if place is not None:
            return place
    return None
