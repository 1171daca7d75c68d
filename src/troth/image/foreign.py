"""A root file system that was brought for the app: a tree with links, resolved in itself alone.

Nothing here touches the host's disk. Links stay text; where a path has to be followed, it is followed
from this tree's own root, as it will be at run time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from stat import S_IFDIR, S_IFLNK, S_IFREG
from typing import Final

from troth.errors import Malformed
from troth.wire.cpio import MAX_ENTRIES, MAX_FILE, MAX_NAME, MAX_PATH, Entry

ROOT: Final = "rootfs"
"""Where it lies in the image, and what the agent makes the app's root."""
_MOST_LINKS: Final = 40  # as Linux
_MOST_STEPS: Final = 50_000_000  # names passed on the way to all files; large images take a tenth
_LONGEST: Final = MAX_PATH - len(ROOT) - 2
_DEEPEST: Final = 200  # folders in folders
_MOST_LOOKED: Final = 5_000_000  # files, by what takes them away: each time looks at all of them
# What is mounted over when the app runs; of two of them, the folders are made again inside.
COVERED: Final = ("dev", "proc", "sys")
SCRATCH: Final = ("run", "tmp")
_MOST_SCRATCH: Final = 1000  # folders; each start makes them again
_OWN: Final = ("run/troth", ".dockerenv", "run/.containerenv")
_ETC: Final = {
    "etc/hosts": b"127.0.0.1 localhost\n::1 localhost\n",
    "etc/hostname": b"enclave\n",
    "etc/resolv.conf": b"",
}
"""What a container's runtime puts over the image's own at every start."""


@dataclass(slots=True)
class Folder:
    """A folder; `layer` is the number of the layer that named it last."""

    layer: int = 0
    children: "dict[str, Node]" = field(default_factory=dict)


@dataclass(slots=True)
class File:
    """A file; names of one file share its data."""

    data: bytes | memoryview
    executable: bool
    layer: int = 0


@dataclass(slots=True)
class Link:
    """A symbolic link."""

    target: str
    layer: int = 0


Node = Folder | File | Link


class Foreign:
    """The tree.

    Args:
        name: of what it was made from, for errors.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.root = Folder()
        self._count = 0
        self._looked = 0
        self._steps = 0

    def put(self, path: str, node: Node) -> None:
        """Puts a node at a path whose folders are made or followed; a folder joins the one there.

        Raises:
            Malformed: the path passes through a file or too many links, or is none that a file can have;
                or the node's layer has something else there already.
        """
        folder, name = self._above(path, node.layer)
        there = folder.children.get(name)
        if there is not None and there.layer == node.layer and not _same(there, node):
            raise self.malformed(
                f"{path!r} is in one layer twice, and differs",
                fix="make the image again with a tool that writes each file once",
            )
        if isinstance(there, Folder) and isinstance(node, Folder):
            there.layer = node.layer
            return
        if isinstance(node, File) and len(node.data) > MAX_FILE:
            raise self.malformed(f"{path!r} is larger than 4 GiB, which no image here holds")
        folder.children[name] = node
        self._counted(there)

    def hide(self, path: str, layer: int, *, inside: bool = False) -> None:
        """Takes away what lower layers have at a path, or `inside` of the folder there."""
        parent, _, name = path.rpartition("/")
        folder = self.follow(path if inside else parent)
        if not isinstance(folder, Folder):
            return
        for each in tuple(folder.children) if inside else (name,):
            child = folder.children.get(each)
            if child is not None and not self._keep_of(child, layer):
                del folder.children[each]

    def remove(self, path: str) -> None:
        """Takes away what is at a path, if anything is."""
        parent, _, name = path.rpartition("/")
        folder = self.follow(parent)
        if isinstance(folder, Folder):
            folder.children.pop(name, None)

    def follow(self, path: str, *, last: bool = True) -> Node | None:
        """What a path leads to, or None; `last` says whether to follow a link at its very end."""
        parent, _, name = path.rstrip("/").rpartition("/")
        if last or not name:
            return self._walk(path, None)
        folder = self._walk(parent, None)
        return folder.children.get(name) if isinstance(folder, Folder) else None

    def malformed(self, why: str, *, fix: str = "") -> Malformed:
        """An error that names the tree."""
        return Malformed(why, field=self.name, fix=fix)

    def _above(self, path: str, layer: int) -> tuple[Folder, str]:
        parent, _, name = path.rpartition("/")
        long = len(path.encode("utf-8")) > _LONGEST
        if long or not name or any(len(p.encode("utf-8")) > MAX_NAME for p in path.split("/")):
            raise self.malformed(f"{path!r:.200} is no name for a file")
        folder = self._walk(parent, layer)
        if not isinstance(folder, Folder):
            raise self.malformed(f"{path!r} passes through a file")
        return folder, name

    def _walk(self, path: str, make: int | None) -> Node | None:
        """Follows a path from the root; missing folders are made for the layer `make`, if one is given."""
        stack: list[Folder] = [self.root]
        todo = path.split("/")[::-1]
        links = 0
        while todo:
            part = todo.pop()
            self._step()
            if part in ("", ".", ".."):
                if part == ".." and len(stack) > 1:
                    stack.pop()
                continue
            child = stack[-1].children.get(part)
            if child is None and make is not None:
                child = stack[-1].children[part] = Folder(make)
                self._counted(None)
            if isinstance(child, Link):
                links += 1
                if links > _MOST_LINKS:
                    raise self.malformed(f"{path!r} leads through links without end")
                if child.target.startswith("/"):
                    stack = [self.root]
                todo += child.target.split("/")[::-1]
            elif isinstance(child, Folder):
                stack.append(child)
                if len(stack) > _DEEPEST:
                    raise self.malformed(f"{path!r:.200} is too deep")
            else:
                return None if any(p not in ("", ".") for p in todo) else child
        return stack[-1]

    def _keep_of(self, node: Node, layer: int) -> bool:
        """Takes away what is below `layer`; whether anything of that layer is left at this node."""
        self._looked += 1
        if self._looked > _MOST_LOOKED:
            raise self.malformed(
                "takes the same files away again and again",
                fix="make the image again with a tool that writes each whiteout once",
            )
        if isinstance(node, Folder):
            node.children = {n: c for n, c in node.children.items() if self._keep_of(c, layer)}
            return node.layer == layer or bool(node.children)
        return node.layer == layer

    def _step(self) -> None:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise self.malformed("has too many links to follow")

    def _counted(self, before: Node | None) -> None:
        """Bounds what is made, folders that nobody named among it."""
        self._count += before is None
        if self._count > MAX_ENTRIES // 2:
            raise self.malformed(
                f"has more than {MAX_ENTRIES // 2} files",
                fix="leave some out of it: sources, caches and documentation are seldom needed to run",
            )

    def settle(self) -> tuple[str, ...]:
        """Makes it fit to run: mount points are there and empty, and the container's own files plain.

        Returns:
            What was left out, a sentence each.
        """
        said = []
        for name in (*COVERED, *SCRATCH):
            there = self.root.children.get(name)
            if there is not None and not isinstance(there, Folder):
                said.append(f"/{name} is no folder in it, and is one now: it is mounted over")
            folder = there if isinstance(there, Folder) else Folder()
            self.root.children[name] = folder
            lost = _empty(folder, keep=name in SCRATCH)
            if _folders(folder) > _MOST_SCRATCH:
                raise self.malformed(f"/{name} has more than {_MOST_SCRATCH} folders")
            if lost and name in SCRATCH:
                said.append(f"{lost} files below /{name} are left out: it is mounted over")
        for path in _OWN:
            self.remove(path)
        for path, data in _ETC.items():
            self.remove(path)
            self.put(path, File(data, executable=False, layer=-1))
        return tuple(said)

    def entries(self) -> Iterator[Entry]:
        """Everything as an archive takes it, below `ROOT`.

        Raises:
            Malformed: a path is longer than a file's can be.
        """
        todo: list[tuple[str, Node]] = [(ROOT, self.root)]
        while todo:
            path, node = todo.pop()
            if len(path.encode("utf-8")) >= MAX_PATH:  # links can lead deeper than one name does
                raise self.malformed(f"{path!r:.200} is too long")
            match node:
                case Folder():
                    yield Entry(path=path, mode=S_IFDIR | 0o755)
                    todo += [(f"{path}/{name}", child) for name, child in node.children.items()]
                case File():
                    mode = 0o755 if node.executable else 0o644
                    yield Entry(path=path, mode=S_IFREG | mode, data=node.data)
                case Link():
                    target = node.target.encode("utf-8")
                    yield Entry(path=path, mode=S_IFLNK | 0o777, data=target)


def _same(one: Node, other: Node) -> bool:
    match one, other:
        case File(), File():
            return one.executable == other.executable and one.data == other.data
        case Link(), Link():
            return one.target == other.target
        case _:
            return isinstance(one, Folder) and isinstance(other, Folder)


def _folders(folder: Folder) -> int:
    return sum(1 + _folders(c) for c in folder.children.values() if isinstance(c, Folder))


def _empty(folder: Folder, *, keep: bool) -> int:
    """Empties a folder, all but its folders where they are kept; how many files there were."""
    lost = sum(1 for child in folder.children.values() if not isinstance(child, Folder))
    below = [(n, c) for n, c in folder.children.items() if isinstance(c, Folder)]
    lost += sum(_empty(child, keep=keep) for _, child in below)
    folder.children = dict(below) if keep else {}
    return lost
