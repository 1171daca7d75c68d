"""Where names of a tree lead: links, PATH, and libraries as a loader would look for them.

Names are what somebody brought: every walk counts its steps.
"""

from collections.abc import Iterator, Mapping, Sequence
from stat import S_IFDIR, S_IFLNK, S_IFMT, S_IFREG
from typing import Final

from troth.errors import Malformed
from troth.image.elf import Needs
from troth.image.slim import LIBRARIES

_MOST_LINKS: Final = 40  # as Linux
_MOST_STEPS: Final = 20_000_000  # names passed; a large container image takes a tenth
_EXECUTABLE: Final = 0o111  # by whomever
# Beside Debian's: the C library of Alpine, and what other distributions have.
_MORE: Final = (
    "usr/local/lib",
    "lib",
    "lib64",
    "usr/lib32",
    "lib/x86_64-linux-gnu",
    "lib/aarch64-linux-gnu",
)
_SETTINGS: Final = ("etc/ld.so.conf", "etc/ld.so.conf.d")
_MAX_SETTINGS: Final = 64 * 1024

Node = tuple[int, bytes | memoryview]


class Names:
    """A tree, with the roots that programs see in it.

    Args:
        nodes: mode and data by path.
        roots: paths of what programs see as `/`; an empty text is the tree's own.
    """

    def __init__(self, nodes: Mapping[str, Node], *, roots: Sequence[str]) -> None:
        self._nodes = nodes
        self._roots = sorted(roots, key=len, reverse=True)
        self._steps = 0
        self._children: dict[str, list[str]] | None = None
        self._known: dict[tuple[str, str], bool] = {}
        self._places: dict[str, tuple[str, ...]] = {}

    def root_of(self, path: str) -> str:
        """The innermost root that a path lies in."""
        inside = (root for root in self._roots if root and path.startswith(f"{root}/"))
        return next(inside, "")

    def inside(self, path: str) -> str:
        """A path as it is seen from its root."""
        root = self.root_of(path)
        return path[len(root) + 1 :] if root else path

    def follow(self, path: str) -> str | None:
        """The regular file that a path of the tree leads to from its own root, or None."""
        return self.find(self.root_of(path), self.inside(path))

    def find(self, root: str, path: str) -> str | None:
        """The regular file that a path leads to, as a program in `root` sees it, or None."""
        place = self._place(root, path)
        mode, _ = self._nodes.get(place or "", (0, b""))  # the root itself has no name
        return place if S_IFMT(mode) == S_IFREG else None

    def programs(self, root: str, folder: str) -> Iterator[str]:
        """The executable files that names in a folder lead to."""
        place = self._place(root, folder)
        if place is None:
            return
        for name in self._below().get(place, ()):
            found = self.follow(name)
            if found is not None and self._nodes[found][0] & _EXECUTABLE:
                yield found

    def leads_out(self, path: str, search: Sequence[str]) -> bool:
        """Whether a file names a folder for libraries that is not in its root."""
        root, origin = self.root_of(path), self.inside(path).rpartition("/")[0]
        return any(self._place(root, folder) is None for folder in _search(search, origin))

    def lacks(self, path: str, needs: Needs) -> bool:
        """Whether something that a file needs is not where its loader looks."""
        root, origin = self.root_of(path), self.inside(path).rpartition("/")[0]
        if needs.interpreter and self.find(root, needs.interpreter) is None:
            return True
        own = _search(needs.search, origin)
        return not all(
            any(self.find(root, f"{folder}/{name}") for folder in own) or self._there(root, name)
            for name in needs.libraries
        )

    def _there(self, root: str, library: str) -> bool:
        """Whether a library lies where every program's is looked for."""
        key = (root, library)
        if key not in self._known:
            if root not in self._places:
                self._places[root] = (*LIBRARIES, *_MORE, *self._configured(root))
            path = library if "/" in library else ""
            places = (path,) if path else (f"{p}/{library}" for p in self._places[root])
            self._known[key] = any(self.find(root, place) is not None for place in places)
        return self._known[key]

    def _configured(self, root: str) -> tuple[str, ...]:
        """Folders that the files of glibc's loader name; what they include is read by place."""
        first = f"{root}/{_SETTINGS[0]}".lstrip("/")
        folder = f"{root}/{_SETTINGS[1]}".lstrip("/")
        found: list[str] = []
        for path in (first, *sorted(self._below().get(folder, ()))):
            mode, data = self._nodes.get(path, (0, b""))
            if S_IFMT(mode) == S_IFREG and len(data) <= _MAX_SETTINGS:
                text = bytes(data).decode("utf-8", "replace")
                found += [line.strip() for line in text.splitlines() if line.startswith("/")]
        return tuple(found[:1000])

    def _below(self) -> dict[str, list[str]]:
        """Paths by the folder that they lie in."""
        if self._children is None:
            self._children = {}
            for path in self._nodes:
                self._children.setdefault(path.rpartition("/")[0], []).append(path)
        return self._children

    def _place(self, root: str, path: str) -> str | None:
        """Where a path leads inside a root, through links, or None if nowhere."""
        todo = path.split("/")[::-1]
        done, links = root, 0
        while todo:
            part = todo.pop()
            self._step()
            if part in ("", ".", ".."):
                if part == ".." and done != root:
                    done = done.rpartition("/")[0]
                continue
            step = f"{done}/{part}" if done else part
            mode, data = self._nodes.get(step, (None, b""))
            if mode is None:
                return None
            if S_IFMT(mode) == S_IFLNK:
                links += 1
                if links > _MOST_LINKS:
                    return None
                target = bytes(data).decode("utf-8", "replace")
                if target.startswith("/"):
                    done = root
                todo += target.split("/")[::-1]
            elif S_IFMT(mode) != S_IFDIR and any(p not in ("", ".") for p in todo):
                return None
            else:
                done = step
        return done

    def _step(self) -> None:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise Malformed(
                "has too many libraries and links to look for", field="the image's root"
            )


def _search(folders: Sequence[str], origin: str) -> tuple[str, ...]:
    """The folders that a file names itself."""
    return tuple(
        folder.replace("${ORIGIN}", f"/{origin}").replace("$ORIGIN", f"/{origin}")
        for folder in folders
    )
