"""Looking into the packages and the image of a record: licences, and the libraries inside.

What is not at hand is said, one sentence each, and never taken for empty.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from troth.errors import Malformed, Misuse, Unavailable
from troth.image import deb, embedded, licences, unpack_wheel
from troth.image.components import Components, Part, Unseen
from troth.image.store import Store, digest
from troth.wire import eif, ramdisk

_DOC: Final = "usr/share/doc/"
_DEVICES: Final = frozenset({"dev/console", "dev/null"})
_ROOT: Final = "rootfs/"
_STALE: Final = "build it again; do not trust this record"
_MAX_METADATA: Final = 1024 * 1024
Say = Callable[[str], object]


def look(
    known: Components,
    *,
    store: Store | None,
    image: eif.Eif | None,
    files: Mapping[str, str] | None = None,
    say: Say = lambda _: None,
) -> Components:
    """The parts with what can be seen of them here.

    Args:
        known: from `components.of_record`.
        store: where packages are looked for by digest, or None where none are.
        image: the image itself, whose app files are looked into, or None.
        files: name of each package's file by its digest, for a store that keeps them under their names.
        say: told each step.

    Raises:
        Malformed: a package is damaged.
        Misuse: the app's own files in the image are others than those that the record names.
    """
    say("reading licences, and looking for libraries inside libraries")
    kept = _Shelf(store, files or {})
    docs: dict[str, tuple[str, tuple[str, ...] | None]] = {}
    parts: list[Part] = []
    inside: list[Part] = []
    unseen: list[Unseen] = []
    bytes_of: dict[str, str] = {}
    for part in known.parts:
        if part.kind not in ("deb", "wheel"):
            parts.append(part)
            continue
        data = kept.get(part)
        if data is None:
            parts.append(part)
            unseen += _absent(part)
            continue
        if part.kind == "deb":
            docs[part.name] = _documents(data, part.name)
            parts.append(part)
            continue
        stated, found, trouble = _wheel(data, part, bytes_of)
        parts.append(replace(part, licences=stated))
        inside += found
        unseen += trouble
    parts = [_licensed(part, docs) if part.kind == "deb" else part for part in parts]
    more, trouble = _image(image, known, bytes_of)
    inside += more
    unseen += trouble
    return replace(known, parts=(*parts, *inside), unseen=tuple(unseen))


def _absent(part: Part) -> list[Unseen]:
    words = f"{part.title} {part.version} is not at hand: "
    found = [Unseen(about=part.name, what="licences", words=words + "its licences are not read")]
    if part.kind == "wheel":
        words += "libraries inside it are not looked for"
        found.append(Unseen(about=part.name, what="inside", words=words))
    return found


class _Shelf:
    """Packages by digest, and None for what is not there."""

    def __init__(self, store: Store | None, files: Mapping[str, str]) -> None:
        self._store, self._files = store, files

    def get(self, part: Part) -> bytes | None:
        if self._store is None:
            return None
        name = self._files.get(part.sha256, part.sha256)
        try:
            return self._store.get(sha256=part.sha256, name=name)
        except Unavailable:
            return None


def _documents(data: bytes, name: str) -> tuple[str, tuple[str, ...] | None]:
    """Where a package's documents lie elsewhere, and its own licences; Debian's folder may be a link."""
    for item in deb.members(data, name=name):
        if item.path == f"{_DOC}{name}" and item.kind == "link":
            return item.target.rpartition("/")[2], None
        if item.path == f"{_DOC}{name}/copyright":
            if item.kind == "link":
                return item.target.rpartition("/")[0].rpartition("/")[2], None
            return "", licences.of_copyright(item.data.decode("utf-8", "replace"))
    return "", ()


def _licensed(part: Part, docs: Mapping[str, tuple[str, tuple[str, ...] | None]]) -> Part:
    name = part.name
    for _ in range(3):  # a link to a link is rare, and a circle is none
        elsewhere, stated = docs.get(name, ("", None))
        if not elsewhere:
            return replace(part, licences=stated)
        name = elsewhere
    return part


def _wheel(
    data: bytes, part: Part, bytes_of: dict[str, str]
) -> tuple[tuple[str, ...], list[Part], list[Unseen]]:
    """Licences of a wheel, parts inside it, and what could not be read."""
    stated: tuple[str, ...] = ()
    found: list[Part] = []
    trouble: list[Unseen] = []
    title = f"{part.kind} {part.name}"
    for path, content in unpack_wheel.files(data, name=part.name):
        if unpack_wheel.is_metadata(path):
            stated = licences.of_metadata(content[:_MAX_METADATA].decode("utf-8", "replace"))
        elif embedded.is_list(path):
            try:
                found += _parts(embedded.listed(content, name=path), title, path)
            except Malformed as error:
                words = f"a list of parts in {title} cannot be read: {error}"
                trouble.append(Unseen(about=part.name, what="inside", words=words))
        else:
            inside = embedded.scan(content)
            if inside:
                bytes_of[digest(content)] = title
            found += _parts(inside, title, path)
    return stated, found, trouble


def _image(
    image: eif.Eif | None, known: Components, bytes_of: Mapping[str, str]
) -> tuple[list[Part], list[Unseen]]:
    """Libraries in the app's own programs, and in a root that it brings."""
    own = {part.name: part.sha256 for part in known.parts if part.kind == "file"}
    mine = frozenset(own)
    brings = any(part.kind == "root" for part in known.parts)
    if image is None:
        words = "the image is not at hand: libraries inside {} are not looked for"
        return [], [
            Unseen(about=name, what="inside", words=words.format(what))
            for name, what, there in (
                ("app", "the app's own files", bool(own)),
                ("root", "the root that the app brings", brings),
            )
            if there
        ]
    found: list[Part] = []
    try:
        for path, content in _files(image):
            found_as = digest(content)
            if path in own and own.pop(path) != found_as:
                raise Misuse(f"the image's {path} is another file than the record says", fix=_STALE)
            if found_as in bytes_of or not (path in mine or path.startswith(f"/{_ROOT}")):
                continue
            holder = f"file {path}" if path in mine else "root"
            found += _parts(embedded.scan(content), holder, path)
    except Malformed as error:
        words = f"the image's files cannot be read, and are not looked into: {error}"
        return [], [Unseen(about="app", what="inside", words=words)]
    if own:
        raise Misuse(f"the image has no {min(own)}, which the record names", fix=_STALE)
    words = "the packages of the root that the app brings are not listed"
    return found, [Unseen(about="root", what="inside", words=words)] if brings else []


def _files(image: eif.Eif) -> Iterator[tuple[str, bytes]]:
    disks = ((disk.data, disk.offset) for disk in image.ramdisks)
    for entries in ramdisk.read_all(disks, devices=_DEVICES):
        for entry in entries:
            if entry.mode & 0o170000 == 0o100000:
                yield f"/{entry.path}", bytes(entry.data)


def _parts(found: tuple[embedded.Inside, ...], within: str, place: str) -> list[Part]:
    return [
        Part(
            kind="inside",
            name=one.name,
            version=one.version,
            sha256=one.sha256,
            licences=one.licences,
            within=within,
            place=place,
            purl=one.kind,
        )
        for one in found
    ]
