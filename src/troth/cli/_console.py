"""stdout is data, stderr is talk; colour is decoration; files are written whole or not at all."""

import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Final, TextIO

from troth.errors import Malformed, Misuse, TrothError, Unavailable
from troth.render.escape import visible
from troth.render.paint import Paint, for_encoding

MAX_SOURCE: Final = 64 * 1024 * 1024


def out(text: str) -> None:
    """Writes data to stdout, with a line end."""
    _write(sys.stdout, text)


def say(text: str) -> None:
    """Writes talk to stderr, with a line end."""
    _write(sys.stderr, text)


def complain(error: TrothError) -> None:
    """`error: …` and `fix: …` on stderr; what the message quotes is hostile and is spelled out."""
    paint = Paint(coloured(sys.stderr))
    say(f"{paint('bad', 'error')}: {visible(str(error))}")
    if error.fix:
        say(f"  {paint('key', 'fix')}: {visible(error.fix)}")


def coloured(stream: TextIO) -> bool:
    """Whether escape sequences are welcome: a terminal, and nobody said no."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def width(stream: TextIO, most: int) -> int:
    """Columns for running text: the terminal's, within reason; fixed where there is none."""
    if not stream.isatty():
        return most
    try:
        return max(50, min(os.get_terminal_size(stream.fileno()).columns, most))
    except OSError:
        return most


def read_source(source: str, *, limit: int = MAX_SOURCE) -> bytes:
    """The bytes of a file, or of stdin for `-`.

    Raises:
        Unavailable: it cannot be read.
        Malformed: it is larger than `limit`.
    """
    try:
        if source == "-":
            data = sys.stdin.buffer.read(limit + 1)
        else:
            with Path(source).open("rb") as file:
                data = file.read(limit + 1)
    except FileNotFoundError:
        raise Unavailable(
            f"there is no file {source}", fix="name a file, `-`, or https://HOST"
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Unavailable(f"cannot read {source}: {reason}") from None
    if len(data) > limit:
        raise Malformed(f"is larger than {limit} bytes", field=source, offset=limit)
    return data


def exists(path: Path) -> bool:
    """Whether there is something of this name; False for a name that no file can have.

    `Path.exists` raises for those, and for folders that may not be searched.
    """
    return os.path.exists(path)  # noqa: PTH110 - see above


def refuse_existing(*paths: Path | None) -> None:
    """Refuses to write over what is there, before any work is done for it.

    Raises:
        Misuse: there is something.
    """
    for path in paths:
        if path is not None and exists(path):
            raise Misuse(f"{path} exists", fix="name another file, or remove it first")


def read_text(path: Path, *, limit: int = 1024 * 1024) -> str:
    """A small UTF-8 file of the caller's.

    Raises:
        Unavailable: it cannot be read.
        Misuse: it is not text.
    """
    try:
        return read_source(str(path), limit=limit).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Misuse(f"{path} is not UTF-8 text (byte {error.start})") from None


def write_file(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Writes a file beside its place and moves it there, so that no half file is taken for a whole one.

    A device or a pipe, such as /dev/null, is written to and never replaced; a link is followed.

    Args:
        path: where it shall be.
        data: all of it.
        replace: whether an existing file may go.

    Raises:
        Unavailable: the disk refuses.
        Misuse: it exists and must not be replaced.
    """
    path = Path(os.path.realpath(path))
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        scratch = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            scratch.chmod(0o666 & ~_umask())
            if replace:
                scratch.replace(path)
            else:
                path.hardlink_to(scratch)
        finally:
            with contextlib.suppress(FileNotFoundError):
                scratch.unlink()
    except FileExistsError:
        raise Misuse(f"{path} exists", fix="name another file, or remove it first") from None
    except OSError as error:
        raise Unavailable(f"cannot write {path}: {error.strerror}") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _write(stream: TextIO, text: str) -> None:
    stream.write(for_encoding(text, stream.encoding or "utf-8") + "\n")
