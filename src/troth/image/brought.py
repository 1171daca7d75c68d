"""What an app brings as a whole root file system: from a container image, or from a folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from troth.errors import Misuse
from troth.image import layers, oci, oci_files, process, starting, walk
from troth.image.architecture import AMD64, ARCHITECTURES, Architecture
from troth.image.foreign import Foreign
from troth.image.lock import RELOCK, Pin
from troth.image.process import Process, check
from troth.image.recipe import Recipe
from troth.image.scratch import in_root
from troth.image.unpacked import MAX_UNPACKED
from troth.wire import cpio

_MIB: Final = 1024 * 1024
_LEAST: Final = 512  # MiB
_OWN: Final = 80  # MiB of kernel, agent and its interpreter
_STEP: Final = 128  # MiB
_TIMES: Final = 4  # what nitro-cli asks of the memory beside the image


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """A root file system with its program.

    Attributes:
        entries: what the image's archive takes.
        process: how the program is started; its command begins with an absolute path.
        said: what was left out or has no effect, a sentence each.
        record: for the build record.
        size: bytes of its files.
    """

    entries: tuple[cpio.Entry, ...]
    process: Process
    said: tuple[str, ...]
    record: Mapping[str, Any]
    size: int

    def memory(self) -> int:
        """MiB that are enough where nobody said how many: four times what is unpacked."""
        need = _TIMES * (-(-self.size // _MIB) + _OWN)
        return max(_LEAST, -(-need // _STEP) * _STEP)


def bring(
    folder: Path, recipe: Recipe, pinned: Pin | None, *, source: Path | None = None
) -> "Brought | None":
    """What the recipe of an app brings, if it brings a root.

    Args:
        folder: the app's.
        recipe: of the app.
        pinned: which container image the lock names.
        source: where the image or folder is, in the place of where the recipe says.

    Raises:
        Misuse: it is a container image, and none is pinned.
        Misuse, Malformed, Unavailable: as `from_oci` and `from_rootfs`.
    """
    if not recipe.brings:
        return None
    place = source or folder / recipe.brings
    machine = ARCHITECTURES[recipe.architecture]
    if recipe.from_rootfs:
        return from_rootfs(
            place,
            entry=recipe.entry,
            directory=recipe.directory,
            environment=recipe.environment,
            scratch=recipe.scratch,
            machine=machine,
        )
    if pinned is None:
        raise Misuse("the lock names no container image, and the recipe brings one", fix=RELOCK)
    return from_oci(
        place,
        pinned=pinned,
        entry=recipe.entry,
        directory=recipe.directory,
        environment=recipe.environment,
        scratch=recipe.scratch,
        machine=machine,
    )


def pin(path: Path, *, machine: Architecture = AMD64) -> Pin:
    """Which image for a machine a file or folder holds; its layers are not read.

    Raises:
        Misuse, Malformed, Unavailable: as `oci.image` and `oci_files.opened`.
    """
    with oci_files.opened(path) as files:
        image = oci.image(files, name=path.name, machine=machine)
    return Pin(config=image.config_digest, manifest=image.manifest)


def from_oci(
    path: Path,
    *,
    pinned: Pin,
    entry: tuple[str, ...],
    directory: str,
    environment: Mapping[str, str],
    scratch: tuple[str, ...] = (),
    machine: Architecture = AMD64,
) -> Brought:
    """The root of a container image.

    Args:
        path: of the file or folder that it was saved to.
        pinned: which image it must be.
        entry: takes the place of the image's command, if it is not empty.
        directory: takes the place of the image's working folder, if it is not empty.
        environment: laid over the image's.
        scratch: folders that the app may write to.
        machine: that it must be for.

    Raises:
        Misuse: it is another image, or its program is not in it.
        Malformed, Unavailable: as `oci.image` and `layers.lay`.
    """
    with oci_files.opened(path) as files:
        image = oci.image(files, name=path.name, machine=machine)
        _same(path, Pin(config=image.config_digest, manifest=image.manifest), pinned)
        said = process.of_config(image.config, scratch=scratch)
        root, left_out = layers.lay(image, name=path.name)
    record = {
        "kind": "oci",
        "manifest": image.manifest,
        "config": image.config_digest,
        "layers": [f"sha256:{layer.diff_id}" for layer in image.layers],
    }
    return _ready(
        root,
        command=entry or said.command,
        environment={**said.environment, **environment},
        directory=directory or said.directory,
        process=said,
        said=(*said.said, *left_out.said()),
        record=record,
        scratch=scratch,
        machine=machine,
    )


def from_rootfs(
    path: Path,
    *,
    entry: tuple[str, ...],
    directory: str,
    environment: Mapping[str, str],
    scratch: tuple[str, ...] = (),
    machine: Architecture = AMD64,
) -> Brought:
    """The root that a folder of this machine's holds; arguments as for `from_oci`."""
    root, left_out = walk.walk(path)
    return _ready(
        root,
        command=entry,
        environment={"PATH": process.PATH, **environment},
        directory=directory or "/",
        process=Process(command=entry, environment={}),
        said=left_out.said(),
        record={"kind": "rootfs"},
        scratch=scratch,
        machine=machine,
    )


def _same(path: Path, found: Pin, pinned: Pin) -> None:
    """Holds an image against the lock: a tag or a file can be moved to another image."""
    both = found.manifest and pinned.manifest
    if found.config == pinned.config and (not both or found.manifest == pinned.manifest):
        return
    here, there = found.config, pinned.config
    if here == there:
        here, there = found.manifest, pinned.manifest
    raise Misuse(
        f"{path.name} holds the image {here}, and the lock names {there}",
        fix="bring the image that was locked, or if you mean the new one: troth lock APP --update",
    )


def _ready(
    root: Foreign,
    *,
    command: tuple[str, ...],
    environment: Mapping[str, str],
    directory: str,
    process: Process,
    said: tuple[str, ...],
    record: Mapping[str, Any],
    scratch: tuple[str, ...],
    machine: Architecture,
) -> Brought:
    if not command:
        raise Misuse(
            f"{root.name} names no command to start",
            fix="say which: --entry 'PROGRAM ARGUMENT…', or app.entry in troth.toml",
        )
    check(environment, scratch)
    covered = root.settle()
    in_root(root, scratch)
    starting.folder(root, directory)
    found = starting.find(
        root, command[0], path=environment["PATH"], directory=directory, machine=machine
    )
    entries = tuple(root.entries())
    size = sum(len(entry.data) for entry in entries)
    if size > MAX_UNPACKED:  # names of one file are so many files in an archive
        raise root.malformed(
            f"has {size >> 20} MiB of files, each name of a file counted",
            fix=f"make it smaller: an image may hold {MAX_UNPACKED >> 30} GiB",
        )
    return Brought(
        entries=entries,
        process=Process(
            command=(found, *command[1:]),
            environment=environment,
            directory=directory,
            stop_signal=process.stop_signal,
            exposed=process.exposed,
        ),
        said=(*said, *covered),
        record={
            **record,
            "entries": len(entries),
            "bytes": size,
            "exposed": list(process.exposed),
            "left_out": [*said, *covered],
        },
        size=size,
    )
