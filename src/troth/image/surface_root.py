"""Who brought what in a root that an app brings: its own package manager's word, where it has one.

Those lists are the root's, so they say only what its maker says.
"""

from collections.abc import Iterable, Iterator
from stat import S_IFMT, S_IFREG
from typing import Final

from troth.image import foreign
from troth.image.surface import Item, Owner
from troth.image.surface_links import Names
from troth.wire.cpio import Entry

_DPKG: Final = f"{foreign.ROOT}/var/lib/dpkg/info/"
_APK: Final = (f"{foreign.ROOT}/lib/apk/db/installed", f"{foreign.ROOT}/usr/lib/apk/db/installed")
_NOBODY: Final = Owner(name="root", kind="root", packaged=False)
_MAX_LIST: Final = 16 * 1024 * 1024
_MOST_LINES: Final = 2_000_000


def items(entries: Iterable[Entry]) -> list[Item]:
    """The entries, each with the package that brought it, or nobody."""
    nodes = {entry.path: entry for entry in entries}
    names = Names({p: (e.mode, e.data) for p, e in nodes.items()}, roots=[foreign.ROOT])
    owners: dict[str, Owner] = {}
    for count, (package, path) in enumerate(_listed(nodes)):
        if count >= _MOST_LINES:
            break
        found = names.find(foreign.ROOT, path)
        if found is not None:
            owners.setdefault(found, Owner(name=package, kind="root"))
    return [
        Item(path=path, mode=entry.mode, data=entry.data, owner=owners.get(path, _NOBODY))
        for path, entry in nodes.items()
    ]


def _listed(nodes: dict[str, Entry]) -> Iterator[tuple[str, str]]:
    """Packages with paths of theirs, as dpkg and apk write them down."""
    for path in sorted(nodes):
        if path.startswith(_DPKG) and path.endswith(".list"):
            package = path[len(_DPKG) : -len(".list")].partition(":")[0]
            yield from ((package, line) for line in _lines(nodes[path]))
    for path in _APK:
        package = folder = ""
        for line in _lines(nodes[path]) if path in nodes else ():
            key, _, value = line.partition(":")
            if key == "P":
                package, folder = value, ""
            elif key == "F":
                folder = value
            elif key == "R" and package:
                yield package, f"{folder}/{value}"


def _lines(entry: Entry) -> list[str]:
    if S_IFMT(entry.mode) != S_IFREG or len(entry.data) > _MAX_LIST:
        return []
    return bytes(entry.data).decode("utf-8", "replace").splitlines()
