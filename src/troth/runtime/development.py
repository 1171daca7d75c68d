"""The user's own development PKI, made on first use.

Its evidence counts only where its root is passed by name. The keys never leave the user's machine.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from troth.runtime import folders

if TYPE_CHECKING:
    from troth.platforms.nitro.simulate_pki import DevelopmentPki

_KEY_FILE = "pki.pem"
_ROOT_FILE = "root.pem"


def folder() -> Path:
    """Where the development PKI of the simulated Nitro lives."""
    return folders.data() / "development" / "nitro"


def root_file() -> Path:
    """The root certificate alone, as `--trust` takes it. It is there once `nitro()` was called."""
    return folder() / _ROOT_FILE


def nitro() -> "DevelopmentPki":
    """Reads this user's PKI, or makes it if there is none.

    Two processes that come first at once agree: the one that puts its file there first wins.

    Raises:
        Unavailable: the folder can't be written or read.
        Malformed: the file is there and is no development PKI.
    """
    from troth.platforms.nitro.simulate_pki import DevelopmentPki

    place = folders.private(folder())
    keys = place / _KEY_FILE
    with folders.explained(f"the development PKI in {place} cannot be kept"):
        if not keys.exists():
            fresh = DevelopmentPki.create(datetime.now(UTC))
            folders.create(keys, fresh.to_pem_bundle().encode("ascii"))
        pki = DevelopmentPki.from_pem_bundle(keys.read_text("ascii", "replace"))
        root = place / _ROOT_FILE
        wanted = pki.root_pem().encode("ascii")
        if not root.exists() or root.read_bytes() != wanted:
            folders.replace(root, wanted)
    return pki
