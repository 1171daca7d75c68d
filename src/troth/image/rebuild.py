"""An image built again, by somebody else's hands, and held against the first one and its record."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from troth.errors import Malformed
from troth.image import agent_parts, check, companions, compare, locking, rootfs
from troth.image import lock as locks
from troth.image import recipe as recipes
from troth.image.apt import Mirrors
from troth.image.compare import Comparison, Difference
from troth.image.files import disk, write_together
from troth.image.stated import Stated
from troth.image.store import Store, digest
from troth.platforms.nitro.measure import measure
from troth.wire import eif, json

SOURCE: Final = "source"
RECORD: Final = "record"
# A record's texts are compared as the source's files; where the source is, is the builder's word.
_NOT_BUILT: Final = frozenset({"recipe", "lock", "source"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What came out.

    Attributes:
        image: the file.
        record: its build record.
        measurements: what stands beside it as measurements.
        nitro: its registers.
        raw_nsm: whether its app has the security module itself.
    """

    image: bytes
    record: bytes
    measurements: bytes
    nitro: Mapping[str, str]
    raw_nsm: bool

    @property
    def sha256(self) -> str:
        """Of the image."""
        return digest(self.image)

    def keep(self, out: Path) -> None:
        """Writes image, measurements and record; all of them or none."""
        write_together(
            out.parent,
            {
                companions.of(out, companions.MEASUREMENTS).name: [self.measurements],
                companions.of(out, companions.RECORD).name: [self.record],
                out.name: [self.image],
            },
        )


def build(
    folder: Path,
    *,
    store: Store | None = None,
    kernel: str | None = None,
    root: Path | None = None,
    python: tuple[str, ...] = (sys.executable,),
    mirrors: Mirrors | None = None,
    say: Callable[[str], object] = lambda _: None,
) -> Rebuilt:
    """Builds a copy of an app in an environment as unlike the usual one as this machine allows.

    Args:
        folder: the app's; nothing in it is changed.
        store: where packages are kept.
        kernel: in the place of the recipe's.
        root: what the app's root is taken from, in the place of where the recipe says.
        python: the interpreter that builds, with its arguments.
        mirrors: where packages are that the store lacks; the machine's own by default.
        say: told each step.

    Raises:
        Misuse, Malformed, Unavailable: as a build.
    """
    recipe, lock = recipes.load(folder), locks.load(folder)
    lock.check(recipe)
    place = store or locking.store_of(folder, lock)
    locking.fetch(lock, store=place, mirrors=mirrors, say=say)
    if recipe.brings:
        root = (root or folder / recipe.brings).resolve()
    say(f"building {recipe.name}")
    strange, alone = check.strange(), apart()
    if not alone:
        say("note: this machine lets nobody take the network away, so the build could reach it")
    environment = replace(strange, prefix=(*alone, *strange.prefix))
    with disk("building"), TemporaryDirectory(prefix="troth-rebuild-") as name:
        copy = Path(name, "a-copy-of-the-source", "app")
        check.copy_app(folder, copy, reverse=True, but=root)
        target = Path(name, "built", "out", "image.eif")
        process = check.start(
            copy, target, environment, place.folder, kernel=kernel, root=root, python=python
        )
        try:
            check.finish(process)
        finally:
            check.end(process)
        data = target.read_bytes()
        beside = [
            companions.of(target, ending).read_bytes()
            for ending in (companions.RECORD, companions.MEASUREMENTS)
        ]
    return Rebuilt(
        image=data,
        record=beside[0],
        measurements=beside[1],
        nitro=dict(measure(eif.read(data)).hex()),
        raw_nsm=recipe.raw_nsm,
    )


def apart() -> tuple[str, ...]:
    """A build needs no network once its inputs are here, and gets none where the machine can see to that."""
    way = ("unshare", "--user", "--map-root-user", "--net")
    if shutil.which("unshare") is None:
        return ()
    probe = subprocess.run([*way, "true"], capture_output=True, check=False, timeout=30)
    return way if probe.returncode == 0 else ()


def of_source(folder: Path, stated: Stated) -> Iterator[Difference]:
    """Where the source at hand is not what a record says: recipe, lock, files of the app, and this troth.

    Raises:
        Misuse, Malformed, Unavailable: the source is no app.
    """
    loaded, lock = recipes.load(folder), locks.load(folder)
    with disk("reading the source"):
        texts = [(folder / name).read_bytes() for name in (recipes.FILE, locks.FILE)]
    said = [text.encode("utf-8") for text in (stated.recipe, stated.lock)]
    yield from _text(recipes.FILE, said[0], texts[0])
    if said[1] != texts[1]:
        try:
            both = [by_name(json.parse(text, field=locks.FILE)) for text in (said[1], texts[1])]
            found = list(compare.values(SOURCE, locks.FILE, *both))
        except (Malformed, RecursionError):
            found = []
        yield from found or _text(locks.FILE, said[1], texts[1])
    tree = rootfs.app_files(folder, loaded, lock.machine)
    here = {f"/{path}": digest(node.data) for path, node in tree.files()}
    there = {path: sha256 for path, sha256 in stated.app.items() if not _compiled(path)}
    for path in sorted({*here, *there}):
        if here.get(path) != there.get(path):
            yield Difference(
                section=SOURCE,
                path=path,
                what="content" if path in here and path in there else "only",
                first=_sha256(there.get(path)),
                second=_sha256(here.get(path)),
            )
    if (agent := agent_parts.sha256()) != stated.agent_sha256:
        yield Difference(
            section=SOURCE,
            path="troth's own part of the image",
            what="content",
            first=_sha256(stated.agent_sha256),
            second=_sha256(agent),
        )


def of_record(stated: Stated, rebuilt: Rebuilt) -> Iterator[Difference]:
    """Where the rebuild's record says something else; of what is only told, not built, nothing.

    Raises:
        Malformed: the record is nested deeper than any.
    """
    both = [
        {name: value for name, value in document.items() if name not in _NOT_BUILT}
        for document in (stated.document, json.parse(rebuilt.record, field=RECORD))
    ]
    try:
        found = list(compare.values(RECORD, "", *map(by_name, both)))
    except RecursionError:
        raise Malformed("is nested too deep", field=RECORD) from None
    yield from found
    if not found and json.canonical(both[0]) != json.canonical(both[1]):
        yield Difference(section=RECORD, what="order", first="its own", second="troth's")


def of_image(data: bytes | memoryview, rebuilt: Rebuilt) -> tuple[Comparison | None, bool]:
    """Where an image differs from the rebuild.

    A signature is made with a key that nobody else has, so it is taken off before; all else counts.

    Returns:
        None if the two are the same bytes, else what differs; and whether a signature was taken off.

    Raises:
        Malformed: it is no image.
    """
    image = eif.read(data)
    bare = tuple(s for s in image.sections if s.kind is not eif.Kind.SIGNATURE)
    signed = len(bare) != len(image.sections)
    if bytes(data) == rebuilt.image:
        return None, False
    if signed:
        plain = replace(image, sections=bare)
        if image.version == eif.VERSION and eif.pack(plain) == rebuilt.image:
            return None, True
        image = plain
    found = compare.compare(image, eif.read(rebuilt.image))
    if not found.differences:  # such as what stands in reserved places
        what = Difference(section="header", what="layout", first="its own", second="troth's")
        found = Comparison(differences=(what,), left_out=0)
    return found, signed


def by_name(value: Any) -> Any:
    """A value of JSON whose lists of named things are objects by these names, so that one is found."""
    if isinstance(value, dict):
        return {key: by_name(item) for key, item in value.items()}
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        return value
    for key in ("name", "path", "file"):
        names = [item.get(key) for item in value]
        if names and all(isinstance(n, str) for n in names) and len(set(names)) == len(names):
            return {item[key]: by_name(item) for item in value}
    return value


def _compiled(path: str) -> bool:
    return path.endswith(".pyc") and path.split("/")[-2:-1] == ["__pycache__"]


def _sha256(value: str | None) -> str | None:
    return None if value is None else f"SHA-256 {value}"


def _text(name: str, one: bytes, other: bytes) -> Iterator[Difference]:
    """The first line that differs."""
    found = compare.content(SOURCE, name, one, other)
    if found is not None:
        yield found
