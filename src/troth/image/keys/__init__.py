"""Debian's archive keys, as Debian publishes them, and the fingerprints by which we pin them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from troth.errors import Malformed, Misuse
from troth.image.openpgp import fingerprints


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A Debian release that images can be built from.

    Attributes:
        name: its code name.
        title: what it is called in metadata.
        python: the version of its Python, as packages spell it.
        keyrings: file name of each keyring, and the fingerprints of every key in it.
    """

    name: str
    title: str
    python: str
    keyrings: tuple[tuple[str, tuple[str, ...]], ...]


SUITES: Final = {
    "trixie": Suite(
        name="trixie",
        title="Debian 13",
        python="3.13",
        keyrings=(
            (
                "debian-archive-trixie-automatic.gpg",
                (
                    "04b54c3cdca79751b16bc6b5225629df75b188bd",
                    "b8e5f13176d2a7a75220028078dba3bc47ef2265",
                ),
            ),
            (
                "debian-archive-trixie-stable.gpg",
                ("41587f7db8c774bccf131416762f67a0b2c39de4",),
            ),
            (
                "debian-archive-trixie-security-automatic.gpg",
                (
                    "5e04a1e3223a19a20706e20f9904613d4cce68c6",
                    "89c87acea5dd6b8e6a7068808e9f831205b4ba95",
                ),
            ),
        ),
    )
}


def suite(name: str) -> Suite:
    """The release of that name.

    Raises:
        Misuse: it is not one that we hold keys for.
    """
    if name not in SUITES:
        known = ", ".join(sorted(SUITES))
        raise Misuse(f"debian.suite is {name!r}; the suites with pinned keys are {known}")
    return SUITES[name]


def keyring(of: Suite, *, folder: Path | None = None) -> bytes:
    """The keys of a release in one OpenPGP keyring, for apt's `signed-by`.

    Args:
        of: the release.
        folder: where the keyring files are; the package's own by default.

    Raises:
        Malformed: a file holds other keys than the pinned ones.
    """
    where = Path(__file__).parent if folder is None else folder
    result = b""
    for name, pinned in of.keyrings:
        data = (where / name).read_bytes()
        found = fingerprints(data, field=name)
        if found != pinned:
            raise Malformed(
                f"holds the keys {', '.join(found)}, not the pinned {', '.join(pinned)}",
                field=name,
                fix="install troth again; this file was changed",
            )
        result += data
    return result
