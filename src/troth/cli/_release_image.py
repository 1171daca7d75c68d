"""An image, its build record and its packages, as far as they are at hand: what the supply-chain commands read."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from troth.cli import _image
from troth.cli._console import read_source, say
from troth.errors import Misuse
from troth.image import companions

if TYPE_CHECKING:
    from troth.image.components import Components
    from troth.release.provenance import Subject
    from troth.wire.eif import Eif

_NO_RECORD: Final = "`troth build` writes one beside the image; name it with --record"


@dataclass(frozen=True, slots=True, kw_only=True)
class AtHand:
    """What was found.

    Attributes:
        name: of the image.
        image: the image, or None where only the record was named.
        subject: what the image is, or None.
        record: the build record, or None where there is none.
        record_sha256: of its bytes, or empty.
    """

    name: str
    image: "Eif | None"
    subject: "Subject | None"
    record: "dict[str, Any] | None"
    record_sha256: str


def at_hand(source: Path, record: Path | None = None) -> AtHand:
    """An image with the record beside it, or a record alone.

    Args:
        source: an EIF, or a file that ends in `.build.json`.
        record: of the image, where it is not beside it.

    Raises:
        Unavailable: it cannot be read.
        Malformed: it is neither.
        Misuse: the record is another image's.
    """
    if source.name.endswith(companions.RECORD):
        if record is not None:
            raise Misuse("two build records are named", fix="leave --record away")
        found, sha256 = _record(source)
        name = plain(source.name.removesuffix(companions.RECORD))
        return AtHand(name=name, image=None, subject=None, record=found, record_sha256=sha256)
    from troth.image.store import digest
    from troth.platforms.nitro.measure import measure
    from troth.release import provenance
    from troth.wire import eif

    data = _image.read(source)
    image = eif.read(data)
    subject = provenance.subject(image, dict(measure(image).hex()), sha256=digest(data))
    name = plain(source.stem)
    place = record or companions.of(source, companions.RECORD)
    if record is None and not place.is_file():
        return AtHand(name=name, image=image, subject=subject, record=None, record_sha256="")
    found, sha256 = _record(place)
    if found["image"]["sha256"] != subject.sha256:
        raise Misuse(
            f"{place} is of another image: its SHA-256 is {found['image']['sha256']}, "
            f"and that of {source} is {subject.sha256}",
            fix=f"build again, or name the right record with --record; or remove {place.name}",
        )
    return AtHand(name=name, image=image, subject=subject, record=found, record_sha256=sha256)


def plain(name: str) -> str:
    """A file's name as text; bytes in it that are no UTF-8 are marked."""
    return os.fsencode(name).decode("utf-8", "replace")


def parts_of(found: AtHand, packages: Path | None, tell: Callable[[str], object]) -> "Components":
    """The parts of an image, looked into as far as packages are at hand; what is not is said on stderr.

    Raises:
        Misuse: there is no build record.
    """
    from troth.image import components, looking
    from troth.image.store import Store

    if found.record is None:
        raise Misuse(f"{found.name} has no build record", fix=_NO_RECORD)
    known = components.of_record(found.record, sha256=found.record_sha256)
    files = _names(found.record)
    store = Store.of_user(vendored=packages)
    looked = looking.look(known, store=store, image=found.image, files=files, say=tell)
    for one in looked.unseen:
        say(f"note: {one.words}")
    return looked


def _record(path: Path) -> "tuple[dict[str, Any], str]":
    from troth.image import components
    from troth.image.store import digest

    data = read_source(str(path))
    return components.read_record(data, field=path.name), digest(data)


def _names(record: "dict[str, Any]") -> dict[str, str]:
    """Digest to file name, out of the lock where the record has it in it."""
    from troth.errors import Malformed
    from troth.image import lock as locks

    text = record.get("lock")
    try:
        lock = locks.parse(text.encode("ascii")) if isinstance(text, str) else None
    except (Malformed, UnicodeEncodeError):
        lock = None
    if lock is None:
        return {}
    wheels = {wheel.sha256: wheel.file for wheel in lock.all_wheels}
    return wheels | {deb.sha256: deb.file for deb in lock.all_debs}
