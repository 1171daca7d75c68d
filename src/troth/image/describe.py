"""What an image file holds, for `inspect`: sections and files, and no verdict."""

import hashlib
from collections.abc import Iterator
from stat import S_ISDIR, S_ISLNK, filemode

from troth.image.store import digest
from troth.wire import eif, ramdisk

DEVICES = frozenset({"dev/console", "dev/null"})


def sections(image: eif.Eif) -> Iterator[dict[str, str | int]]:
    """Kind, offset, size and SHA-384 of each section."""
    for section in image.sections:
        running = hashlib.sha384()
        for piece in section.pieces:
            running.update(piece)
        yield {
            "kind": section.kind.name.lower(),
            "offset": section.offset,
            "size": section.size,
            "sha384": running.hexdigest(),
        }


def files(image: eif.Eif) -> Iterator[dict[str, str | int]]:
    """Ramdisk, path, mode, size and SHA-256 of each file, or a link's target.

    Raises:
        Malformed: a ramdisk is no archive that is read here, or they are too large together.
    """
    disks = ((disk.data, disk.offset) for disk in image.ramdisks)
    for number, entries in enumerate(ramdisk.read_all(disks, devices=DEVICES)):
        for entry in entries:
            if S_ISDIR(entry.mode):
                continue
            row: dict[str, str | int] = {
                "ramdisk": number,
                "path": f"/{entry.path}",
                "mode": filemode(entry.mode),
                "size": len(entry.data),
            }
            if S_ISLNK(entry.mode):
                row["target"] = bytes(entry.data).decode("utf-8", "replace")
            else:
                row["sha256"] = digest(entry.data)
            yield row
