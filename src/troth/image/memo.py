"""What the steps of earlier builds made of the same inputs, so that a build after a small change is a short one.

A step is a function of bytes alone: packages unpacked, sources compiled, files compressed. Its result lies in
the user's cache under the digest of all that it was made from, troth's own code included, and is authenticated
with a key of this machine's: a cache that was carried here from elsewhere says nothing. Whoever can read that
key can put anything into an image that is built with its help. So what is to prove something (`troth build
--check`, `troth rebuild`, `troth up`) builds without, and compares.
"""

import contextlib
import hashlib
import hmac
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from stat import S_ISREG
from typing import Final

from troth.errors import Malformed
from troth.image.files import cache_folder, state_folder
from troth.wire.reader import Reader

MOST: Final = 2 << 30
"""Bytes that are kept; what was not used for longest goes first."""
_KEY_SIZE: Final = 32
_MAC_SIZE: Final = hashlib.sha256().digest_size
_AT_ONCE: Final = 2
_CODE: Final = ("image", "wire", "agent")

Parts = Sequence[bytes | memoryview]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memo:
    """Results of steps.

    Attributes:
        folder: holds them, a file each.
        key: with which they are authenticated; no other machine's.
        most: bytes that are kept.
    """

    folder: Path
    key: bytes
    most: int = MOST

    @classmethod
    def of_user(cls) -> "Memo | None":
        """The user's, or None where there is no place for it: then each step is done."""
        try:
            _code()  # as it is now, when a build begins
            return cls(folder=cache_folder() / "made", key=_key(state_folder() / "memo.key"))
        except (OSError, RuntimeError):  # without a home, too
            return None

    def get(self, name: str) -> list[bytes] | None:
        """A result's parts, or None where it is not there, or not as it was left."""
        try:
            data = _read(self.folder / name, most=self.most)
            with contextlib.suppress(OSError):
                os.utime(self.folder / name)
        except OSError:
            return None
        body = memoryview(data)[_MAC_SIZE:]
        if not hmac.compare_digest(data[:_MAC_SIZE], self._mac(name, [body])):
            return None
        reader = Reader(body)
        try:
            sizes = [reader.uint(8, "size") for _ in range(reader.uint(8, "count"))]
            return [reader.take(size, "part") for size in sizes]
        except Malformed:
            return None

    def put(self, name: str, parts: Parts) -> None:
        """Keeps a result, unless it would push out much else. A full disk keeps nothing, and is no error."""
        sizes = [len(parts), *map(len, parts)]
        if sum(sizes) > self.most // 4:
            return
        body = [b"".join(size.to_bytes(8, "big") for size in sizes), *parts]
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=".", dir=self.folder)
            try:
                with os.fdopen(handle, "wb") as out:
                    out.writelines([self._mac(name, body), *body])
                Path(temporary).replace(self.folder / name)
            finally:
                Path(temporary).unlink(missing_ok=True)
            self._prune()

    def _mac(self, name: str, pieces: Iterable[bytes | memoryview]) -> bytes:
        running = hmac.new(self.key, name.encode("ascii") + b"\0", "sha256")
        for piece in pieces:
            running.update(piece)
        return running.digest()

    def _prune(self) -> None:
        files = []
        with os.scandir(self.folder) as found:
            for item in found:
                # Another build may take it away; and what is no file nobody of us put there.
                with contextlib.suppress(FileNotFoundError):
                    said = item.stat(follow_symlinks=False)
                    if S_ISREG(said.st_mode):
                        files.append((said.st_mtime_ns, said.st_size, item.path))
        left = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if left <= self.most:
                break
            Path(path).unlink(missing_ok=True)
            left -= size


def recall(
    memo: Memo | None,
    step: str,
    tasks: Sequence[Iterable[bytes | memoryview | str]],
    make: Callable[[Sequence[int]], Sequence[Parts]],
) -> list[Parts]:
    """What a step makes of each of several inputs, from memory where that has it.

    Args:
        memo: None for a build that remembers nothing.
        step: its name.
        tasks: for each, all that decides its result, but troth's code.
        make: does those that are missing, all at once, by their numbers.
    """
    if memo is None:
        return list(make(range(len(tasks))))
    names = [f"{step}-{_digest(step, inputs)}" for inputs in tasks]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found: list[Parts | None] = list(pool.map(memo.get, names))
    missing = [number for number, parts in enumerate(found) if parts is None]
    made = make(missing) if missing else ()
    same = bool(missing) and _code_now() == _code()  # or it may be of either
    for number, parts in zip(missing, made, strict=True):
        if same:
            memo.put(names[number], parts)
        found[number] = parts
    return [parts for parts in found if parts is not None]


def _digest(step: str, inputs: Iterable[bytes | memoryview | str]) -> str:
    running = hashlib.sha256(_code())
    for item in (step, *inputs):
        data = item.encode("utf-8") if isinstance(item, str) else item
        running.update(len(data).to_bytes(8, "big"))
        running.update(data)
    return running.hexdigest()


@cache
def _code() -> bytes:
    """The same, as it was when it was first asked for: what is edited later is not what runs."""
    return _code_now()


def _code_now() -> bytes:
    """A digest of the code that steps are made of, and the Python that unpacks: others make them anew."""
    running = hashlib.sha256(sys.version.encode() + b"\0")
    package = Path(__file__).parent.parent
    for part in _CODE:
        for path in sorted((package / part).rglob("*.py")):
            data = path.read_bytes()
            running.update(f"{path.relative_to(package)}\0{len(data)}\0".encode())
            running.update(data)
    return running.digest()


def _key(path: Path) -> bytes:
    """The machine's key, made where there is none.

    Raises:
        OSError: there is no place for it, or it is not this user's alone.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".", dir=path.parent)  # its owner's alone
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(os.urandom(_KEY_SIZE))
            with contextlib.suppress(FileExistsError):  # another build was first
                os.link(temporary, path)
        finally:
            Path(temporary).unlink()
    key = _read(path, most=_KEY_SIZE, secret=True)
    if len(key) != _KEY_SIZE:
        raise OSError(f"{path} holds no key")
    return key


def _read(path: Path, *, most: int, secret: bool = False) -> bytes:
    """A file's bytes: a pipe would be waited for, and a link may lead to what has no end.

    Args:
        path: of the file.
        most: bytes that it may have.
        secret: whether it must be this user's alone.

    Raises:
        OSError: it is not there, is no such file, or is larger.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        said = os.fstat(file.fileno())
        if not S_ISREG(said.st_mode) or said.st_size > most:
            raise OSError(f"{path} is no file of ours")
        if secret and (said.st_mode & 0o077 or said.st_uid != os.geteuid()):
            raise PermissionError(f"{path} is not its user's alone")
        return file.read(most)
