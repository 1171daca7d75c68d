"""Layers of a container image laid over each other (OCI image-spec 1.1, layer.md), in memory.

Two images with the same files become the same tree, however their layers were cut, ordered, packed or
dated. What a layer says of owners, times and permissions beyond whether a file may be executed is not
kept; devices, pipes and extended attributes are left out, and that is said.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from troth.errors import Malformed
from troth.image.foreign import COVERED, SCRATCH, File, Folder, Foreign, Link
from troth.image.oci import ANEW, Image, Layer
from troth.image.unpacked import Budget, Unpacked
from troth.wire import tar
from troth.wire.cpio import MAX_PATH

_WHITEOUT: Final = ".wh."
_OF_AUFS: Final = ".wh..wh."
_OPAQUE: Final = ".wh..wh..opq"
SET_IDS: Final = 0o6000
NO_SET_IDS: Final = "programs lose their set-user or set-group bit"
NO_ATTRIBUTES: Final = "files lose their extended attributes"
_HIDDEN: Final = tuple(f"{name}/" for name in (*COVERED, *SCRATCH))
_SHOWN: Final = 3
_PIECE: Final = 1024 * 1024
_DEVICES: Final = (tar.Kind.CHARACTER_DEVICE, tar.Kind.BLOCK_DEVICE, tar.Kind.PIPE)
MADE_ANEW: Final = "make the image again with a tool that writes plain layers"


@dataclass(slots=True)
class LeftOut:
    """What was not taken over, by reason."""

    names: dict[str, list[str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, why: str, path: str) -> None:
        """One more; the first few are named."""
        self.counts[why] += 1
        shown = self.names.setdefault(why, [])
        if len(shown) < _SHOWN:
            shown.append(f"/{path}")

    def said(self) -> tuple[str, ...]:
        """A sentence for each reason."""
        return tuple(
            f"{self.counts[why]} {why}: {', '.join(names)}"
            + (" and others" if self.counts[why] > len(names) else "")
            for why, names in sorted(self.names.items())
        )


def lay(image: Image, *, name: str, budget: Budget | None = None) -> tuple[Foreign, LeftOut]:
    """The image's files, each layer read once from front to back.

    Args:
        image: from `oci.image`.
        name: of the image, for errors.
        budget: what all layers may unpack to together.

    Raises:
        Malformed: a layer is not what its digests say, is damaged, or holds what no image here can.
        Unavailable: the disk fails, or what unpacks it is not installed.
    """
    tree = Foreign(name)
    left_out = LeftOut()
    budget = budget or Budget()
    for number, layer in enumerate(image.layers, start=1):
        try:
            _Laying(tree, layer, number, left_out).run(budget)
        except Malformed:
            # A layer with other bytes than were named is that, whatever else is wrong with them.
            _stored_as_named(layer)
            raise
    return tree, left_out


class _Laying:
    """One layer, laid over those below it."""

    def __init__(self, tree: Foreign, layer: Layer, number: int, left_out: LeftOut) -> None:
        self._tree = tree
        self._layer = layer
        self._number = number
        self._left_out = left_out

    def run(self, budget: Budget) -> None:
        stream = Unpacked(self._layer.stored, budget)
        archive = tar.Archive(stream, field=f"layer {self._number}")
        for member in archive:
            self._member(member, archive)
        stored, unpacked = stream.digests()
        if self._layer.digest and stored != self._layer.digest:
            raise _changed(self._layer, stored)
        if unpacked != self._layer.diff_id:
            said = self._layer.diff_id
            raise Malformed(
                f"unpacks to sha256:{unpacked}, and the image's configuration says {said}",
                field=self._layer.stored.name,
                fix=ANEW,
            )

    def _member(self, member: tar.Member, archive: tar.Archive) -> None:
        path = self._plain(member.name, member)
        parent, _, name = path.rpartition("/")
        if name.startswith(_WHITEOUT):
            self._whiteout(parent, name, member)
            return
        self._note(path, member)
        match member.kind:
            case tar.Kind.FOLDER if not path:
                return
            case tar.Kind.FOLDER:
                self._tree.put(path, Folder(self._number))
            case tar.Kind.FILE:
                executable = bool(member.mode & 0o111)
                self._tree.put(path, File(archive.data(), executable, self._number))
            case tar.Kind.LINK:
                if not 0 < len(member.target.encode("utf-8")) < MAX_PATH:
                    raise self._odd(member, "is a link to nothing, or to what is no path")
                self._tree.put(path, Link(member.target, self._number))
            case tar.Kind.HARD_LINK:
                self._hard_link(path, member)
            case _:
                self._tree.hide(path, self._number)

    def _note(self, path: str, member: tar.Member) -> None:
        """What of a member is lost, unless all of it is mounted over anyway."""
        if f"{path}/".startswith(_HIDDEN):
            return
        if member.kind in _DEVICES:
            self._left_out.add(f"{member.kind.value}s are left out", path)
        elif member.kind is tar.Kind.FILE and member.mode & SET_IDS:
            self._left_out.add(NO_SET_IDS, path)
        if member.attributes:
            self._left_out.add(NO_ATTRIBUTES, path)

    def _plain(self, name: str, member: tar.Member) -> str:
        """A name as a relative path; one that climbs is refused, not bent."""
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise self._odd(member, f"has the path {name!r}, which climbs with `..`")
        if not parts and member.kind is not tar.Kind.FOLDER:
            raise self._odd(member, "names the root, and is no folder")
        return "/".join(parts)

    def _whiteout(self, parent: str, name: str, member: tar.Member) -> None:
        if name == _OPAQUE:
            self._tree.hide(parent, self._number, inside=True)
            return
        if name.startswith(_OF_AUFS):
            return
        hidden = name.removeprefix(_WHITEOUT)
        if hidden in ("", ".", ".."):
            raise self._odd(member, "takes away what is no name")
        self._tree.hide(f"{parent}/{hidden}" if parent else hidden, self._number)

    def _hard_link(self, path: str, member: tar.Member) -> None:
        match self._tree.follow(self._plain(member.target, member), last=False):
            case File(data=data, executable=executable):
                self._tree.put(path, File(data, executable, self._number))
            case Link(target=target):
                self._tree.put(path, Link(target, self._number))
            case _:
                raise self._odd(
                    member, f"is a second name of {member.target!r}, which is no file before it"
                )

    def _odd(self, member: tar.Member, why: str) -> Malformed:
        return Malformed(
            f"{member.name!r} {why}", field=f"layer {self._number}", offset=member.at, fix=MADE_ANEW
        )


def _stored_as_named(layer: Layer) -> None:
    """Reads a layer again for its digest alone, where one is named."""
    if not layer.digest:
        return
    running = hashlib.sha256()
    for at in range(0, layer.stored.size, _PIECE):
        running.update(layer.stored.read(at, _PIECE))
    if running.hexdigest() != layer.digest:
        raise _changed(layer, running.hexdigest()) from None


def _changed(layer: Layer, found: str) -> Malformed:
    return Malformed(
        f"is sha256:{found}, and the manifest says {layer.digest}",
        field=layer.stored.name,
        fix=ANEW,
    )
