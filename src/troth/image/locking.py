"""Making a lock, and having everything that one names at hand."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from troth.errors import Misuse, Unavailable
from troth.image import lock as locks
from troth.image import wheels
from troth.image.apt import Apt, Mirrors, apt, download
from troth.image.files import cache_folder, disk, write_together
from troth.image.keys import Suite, suite
from troth.image.lock import Deb, Lock, Wheel, pinned_keys
from troth.image.recipe import Recipe, load
from troth.image.store import Store

_KERNEL: Final = "linux-image-cloud-amd64"
"""The metapackage that depends on the newest cloud kernel, which alone is taken."""

Say = Callable[[str], object]


def make(
    folder: Path,
    *,
    store: Store,
    mirrors: Mirrors | None = None,
    vendor: str | None = None,
    say: Say = lambda _: None,
) -> Lock:
    """A new lock of an app: resolves, downloads, and keeps everything in the store.

    Args:
        folder: the app's.
        store: where packages are kept.
        mirrors: where packages are; the machine's own by default.
        vendor: folder inside the app's that keeps the packages beside it, or None.
        say: told each step.

    Raises:
        Misuse: the recipe asks for what does not exist.
        Unavailable: no mirror, no network, no disk.
    """
    recipe = load(folder)
    release = suite(recipe.suite)
    where = mirrors or Mirrors.of_machine()
    say(
        f"reading the package lists of {release.title}, under {len(release.keyrings)} pinned keyrings"
    )
    with apt(release, where, lists=cache_folder() / "apt" / release.name) as tool:
        tool.update()
        debs, kernel = _debs(tool, recipe, release)
    say("asking which wheels are needed")
    app = wheels.resolve(recipe.python_packages, python=release.python)
    agent = wheels.resolve(wheels.AGENT, python=release.python)
    lock = Lock(
        suite=release.name,
        keys=pinned_keys(release.name),
        recipe=recipe.pinned(),
        debs=debs,
        kernel=kernel,
        wheels=app,
        agent_wheels=agent,
        vendor=vendor or "",
    )
    fetch(lock, store=store, mirrors=where, say=say)
    lock = replace(lock, wheels=_sized(app, store), agent_wheels=_sized(agent, store))
    if vendor is not None:
        _keep(lock, folder / vendor, store)
    locks.save(folder, lock)
    return lock


def _debs(tool: Apt, recipe: Recipe, release: Suite) -> tuple[tuple[Deb, ...], Deb]:
    base = tool.resolve([f"python{release.python}"])
    every = tool.resolve([f"python{release.python}", *recipe.debian_packages])
    named = tool.resolve(recipe.debian_packages) if recipe.debian_packages else {}
    images = [d for d in tool.resolve([_KERNEL]).values() if d.name.startswith("linux-image-6")]
    if len(images) != 1:
        raise Misuse(f"{_KERNEL} of {release.name} leads to {len(images)} kernels, not to one")
    debs = [
        replace(deb, base=name in base and name not in named) for name, deb in sorted(every.items())
    ]
    return tuple(debs), images[0]


def _sized(items: Sequence[Wheel], store: Store) -> tuple[Wheel, ...]:
    return tuple(
        replace(item, size=len(store.get(sha256=item.sha256, name=item.file))) for item in items
    )


def _keep(lock: Lock, folder: Path, store: Store) -> None:
    """Copies every package into a folder that travels with the app."""
    items: tuple[Deb | Wheel, ...] = (*lock.all_debs, *lock.all_wheels)
    for item in items:
        write_together(folder, {item.file: [store.get(sha256=item.sha256, name=item.file)]})


def fetch(
    lock: Lock, *, store: Store, mirrors: Mirrors | None = None, say: Say = lambda _: None
) -> None:
    """Downloads what the store lacks; every byte is compared with the lock's digest.

    Raises:
        Unavailable: some packages cannot be had; they are named.
        Malformed: a mirror gave other bytes than the lock says.
    """
    debs = [d for d in lock.all_debs if not store.has(sha256=d.sha256, name=d.file)]
    missing = [w for w in lock.all_wheels if not store.has(sha256=w.sha256, name=w.file)]
    if not debs and not missing:
        return
    wanted: tuple[Deb | Wheel, ...] = (*debs, *missing)
    say(f"downloading {len(debs)} Debian packages and {len(missing)} wheels")
    with disk("downloading"), TemporaryDirectory(prefix="troth-fetch-") as name:
        into = Path(name)
        came = download(debs, mirrors or Mirrors.of_machine(), into) if debs else {}
        came |= wheels.download(missing, into, python=suite(lock.suite).python)
        for item in wanted:
            if item.sha256 in came:
                data = came[item.sha256].read_bytes()
                store.put(data, sha256=item.sha256, name=item.file)
    gone = [i.file for i in wanted if not store.has(sha256=i.sha256, name=i.file)]
    if gone:
        raise Unavailable(
            f"the mirror no longer has {', '.join(gone)}",
            fix="lock again with `troth lock --update`, name a snapshot mirror with --mirror, or "
            "keep packages with the app: `troth lock --vendor DIR`",
        )


def ensure(
    folder: Path, *, store: Store | None = None, say: Say = lambda _: None
) -> tuple[Recipe, Lock, Store]:
    """Recipe and lock of an app that fit each other, with every package at hand.

    Raises:
        Misuse: there is no lock, or it does not fit.
        Unavailable, Malformed: as `fetch`.
    """
    recipe, lock = load(folder), locks.load(folder)
    lock.check(recipe)
    place = store or Store.of_user()
    if lock.vendor:
        place = replace(place, vendored=folder / lock.vendor)
    fetch(lock, store=place, say=say)
    return recipe, lock, place
