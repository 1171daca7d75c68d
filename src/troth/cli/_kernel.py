"""Having the kernel at hand that an image is to have, and saying what is done about it."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from troth.image.apt import Mirrors
    from troth.image.store import Store

Name = Literal["debian", "hardware"]
"""What `--kernel` takes; the same as `recipe.KERNELS`."""


def choose(app: Path, asked: Name | None, *, make: bool, root: Path | None = None) -> str:
    """The kernel that an app's image gets, at hand.

    Args:
        app: its folder.
        asked: in the place of the recipe's, or None.
        make: build the hardware kernel where it is needed and not there. Else Debian's stands in for
            it, which is said; for development only, because the image measures otherwise.
        root: what the app's root is taken from, where it brings one.

    Raises:
        Misuse, Malformed: the recipe is none.
        Unavailable, Malformed, Gone: as `hardware.build.build`.
    """
    from troth.cli._console import say
    from troth.image.hardware import kept
    from troth.image.recipe import load
    from troth.image.store import Store

    wanted = load(app).kernel
    if asked is not None and asked != wanted:
        say(
            f"note: the recipe asks for the kernel {wanted!r}, and --kernel for {asked!r}: "
            "this image measures otherwise, and its record says so"
        )
    kernel = asked or wanted
    if kernel == "hardware":
        store = Store.of_user()
        if make:
            _ensure_for(app, store, root)
        elif kept.find(store) is None:
            say(
                "note: the hardware kernel is not built yet, so this run has Debian's; "
                "`troth kernel build` makes it, once for all apps"
            )
            return "debian"
    return kernel


def _ensure_for(app: Path, store: "Store", root: Path | None) -> None:
    """Builds the kernel if the store lacks it, but not for an app that could not be built with it."""
    from troth.image import build as builder
    from troth.image.hardware import kept

    if kept.find(store) is None:
        try:
            builder.build(app, kernel="hardware", root=root)
        except kept.Missing:
            ensure(store)


def ensure(
    store: "Store", *, check: bool = False, mirrors: "Mirrors | None" = None
) -> dict[str, float]:
    """Builds the hardware kernel where the store lacks it, or where a check is asked for.

    Args:
        store: where it is kept.
        check: build it twice and compare, whether it is there or not.
        mirrors: where packages are; the machine's own by default.

    Returns:
        The seconds of each phase; nothing where it was there.

    Raises:
        Unavailable, Malformed, Gone: as `hardware.build.build`.
    """
    from troth.cli._console import say
    from troth.cli._progress import progress
    from troth.image.hardware import build as builder
    from troth.image.hardware import kept
    from troth.runtime import workshop

    if not check and kept.find(store) is not None:
        return {}
    say(f"building the hardware kernel{' twice' if check else ''}, which takes some minutes")
    with progress() as tell:
        made = builder.build(store, sandbox=workshop.run, twice=check, mirrors=mirrors, say=tell)
    return made.seconds
