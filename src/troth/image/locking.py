"""Making a lock, and having everything that one names at hand."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Final

from troth.errors import Malformed, Misuse, Unavailable
from troth.image import brought, pins, wheel_needs, wheels
from troth.image import lock as locks
from troth.image.apt import Apt, Mirrors, apt, download
from troth.image.architecture import ARCHITECTURES, BUILDER, Architecture
from troth.image.attested import ENDING, Attested, kept
from troth.image.fetched import Gone, Trouble, Why
from troth.image.files import cache_folder, disk, write_together
from troth.image.keys import Suite, suite
from troth.image.lock import Deb, Lock, Wheel, pinned_keys
from troth.image.pins import Pin
from troth.image.recipe import Recipe, load
from troth.image.store import Store

Say = Callable[[str], object]
_UPSTREAM: Final = re.compile(r"\d+\.\d+\.\d+")


def make(
    folder: Path,
    *,
    store: Store,
    mirrors: Mirrors | None = None,
    vendor: str | None = None,
    say: Say = lambda _: None,
) -> Lock:
    """A new lock of an app: resolves, downloads, and keeps everything in the store.

    Nothing of the app's changes before everything is at hand.

    Args:
        folder: the app's.
        store: where packages are kept.
        mirrors: where packages are; the machine's own by default.
        vendor: folder inside the app's that keeps the packages beside it, or None.
        say: told each step.

    Raises:
        Misuse: the recipe asks for what does not exist.
        Unavailable: no mirror, no network, no disk.
        Malformed: apt, pip or a mirror gave what can't be.
    """
    recipe = load(folder)
    release = suite(recipe.suite)
    if vendor is not None:
        check_vendor(vendor, recipe)
    # What is near comes before what is fetched.
    machine = ARCHITECTURES[recipe.architecture]
    image = None
    if recipe.from_oci:
        image = brought.pin(folder / recipe.from_oci, machine=machine)
    where = mirrors or Mirrors.of_machine()
    say(
        f"reading the package lists of {release.title}, under {len(release.keyrings)} pinned keyrings"
    )
    with _lists(release, where, machine) as tool:
        debs, kernel = _debs(tool, recipe, release, machine)
    builder: tuple[Deb, ...] = ()
    if machine is not BUILDER:
        with _lists(release, where, BUILDER) as tool:
            found = tool.resolve([f"python{release.python}"])
            builder = tuple(deb for _, deb in sorted(found.items()))
    say("asking which wheels are needed")
    pinned = _pinned(recipe, debs, release, machine)
    app = (
        wheels.resolve(recipe.python_packages, python=release.python, machine=machine)
        if recipe.requirements is None
        else wheels.resolve_pinned(pinned, python=release.python, machine=machine)
    )
    agent = wheels.resolve(wheels.AGENT, python=release.python, machine=machine)
    lock = Lock(
        suite=release.name,
        keys=pinned_keys(release.name),
        recipe=recipe.pinned(),
        debs=debs,
        kernel=kernel,
        wheels=app,
        agent_wheels=agent,
        oci=image,
        architecture=machine.name,
        builder=builder,
    )
    lock = replace(lock, attested=_attested(folder, lock))
    fetch(lock, store=store, mirrors=where, say=say)
    lock = replace(lock, wheels=_sized(app, store), agent_wheels=_sized(agent, store))
    if recipe.requirements is not None:
        rules = pins.environment(_full(debs, release), machine)
        files = [store.get(sha256=wheel.sha256, name=wheel.file) for wheel in lock.wheels]
        wheel_needs.check(lock.wheels, files, pinned, rules, source=recipe.requirements.path)
    # What apt and pip said meets the same rules as a lock that somebody hands us.
    lock = locks.parse(lock.to_json())
    if vendor is not None:
        return keep(lock, folder, vendor, store=store)
    locks.save(folder, lock)
    return lock


def _pinned(
    recipe: Recipe, debs: Sequence[Deb], release: Suite, machine: Architecture
) -> tuple[Pin, ...]:
    """What the recipe's file of requirements pins, if it has one."""
    if recipe.requirements is None:
        return ()
    said = recipe.requirements
    return pins.read(said.data, name=said.path, python=_full(debs, release), machine=machine)


def _full(debs: Sequence[Deb], release: Suite) -> str:
    """The version of the image's Python in full, as markers ask for it."""
    name = f"python{release.python}"
    version = next((deb.version for deb in debs if deb.name == name), "")
    match = _UPSTREAM.match(version)
    return match[0] if match else f"{release.python}.0"


@contextmanager
def _lists(release: Suite, mirrors: Mirrors, machine: Architecture) -> Iterator[Apt]:
    """Apt with the newest lists of packages for a machine."""
    name = release.name if machine is BUILDER else f"{release.name}-{machine.name}"
    lists = cache_folder() / "apt" / name
    with apt(release, mirrors, lists=lists, architecture=machine.name) as tool:
        tool.update()
        yield tool


def _debs(
    tool: Apt, recipe: Recipe, release: Suite, machine: Architecture
) -> tuple[tuple[Deb, ...], Deb]:
    base = tool.resolve([f"python{release.python}"])
    every = tool.resolve([f"python{release.python}", *recipe.debian_packages])
    named = tool.resolve(recipe.debian_packages) if recipe.debian_packages else {}
    kernels = tool.resolve([machine.kernel]).values()
    images = [d for d in kernels if d.name.startswith("linux-image-6")]
    if len(images) != 1:
        raise Misuse(
            f"{machine.kernel} of {release.name} leads to {len(images)} kernels, not to one"
        )
    debs = [
        replace(deb, base=name in base and name not in named) for name, deb in sorted(every.items())
    ]
    return tuple(debs), images[0]


def _sized(items: Sequence[Wheel], store: Store) -> tuple[Wheel, ...]:
    return tuple(
        replace(item, size=len(store.get(sha256=item.sha256, name=item.file))) for item in items
    )


def check_vendor(vendor: str, recipe: Recipe) -> None:
    """Refuse a folder for packages that is outside the app's, or would end in the image.

    Raises:
        Misuse: it is.
    """
    if not locks.is_inside(vendor):
        raise Misuse(
            f"--vendor {vendor} is no folder inside the app's",
            fix="give a plain relative path, such as `packages`",
        )
    for rule in recipe.files:
        if PurePosixPath(vendor).is_relative_to(rule.source):
            raise Misuse(
                f"--vendor {vendor} lies in {rule.source}, which goes into the image",
                fix="keep the packages beside it, such as in `packages`",
            )


def keep(lock: Lock, folder: Path, vendor: str, *, store: Store) -> Lock:
    """Copies every package into a folder that travels with the app, and saves the lock that says so.

    Raises:
        Unavailable: a package is not at hand, or the disk refuses.
    """
    lock = replace(lock, vendor=vendor)
    shown = {
        f"{wheel.file}{ENDING}": one.provenance
        for one in lock.attested
        for wheel in lock.all_wheels
        if wheel.name == one.name and one.provenance
    }
    for name, sha256 in {**{item.file: item.sha256 for item in _every(lock)}, **shown}.items():
        if name not in shown or store.has(sha256=sha256, name=name):
            write_together(folder / vendor, {name: [store.get(sha256=sha256, name=name)]})
    locks.save(folder, lock)
    return lock


def _attested(folder: Path, lock: Lock) -> tuple[Attested, ...]:
    """Who must publish what stays in the lock: an update is no reason to take anybody else's."""
    try:
        old = locks.load(folder)
    except (Misuse, Malformed):
        return ()
    before, now = ([(w.name, w.sha256) for w in each.all_wheels] for each in (old, lock))
    return kept(old.attested, before, now)


def _every(lock: Lock) -> tuple[Deb | Wheel, ...]:
    return (*lock.all_debs, *lock.all_wheels)


def fetch(
    lock: Lock, *, store: Store, mirrors: Mirrors | None = None, say: Say = lambda _: None
) -> None:
    """Downloads what the store lacks; every byte is compared with the lock's digest.

    What came is kept, even if something else did not.

    Raises:
        Gone: a mirror answers, and has some packages no more; they are named.
        Unavailable: no answer.
        Malformed: a mirror gave other bytes than the lock says.
    """
    debs = [d for d in lock.all_debs if not store.has(sha256=d.sha256, name=d.file)]
    missing = [w for w in lock.all_wheels if not store.has(sha256=w.sha256, name=w.file)]
    if not debs and not missing:
        return
    say(f"downloading {len(debs)} Debian packages and {len(missing)} wheels")
    with disk("downloading"), TemporaryDirectory(prefix="troth-fetch-") as name:
        into = Path(name)
        troubles: list[tuple[Deb | Wheel, Trouble]] = []
        if debs:
            came = download(debs, mirrors or Mirrors.of_machine(), into)
            troubles += _stored(debs, came.files, came.troubles, store)
        if missing:
            python = suite(lock.suite).python
            came = wheels.download(missing, into, python=python, machine=lock.machine)
            troubles += _stored(missing, came.files, came.troubles, store)
    _complain(troubles)


def fetch_debs(
    debs: Sequence[Deb],
    *,
    store: Store,
    mirrors: Mirrors | None = None,
    say: Say = lambda _: None,
) -> None:
    """Downloads Debian packages that the store lacks, whatever lock they are of.

    Raises:
        Gone, Unavailable, Malformed: as `fetch`.
    """
    missing = [d for d in debs if not store.has(sha256=d.sha256, name=d.file)]
    if not missing:
        return
    size = sum(deb.size for deb in missing)
    say(f"downloading {len(missing)} Debian packages, {size // 10**6} MB")
    with disk("downloading"), TemporaryDirectory(prefix="troth-fetch-") as name:
        came = download(missing, mirrors or Mirrors.of_machine(), Path(name))
        _complain([*_stored(missing, came.files, came.troubles, store)])


def _stored(
    items: Sequence[Deb | Wheel], files: dict[str, Path], troubles: dict[str, Trouble], store: Store
) -> list[tuple[Deb | Wheel, Trouble]]:
    for item in items:
        if item.sha256 in files:
            data = files[item.sha256].read_bytes()
            store.put(data, sha256=item.sha256, name=item.file)
    return [(item, troubles[item.sha256]) for item in items if item.sha256 not in files]


def _complain(troubles: list[tuple[Deb | Wheel, Trouble]]) -> None:
    """The gravest trouble first: forged, then no answer, then gone."""
    for item, trouble in troubles:
        if trouble.why is Why.ALTERED:
            raise Malformed(
                f"what the mirror gave has other bytes than the lock says ({trouble.said})",
                field=item.file,
                fix="do not use this file; try another mirror with --mirror URL. If troth.lock was edited, "
                "take it back as it was, or make it anew with `troth lock --update`",
            )
    for item, trouble in troubles:
        if "No space left" in trouble.said:
            raise Unavailable(
                f"{item.file} can't be fetched: no space left on the disk",
                fix="free space, or choose another folder with TMPDIR",
            )
        if trouble.why is Why.UNREACHABLE:
            raise Unavailable(
                f"{item.file} can't be fetched: {trouble.said}",
                fix="check the network, or name another mirror: `troth lock --mirror URL`",
            )
    if troubles:
        raise Gone(tuple(item.file for item, _ in troubles))


def ensure(
    folder: Path, *, store: Store | None = None, say: Say = lambda _: None
) -> tuple[Recipe, Lock, Store]:
    """Recipe and lock of an app that fit each other, with every package at hand.

    Raises:
        Misuse: there is no lock, or it does not fit.
        Gone, Unavailable, Malformed: as `fetch`.
    """
    recipe, lock = load(folder), locks.load(folder)
    lock.check(recipe)
    place = store or store_of(folder, lock)
    fetch(lock, store=place, say=say)
    return recipe, lock, place


def store_of(folder: Path, lock: Lock) -> Store:
    """The user's store, with the packages that travel with the app looked at first."""
    return Store.of_user(vendored=folder / lock.vendor if lock.vendor else None)
