"""What a rebuild is compared with, and how that is told."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from troth.cli import _console, _diff, _image
from troth.cli._against import elsewhere
from troth.cli._console import out as data_out
from troth.cli._console import read_source
from troth.errors import Malformed, Misuse
from troth.render.escape import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from troth.image.compare import Difference
    from troth.image.rebuild import Rebuilt
    from troth.image.stated import Stated
    from troth.model.report import Report

SCHEMA: Final = "troth/rebuild/1"
_MOST: Final = 200
# Of a record, what is another because the image is: then the files themselves are told.
_FOLLOWS: Final = frozenset({"app", "image", "nitro", "packages", "surface"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What came of comparing.

    Attributes:
        image: the first image's name, size and digest, or None where it is not at hand.
        signed: whether it was equal but for a signature.
        record: whether there was a build record.
        commit: that this record names as its source, or an empty text.
        found: differences of source, record and image, each with what is known of it.
        left_out: how many more there are.
    """

    image: dict[str, Any] | None
    signed: bool
    record: bool
    commit: str
    found: "tuple[_diff.Known, ...]"
    left_out: int

    @property
    def differs(self) -> bool:
        """Whether anything does."""
        return bool(self.found)


def shown(path: Path) -> str:
    """A path as text, also one that is no UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def is_place(name: str) -> bool:
    """Whether a target is a source: an address or a folder."""
    return "://" in name or "::" in name or Path(name).is_dir()


def target(name: str, image: Path | None) -> "tuple[str, memoryview | None, Stated | None]":
    """Name and bytes of the image to compare with, and the build record, where there are any.

    Raises:
        Unavailable, Malformed: a file cannot be read, or is neither image nor record.
        Misuse: two images, or no record where one is needed.
    """
    from troth.image import companions, stated

    path = Path(name)
    if is_place(name):
        if image is None:
            return "", None, None
        beside = companions.of(image, companions.RECORD)
        record = stated.read(_small(beside), field=str(beside)) if beside.is_file() else None
        return shown(image), _eif(image), record
    if not _image.begins(path):
        data = _small(path)
        if not data.lstrip().startswith(b"{"):
            raise Malformed(
                "is neither an image nor a build record",
                field=name,
                fix="name an image that has its build record beside it, or a build record (NAME.build.json)",
            )
        record = stated.read(data, field=name)
        return ("", None, record) if image is None else (shown(image), _eif(image), record)
    if image is not None:
        raise Misuse("the target is an image already", fix="leave --image away")
    beside = companions.of(path, companions.RECORD)
    if not beside.is_file():
        raise Misuse(
            f"there is no build record {beside.name} beside {name}",
            fix="name the source as the target: troth rebuild APP --image IMAGE",
        )
    return shown(path), _eif(path), stated.read(_small(beside), field=str(beside))


def _small(path: Path) -> bytes:
    from troth.image import stated

    return read_source(str(path), limit=stated.MOST)


def _eif(path: Path) -> memoryview:
    from troth.wire import eif

    data = _image.read(path)
    eif.read(data)  # what is no image is said before anything is built
    return data


def refuse_existing(out: Path) -> None:
    """Refuses to write over what is there, which may be the image or the record that is compared.

    Raises:
        Misuse: there is something.
    """
    from troth.image import companions

    beside = (companions.of(out, one) for one in (companions.MEASUREMENTS, companions.RECORD))
    _console.refuse_existing(out, *beside)


def refuse_raw(rebuilt: "Rebuilt") -> None:
    """Refuses evidence of an app that has the security module itself.

    Raises:
        Misuse: it has.
    """
    if rebuilt.raw_nsm:
        raise Misuse(_image.RAW.format("the rebuild"), fix=_image.RAW_FIX)


def compared(
    name: str,
    data: memoryview | None,
    stated: "Stated | None",
    rebuilt: "Rebuilt",
    *,
    of_source: "list[Difference]",
) -> Compared:
    """All that there is to compare, compared."""
    from troth.image import rebuild
    from troth.wire import json

    differences = list(of_source)
    left_out, signed, image_differs = 0, False, False
    images: tuple[Difference, ...] = ()
    if data is not None:
        found, signed = rebuild.of_image(data, rebuilt)
        if found is not None:
            images, left_out = found.differences, found.left_out
            signed, image_differs = False, True
        elif signed:
            images = tuple(_unsound(data, rebuilt))
    if stated is not None:
        differences += [
            one
            for one in rebuild.of_record(stated, rebuilt)
            if not image_differs or one.path.partition(".")[0] not in _FOLLOWS
        ]
    differences += images
    left_out += max(0, len(differences) - _MOST)
    image = None
    if data is not None:
        image = {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    record = json.parse(rebuilt.record, field="record")
    return Compared(
        image=image,
        signed=signed,
        record=stated is not None,
        commit=stated.source.commit if stated is not None and stated.source else "",
        found=_diff.known(differences[:_MOST], (record,)),
        left_out=left_out,
    )


def _unsound(data: memoryview, rebuilt: "Rebuilt") -> "Iterator[Difference]":
    """What stands in a signature's place and is none: it was taken off, and nothing else looks at it."""
    from troth.image.compare import Difference
    from troth.wire import eif

    own = "it is made by its owner's key"
    for words in _image.unsound(eif.read(data), rebuilt.nitro["pcr0"]):
        yield Difference(section="signature", what="value", first=words, second=own)


def show(
    compared: Compared,
    rebuilt: "Rebuilt",
    *,
    report: "Report | None",
    told: dict[str, object],
    out: Path | None,
    code: int,
    json: bool,
) -> int:
    """Prints what came of it, and gives the exit code back."""
    from troth.wire import json as strict

    if json:
        document = {
            "schema": SCHEMA,
            "equal": code == 0,
            "source": told,
            "rebuilt": {
                "sha256": rebuilt.sha256,
                "size": len(rebuilt.image),
                "nitro": dict(rebuilt.nitro),
                **({} if out is None else {"image": shown(out)}),
            },
            "image": compared.image,
            "signature_apart": compared.signed,
            "record": compared.record,
            "record_source": _is_source(compared, told),
            "differences": [_diff.plain(one) for one in compared.found],
            "left_out": compared.left_out,
            "evidence": None if report is None else _report(report),
            "elsewhere": [] if report is None else elsewhere(report, rebuilt.nitro),
        }
        data_out(strict.canonical(document).decode())
        return code
    where = str(told.get("folder", ""))
    if not where:
        tag = f", tag {told['tag']}" if "tag" in told else ""
        where = f"{told['git']}{tag}, commit {told['commit']}"
    data_out(f"source   {visible(where)}")
    data_out(f"rebuilt  sha256 {rebuilt.sha256}, {len(rebuilt.image)} bytes")
    for register, value in rebuilt.nitro.items():
        data_out(f"  {register}  {value}")
    if out is not None:
        data_out(f"kept as  {visible(shown(out))}")
    _diff.print_all(compared.found, compared.left_out)
    if report is not None:
        from troth.render.text import report_text

        data_out(report_text(report).rstrip("\n"))
        for line in elsewhere(report, rebuilt.nitro):
            data_out(line)
    data_out(_last(compared, report, code, own=_is_source(compared, told)))
    return code


def _is_source(compared: Compared, told: dict[str, object]) -> bool | None:
    """Whether the source was the commit that the record names; None where it names none."""
    return told.get("commit") == compared.commit if compared.commit else None


def _report(report: "Report") -> Any:
    from troth.render.json import report_json
    from troth.wire import json as strict

    return strict.parse(report_json(report), field="report")


def _last(compared: Compared, report: "Report | None", code: int, *, own: bool | None) -> str:
    """In one line, what was equal to what."""
    if compared.differs:
        return "differs"
    parts = []
    if compared.image is not None:
        but = ", but for its signature, which needs its owner's key" if compared.signed else ""
        parts.append(f"the image's bytes{but}")
    if compared.record:
        but = (
            ""
            if own is not False
            else ", but for the commit that it names: another source was taken"
        )
        parts.append(f"what the build record says{but}")
    if report is not None and code == 0:
        parts.append("what runs, by verified evidence")
    if code == 0:
        return f"equal to {'; to '.join(parts)}"
    what = "the rebuild is not shown to be what runs: the evidence is " + str(
        report.verdict if report else ""
    )
    return f"equal to {'; to '.join(parts)}; {what}" if parts else what
