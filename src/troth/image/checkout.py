"""A commit of a repository, written out as files. Nothing of it is run, and no setting of git's is asked.

git fetches and says which files there are; they are written here. So there is no work tree in which hooks, filters,
attributes or submodules could act, and no link stands while files are written.
"""

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, Final
from urllib.parse import urlsplit

from troth.errors import Malformed, Misuse, Unavailable
from troth.image.files import disk
from troth.image.git import PROTOCOLS, command, environment, git

COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
TAG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/-]{0,199}")
MOST_FILES: Final = 100_000
MOST_BYTES: Final = 2 << 30
FILE, PROGRAM, LINK, MODULE = "100644", "100755", "120000", "160000"

_URL: Final = re.compile(r"[a-z]+://[!-~]{1,2000}")
_MOST_LINK: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where an app's source is.

    Attributes:
        git: address of the repository.
        commit: its object name, in hex; empty where only a tag is known.
        tag: that names the commit, or an empty text.
        path: of the app's folder in it; `.` for its top.
        made: files of the image, by their paths in that folder, which the source does not hold and which
            are made from it.
    """

    git: str
    commit: str = ""
    tag: str = ""
    path: str = "."
    made: tuple[str, ...] = ()

    def stated(self) -> dict[str, object]:
        """As a build record says it."""
        return {
            "git": self.git,
            "commit": self.commit,
            **({"tag": self.tag} if self.tag else {}),
            "path": self.path,
            **({"made": list(self.made)} if self.made else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """One file of a commit."""

    mode: str
    name: str
    size: int


def check(source: Source) -> Source:
    """The source, if all of it can be asked for.

    Raises:
        Misuse: an address of another kind, or with a password; no commit and no tag; a path that leads out.
    """
    scheme, _, rest = source.git.partition("://")
    if not _URL.fullmatch(source.git) or scheme not in PROTOCOLS or rest.startswith("-"):
        raise Misuse(
            f"{source.git[:200]!r} is no address that a source is fetched from",
            fix=f"write {', '.join(f'{name}://…' for name in PROTOCOLS)}",
        )
    try:
        told = urlsplit(source.git)
    except ValueError:
        raise Misuse(f"{source.git[:200]!r} is no address") from None
    if told.password is not None or (scheme == "https" and told.username is not None):
        raise Misuse(
            "the address of the source has a name or a password in it, and records are public",
            fix="leave it away",
        )
    if not source.commit and not source.tag:
        raise Misuse(
            "neither a commit nor a tag says which source it is",
            fix="add --commit HASH or --tag NAME",
        )
    if source.commit and not COMMIT.fullmatch(source.commit):
        raise Misuse(f"{source.commit[:80]!r} is no whole object name of a commit")
    if source.tag and (not TAG.fullmatch(source.tag) or ".." in source.tag):
        raise Misuse(f"{source.tag[:80]!r} is no tag")
    if not is_inside(source.path):
        raise Misuse(f"{source.path[:200]!r} is no folder of a repository")
    return source


def is_inside(path: str) -> bool:
    """Whether this is a plain path below a repository's top, or its top."""
    plain = PurePosixPath(path)
    climbs = plain.is_absolute() or ".." in plain.parts
    return not climbs and str(plain) == path and path.isprintable() and ":" not in path


def take(source: Source, into: Path) -> Source:
    """Fetches a commit, and writes the files of its folder.

    Args:
        source: what `check` let pass.
        into: an empty folder, or none yet.

    Returns:
        The source with its commit.

    Raises:
        Misuse, as `check`; there is no such folder in it, or it has submodules.
        Malformed: the tag is at another commit; names or links that lead out; too many files or bytes.
        Unavailable: no git, no network, no such repository, tag or commit; the disk refuses.
    """
    check(source)
    with disk("fetching the source"), TemporaryDirectory(prefix="troth-source-") as place:
        bare = Path(place, "bare.git")
        form = "sha256" if len(source.commit) == 64 else "sha1"
        start = ("init", "--quiet", "--bare", "--template=", f"--object-format={form}")
        git(*start, str(bare), folder=Path(place))
        _fetch(source, bare)
        commit = git("rev-parse", "--verify", "refs/wanted^{commit}", folder=bare).decode().strip()
        if source.commit and commit != source.commit:
            raise Malformed(
                f"is at {commit}, and the commit that was asked for is {source.commit}",
                field=f"tag {source.tag}",
                fix="ask whoever moved it; the commit itself is had with --commit",
            )
        blobs = listed(bare, commit, source.path)
        with disk("writing the source"):
            _write(bare, blobs, into)
    return Source(git=source.git, commit=commit, tag=source.tag, path=source.path, made=source.made)


def _fetch(source: Source, bare: Path) -> None:
    """By the tag, or the commit itself; where a server hands out no single commits, everything."""
    fetch = ("fetch", "--quiet", "--no-tags", "--no-recurse-submodules")
    wanted = f"refs/tags/{source.tag}" if source.tag else source.commit
    try:
        git(
            *fetch, "--depth=1", "--", source.git, f"+{wanted}:refs/wanted", folder=bare, reach=True
        )
    except Unavailable:
        if source.tag:
            raise
        git(*fetch, "--", source.git, "+refs/*:refs/all/*", folder=bare, reach=True)
        git("update-ref", "refs/wanted", source.commit, folder=bare)


def listed(folder: Path, commit: str, path: str) -> dict[str, Blob]:
    """The files below a folder of a commit, by their paths in it.

    Raises:
        Misuse: there is no such folder.
        Malformed: names that lead out, twice the same, a submodule.
    """
    tree = commit if path == "." else f"{commit}:{path}"
    try:
        said = git("ls-tree", "--full-tree", "-r", "-z", "-l", tree, folder=folder)
    except Unavailable as error:
        raise Misuse(f"the commit {commit} has no folder {path}", fix="name it: --path") from error
    found: dict[str, Blob] = {}
    total = 0
    for line in said.split(b"\0")[:-1]:
        about, _, raw = line.partition(b"\t")
        mode, _, name, size = about.decode("ascii").split()
        place = _name(raw)
        if mode == MODULE:
            raise Misuse(
                f"{place} is a submodule, and those are not fetched",
                fix="clone it yourself with its submodules, and name that folder as the target",
            )
        if mode not in (FILE, PROGRAM, LINK) or place in found:
            raise Malformed(f"is there twice, or has the mode {mode}", field=place)
        found[place] = Blob(mode=mode, name=name, size=int(size))
        total += int(size)
        if len(found) > MOST_FILES or total > MOST_BYTES:
            raise Malformed(
                f"has more than {MOST_FILES} files or {MOST_BYTES >> 30} GiB", field="the source"
            )
    for place in found:
        if any(str(above) in found for above in PurePosixPath(place).parents):
            raise Malformed("lies below what is no folder", field=place)
    return found


def _name(raw: bytes) -> str:
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("is a file's name and not UTF-8", field=ascii(raw)) from None
    parts = name.split("/")
    if any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        raise Malformed("is a name that leads out of the source, or into git's own", field=name)
    return name


def _write(bare: Path, blobs: Mapping[str, Blob], into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    links: list[tuple[str, str]] = []
    for (path, blob), data in zip(blobs.items(), _contents(bare, blobs.values()), strict=True):
        if blob.mode == LINK:
            links.append((path, _target(path, data)))
            continue
        (into / path).parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        mode = 0o755 if blob.mode == PROGRAM else 0o644
        with os.fdopen(os.open(into / path, flags, mode), "wb") as out:
            out.write(data)
            os.fchmod(out.fileno(), mode)
    for path, target in links:
        (into / path).parent.mkdir(parents=True, exist_ok=True)
        (into / path).symlink_to(target)


def _target(path: str, data: bytes) -> str:
    """Where a link leads, if that is in the source."""
    try:
        target = data.decode("utf-8")
    except UnicodeDecodeError:
        target = ""
    parts = [part for part in target.split("/") if part not in ("", ".")]
    up = parts.count("..")
    # After a name `..` may be above what that name leads to, and nobody sees it in the words.
    climbs = up > len(PurePosixPath(path).parts) - 1 or ".." in parts[up:]
    if not target or target.startswith("/") or climbs or "\0" in target:
        raise Malformed(
            f"is a link to {target[:200]!r}, which leads out of the source",
            field=path,
            fix="put the file itself into the app's folder",
        )
    return target


def _contents(bare: Path, blobs: Iterable[Blob]) -> Iterator[bytes]:
    """The bytes of each, in order."""
    with subprocess.Popen(
        command("cat-file", "--batch"),
        cwd=bare,
        env=environment(reach=False),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as reader:
        assert reader.stdin is not None  # noqa: S101 - pipes were asked for
        assert reader.stdout is not None  # noqa: S101
        try:
            for blob in blobs:
                reader.stdin.write(f"{blob.name}\n".encode("ascii"))
                reader.stdin.flush()
                yield _one(reader.stdout, blob)
        finally:
            reader.kill()


def _one(stream: IO[bytes], blob: Blob) -> bytes:
    head = stream.readline(200).split()
    if head != [blob.name.encode(), b"blob", str(blob.size).encode()]:
        raise Malformed("is not what git listed", field=blob.name)
    if blob.mode == LINK and blob.size > _MOST_LINK:
        raise Malformed("is a link of more than any path's length", field=blob.name)
    data = stream.read(blob.size)
    if len(data) != blob.size or stream.read(1) != b"\n":
        raise Malformed("ends before its size", field=blob.name)
    return data
