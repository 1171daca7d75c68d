"""The hardware kernel in the store: its bytes by the digest that is pinned, so nothing else passes for it."""

from troth.errors import Unavailable
from troth.image.hardware import plan
from troth.image.hardware.inputs import Pinned, inputs
from troth.image.kernel import Kernel
from troth.image.store import Store


class Missing(Unavailable):
    """The hardware kernel is asked for and not built yet."""

    def __init__(self) -> None:
        super().__init__(
            "the hardware kernel is not built yet",
            fix="`troth kernel build` makes it, once for all apps; or take Debian's for now: "
            "--kernel debian",
        )


def find(store: Store) -> Kernel | None:
    """The pinned kernel, if the store has it; it has no modules.

    Raises:
        Malformed: the lock that comes with troth is damaged.
        Unavailable: the store's copy was damaged; it has been removed.
    """
    pinned = inputs().kernel
    if not store.has(sha256=pinned.sha256, name=pinned.file):
        return None
    data = store.get(sha256=pinned.sha256, name=pinned.file)
    return Kernel(image=data, version=pinned.version)


def config(store: Store) -> bytes:
    """The pinned kernel's configuration.

    Raises:
        Unavailable: the store lacks it.
    """
    return store.get(sha256=inputs().kernel.config_sha256, name=plan.CONFIG)


def keep(pinned: Pinned, store: Store, *, image: bytes, config: bytes) -> None:
    """Puts a kernel into the store; last of all the image, by which `find` knows that all is there.

    Raises:
        Malformed: it is not the one that was pinned.
        Unavailable: the disk refuses.
    """
    store.put(config, sha256=pinned.config_sha256, name=plan.CONFIG)
    store.put(image, sha256=pinned.sha256, name=pinned.file)
