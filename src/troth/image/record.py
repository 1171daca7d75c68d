"""The build record: every input of an image with its digest and its source, and what came out."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from troth._version import __version__
from troth.errors import Malformed
from troth.image import agent_parts, packages
from troth.image import lock as locks
from troth.image import recipe as recipes
from troth.image.brought import Brought
from troth.image.files import disk
from troth.image.hardware import options
from troth.image.hardware.inputs import inputs as pinned
from troth.image.kernel import Kernel
from troth.image.lock import Deb, Lock
from troth.image.memo import Memo
from troth.image.recipe import Recipe
from troth.image.store import Store, digest
from troth.image.tree import Tree
from troth.wire import eif

_SOURCE = re.compile(r"([a-z0-9][a-z0-9+.-]*)(?: \(([0-9A-Za-z.+~:-]+)\))?")
_BUILT_USING = re.compile(r"([a-z0-9][a-z0-9+.-]*) \(= ([0-9A-Za-z.+~:-]+)\)")
_SEEN_IN: Final = ("Built-Using", "Static-Built-Using")


def inputs(
    folder: Path,
    store: Store,
    *,
    recipe: Recipe,
    lock: Lock,
    tree: Tree,
    linux: Kernel,
    brought: Brought | None,
    surface: Mapping[str, Any],
    asked: str,
    memo: Memo | None = None,
) -> dict[str, Any]:
    """What a build's record says of all that went in.

    Args:
        folder: the app's.
        store: holds what the lock names.
        recipe: as it was built, with the kernel that it got.
        lock: that fits it.
        tree: all files of the image.
        linux: its kernel.
        brought: the root that the app brings, or None.
        surface: what the image holds that somebody could use.
        asked: the kernel that the app's own recipe asks for.
        memo: remembers what packages say of themselves.

    Raises:
        Malformed: a package does not say what it is from.
        Unavailable: a package is not at hand.
    """
    with disk("reading the recipe"):
        recipe_bytes = (folder / recipes.FILE).read_bytes()
        lock_bytes = (folder / locks.FILE).read_bytes()
    count = Counter(node.owner for _, node in tree.files())
    debs = zip(lock.debs, packages.said(lock.debs, store, memo), strict=True)
    builders = zip(lock.builder, packages.said(lock.builder, store, memo), strict=True)
    rows = [{"kind": "deb", **_package(d, said), "files": count[d.name]} for d, said in debs] + [
        {"kind": "wheel", "name": w.name, "version": w.version, "sha256": w.sha256}
        for w in lock.all_wheels
    ]
    app = [{"path": f"/{p}", "sha256": digest(n.data)} for p, n in tree.files() if n.owner == "app"]
    return {
        "schema": "troth/build/1",
        "tool": {"name": "troth", "version": __version__, "agent_sha256": agent_parts.sha256()},
        "recipe": recipe_bytes.decode("utf-8"),
        "recipe_sha256": digest(recipe_bytes),
        "lock": lock_bytes.decode("ascii"),
        "lock_sha256": digest(lock_bytes),
        "suite": lock.suite,
        "architecture": lock.architecture,
        "archive_keys": list(lock.keys),
        "kernel": {"asked": asked, **_kernel(recipe, lock, linux, store, memo)},
        "packages": rows,
        **({"builder": [_package(d, said) for d, said in builders]} if lock.builder else {}),
        "app": sorted(app, key=lambda item: item["path"]),
        **({} if brought is None else {"root": dict(brought.record)}),
        "surface": dict(surface),
    }


def outputs(image: eif.Eif, sha256: str, nitro: Mapping[str, str]) -> dict[str, Any]:
    """What it says of what came out.

    Args:
        image: the image.
        sha256: of its file.
        nitro: its registers.
    """
    sections = [{"kind": s.kind.name.lower(), "size": s.size} for s in image.sections]
    return {
        "image": {"sha256": sha256, "size": image.size, "sections": sections},
        "nitro": dict(nitro),
    }


def _kernel(
    recipe: Recipe, lock: Lock, linux: Kernel, store: Store, memo: Memo | None
) -> dict[str, Any]:
    """Which kernel it is, and from what: of the hardware kernel all that decides its bytes."""
    common = {"kind": recipe.kernel, "version": linux.version, "sha256": digest(linux.image)}
    if recipe.kernel != "hardware":
        (said,) = packages.said([lock.kernel], store, memo)
        return {**common, "package": _package(lock.kernel, said)}
    made = pinned()
    package = {"name": made.source.name, "version": made.source.version}
    return {
        **common,
        # The package is the source itself, so nobody need have it at hand to use the kernel.
        "package": {**package, "sha256": made.source.sha256, **_from("linux", made.source.version)},
        "config_sha256": made.kernel.config_sha256,
        "options_sha256": digest(options.fragment(options.table())),
        "toolchain_sha256": made.toolchain_sha256,
        "made_from": made.kernel.made_from,
    }


def _package(package: Deb, said: Mapping[str, str]) -> dict[str, Any]:
    """A package and the source package that it was built from, as it says itself."""
    match = _SOURCE.fullmatch(said.get("Source", package.name))
    if match is None:
        raise Malformed(f"is from {said['Source']!r}, which is no source", field=package.file)
    using = [
        f"{name} {version}"
        for field in _SEEN_IN
        for name, version in _BUILT_USING.findall(said.get(field, ""))
    ]
    named = {"name": package.name, "version": package.version, "sha256": package.sha256}
    return {**named, **_from(match[1], match[2] or package.version, sorted(using))}


def _from(source: str, version: str, using: list[str] | None = None) -> dict[str, Any]:
    return {"source": source, "source_version": version, "built_using": using or []}
