"""From an app's folder to an image: the same bytes wherever it is built."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from troth._version import __version__
from troth.image import budget as budgets
from troth.image import companions, locking, record, rootfs, squeeze, surface_build
from troth.image import recipe as recipes
from troth.image.brought import Brought, bring
from troth.image.budget import Budget
from troth.image.files import write_together
from troth.image.kernel import COMMAND_LINE, Kernel
from troth.image.keys import suite
from troth.image.lock import Lock
from troth.image.memo import Memo
from troth.image.recipe import Recipe
from troth.image.store import Store
from troth.platforms.nitro.measure import measure
from troth.wire import cpio, eif, json, ramdisk

EPOCH: Final = "1970-01-01T00:00:00+00:00"
_BOOT_PARTS: Final = ("init", rootfs.AGENT, rootfs.MODULES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """An image, not yet written.

    Attributes:
        name: the app's.
        image: the EIF as a value; its bytes are written without being joined.
        sha256: of the file.
        raw_nsm: whether its app has the security module itself.
        measurements: platform to register to hex.
        record: every input with its digest, and what came out.
    """

    name: str
    image: eif.Eif
    sha256: str
    raw_nsm: bool
    measurements: Mapping[str, Mapping[str, str]]
    record: Mapping[str, Any]


def build(
    folder: Path,
    *,
    store: Store | None = None,
    kernel: str | None = None,
    root: Path | None = None,
    budget: Budget | None = None,
    memo: Memo | None = None,
    say: Callable[[str], object] = lambda _: None,
) -> Built:
    """Builds an app's image from its recipe and lock.

    Args:
        folder: the app's.
        store: where packages are kept, and the hardware kernel.
        kernel: one of `recipes.KERNELS`, in the place of the recipe's; the record says so.
        root: the container image or folder that the app's root is taken from, in the place of where
            the recipe says.
        budget: what the image may have, in the place of the recipe's.
        memo: what earlier builds made of the same inputs; without one each step is done.
        say: told each step.

    Raises:
        OverBudget: it has more.
        Misuse: no lock, or one that does not fit; see `rootfs.make` for what a recipe can get wrong.
        Malformed, Unavailable: as `locking.ensure` and `rootfs.make`.
    """
    recipe, lock, place = locking.ensure(folder, store=store, say=say)
    asked = recipe.kernel
    if kernel is not None:
        recipes.check_kernel(kernel, "the kernel")
        recipe = replace(recipe, kernel=kernel)
        recipes.check_architecture(recipe)
    brought = bring(folder, recipe, lock.oci, source=root)
    if brought is not None:
        recipe = replace(recipe, memory=recipe.memory or brought.memory())
    with rootfs.make(folder, recipe, lock, place, brought=brought, memo=memo) as made:
        tree, linux = made.tree, made.kernel
        with ThreadPoolExecutor(max_workers=1) as beside:
            packed = beside.submit(_ramdisks, made, brought, memo)
            surface = surface_build.report(recipe, lock, tree, linux, brought)
            budgets.hold(surface, Budget(limits=recipe.budget) if budget is None else budget)
            ramdisks = packed.result()
    image = _assemble(ramdisks, linux, recipe, lock)
    with ThreadPoolExecutor(max_workers=2) as beside:
        measured, summed = beside.submit(measure, image), beside.submit(_sha256, image)
        inputs = record.inputs(
            folder,
            place,
            recipe=recipe,
            lock=lock,
            tree=tree,
            linux=linux,
            brought=brought,
            surface=surface,
            asked=asked,
            memo=memo,
        )
        sha256, registers = summed.result(), measured.result().hex()
    return Built(
        name=recipe.name,
        image=image,
        sha256=sha256,
        raw_nsm=recipe.raw_nsm,
        measurements={"nitro": dict(registers)},
        record={**inputs, **record.outputs(image, sha256, registers)},
    )


def _sha256(image: eif.Eif) -> str:
    running = hashlib.sha256()
    for piece in eif.pieces(image):
        running.update(piece)
    return running.hexdigest()


def write(built: Built, out: Path) -> None:
    """Writes the image, its measurements and its build record; all of them or none.

    Args:
        built: from `build`.
        out: path of the image; the others stand beside it.
    """
    measurements = companions.measurements(
        built.measurements,
        name=built.name,
        sha256=built.sha256,
        size=built.image.size,
        raw_nsm=built.raw_nsm,
    )
    write_together(
        out.parent,
        {
            companions.of(out, companions.MEASUREMENTS).name: [json.canonical(measurements)],
            companions.of(out, companions.RECORD).name: [json.canonical(built.record)],
            out.name: eif.pieces(built.image),
        },
    )


def _ramdisks(
    made: rootfs.Rootfs, brought: Brought | None, memo: Memo | None
) -> list[tuple[bytes | memoryview, ...]]:
    """The first is troth's and the kernel's, so that apps share PCR1; the second is the app's.

    Both are compressed, but a second one with a root that the app brings, which may be of any size, or
    that is larger than what anybody unpacks.
    """
    root = () if brought is None else brought.entries
    entries = (*made.tree.entries(), *root)
    boot = [entry for entry in entries if _is_boot(entry.path)]
    rest = [entry for entry in entries if not _is_boot(entry.path)]
    archives = [
        list(cpio.chunks(_with_folders(part, entries), squeeze.begins)) for part in (boot, rest)
    ]
    large = sum(len(p) for chunk in archives[1] for p in chunk.pieces) > ramdisk.MAX_UNPACKED
    last = 1 if root or large else 2
    squeezed = squeeze.squeeze(archives[:last], interpreter=made.interpreter, memo=memo)
    plain = [tuple(p for chunk in archive for p in chunk.pieces) for archive in archives[last:]]
    return [*((archive,) for archive in squeezed), *plain]


def _assemble(
    ramdisks: Sequence[tuple[bytes | memoryview, ...]], linux: Kernel, recipe: Recipe, lock: Lock
) -> eif.Eif:
    metadata = {
        "ImageName": recipe.name,
        "ImageVersion": "1",
        "BuildMetadata": {
            "BuildTime": EPOCH,
            "BuildTool": "troth",
            "BuildToolVersion": __version__,
            "OperatingSystem": suite(lock.suite).title,
            "KernelVersion": linux.version,
        },
        "DockerInfo": None,
        "CustomMetadata": None,
    }
    return eif.Eif(
        sections=(
            eif.Section(kind=eif.Kind.KERNEL, pieces=(linux.image,)),
            eif.Section(kind=eif.Kind.COMMAND_LINE, pieces=(COMMAND_LINE,)),
            eif.Section(kind=eif.Kind.METADATA, pieces=(json.canonical(metadata),)),
            *(eif.Section(kind=eif.Kind.RAMDISK, pieces=pieces) for pieces in ramdisks),
        ),
        flags=lock.machine.flags,
        default_memory=recipe.memory * 1024 * 1024,
        default_cpus=recipe.cpus,
    )


def _is_boot(path: str) -> bool:
    return any(path == part or path.startswith(f"{part}/") for part in _BOOT_PARTS)


def _with_folders(part: list[cpio.Entry], entries: Iterable[cpio.Entry]) -> tuple[cpio.Entry, ...]:
    """The entries, with the folders above them."""
    have = {entry.path for entry in part}
    above: set[str] = set()
    for path in have:
        while "/" in path and (path := path.rpartition("/")[0]) not in above:
            above.add(path)
    above -= have
    return (*part, *(entry for entry in entries if entry.path in above))
