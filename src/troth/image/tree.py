"""A file tree in memory: what an image will hold, by path, with who brought each file."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from stat import S_IFDIR, S_IFLNK, S_IFMT, S_IFREG
from typing import Final

from troth.errors import Malformed, Misuse
from troth.wire.cpio import Entry

# Debian 13 has these as links into /usr; packages may still name files below them.
MERGED: Final = ("bin", "lib", "lib64", "sbin")
_MOST_LINKS: Final = 16


@dataclass(frozen=True, slots=True)
class Node:
    """One name.

    Attributes:
        mode: type and permissions; set-user and set-group bits are never kept.
        data: the file's bytes, or a link's target.
        owner: the package, wheel or part that brought it.
        known: SHA-256 of the data, where whoever brought it has it at hand; else empty.
    """

    mode: int
    data: bytes
    owner: str
    known: bytes = b""

    def sha256(self) -> bytes:
        """SHA-256 of the data."""
        return self.known or hashlib.sha256(self.data).digest()


class Tree:
    """Nodes by path, relative and without `..`; folders appear with what is in them."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        for name in MERGED:
            self._nodes[name] = Node(S_IFLNK | 0o777, f"usr/{name}".encode(), "troth")

    def __contains__(self, path: str) -> bool:
        return path in self._nodes

    def __getitem__(self, path: str) -> Node:
        return self._nodes[path]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._nodes))

    def files(self) -> Iterator[tuple[str, Node]]:
        """Regular files with their paths."""
        return ((p, n) for p, n in tuple(self._nodes.items()) if n.mode & 0o170000 == S_IFREG)

    def add_file(
        self, path: str, data: bytes, *, owner: str, executable: bool = False, known: bytes = b""
    ) -> None:
        """A file with mode 0755 or 0644.

        Args:
            path: where.
            data: its bytes.
            owner: who brings it.
            executable: its mode.
            known: SHA-256 of the data, if it is at hand.

        Raises:
            Misuse: another owner brought something else at this path, or what is above is no folder.
        """
        mode = S_IFREG | (0o755 if executable else 0o644)
        self._put(path, Node(mode, data, owner, known))

    def add_link(self, path: str, target: str, *, owner: str) -> None:
        """A symbolic link."""
        self._put(path, Node(S_IFLNK | 0o777, target.encode("utf-8"), owner))

    def add_folder(self, path: str, *, owner: str) -> None:
        """A folder, also one that stays empty."""
        plain = merged(path)
        if plain and plain not in self._nodes:
            self._put(plain, Node(S_IFDIR | 0o755, b"", owner))

    def _put(self, path: str, node: Node) -> None:
        plain = merged(path)
        there = self._nodes.get(plain, node)
        if there.data != node.data or S_IFMT(there.mode) != S_IFMT(node.mode):
            raise Misuse(
                f"/{plain} comes from {there.owner} and, with other content, from {node.owner}"
            )
        self._nodes[plain] = node
        above = plain
        while "/" in above:
            above = above.rpartition("/")[0]
            folder = self._nodes.get(above)
            if folder is None:
                self._nodes[above] = Node(S_IFDIR | 0o755, b"", "troth")
            elif S_IFMT(folder.mode) == S_IFDIR:
                break  # and so is all that is above it
            else:
                # A link would lead the file to where it is not looked for, such as the agent's modules.
                raise Misuse(
                    f"/{plain} of {node.owner} lies below /{above} of {folder.owner}, which is no folder"
                )

    def remove(self, path: str) -> None:
        """Takes one name away; its folder goes when `packed` finds it empty and nobody's."""
        del self._nodes[path]

    def resolve(self, path: str) -> str | None:
        """Where a path leads, through links, or None if nowhere in the tree."""
        plain = path.lstrip("/")
        for _ in range(_MOST_LINKS):
            done = ""
            for part in PurePosixPath(plain).parts:
                step = f"{done}/{part}".lstrip("/")
                node = self._nodes.get(step)
                if node is None:
                    return None
                if node.mode & 0o170000 == S_IFLNK:
                    rest = plain[len(step) :].lstrip("/")
                    target = node.data.decode("utf-8")
                    base = "" if target.startswith("/") else done
                    plain = normal(f"{base}/{target}/{rest}")
                    break
                done = step
            else:
                return done
        return None

    def entries(self) -> tuple[Entry, ...]:
        """Everything, as an archive takes it; folders in which nothing is left are dropped."""
        kept = {p: n for p, n in self._nodes.items() if n.mode & 0o170000 != S_IFDIR}
        folders: set[str] = set()
        for path in kept:
            above = path
            while "/" in above and (above := above.rpartition("/")[0]) not in folders:
                folders.add(above)
        kept |= {
            path: node
            for path, node in self._nodes.items()
            if node.mode & 0o170000 == S_IFDIR and (path in folders or node.owner == "image")
        }
        return tuple(
            Entry(path=path, mode=node.mode, data=node.data, known=node.known)
            for path, node in sorted(kept.items())
        )


def normal(path: str) -> str:
    """A path without empty parts, `.` and `..`; it never climbs above the root."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def merged(path: str) -> str:
    """The path with Debian's merged folders in their place.

    Raises:
        Malformed: it is absolute or climbs.
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts:
        raise Malformed(f"has the path {path!r}", field="package")
    if parts and parts[0] in MERGED:
        parts.insert(0, "usr")
    return "/".join(parts)
