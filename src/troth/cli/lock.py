"""`troth lock`: pin everything that goes into an image."""

from pathlib import Path
from typing import TYPE_CHECKING

from troth.cli._console import out
from troth.cli._progress import progress
from troth.errors import Malformed

if TYPE_CHECKING:
    from troth.image.lock import Lock


def lock(
    app: Path,
    *,
    update: bool = False,
    vendor: str | None = None,
    mirror: str | None = None,
    json: bool = False,
) -> int:
    """Pin every Debian package and wheel that goes into an app, by SHA-256.

    A lock that fits the recipe stays as it is, and what it names is fetched; `--update` makes a new one.

        troth lock examples/hello
        troth lock examples/hello --update
        troth lock examples/hello --vendor packages

    Args:
        app: folder with a troth.toml.
        update: lock anew, with the newest packages of the suite.
        vendor: folder inside the app's in which to keep the packages, for the day a mirror drops them;
            the lock remembers it.
        mirror: address of a Debian archive; the machine's own apt decides by default.
        json: print the result as JSON.
    """
    from troth.image import lock as locks
    from troth.image import locking
    from troth.image.apt import Mirrors
    from troth.image.recipe import load
    from troth.image.store import Store
    from troth.wire import json as strict

    recipe = load(app)
    if vendor is not None:
        locking.check_vendor(vendor, recipe)
    mirrors = Mirrors.beside(mirror) if mirror else None
    old = _old(app, update=update)
    if vendor is None and old is not None:
        vendor = old.vendor or None
    with progress() as tell:
        if old is not None and not update and old.fits(recipe):
            store = locking.store_of(app, old)
            locking.fetch(old, store=store, mirrors=mirrors, say=tell)
            found = (
                locking.keep(old, app, vendor, store=store)
                if vendor and vendor != old.vendor
                else old
            )
        else:
            found = locking.make(
                app, store=Store.of_user(), mirrors=mirrors, vendor=vendor, say=tell
            )
    changed = found != old
    summary = {
        "lock": str(app / locks.FILE),
        "changed": changed,
        "debs": len(found.all_debs),
        "wheels": len(found.all_wheels),
        "kernel": found.kernel.version,
        "vendor": found.vendor,
    }
    if json:
        out(strict.canonical(summary).decode())
        return 0
    out(
        f"{summary['lock']} {'written' if changed else 'fits the recipe'}: {summary['debs']} Debian "
        f"packages, {summary['wheels']} wheels, kernel {found.kernel.version}"
    )
    if found.vendor:
        out(f"the packages are kept in {app / found.vendor}")
    return 0


def _old(app: Path, *, update: bool) -> "Lock | None":
    """The lock that there is; with `--update` a broken one is as good as none."""
    from troth.image import lock as locks

    if not (app / locks.FILE).is_file():
        return None
    try:
        return locks.load(app)
    except Malformed:
        if update:
            return None
        raise
