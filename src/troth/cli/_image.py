"""From a named image to the measurements it should have: an EIF's bytes, or a file of measurements."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from troth.cli._console import read_source
from troth.errors import Malformed, Misuse, Unavailable
from troth.image import companions

if TYPE_CHECKING:
    from troth.platforms.nitro.signature import Problem
    from troth.wire.eif import Eif

MAX_IMAGE: Final = 4 << 30
RAW: Final = (
    "{}: its app has the security module itself (raw_nsm), so its evidence is bound to what the app "
    "likes, and no policy of troth's fits it"
)
RAW_FIX: Final = (
    "set raw_nsm = false in its troth.toml and build it again, or judge by rules of your own"
)
ENDING: Final = companions.MEASUREMENTS
Measurements = Mapping[str, Mapping[str, str | tuple[str, ...]]]
"""Platform to register to its value, or to several that stand for the same image."""

_CONFIG: Final = "etc/troth/app.json"
_DEVICES: Final = frozenset({"dev/console", "dev/null"})
_MAX_SMALL: Final = 64 * 1024
_MAX_VALUES: Final = 64
_ABOUT: Final = frozenset({"schema", "image", "assumed"})
_PIECE: Final = 1 << 24
_HEX: Final = frozenset("0123456789abcdef")


def expected(path: Path) -> Measurements:
    """What `--image` asks for.

    An EIF is measured here. A firmware image is not: what it measures to depends on how it is loaded.
    Nor is what a dstack image says of itself: whoever takes its word should say so.
    A file of measurements is believed, because the caller names it; one that merely lies beside an
    image never is.

    Args:
        path: an EIF, or a file that ends in `.measurements.json`.

    Raises:
        Unavailable: it cannot be read.
        Malformed: it is neither.
        Misuse: it is one of those; or its app has the security module itself; or the file beside an EIF says something else than the EIF measures to.
    """
    found, has_it = measured(path)
    if has_it:
        raise Misuse(RAW.format(path), fix=RAW_FIX)
    return found


def measured(path: Path) -> tuple[Measurements, bool]:
    """As `expected`, for what is no policy: also whether the image's app has the security module itself."""
    from troth.platforms.tdx import dstack_image
    from troth.wire import eif, ovmf

    if path.name.endswith(ENDING):
        return read_measurements(read_source(str(path), limit=_MAX_SMALL), field=str(path))
    data = read(path)
    if ovmf.is_firmware(data) or dstack_image.is_image(data):
        raise Misuse(
            f"{path} is no EIF, and what it measures to depends on how it is loaded",
            fix=f"`troth measure {path.name} -o {path.stem}{ENDING}` with the loader's options, "
            "then name that file",
        )
    image = eif.read(data)
    return {"nitro": measure_eif(path, image)}, has_module(image)


def has_module(image: "Eif") -> bool:
    """Whether the image's app may have the security module sign whatever it likes.

    Its evidence is genuine, and says which image asked; but what it is bound to is the app's word and not
    the agent's, so no channel and no key of troth's follows from it. An image that is none of troth's says
    nothing of the kind.
    """
    from troth.wire import json, ramdisk

    try:
        disks = ((disk.data, disk.offset) for disk in image.ramdisks)
        for entries in ramdisk.read_all(disks, devices=_DEVICES):
            for entry in entries:
                if entry.path == _CONFIG:
                    said = json.parse(bytes(entry.data), field=_CONFIG).get("raw_nsm")
                    if said is not False:
                        return True
    except (Malformed, AttributeError):
        pass
    return False


def name_of(path: Path) -> str:
    """The image's name without what its file's name ends in."""
    name = path.name
    return name.removesuffix(ENDING) if name.endswith(ENDING) else path.stem


def measure_eif(path: Path, image: "Eif") -> dict[str, str]:
    """What an EIF measures to, computed from its bytes.

    A `.measurements.json` beside it is never believed, but where it says something else, one of the
    two is stale and the caller should know which.

    Raises:
        Malformed: it is signed, and its signature section is none.
        Misuse: the file beside it says something else.
    """
    from troth.platforms.nitro.measure import measure

    measured = dict(measure(image).hex())
    _agrees(path, measured)
    return measured


def refusals(image: "Eif", pcr0: str) -> "tuple[Problem, ...]":
    """Why no host would start a signed image today; nothing for one that is not signed.

    Args:
        image: the image.
        pcr0: what it measures to, in hex.

    Raises:
        Malformed: its signature section is none.
    """
    from datetime import UTC, datetime

    from troth.platforms.nitro.measure import signature

    signed = signature(image)
    if signed is None:
        return ()
    from troth.platforms.nitro.signature import problems

    return problems(signed, pcr0=bytes.fromhex(pcr0), at=datetime.now(UTC))


def unsound(image: "Eif", pcr0: str) -> tuple[str, ...]:
    """Why what stands in the place of a signature is none of this image; nothing for one that is not signed.

    Whether the certificate is valid today is no question of what is in the image.

    Args:
        image: the image.
        pcr0: what it measures to, in hex.
    """
    from troth.platforms.nitro import measure, signature

    try:
        signed = measure.signature(image)
        if signed is None:
            return ()
        at = signature.signer(signed.certificate).not_before
        found = signature.problems(signed, pcr0=bytes.fromhex(pcr0), at=at)
    except (Malformed, Misuse) as error:
        return (str(error),)
    return tuple(one.words for one in found)


def begins(path: Path) -> bool:
    """Whether a file begins as an EIF does.

    Raises:
        Unavailable: it cannot be read.
    """
    from troth.wire import eif

    try:
        with path.open("rb") as file:
            return file.read(len(eif.MAGIC)) == eif.MAGIC
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Unavailable(f"cannot read {path}: {reason}") from None


def read(path: Path) -> memoryview:
    """The bytes of an image; of what is no EIF, such as /dev/zero, no more than firmware can have.

    Raises:
        Unavailable: it cannot be read.
        Malformed: it is larger than any image.
    """
    from troth.wire import eif

    data = bytearray()
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            while size <= MAX_IMAGE and (piece := file.read(_PIECE)):
                data += piece
                size = max(size, len(data))
                if not data.startswith(eif.MAGIC):
                    data += file.read(1)  # firmware fits into a piece; more is seen to be more
                    break
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Unavailable(f"cannot read {path}: {reason}") from None
    if size > MAX_IMAGE:
        raise Malformed(
            f"is larger than {MAX_IMAGE >> 30} GiB, the most that an image may have",
            field=str(path),
            fix="name an image that `troth build` made",
        )
    return memoryview(data)


def read_measurements(data: bytes, *, field: str) -> tuple[Measurements, bool]:
    """What a file of measurements says, as `troth build` and `troth measure -o` write it.

    Names and sizes of registers are checked by the policy that it goes into.

    Args:
        data: the file.
        field: its name, for errors.

    Returns:
        The measurements, and whether the image's app has the security module itself.

    Raises:
        Malformed: it is not such a file, or says nothing.
    """
    from troth.policy.names import REGISTERS
    from troth.wire import json

    document = json.parse(data, field=field)
    if not isinstance(document, dict) or document.get("schema") != companions.SCHEMA:
        raise Malformed(
            f"is not a file of measurements ({companions.SCHEMA})",
            field=field,
            fix="`troth build` and `troth measure -o` write such files",
        )
    platforms = {name: value for name, value in document.items() if name not in _ABOUT}
    for name, registers in platforms.items():
        if name not in REGISTERS:
            raise Malformed(f"names {name!r}, which is no platform", field=field)
        if not isinstance(registers, dict) or not registers:
            raise Malformed(f"says nothing of {name}", field=field)
    if not platforms:
        raise Malformed("holds no measurements", field=field)
    about = document.get("image")
    return {
        platform: {name: _values(value, f"{field}: {name}") for name, value in registers.items()}
        for platform, registers in platforms.items()
    }, isinstance(about, dict) and about.get("raw_nsm", False) is not False


def _values(value: Any, field: str) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not 1 <= len(values) <= _MAX_VALUES:
        raise Malformed(f"is not hex, or a list of 1 to {_MAX_VALUES} of it", field=field)
    for item in values:
        if not isinstance(item, str) or not item or not _HEX.issuperset(item):
            raise Malformed("is not lower-case hex", field=field)
    if len(set(values)) != len(values):
        raise Malformed("lists one value twice", field=field)
    return tuple(values)


def _agrees(path: Path, measured: dict[str, str]) -> None:
    from troth.wire import json

    beside = companions.of(path, ENDING)
    if not beside.is_file():
        return
    document = json.parse(read_source(str(beside), limit=_MAX_SMALL), field=str(beside))
    said = document.get("nitro") if isinstance(document, dict) else None
    if said != measured:
        raise Misuse(
            f"{beside} says something else than {path} measures to: one of the two is stale",
            fix=f"build again, or remove {beside.name}",
        )
