"""The ramdisk that makes `/dev/nsm` in a guest on this machine: no part of the image, and not measured.

Real hardware has the device. Here it leads to the host's simulated security module; see `local/`,
whose files run in the guest.
"""

import lzma
from pathlib import Path
from stat import S_IFDIR, S_IFREG
from typing import Final

from troth.errors import Malformed, TrothError
from troth.image import companions, deb
from troth.image.files import cache_folder, write_together
from troth.image.store import DIGEST, Store
from troth.wire import cpio, json

FOLDER: Final = "troth-local"
INIT: Final = f"/{FOLDER}/init"
"""What the kernel runs first; it runs the image's own `/init`."""
MODULES: Final = ("fuse", "cuse")
_SCRIPTS: Final = Path(__file__).parent / "local"
_MAX_MODULE: Final = 16 * 1024 * 1024
_MAX_RECORD: Final = 16 * 1024 * 1024


def make(modules: dict[str, bytes]) -> tuple[bytes | memoryview, ...]:
    """The archive, in pieces.

    Args:
        modules: from `modules_of`; without `cuse`, a socket stands for the device.
    """
    entries = [
        cpio.Entry(path=FOLDER, mode=S_IFDIR | 0o755),
        cpio.Entry(path=f"{FOLDER}/init", mode=S_IFREG | 0o755, data=_script("init")),
    ]
    if "cuse" in modules:
        entries.append(
            cpio.Entry(path=f"{FOLDER}/cuse.py", mode=S_IFREG | 0o644, data=_script("cuse"))
        )
    entries += [
        cpio.Entry(path=f"{FOLDER}/{name}.ko", mode=S_IFREG | 0o644, data=data)
        for name, data in modules.items()
    ]
    return cpio.pack(entries)


def _script(name: str) -> bytes:
    return (_SCRIPTS / f"{name}.py").read_bytes()


def modules_of(image: Path) -> dict[str, bytes]:
    """The kernel's modules for a device that a process drives, from the package the image was built from.

    The package is looked up by its digest, as the build record beside the image has it. An image that
    came without its record, or whose package is not in this user's store, gets none. Unpacking a whole
    kernel package takes a second, so what was found is kept in the cache.
    """
    record = companions.of(image, companions.RECORD)
    try:
        if record.stat().st_size > _MAX_RECORD:
            return {}
        built = json.parse(record.read_bytes(), field=record.name)
        package = _kernel(built)
        if package is None:
            return {}
        kept = cache_folder() / "modules" / package["sha256"]
        if not kept.is_dir():
            data = Store.of_user().get(sha256=package["sha256"], name=package["name"])
            found = _modules(data, package["name"])
            write_together(kept, {f"{name}.ko": [content] for name, content in found.items()})
        return {path.stem: path.read_bytes() for path in sorted(kept.glob("*.ko"))}
    except (OSError, TrothError, lzma.LZMAError):
        return {}


def _kernel(built: object) -> dict[str, str] | None:
    match built:
        case {"kernel": {"package": {"name": str(name), "sha256": str(digest)}}} if (
            DIGEST.fullmatch(digest)
        ):
            return {"name": name, "sha256": digest}
        case _:
            return None


def _modules(package: bytes, name: str) -> dict[str, bytes]:
    found = {}
    for member in deb.members(package, name=name):
        stem = Path(member.path).name.removesuffix(".ko.xz")
        if stem in MODULES and member.path.endswith(".ko.xz") and "/modules/" in member.path:
            data = lzma.LZMADecompressor().decompress(member.data, _MAX_MODULE)
            if not data:
                raise Malformed("is empty", field=stem)
            found[stem] = data
    return found
