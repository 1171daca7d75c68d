"""The attack surface of a file tree: what is in it that somebody could use, in numbers and by name.

A pure function over paths, modes and bytes: equal trees give equal reports. What it can't see is said in
docs/reference/surface.md: programs are known by their names, and nothing is run.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from stat import S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, S_ISGID, S_ISUID
from typing import Any, Final

from troth.errors import Malformed
from troth.image import elf
from troth.image.surface_links import Names
from troth.image.surface_names import MODULE, PROGRAMS, UNITS
from troth.image.surface_words import NUMBERS

MOST_NAMED: Final = 100
"""Paths that are told of one kind; the number says how many there are."""
_MAX_ELF: Final = 1 << 30  # a memoryview is copied to be read; larger ones are told as unread
_PIECE: Final = 1 << 20
_WRITABLE: Final = 0o002
_EXECUTABLE: Final = 0o111  # by whomever


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who brought a file.

    Attributes:
        name: of a package, or a word such as `app`.
        kind: `kernel`, `interpreter`, `agent`, `deb`, `wheel`, `app`, `root`, or `image` for what the
            builder itself writes.
        packaged: whether that is a package of some ecosystem.
    """

    name: str
    kind: str
    packaged: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One name of the tree; `data` of a link is its target."""

    path: str
    mode: int
    data: bytes | memoryview
    owner: Owner


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """Where a program sees its files from, and looks for others.

    Attributes:
        at: path of what it sees as `/`, or an empty text for the image's own root.
        path: folders of its PATH, absolute as it sees them.
    """

    at: str
    path: tuple[str, ...]


OWN: Final = Root(at="", path=("usr/local/bin", "usr/local/sbin", "usr/bin", "usr/sbin"))
"""The image's own root; /bin and /sbin are links into /usr."""


@dataclass
class _Count:
    """Numbers by owner, and names by number."""

    by_owner: dict[Owner, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    named: dict[str, list[str]] = field(default_factory=dict)

    def add(self, number: str, owner: Owner, amount: int = 1, *, named: str = "") -> None:
        row = self.by_owner[owner]
        row[number] = row.get(number, 0) + amount
        if named:
            self.named.setdefault(number, []).append(named)


def measure(
    items: Sequence[Item],
    *,
    roots: Sequence[Root] = (OWN,),
    extra: Iterable[tuple[str, Owner, int, str]] = (),
) -> dict[str, Any]:
    """What a tree holds.

    Args:
        items: of the tree, each path once.
        roots: the roots that programs see, the innermost last.
        extra: what is no file of the tree: a number's name, its owner, how much, and a name or an empty
            text. The kernel and what is listened on come so.

    Returns:
        `numbers` (each of `NUMBERS`, also those that are zero), `named` (paths by number, sorted) and
        `owners` (each with its numbers, the largest first).

    Raises:
        Malformed: libraries that are looked for lead on without end.
    """
    count = _Count()
    names = Names(
        {item.path: (item.mode, item.data) for item in items}, roots=[r.at for r in roots]
    )
    called = _called(items, names)
    reachable = {
        found for root in roots for folder in root.path for found in names.programs(root.at, folder)
    }
    for item in items:
        kind = S_IFMT(item.mode)
        if kind == S_IFLNK:
            count.add("links", item.owner)
        elif kind == S_IFREG:
            _file(item, count, names, called.get(item.path, ()), reachable=item.path in reachable)
        elif kind != S_IFDIR:
            count.add("devices", item.owner, named=f"/{item.path}")
        if kind != S_IFLNK and item.mode & _WRITABLE:
            count.add("world_writable", item.owner, named=f"/{item.path}")
    for number, owner, amount, name in extra:
        count.add(number, owner, amount, named=name)
    return _report(count)


def _report(count: _Count) -> dict[str, Any]:
    for owner, row in count.by_owner.items():
        if owner.packaged and row.get("files"):
            row["packages"] = 1
    totals = dict.fromkeys(NUMBERS, 0)
    for row in count.by_owner.values():
        for number, amount in row.items():
            totals[number] += amount
    owners = sorted(
        count.by_owner.items(),
        key=lambda pair: (-pair[1].get("bytes", 0), pair[0].kind, pair[0].name),
    )
    return {
        "numbers": totals,
        "named": {key: sorted(paths)[:MOST_NAMED] for key, paths in sorted(count.named.items())},
        "owners": [
            {"name": owner.name, "kind": owner.kind, "numbers": dict(sorted(row.items()))}
            for owner, row in owners
        ],
    }


def _called(items: Sequence[Item], names: Names) -> Mapping[str, set[str]]:
    """The names that a file has besides its own: those of the links that lead to it."""
    wanted: dict[str, set[str]] = {}
    for item in items:
        name = item.path.rpartition("/")[2]
        if S_IFMT(item.mode) == S_IFLNK and any(p.fullmatch(name) for p in PROGRAMS.values()):
            found = names.follow(item.path)
            if found is not None:
                wanted.setdefault(found, set()).add(name)
    return wanted


def _file(
    item: Item, count: _Count, names: Names, called: Iterable[str], *, reachable: bool
) -> None:
    path, data, owner = f"/{item.path}", item.data, item.owner
    count.add("files", owner)
    count.add("bytes", owner, len(data))
    if not owner.packaged and owner.kind in ("app", "root"):
        count.add("unowned", owner)
    if item.path.endswith(".py"):
        pieces = (bytes(data[at : at + _PIECE]) for at in range(0, len(data), _PIECE))
        count.add("python_lines", owner, sum(piece.count(b"\n") for piece in pieces))
    for number in _kinds(item, names.inside(item.path)):
        count.add(number, owner, named=path)
    machine_code = elf.is_elf(bytes(data[:4]))
    if item.mode & _EXECUTABLE and reachable:
        count.add("programs", owner, named=path)
    # The loader starts machine code that nobody may execute by its name alone.
    if item.mode & _EXECUTABLE or machine_code:
        words = {item.path.rpartition("/")[2], *called}
        for number, pattern in PROGRAMS.items():
            if any(pattern.fullmatch(word) for word in words):
                count.add(number, owner, named=path)
    if machine_code:
        count.add("elf", owner)
        _elf(item, names, lambda number: count.add(number, owner, named=path))


def _kinds(item: Item, inside: str) -> Iterator[str]:
    """What the file is by its mode, its place and its first bytes."""
    if item.mode & S_ISUID:
        yield "setuid"
    if item.mode & S_ISGID:
        yield "setgid"
    if MODULE.fullmatch(inside):
        yield "modules"
    if UNITS.fullmatch(inside):
        yield "units"
    if bytes(item.data[:2]) == b"#!":
        yield "scripts"


def _elf(item: Item, names: Names, add: Callable[[str], None]) -> None:
    if len(item.data) > _MAX_ELF:
        return add("unread")
    try:
        found = elf.traits(bytes(item.data), name=item.path)
    except Malformed:  # of 32 bits, of another order of bytes, or damaged: nothing is known of it
        return add("unread")
    if found.kind == "object":
        return None
    if found.static:
        add("static")
    if found.kind == "program" and not found.pie:
        add("no_pie")
    if not found.relro:
        add("no_relro")
    if found.executable_stack:
        add("executable_stack")
    if names.leads_out(item.path, found.needs.search):
        add("outside_rpath")
    if names.lacks(item.path, found.needs):
        add("missing_libraries")
    return None
