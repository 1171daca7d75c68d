"""Linux asks every kind of guest's firmware through one interface, so TDX and SNP share this part."""

# ruff: noqa: PTH102, PTH106, PTH112 - one folder, and pathlib is a slow import for an init

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from troth.errors import Malformed, Unavailable
from troth.platforms import _guest

BASE: Final = "/sys/kernel/config/tsm/report"
_MAX: Final = 128 * 1024  # bytes of a blob; what the platforms read is smaller
_MAX_TEXT: Final = 4096
_TRIES: Final = 5
_PAUSE: Final = 0.1  # seconds, longer each time
_ROOT: Final = "run this as root; nobody else may ask for a report"
_DRIVER: Final = "load the guest's driver (modprobe tdx-guest, or modprobe sev-guest)"
_SERVICE: Final = "see the guest's kernel log; on TDX, have the host's quote service (QGS) started"
_FIXES: Final = {
    errno.EACCES: _ROOT,
    errno.EPERM: _ROOT,
    errno.ENOENT: "mount configfs at /sys/kernel/config; the kernel should be Linux 6.7 or later",
    errno.ENXIO: _DRIVER,
    errno.ENODEV: _DRIVER,
    errno.EINVAL: "ask for a privilege level that this guest may ask for",
    errno.EIO: _SERVICE,
    errno.ETIMEDOUT: _SERVICE,
}
_PASSING: Final = (errno.EBUSY, errno.EAGAIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the kernel gave.

    Attributes:
        outblob: the report or quote.
        auxblob: what came with it, or nothing; of an SNP guest the host's certificate table.
    """

    outblob: bytes
    auxblob: bytes


def there(base: str = BASE) -> bool:
    """Whether this kernel has the interface."""
    return os.path.isdir(base)


def ask(data: bytes, *, provider: str, base: str = BASE, level: int | None = None) -> Answer:
    """A report over `data`, from a report folder that is made for it and removed.

    Reports that the kernel says were disturbed, and passing trouble, are tried again.

    Args:
        data: what is reported over.
        provider: the kernel's name for the kind of guest: `tdx_guest` or `sev_guest`.
        base: where report folders are made.
        level: privilege level to report; the lowest that this guest may ask for where None is given.

    Raises:
        Unavailable: no driver, no permission, another kind of guest, or the host gave nothing.
        Malformed: the kernel gave something that its interface does not have.
    """
    trouble = ""
    for attempt in range(_TRIES):
        time.sleep(_PAUSE * attempt)
        try:
            with _folder(base) as folder:
                answer = _asked(folder, data, provider, level)
        except OSError as error:
            trouble = error.strerror or "it failed"
            if error.errno not in _PASSING:
                raise Unavailable(
                    f"{base} gave no report: {trouble}", fix=_FIXES.get(error.errno or 0, "")
                ) from error
            continue
        if answer is not None:
            return answer
        trouble = "another program wrote into the report's folder"
    raise Unavailable(f"{base} gave no report in {_TRIES} tries: {trouble}", fix="try again later")


@contextmanager
def _folder(base: str) -> Iterator[str]:
    path = f"{base}/troth-{os.urandom(8).hex()}"
    os.mkdir(path)
    try:
        yield path
    finally:
        os.rmdir(path)


def _asked(folder: str, data: bytes, provider: str, level: int | None) -> Answer | None:
    """The answer, or None if it may be over what somebody else wrote."""
    found = _text(folder, "provider")
    if found != provider:
        raise Unavailable(
            f"this guest's reports are of {found[:40]!r}, not of {provider!r}",
            fix="ask for evidence of the platform that this is a guest of",
        )
    generation = _number(folder, "generation")
    level = level if level is not None else _floor(folder)
    if level is not None:
        _guest.write(f"{folder}/privlevel", b"%d" % level)
        generation += 1
    # What the kernel says to this comes when the file is closed, and is lost: the generation tells.
    _guest.write(f"{folder}/inblob", data)
    generation += 1
    if _number(folder, "generation") != generation:
        return None
    answer = Answer(
        outblob=_guest.read(f"{folder}/outblob", _MAX), auxblob=_optional(folder, "auxblob")
    )
    if _number(folder, "generation") != generation:
        return None
    if not answer.outblob:
        raise Unavailable("configfs-tsm gave an empty report", fix=_SERVICE)
    return answer


def _floor(folder: str) -> int | None:
    """The lowest level to ask for, where the guest has levels and it is not what is asked anyway."""
    try:
        return _number(folder, "privlevel_floor") or None
    except FileNotFoundError:
        return None


def _number(folder: str, name: str) -> int:
    text = _text(folder, name)
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        raise Malformed(f"is {text[:40]!r}, no number", field=name)
    return int(text)


def _text(folder: str, name: str) -> str:
    return _guest.read(f"{folder}/{name}", _MAX_TEXT).decode("ascii", "replace").strip()


def _optional(folder: str, name: str) -> bytes:
    try:
        return _guest.read(f"{folder}/{name}", _MAX)
    except FileNotFoundError:
        return b""
