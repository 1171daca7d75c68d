"""A layer of a container image, laid over another one; whatever is accepted can be packed."""

import hashlib
import os
from collections.abc import Iterable

from tests.image.containers import folder, hard, link, member, packed, tar

from fuzz.target import Target, same
from troth.image.foreign import Folder, Foreign
from troth.image.layers import lay
from troth.image.oci import Image, Layer
from troth.image.oci_files import Stored
from troth.image.unpacked import Budget
from troth.wire import cpio

_LOW = tar(
    folder("etc"), member("etc/a", b"low"), folder("usr"), link("lib", "usr"), link("up", "../.."),
    hard("etc/b", "etc/a"), folder("etc/deep"), member("etc/deep/c", b"x"),
)  # fmt: skip
_BUDGET = 1 << 20


def _run(data: bytes) -> None:
    # A layer is compared with what its own digest says, so that the way to the end is open.
    layers = [_layer(item) for item in (_LOW, data)]
    try:
        image = Image(manifest="", config_digest="", config={}, layers=tuple(layers))
        root, _ = lay(image, name="image", budget=Budget(_BUDGET))
        root.settle()
        entries = tuple(root.entries())
        again = cpio.read(b"".join(cpio.pack(entries)))
        same(len(again), len(entries), "what was packed")
        same(_count(root), len(entries), "what is in the tree")
    finally:
        for layer in layers:
            os.close(layer.stored.handle)


def _layer(data: bytes) -> Layer:
    handle = os.memfd_create("layer")
    os.write(handle, data)
    stored = Stored(name="layer", size=len(data), handle=handle)
    return Layer(stored=stored, digest="", diff_id=_Any(hashlib.sha256(data).hexdigest()))


class _Any(str):
    """A digest that is the right one for whatever the layer unpacks to."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str)

    def __ne__(self, other: object) -> bool:
        return not isinstance(other, str)

    __hash__ = str.__hash__


def _count(root: Foreign) -> int:
    found, todo = 0, [root.root]
    while todo:
        for child in todo.pop().children.values():
            found += 1
            if isinstance(child, Folder):
                todo.append(child)
    return found + 1


def _seeds() -> Iterable[bytes]:
    upper = tar(
        member("etc/.wh.a"), member("lib/x", b"new"), member("etc/deep/.wh..wh..opq"),
        hard("h", "lib/x"), folder("lib"), link("l", "/etc/deep"), member("l/y", b"y"),
        member("ü" * 120, b"long"),
    )  # fmt: skip
    yield upper
    yield tar(member("a/b/c", b"x"), member("a/.wh.b"), folder("run/lock"), member("tmp/x"))
    yield packed(upper, "gzip")
    yield packed(upper, "zstd")


TARGET = Target(
    run=_run,
    seeds=_seeds,
    words=(b".wh.", b".wh..wh..opq", b"../", b"ustar\x0000", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"),
)
