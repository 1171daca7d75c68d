"""A store of files by their SHA-256: what was locked once is found again, whoever served it."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from troth.errors import Malformed, Unavailable
from troth.image.files import cache_folder, disk, write_together

DIGEST = re.compile(r"[0-9a-f]{64}")


def digest(data: bytes | memoryview) -> str:
    """SHA-256 in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Where inputs are looked for.

    Attributes:
        folder: the store proper, one file per digest.
        vendored: a folder with files under their own names, looked at first, or None.
    """

    folder: Path
    vendored: Path | None = None

    @classmethod
    def of_user(cls, *, vendored: Path | None = None) -> "Store":
        """The store in the user's cache."""
        return cls(folder=cache_folder() / "store" / "sha256", vendored=vendored)

    def has(self, *, sha256: str, name: str) -> bool:
        """Whether a file of that digest is there; its bytes are checked when it is read."""
        kept = self.vendored is not None and (self.vendored / name).is_file()
        return kept or (self.folder / sha256).is_file()

    def get(self, *, sha256: str, name: str) -> bytes:
        """The bytes of that digest.

        Raises:
            Malformed: the vendored file has other bytes than the lock says.
            Unavailable: it is not there, or the store's copy was damaged (it is then removed).
        """
        with disk(f"reading {name}"):
            if self.vendored is not None and (self.vendored / name).is_file():
                data = (self.vendored / name).read_bytes()
                check(data, sha256=sha256, name=name)
                return data
            path = self.folder / sha256
            if not path.is_file():
                raise Unavailable(f"{name} is not in the store", fix="run `troth lock` on the app")
            data = path.read_bytes()
            if digest(data) != sha256:
                path.unlink()
                raise Unavailable(
                    f"the store's copy of {name} was damaged and has been removed",
                    fix="run the command again; it is downloaded anew",
                )
            return data

    def put(self, data: bytes, *, sha256: str, name: str) -> None:
        """Keep bytes under their digest; what is there under it takes their place, for it may be damaged.

        Raises:
            Malformed: they have another one.
        """
        check(data, sha256=sha256, name=name)
        write_together(self.folder, {sha256: [data]})


def check(data: bytes, *, sha256: str, name: str) -> None:
    """Compare bytes with the digest that a lock gives for them.

    Raises:
        Malformed: it is another one.
    """
    found = digest(data)
    if found != sha256:
        raise Malformed(
            f"has the SHA-256 {found}, the lock says {sha256}",
            field=name,
            fix="do not use this file; remove it if it is yours, or try another mirror with --mirror URL",
        )
