"""`troth lock`: pin everything that goes into an image."""

from pathlib import Path

from troth.cli._console import out, say


def lock(
    app: Path,
    *,
    update: bool = False,
    vendor: str | None = None,
    mirror: str | None = None,
    json: bool = False,
) -> int:
    """Pin every Debian package and wheel that goes into an app, by SHA-256.

    Without `--update`, a lock that fits the recipe stays as it is and what it names is fetched.

        troth lock examples/hello
        troth lock examples/hello --update
        troth lock examples/hello --vendor packages

    Args:
        app: folder with a troth.toml.
        update: lock anew, with the newest packages of the suite.
        vendor: folder inside the app's in which to keep the packages, for the day a mirror drops them.
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
    fits = (app / locks.FILE).is_file() and not update and vendor is None
    if fits:
        found = locks.load(app)
        fits = found.recipe == recipe.pinned()
    if fits:
        found.check(recipe)
        vendored = app / found.vendor if found.vendor else None
        mirrors = Mirrors.beside(mirror) if mirror else None
        locking.fetch(found, store=Store.of_user(vendored=vendored), mirrors=mirrors, say=say)
    else:
        mirrors = Mirrors.beside(mirror) if mirror else None
        found = locking.make(app, store=Store.of_user(), mirrors=mirrors, vendor=vendor, say=say)
    summary = {
        "lock": str(app / locks.FILE),
        "changed": not fits,
        "debs": len(found.debs) + 1,
        "wheels": len(found.all_wheels),
        "kernel": found.kernel.version,
    }
    if json:
        out(strict.canonical(summary).decode())
    else:
        did = "fits the recipe" if fits else "written"
        out(
            f"{summary['lock']} {did}: {summary['debs']} Debian packages, {summary['wheels']} wheels, "
            f"kernel {found.kernel.version}"
        )
    return 0
