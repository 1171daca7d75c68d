"""The attack surface of an image that was just made: its tree, its kernel, and what it listens on."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from troth.image import foreign, kernel, process, surface, surface_root
from troth.image.brought import Brought
from troth.image.hardware import options
from troth.image.lock import Lock
from troth.image.recipe import Recipe
from troth.image.rootfs import AGENT, MODULES
from troth.image.surface import Item, Owner, Root
from troth.image.surface_names import OPTIONS
from troth.image.tree import Tree

_APP: Final = Owner(name="app", kind="app", packaged=False)
_TROTH: Final = Owner(name="troth", kind="agent", packaged=False)
_IMAGE: Final = Owner(name="image", kind="image", packaged=False)
_WHEELS: Final = re.compile(r"usr/local/lib/python[\d.]+/dist-packages/")
_UNTOLD: Final = ("packages", "unowned", "listeners")
"""What an image does not say of itself; None stands for it."""
_SET: Final = re.compile(rb"CONFIG_(\w+)=(.{1,100})")


def report(
    recipe: Recipe, lock: Lock, tree: Tree, linux: kernel.Kernel, brought: Brought | None
) -> dict[str, Any]:
    """What a build record says of its image's attack surface.

    Args:
        recipe: as it was built.
        lock: that fits it.
        tree: all files of the image but a root that is brought.
        linux: its kernel.
        brought: the root that the app brings, or None.

    Raises:
        Malformed: the root that is brought leads links or libraries on without end.
    """
    owners = _Owners(lock, recipe)
    items = [
        Item(
            path=entry.path,
            mode=entry.mode,
            data=entry.data,
            owner=owners.of(entry.path, tree[entry.path].owner),
        )
        for entry in tree.entries()
    ]
    roots = [surface.OWN]
    if brought is not None:
        items += surface_root.items(brought.entries)
        path = brought.process.environment.get("PATH", process.PATH)
        roots.append(Root(at=foreign.ROOT, path=tuple(path.split(":"))))
    found = surface.measure(items, roots=roots, extra=_extra(recipe, linux, owners.kernel))
    return {**found, "kernel": kernel_facts(recipe, linux)}


class _Owners:
    """Which kind of owner the tree's are."""

    def __init__(self, lock: Lock, recipe: Recipe) -> None:
        name = "hardware kernel" if recipe.kernel == "hardware" else lock.kernel.name
        self.kernel = Owner(name=name, kind="kernel")
        self._debs = {deb.name: "interpreter" if deb.base else "deb" for deb in lock.debs}

    def of(self, path: str, name: str) -> Owner:
        """The owner of a path; places come before names, for a wheel may be called anything."""
        if path.startswith(f"{MODULES}/"):
            return self.kernel
        if path.startswith(f"{AGENT}/") or name == "troth":
            return _TROTH if name == "troth" else Owner(name=name, kind="agent")
        if _WHEELS.match(path) and name not in ("app", "image"):
            return Owner(name=name, kind="wheel")
        if name in self._debs:
            return Owner(name=name, kind=self._debs[name])
        return _APP if name == "app" else _IMAGE


def _extra(
    recipe: Recipe, linux: kernel.Kernel, owner: Owner
) -> Iterator[tuple[str, Owner, int, str]]:
    yield "bytes", owner, len(linux.image), ""
    yield "packages", owner, 1, ""
    door = "as it is" if recipe.raw_nsm else "the attested channel"
    for port in recipe.listen:
        yield "listeners", _TROTH, 1, f"vsock {port}: {door}"
        yield "listeners", _APP, 1, f"loopback {port}: the app"


def kernel_facts(recipe: Recipe, linux: kernel.Kernel) -> dict[str, Any]:
    """What is known of a kernel: the options that decide what an attacker has in it.

    Of the hardware kernel the table that comes with troth is told, without which that kernel is not built;
    of Debian's its package's own file; where that has none, each is `unknown`.
    """
    if recipe.kernel == "hardware":
        said = {option.name: option.value for part in options.table() for option in part.options}
    else:
        said = {
            match[1].decode("ascii", "replace"): match[2].decode("ascii", "replace")
            for match in map(_SET.fullmatch, linux.config.splitlines())
            if match is not None
        }
    absent = "unknown" if recipe.kernel == "hardware" or not linux.config else "n"
    return {
        "kind": recipe.kernel,
        "version": linux.version,
        "bytes": len(linux.image),
        "command_line": kernel.COMMAND_LINE.decode("ascii"),
        "options": {name: said.get(name, absent) for name in OPTIONS},
    }


def of_entries(disks: Sequence[Sequence[Any]], *, command_line: str, size: int) -> dict[str, Any]:
    """The surface of an image from its own bytes, without a word of who brought what.

    Args:
        disks: the entries of each of its ramdisks; a later one's take the place of an earlier one's.
        command_line: of its kernel.
        size: of its kernel, in bytes.
    """
    nodes = {entry.path: entry for entries in disks for entry in entries}
    items = [
        Item(path=path, mode=entry.mode, data=entry.data, owner=_place(path))
        for path, entry in nodes.items()
    ]
    roots = [surface.OWN]
    if foreign.ROOT in nodes:
        roots.append(Root(at=foreign.ROOT, path=tuple(process.PATH.split(":"))))
    owner = Owner(name="kernel", kind="kernel", packaged=False)
    found = surface.measure(items, roots=roots, extra=[("bytes", owner, size, "")])
    found["numbers"].update(dict.fromkeys(_UNTOLD))
    facts = {"kind": "unknown", "version": "unknown", "bytes": size, "command_line": command_line}
    return {**found, "kernel": {**facts, "options": dict.fromkeys(OPTIONS, "unknown")}}


def _place(path: str) -> Owner:
    """What a file is for, as far as its place says."""
    if path.startswith(f"{MODULES}/"):
        return Owner(name="kernel", kind="kernel", packaged=False)
    if path == "init" or path.startswith(f"{AGENT}/"):
        return _TROTH
    if path.startswith(f"{foreign.ROOT}/"):
        return Owner(name="root", kind="root", packaged=False)
    return Owner(name="not told by an image", kind="unknown", packaged=False)
