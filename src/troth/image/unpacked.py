"""A layer's bytes as they come out of gzip, zstd or nothing: counted, hashed, and never all at once."""

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from troth.errors import Malformed, Unavailable

PIECE: Final = 128 * 1024
MAX_UNPACKED: Final = 4 << 30
"""Bytes that all layers of one image may unpack to: what is an image's is in memory when it runs."""
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPED: Final = tuple(bytes([first]) + b"\x2a\x4d\x18" for first in range(0x50, 0x60))
_WINDOW: Final = (
    27  # log2 of the bytes a zstd stream may look back; what zstd itself takes at most, unasked
)


class Blob(Protocol):
    """Bytes at rest that can be read anywhere.

    Attributes:
        name: for errors.
        size: in bytes.
    """

    @property
    def name(self) -> str:
        """For errors."""

    @property
    def size(self) -> int:
        """In bytes."""

    def read(self, at: int, size: int) -> bytes:
        """Some bytes from an offset; fewer only at the end."""


@dataclass(slots=True)
class Budget:
    """How many bytes may still be unpacked."""

    left: int = MAX_UNPACKED

    def take(self, size: int, name: str) -> None:
        """Counts.

        Raises:
            Malformed: it is more than was left.
        """
        self.left -= size
        if self.left < 0:
            raise Malformed(
                "unpacks to more than an image may hold",
                field=name,
                fix=f"make a smaller image: its layers may unpack to {MAX_UNPACKED >> 30} GiB together",
            )


class Unpacked:
    """A stream of a layer's unpacked bytes.

    Args:
        blob: the layer as it is stored.
        budget: shared by the layers of one image.
    """

    def __init__(self, blob: Blob, budget: Budget) -> None:
        self._blob = blob
        self._budget = budget
        self._at = 0
        self._ready = b""
        self._used = 0
        self._inside = hashlib.sha256()
        head = blob.read(0, 4)
        self._tool = _tool(head)
        self._outside = self._inside if self._tool is None else hashlib.sha256()

    def read(self, size: int) -> bytes:
        """The next bytes: as many as asked for, and fewer only at the end.

        Raises:
            Malformed: damaged, or more than the budget.
        """
        end = self._used + size
        if end <= len(self._ready):
            data = self._ready[self._used : end]
            self._used = end
            return data
        parts = [self._ready[self._used :]]
        self._ready, self._used = b"", 0
        left = size - len(parts[0])
        while left and (piece := self._more()):
            parts.append(piece[:left])
            if len(piece) > left:
                self._ready, self._used = piece, left
            left -= len(parts[-1])
        return b"".join(parts)

    def skip(self, size: int) -> int:
        """Passes over bytes, and says over how many; fewer only at the end."""
        left = size
        while left and (piece := self.read(min(left, PIECE))):
            left -= len(piece)
        return size - left

    def digests(self) -> tuple[str, str]:
        """SHA-256 of the stored and of the unpacked bytes, once all are read."""
        return self._outside.hexdigest(), self._inside.hexdigest()

    def _more(self) -> bytes:
        while True:
            data = self._stored(PIECE) if self._tool is None else self._unpack(self._tool)
            if data is None:
                continue
            self._budget.take(len(data), self._blob.name)
            self._inside.update(data)
            return data

    def _unpack(self, tool: "_Tool") -> bytes | None:
        """Some bytes; none at the end; None where there may be more although this gave none."""
        if tool.ended:
            rest = tool.rest()
            if not rest and self._at == self._blob.size:
                return b""
            self._tool = tool = tool.again(rest or self._stored(PIECE))
        elif tool.hungry:
            stored = self._stored(PIECE)
            if not stored:
                raise Malformed("is cut short", field=self._blob.name, offset=self._at)
            tool.feed(stored)
        try:
            return tool.take(PIECE) or None
        except tool.error as error:
            raise Malformed(
                f"cannot be unpacked: {error}", field=self._blob.name, offset=self._at
            ) from None

    def _stored(self, size: int) -> bytes:
        data = self._blob.read(self._at, size)
        self._at += len(data)
        if self._tool is not None:
            self._outside.update(data)
        return data


class _Tool(Protocol):
    """One way of unpacking, a member at a time."""

    error: type[Exception]

    @property
    def ended(self) -> bool: ...

    @property
    def hungry(self) -> bool: ...

    def feed(self, data: bytes) -> None: ...

    def take(self, most: int) -> bytes: ...

    def rest(self) -> bytes: ...

    def again(self, data: bytes) -> "_Tool": ...


class _Gzip:
    """Members of gzip (RFC 1952), one after the other; nothing else may follow the last."""

    error: type[Exception] = zlib.error

    def __init__(self, data: bytes = b"") -> None:
        self._tool = zlib.decompressobj(wbits=31)
        self._data = data

    @property
    def ended(self) -> bool:
        return self._tool.eof

    @property
    def hungry(self) -> bool:
        return not self._data

    def feed(self, data: bytes) -> None:
        self._data = data

    def take(self, most: int) -> bytes:
        data = self._tool.decompress(self._data, most)
        self._data = self._tool.unconsumed_tail
        return data

    def rest(self) -> bytes:
        return self._tool.unused_data

    def again(self, data: bytes) -> "_Gzip":
        return _Gzip(data)


class _Zstd:
    """Frames of zstd (RFC 8878), skippable ones among them."""

    def __init__(self, module: Any, data: bytes = b"") -> None:
        self._module = module
        options = {module.DecompressionParameter.window_log_max: _WINDOW}
        self._tool = module.ZstdDecompressor(options=options)
        self._data = data
        self.error: type[Exception] = module.ZstdError

    @property
    def ended(self) -> bool:
        return bool(self._tool.eof)

    @property
    def hungry(self) -> bool:
        return bool(self._tool.needs_input) and not self._data

    def feed(self, data: bytes) -> None:
        self._data = data

    def take(self, most: int) -> bytes:
        data, self._data = self._data, b""
        return bytes(self._tool.decompress(data, most))

    def rest(self) -> bytes:
        return bytes(self._tool.unused_data)

    def again(self, data: bytes) -> "_Zstd":
        return _Zstd(self._module, data)


def _tool(head: bytes) -> _Tool | None:
    """What unpacks bytes that begin so; None for an archive that is not packed."""
    if head.startswith(_GZIP):
        return _Gzip()
    if head.startswith((_ZSTD, *_ZSTD_SKIPPED)):
        return _Zstd(_zstd())
    return None


def _zstd() -> Any:
    """The standard library's from Python 3.14 on, which others have as a package.

    Raises:
        Unavailable: it is not installed.
    """
    load: tuple[Callable[[], Any], ...] = (_of_python, _of_package)
    for way in load:
        try:
            return way()
        except ImportError:
            continue
    raise Unavailable(
        "the image's layers are packed with zstd, which needs a library that is not installed",
        fix="pip install 'troth[zstd]', or save the image with gzip layers",
    )


def _of_python() -> Any:
    from compression import zstd  # type: ignore[import-not-found,unused-ignore]

    return zstd


def _of_package() -> Any:
    from backports import zstd  # type: ignore[import-not-found,unused-ignore]

    return zstd
