"""A wheel or the hardware kernel in the place of an image, for `troth release sbom`, `provenance` and `check`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from cyclopts import Parameter

from troth.cli import _rebuild_source, _rebuilt_file
from troth.cli._console import read_source
from troth.errors import Misuse

if TYPE_CHECKING:
    from troth.release.artifact import Artifact

_TAKE: Final = "name a clone or an address, and the commit: --source PLACE --source-commit HASH"


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a wheel's source is."""

    source: str | None = None
    "Of a wheel: where its source is taken from, a clone's folder or an address."
    source_commit: str | None = None
    "Of a wheel: the commit of its source, whole."
    source_git: str | None = None
    "Of a wheel: the address that statements name. Default: --source, where that is one."
    source_path: str | None = None
    "Of a wheel: the project's folder in it. Default: its top."

    def refuse(self, what: str = "an image, whose build record says where its source is") -> None:
        """Refuses these flags for what is no wheel.

        Raises:
            Misuse: one was given.
        """
        if self != NOWHERE:
            raise Misuse(
                f"--source and its kin are of no meaning for {what}", fix="leave them away"
            )


NOWHERE: Final = Origin()


class File:
    """A wheel or a kernel that is at hand.

    Attributes:
        kind: `wheel` or `kernel`.
        name: as statements call it.
        sha256: in hex.
        compared: whether a statement's inputs were made again and compared.
        inputs: what came of that, in words.
    """

    def __init__(self, path: Path) -> None:
        from troth.image import wheel_again
        from troth.image.hardware import again
        from troth.image.store import digest

        self.compared = False
        if _rebuilt_file.is_wheel(str(path)):
            self.kind, self.name = "wheel", path.name
            wheel_again.named(self.name)
            self._data = read_source(str(path), limit=wheel_again.MOST)
            self.inputs = "not compared: name the wheel's source with --source"
        else:
            self._data = read_source(str(path), limit=again.MOST)
            version = again.version(self._data)
            self.kind, self.name = "kernel", f"vmlinuz-{version}" if version else path.name
            self.inputs = "not compared: it is not the kernel that this troth pins"
        self.sha256 = digest(self._data)

    @contextmanager
    def made(self, origin: Origin) -> "Iterator[Artifact]":
        """The file with what it is made from.

        Raises:
            Misuse, Malformed, Unavailable: the source is not said or cannot be had; the kernel is another one.
        """
        from troth.release import artifact

        if self.kind == "kernel":
            origin.refuse("the hardware kernel, whose source this troth pins")
            yield artifact.kernel(self._data)
            return
        with _taken(origin) as (folder, source):
            yield artifact.wheel(self._data, name=self.name, source=source, folder=folder)

    def problems(
        self, statement: Mapping[str, Any], origin: Origin, *, builder: str
    ) -> tuple[str, ...]:
        """What speaks against a statement about this file; `compared` tells whether its inputs were made again."""
        from troth.release import artifact_provenance as made

        asked = {"name": self.name, "sha256": self.sha256, "kind": self.kind, "builder": builder}
        wrong = made.problems(statement, made=None, **asked)  # before anything is fetched for it
        if wrong or not self._at_hand(origin):
            return wrong
        said = origin
        if self.kind == "wheel":
            claimed = made.source(statement)
            if not claimed:
                return ("it names no source",)
            commit = origin.source_commit
            if commit is not None and commit != claimed["commit"]:
                return (f"it is of the commit {claimed['commit'][:64]}, should be {commit}",)
            if origin.source_git is not None and origin.source_git != claimed["git"]:
                return (f"its source is {claimed['git'][:200]}, should be {origin.source_git}",)
            said = Origin(
                source=origin.source,
                source_commit=claimed["commit"],
                source_git=claimed["git"],
                source_path=claimed["path"],
            )
        with self.made(said) as known:
            wrong = made.problems(statement, made=known, **asked)
        self.compared = not wrong
        if self.compared and known.source is not None:
            self.inputs = (
                f"all as commit {known.source.commit} has them, taken from {origin.source}"
            )
            if known.source.git != origin.source:
                self.inputs += f"; the statement names {known.source.git}"
        elif self.compared:
            self.inputs = "all as this troth pins them"
        return wrong

    def _at_hand(self, origin: Origin) -> bool:
        from troth.image.hardware.inputs import inputs

        if self.kind == "kernel":
            origin.refuse("the hardware kernel, whose source this troth pins")
            return self.sha256 == inputs().kernel.sha256
        if origin.source is None:
            if origin != NOWHERE:
                raise Misuse("where the source is taken from is not said", fix="add --source PLACE")
            return False
        return True


def of(path: Path, record: Path | None = None) -> File | None:
    """The file, or None where it is neither a wheel nor a kernel.

    Raises:
        Misuse: a build record is named for one.
    """
    if not _rebuilt_file.is_file(str(path)):
        return None
    if record is not None:
        raise Misuse("a build record is an image's", fix="leave --record away")
    return File(path)


@contextmanager
def _taken(origin: Origin) -> "Iterator[tuple[Path, Any]]":
    """The files of the commit, and the source as it is stated."""
    from dataclasses import replace

    from troth.cli._progress import progress
    from troth.image import checkout
    from troth.image.checkout import Source
    from troth.image.files import disk

    place, commit = origin.source, origin.source_commit
    if place is None or commit is None:
        raise Misuse("where the wheel's source is, is not said", fix=_TAKE)
    folder = _rebuild_source.local(place)
    if folder is not None:
        if origin.source_git is None:
            raise Misuse(
                "a statement names the source's address, and a folder of this machine is none",
                fix="add the address under which others find it: --source-git https://…",
            )
        place = folder.resolve().as_uri()
    wanted = Source(git=place, commit=commit, path=origin.source_path or ".")
    stated = checkout.check(replace(wanted, git=origin.source_git or place))
    with disk("making a folder for the source"):
        holder = TemporaryDirectory(prefix="troth-source-")
    with holder as name:
        into = Path(name, "source")
        with progress() as tell:
            tell(f"fetching {place}")
            checkout.take(wanted, into)
        yield into, stated
