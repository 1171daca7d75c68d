"""The kernel and the few modules an enclave needs, out of a locked Debian package."""

import lzma
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from troth.errors import Malformed
from troth.image import deb
from troth.image.lock import Lock
from troth.image.memo import Memo, recall
from troth.image.store import Store

WANTED: Final = ("virtio_mmio", "vmw_vsock_virtio_transport", "nsm")
"""Everything else is loaded because one of these depends on it."""
COMMAND_LINE: Final = b"reboot=k panic=30 pci=off console=ttyS0 random.trust_cpu=on no_timer_check"
"""One for both kernels and for every machine; measured. The last word is what a guest of KVM does by itself:
under emulation on a busy machine the kernel's own test of the timer sometimes fails, and it gives up."""
_MODULE: Final = re.compile(r"(?:usr/)?lib/modules/([^/]+)/kernel/.*/([^/]+)\.ko\.xz")
_DEPENDS: Final = re.compile(rb"\0depends=([^\0]*)\0")
# Documentation/arch/arm64/booting: the magic of a raw image; and what compressed ones have instead.
_ARM64_MAGIC: Final = b"ARMd"
_ARM64_MAGIC_AT: Final = 56
_ZBOOT: Final = b"zimg"
_GZIP: Final = b"\x1f\x8b"
_MAX_MODULE: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """What is taken from the package, or was built here.

    Attributes:
        image: a bzImage, or on arm64 the raw image.
        version: such as `6.12.0-cloud-amd64`.
        modules: file name and content, in the order in which they must be loaded; none where all
            that is needed is in the image.
        config: its configuration as the package has it; empty where it is another's to tell.
    """

    image: bytes
    version: str
    modules: tuple[tuple[str, bytes], ...] = ()
    config: bytes = b""


def of_lock(lock: Lock, store: Store, memo: Memo | None = None) -> Kernel:
    """The kernel of the package that a lock names.

    Args:
        lock: an app's.
        store: holds the package.
        memo: remembers what is taken from it.

    Raises:
        Malformed: as `take`.
        Unavailable: it is not in the store.
    """
    package, raw = lock.kernel, lock.machine.raw

    def taken(_: Sequence[int]) -> list[list[bytes]]:
        data = store.get(sha256=package.sha256, name=package.file)
        made = take(data, name=package.file, raw=raw)
        modules = (part for name, module in made.modules for part in (name.encode(), module))
        return [[made.image, made.version.encode(), made.config, *modules]]

    (parts,) = recall(memo, "kernel", [(package.sha256, str(raw))], taken)
    image, version, config, *rest = map(bytes, parts)
    names = (name.decode() for name in rest[::2])
    modules = tuple(zip(names, rest[1::2], strict=True))
    return Kernel(image=image, version=version.decode(), modules=modules, config=config)


def take(package: bytes, *, name: str, raw: bool = False) -> Kernel:
    """Reads the package.

    Args:
        package: a Debian package.
        name: its file's, for errors.
        raw: whether loaders take nothing but a raw image, as on arm64.

    Raises:
        Malformed: it holds no kernel, or not one that is raw, or lacks a module.
    """
    image, version, config = b"", "", b""
    packed: dict[str, bytes] = {}
    for member in deb.members(package, name=name):
        if member.path.startswith("boot/vmlinuz-"):
            image, version = member.data, member.path.removeprefix("boot/vmlinuz-")
        elif member.path.startswith("boot/config-"):
            config = member.data
        elif match := _MODULE.fullmatch(member.path):
            packed[match[2].replace("-", "_")] = member.data
    if not image:
        raise Malformed("holds no kernel", field=name)
    if not version.isascii():
        raise Malformed(f"holds a kernel of the version {version!r}", field=name)
    if raw and image[_ARM64_MAGIC_AT:][: len(_ARM64_MAGIC)] != _ARM64_MAGIC:
        kind = "compressed" if image[4:8] == _ZBOOT or image[:2] == _GZIP else "of another kind"
        raise Malformed(
            f"holds a kernel that is {kind}, and enclaves on arm64 start a raw one alone",
            field=name,
        )
    ordered: dict[str, bytes] = {}
    for wanted in WANTED:
        _load(wanted, packed, ordered, name)
    modules = tuple((f"{module}.ko", data) for module, data in ordered.items())
    return Kernel(image=image, version=version, modules=modules, config=config)


def _load(module: str, packed: dict[str, bytes], ordered: dict[str, bytes], name: str) -> None:
    """Puts a module behind those that it depends on."""
    if module in ordered:
        return
    if module not in packed:
        raise Malformed(f"lacks the module {module}", field=name)
    try:
        # Taken out, so that one that depends on itself is not looked for without end.
        data = lzma.LZMADecompressor().decompress(packed.pop(module), _MAX_MODULE)
    except lzma.LZMAError as error:
        raise Malformed(f"the module {module} is damaged: {error}", field=name) from None
    match = _DEPENDS.search(data)
    for needed in match[1].decode("ascii", "replace").split(",") if match else ():
        if needed:
            _load(needed.replace("-", "_"), packed, ordered, name)
    ordered[module] = data
