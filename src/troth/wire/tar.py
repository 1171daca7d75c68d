"""tar archives, read from front to back: ustar, GNU long names, and PAX headers.

Readers of tar disagree on what is not written down; whatever two of them could read in two ways is
refused here. Owners and times are not read at all. Does not judge names: they are as written.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from troth.errors import Malformed

BLOCK: Final = 512
MAX_EXTENSION: Final = 1024 * 1024
PIECE: Final = 256 * 1024
_USTAR: Final = b"ustar\x0000"
_PERMISSIONS: Final = 0o7777
_NAME: Final = slice(0, 100)
_MODE: Final = slice(100, 108)
_SIZE: Final = slice(124, 136)
_CHECKSUM: Final = slice(148, 156)
_TYPE: Final = 156
_TARGET: Final = slice(157, 257)
_MAGIC: Final = slice(257, 265)
_PREFIX: Final = slice(345, 500)
_XATTR: Final = ("SCHILY.xattr.", "LIBARCHIVE.xattr.", "SCHILY.acl.")
_SPARSE: Final = "GNU.sparse."
_MOST_DIGITS: Final = 20  # of a size below 2**64


class Kind(Enum):
    """What a member is."""

    FILE = "file"
    HARD_LINK = "hard link"
    LINK = "link"
    FOLDER = "folder"
    CHARACTER_DEVICE = "character device"
    BLOCK_DEVICE = "block device"
    PIPE = "pipe"


_KINDS: Final = {
    ord("0"): Kind.FILE,
    0: Kind.FILE,
    ord("7"): Kind.FILE,
    ord("1"): Kind.HARD_LINK,
    ord("2"): Kind.LINK,
    ord("3"): Kind.CHARACTER_DEVICE,
    ord("4"): Kind.BLOCK_DEVICE,
    ord("5"): Kind.FOLDER,
    ord("6"): Kind.PIPE,
}
_REFUSED: Final = {
    "S": "a sparse file of GNU's",
    "M": "part of an archive of several volumes",
    "V": "a volume's label",
    "D": "a GNU dump's folder",
    "N": "a name in an old form of GNU's",
    "X": "an extended header of Solaris's",
}


class Stream(Protocol):
    """Where the bytes come from."""

    def read(self, size: int) -> bytes:
        """The next bytes: as many as asked for, and fewer only at the end."""

    def skip(self, size: int) -> int:
        """Passes over bytes, and says over how many; fewer only at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member.

    Attributes:
        name: as written; a PAX header's comes first.
        kind: what it is.
        mode: permissions.
        size: of a file, in bytes.
        target: of a link or hard link, as written.
        attributes: names of extended attributes and access lists, which are not read.
        at: offset of its header.
        begin: offset of its data.
    """

    name: str
    kind: Kind
    mode: int
    size: int = 0
    target: str = ""
    attributes: tuple[str, ...] = ()
    at: int = 0
    begin: int = 0


class Archive:
    """The members of one archive, in their order; each one's data may be taken before the next.

    Args:
        stream: gives the bytes; read to its very end.
        field: the archive's name, for errors.
    """

    def __init__(self, stream: Stream, *, field: str) -> None:
        self._stream = stream
        self._field = field
        self._at = 0
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        """Walks to the end.

        Raises:
            Malformed: a damaged header, one that can be read in two ways, a kind that is not read here,
                no end, or something behind it.
        """
        while True:
            self._finish()
            at = self._at
            block = self._take(BLOCK, "header")
            if not any(block):
                break
            yield self._member(block, at)
        while piece := self._stream.read(PIECE):
            if piece.count(0) != len(piece):
                raise self._malformed("something follows the archive's end", self._at)
            self._at += len(piece)

    def data(self) -> bytes | memoryview:
        """The current file's bytes, once."""
        if self._left <= PIECE:
            data = self._take(self._left, "data")
            self._left = 0
            return data
        # Grows with what comes, not with what the header says.
        whole = bytearray()
        while self._left:
            piece = self._take(min(self._left, PIECE), "data")
            self._left -= len(piece)
            whole += piece
        return memoryview(whole).toreadonly()

    def _finish(self) -> None:
        """Passes over what is left of the current member."""
        size = self._left + self._padding
        if size and self._stream.skip(size) != size:
            raise self._malformed("ends in the midst of a file", self._at)
        self._at += size
        self._left = self._padding = 0

    def _member(self, block: bytes, at: int) -> Member:
        """The member whose headers begin with this block; long names and PAX headers come before it."""
        extra: dict[str, str] = {}
        while chr(block[_TYPE]) in "xgLK":
            kind, begin = chr(block[_TYPE]), self._at
            size = self._number(block, _SIZE, "size")
            self._check(block, at)
            if size > MAX_EXTENSION:
                raise self._malformed(f"has an extended header of {size} bytes", at)
            body = self._take(size, "extended header")
            self._take(-size % BLOCK, "extended header")
            if kind in "LK":
                found = {"path" if kind == "L" else "linkpath": _cut(body)}
            else:
                found = _records(body, field=self._field, base=begin)
            self._keep(extra, found, overall=kind == "g", at=at)
            at = self._at
            block = self._take(BLOCK, "header")
        return self._plain(block, extra, at)

    def _keep(
        self, extra: dict[str, str], found: dict[str, str], *, overall: bool, at: int
    ) -> None:
        """Joins one header's words with those before it; one that is there twice is two readings."""
        for key, value in found.items():
            if key.startswith(_SPARSE):
                raise self._malformed("holds a sparse file, which is not read here", at)
            steers = key in ("path", "linkpath", "size")
            if steers and not value:  # to some it is an empty one, to others none
                raise self._malformed(f"has an empty {key} in an extended header", at)
            if steers and (overall or key in extra):
                raise self._malformed(f"has the {key} of a member in more than one place", at)
            if steers or key.startswith(_XATTR):
                extra[key] = value

    def _plain(self, block: bytes, extra: dict[str, str], at: int) -> Member:
        self._check(block, at)
        letter = block[_TYPE]
        kind = _KINDS.get(letter)
        name = self._text(block, extra, "path", _cut(block[_NAME]), at)
        if kind is None:
            what = _REFUSED.get(chr(letter), f"of the kind {chr(letter)!r}")
            raise self._malformed(f"{name!r} is {what}, which is not read here", at)
        size = self._number(block, _SIZE, "size")
        if "size" in extra:
            digits = extra["size"]
            if not (digits.isdecimal() and digits.isascii() and len(digits) <= _MOST_DIGITS):
                raise self._malformed("has a size that is no number", at)
            size = int(digits)
        if kind is Kind.FILE and name.endswith("/"):
            if letter:
                raise self._malformed(f"{name!r} is a file by its kind, a folder by its name", at)
            kind = Kind.FOLDER  # as archives before 1988 have it
        if kind is not Kind.FILE and size:
            raise self._malformed(f"{name!r} is a {kind.value}, and says that data follow", at)
        self._left, self._padding = size, -size % BLOCK
        return Member(
            name=name,
            kind=kind,
            mode=self._number(block, _MODE, "mode") & _PERMISSIONS,
            size=size,
            target=self._text(block, extra, "linkpath", _cut(block[_TARGET]), at),
            attributes=tuple(sorted(key for key in extra if key.startswith(_XATTR))),
            at=at,
            begin=self._at,
        )

    def _text(self, block: bytes, extra: dict[str, str], key: str, plain: str, at: int) -> str:
        text = extra.get(key, plain)
        whole = key != "path" or key in extra or block[_MAGIC] != _USTAR
        if not whole and block[_PREFIX.start]:
            text = f"{_cut(block[_PREFIX])}/{text}"
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise self._malformed(f"has a name that is not UTF-8: {text!a}", at) from None
        if "\0" in text:
            raise self._malformed(f"has a name with a NUL: {text!a}", at)
        return text

    def _check(self, block: bytes, at: int) -> None:
        said = self._number(block, _CHECKSUM, "checksum")
        if said != sum(block) - sum(block[_CHECKSUM]) + 8 * ord(" "):
            raise self._malformed("has a damaged header", at)

    def _number(self, block: bytes, where: slice, what: str) -> int:
        raw = block[where]
        if raw[0] == 0x80:  # GNU's form of large numbers
            return int.from_bytes(raw[1:], "big")
        digits = raw.strip(b" \0")
        if not digits:
            return 0
        if digits.strip(b"01234567"):
            raise self._malformed(f"has a {what} that is no number", self._at - BLOCK)
        return int(digits, 8)

    def _take(self, size: int, what: str) -> bytes:
        data = self._stream.read(size) if size else b""
        if len(data) != size:
            raise self._malformed(f"ends in the midst of a {what}", self._at)
        self._at += size
        return data

    def _malformed(self, why: str, at: int) -> Malformed:
        return Malformed(why, field=self._field, offset=at)


def _cut(raw: bytes) -> str:
    """Bytes up to the first NUL; what is no UTF-8 is kept apart, to be refused with the name shown."""
    return raw.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _records(body: bytes, *, field: str, base: int) -> dict[str, str]:
    """What a PAX header says (POSIX.1-2001, pax): `LENGTH KEY=VALUE` lines, each length with itself."""
    found: dict[str, str] = {}
    at = 0

    def wrong(why: str) -> Malformed:
        return Malformed(why, field=field, offset=base + at)

    while at < len(body):
        digits, space, _ = body[at : at + 10].partition(b" ")
        if not space or not digits.isdigit():
            raise wrong("has an extended header that is none")
        end = at + int(digits)
        record = body[at + len(digits) + 1 : end]
        key, equals, value = record[:-1].partition(b"=")
        if end > len(body) or record[-1:] != b"\n" or not equals or not key:
            raise wrong("has an extended header that is none")
        name = key.decode("utf-8", "surrogateescape")
        if name in found:
            raise wrong(f"says {name!a} of a member twice")
        found[name] = value.decode("utf-8", "surrogateescape")
        at = end
    return found
