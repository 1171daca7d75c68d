"""Having the kernel at hand that an image is to have, and saying what is done about it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from troth.image.apt import Mirrors
    from troth.image.store import Store


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
    from troth.cli._progress import progress
    from troth.image.hardware import build as builder
    from troth.image.hardware import kept
    from troth.runtime import workshop

    if not check and kept.find(store) is not None:
        return {}
    with progress() as tell:
        made = builder.build(store, sandbox=workshop.run, twice=check, mirrors=mirrors, say=tell)
    return made.seconds
