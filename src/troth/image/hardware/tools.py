"""Unpacks the locked tools into a folder, and takes the kernel's archive out of its package.

By our own reader of packages: no script of a package is run, and no path leads out of the folder.
"""

from collections.abc import Iterator
from pathlib import Path
from stat import S_IFDIR, S_IFLNK, S_IFMT

from troth.errors import Malformed
from troth.image import deb
from troth.image.files import write_new
from troth.image.hardware import plan
from troth.image.hardware.inputs import Inputs
from troth.image.lock import Deb
from troth.image.store import Store
from troth.image.tree import MERGED, Tree, merged

_UNREAD = ("usr/share/doc/", "usr/share/info/", "usr/share/locale/", "usr/share/man/")
_FOLDERS = ("dev", "proc", "tmp")


def tree(toolchain: tuple[Deb, ...], store: Store) -> Tree:
    """The file system in which the kernel is compiled.

    Raises:
        Malformed: a package is damaged.
        Misuse: two packages bring different files at one path.
        Unavailable: a package is not in the store.
    """
    made = Tree()
    for package in toolchain:
        _install(made, store.get(sha256=package.sha256, name=package.file), owner=package.name)
    for path, target in plan.LINKS:
        if path not in made:
            made.add_link(path, target, owner="troth")
    for folder in _FOLDERS:
        made.add_folder(folder, owner="troth")
    return made


def _install(made: Tree, data: bytes, *, owner: str) -> None:
    for member in deb.members(data, name=owner):
        path = merged(member.path)
        if not path or member.path in MERGED or path.startswith(_UNREAD):
            continue
        deb.place(member, made, path, owner=owner)


def write(made: Tree, folder: Path) -> None:
    """Writes a tree into an empty folder; nothing is written through a link, for a tree has none above.

    Raises:
        OSError: the disk refuses.
    """
    for path in sorted(made):
        node, place = made[path], folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if S_IFMT(node.mode) == S_IFLNK:
            place.symlink_to(node.data.decode("utf-8"))
        elif S_IFMT(node.mode) == S_IFDIR:
            place.mkdir(exist_ok=True)
        else:
            write_new(place, node.data)
            place.chmod(node.mode & 0o777)


def archive(lock: Inputs, store: Store) -> bytes:
    """The kernel's own archive of its source, as Debian has patched it.

    Raises:
        Malformed: the package is damaged, or has not exactly one.
        Unavailable: it is not in the store.
    """
    package = lock.source
    found = list(_archives(store.get(sha256=package.sha256, name=package.file), package.name))
    if len(found) != 1:
        raise Malformed(f"holds {len(found)} archives of a kernel, not one", field=package.file)
    return found[0]


def _archives(data: bytes, name: str) -> Iterator[bytes]:
    for member in deb.members(data, name=name):
        if member.path == f"usr/src/{name}.tar.xz" and member.kind == "file":
            yield member.data
