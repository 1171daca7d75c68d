"""`troth rebuild` of a file that is no image: a wheel, or the hardware kernel."""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from troth.cli import _diff, _rebuilt
from troth.cli._console import out as data_out
from troth.cli._console import read_source, refuse_existing, say, write_file
from troth.errors import Misuse
from troth.render.escape import visible

if TYPE_CHECKING:
    from troth.image.wheel_again import Built

SCHEMA: Final = "troth/rebuild-file/1"
WHEEL: Final = ".whl"
_MOST: Final = 200
_HEAD: Final = 0x400


def is_file(target: str) -> bool:
    """Whether a target is a wheel by its name, or a kernel by how it begins."""
    return is_wheel(target) or is_kernel(target)


def is_wheel(target: str) -> bool:
    """Whether it is called as a wheel is, and is no folder."""
    return target.endswith(WHEEL) and "://" not in target and not Path(target).is_dir()


def is_kernel(target: str) -> bool:
    """Whether it is a file that begins as a kernel of Linux."""
    from troth.image.hardware import again

    path = Path(target)
    if "://" in target or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return again.is_kernel(file.read(_HEAD))
    except OSError:
        return False


def rebuild(
    target: str,
    *,
    refused: Mapping[str, object],
    where: Mapping[str, str | None],
    python: Path | None,
    mirror: str | None,
    out: Path | None,
    json: bool,
) -> int:
    """Builds a wheel or the hardware kernel again and compares.

    Args:
        target: the file.
        refused: flags that are for images, and what they were given.
        where: `--source`, `--tag`, `--commit` and `--path`.
        python: that a wheel's build backend runs under.
        mirror: where packages of Debian's are, for a kernel.
        out: where the rebuilt file is kept.
        json: print the result as JSON.
    """
    refuse_existing(out)
    if is_wheel(target):
        _refuse({**refused, "--mirror": mirror}, "a wheel")
        return _wheel(target, where, python=python, out=out, json=json)
    _refuse({**refused, **where, "--python": python}, "the hardware kernel")
    return _kernel(target, mirror, out=out, json=json)


def _refuse(flags: Mapping[str, object], what: str) -> None:
    given = [name for name, value in flags.items() if value is not None]
    if given:
        raise Misuse(f"{', '.join(given)}: of no meaning for {what}", fix="leave it away")


def _wheel(
    target: str,
    where: Mapping[str, str | None],
    *,
    python: Path | None,
    out: Path | None,
    json: bool,
) -> int:
    from troth.cli import _rebuild_source
    from troth.cli._progress import progress
    from troth.image import wheel_again, wheel_compare
    from troth.image.files import disk

    name = Path(target).name
    wheel_again.named(name)
    data = read_source(target, limit=wheel_again.MOST)
    wheel_again.check_wheel(data, name=name)
    if where["--source"] is None:
        raise Misuse(
            "where the wheel's source is, is not said",
            fix="name its address or a clone, and the commit: --source PLACE --commit HASH",
        )
    place = _rebuild_source.of(
        target,
        None,
        where["--source"],
        tag=where["--tag"],
        commit=where["--commit"],
        path=where["--path"],
    )
    with disk("making a folder for the source"):
        holder = TemporaryDirectory(prefix="troth-source-")
    with holder as folder, progress() as tell:
        source, told = _rebuild_source.fetched(place, Path(folder, "source"), tell)
        built = wheel_again.build(
            source, python=sys.executable if python is None else str(python), say=tell
        )
    if not built.apart:
        say("note: this machine lets nobody take the network away, so the backend had it")
    known = [
        _diff.Known(difference=difference, owner="", told=words)
        for difference, words in wheel_compare.differences(data, built.data)
    ]
    if built.name != name:
        known.insert(0, _named(name, built.name))
    if out is not None:
        write_file(out, built.data, replace=False)
    where_words = told.get("folder") or f"{told['git']}, commit {told['commit']}"
    by = ", ".join(f"{pin.name} {pin.version}" for pin in built.plan.pins)
    rows = [
        f"source   {visible(str(where_words))}",
        f"built by {visible(by)}{'' if built.apart else ', with the network in reach'}",
        f"rebuilt  sha256 {hashlib.sha256(built.data).hexdigest()}, {len(built.data)} bytes",
    ]
    document = {"kind": "wheel", "source": told, "build": _how(built)}
    return _show(document, target, data, built.data, known, rows=rows, out=out, json=json)


def _named(first: str, second: str) -> "_diff.Known":
    from troth.image.compare import Difference
    from troth.image.explain.told import Told

    difference = Difference(section="name", what="value", first=first, second=second)
    return _diff.Known(difference=difference, owner="", told=Told())


def _how(built: "Built") -> dict[str, Any]:
    return {
        "backend": built.plan.backend,
        "requirements_sha256": built.plan.requirements_sha256,
        "packages": [{"name": pin.name, "version": pin.version} for pin in built.plan.pins],
        "without_network": built.apart,
    }


def _kernel(target: str, mirror: str | None, *, out: Path | None, json: bool) -> int:
    from troth.cli._kernel import ensure
    from troth.image.apt import Mirrors
    from troth.image.hardware import again, kept
    from troth.image.hardware.build import Differs
    from troth.image.hardware.inputs import inputs
    from troth.image.store import Store

    path, store, lock = Path(target), Store.of_user(), inputs()
    data = read_source(target, limit=again.MOST)
    if not again.claimed(path, data):
        raise Misuse(
            f"{target} is a kernel, {visible(again.version(data)) or 'of no version'}, and not the hardware "
            f"kernel {lock.kernel.version} of this troth",
            fix="Debian's kernels are not built here; for an older hardware kernel take the troth of that time",
        )
    try:
        ensure(store, check=True, mirrors=Mirrors.beside(mirror) if mirror else None)
    except Differs as error:
        for line in error.differences:
            say(f"differs: {line}")
        raise
    kernel = kept.find(store)
    if kernel is None:
        raise kept.Missing
    found = again.differences(path, data, image=bytes(kernel.image), built=kept.config(store))
    known = list(_diff.known(found, ()))
    if out is not None:
        write_file(out, bytes(kernel.image), replace=False)
    package = {"package": lock.source.name, "version": lock.source.version}
    rows = [
        f"source   {lock.source.name} {lock.source.version}, sha256 {lock.source.sha256}",
        f"built by {len(lock.toolchain)} packages of tools, twice, and equal",
        f"rebuilt  sha256 {lock.kernel.sha256}, {lock.kernel.size} bytes, {lock.kernel.version}",
    ]
    document = {
        "kind": "kernel",
        "source": {**package, "sha256": lock.source.sha256},
        "build": {"toolchain_sha256": lock.toolchain_sha256, "made_from": lock.kernel.made_from},
    }
    return _show(document, target, data, bytes(kernel.image), known, rows=rows, out=out, json=json)


def _show(
    document: Mapping[str, Any],
    name: str,
    data: bytes,
    rebuilt: bytes,
    known: "list[_diff.Known]",
    *,
    rows: Sequence[str],
    out: Path | None,
    json: bool,
) -> int:
    from troth.wire import json as strict

    equal = data == rebuilt and not known
    left_out = max(0, len(known) - _MOST)
    if json:
        value = {
            "schema": SCHEMA,
            **document,
            "equal": equal,
            "file": {
                "name": _rebuilt.shown(Path(name)),
                "size": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
            },
            "rebuilt": {
                "size": len(rebuilt),
                "sha256": hashlib.sha256(rebuilt).hexdigest(),
                **({} if out is None else {"file": _rebuilt.shown(out)}),
            },
            "differences": [_diff.plain(one) for one in known[:_MOST]],
            "left_out": left_out,
        }
        data_out(strict.canonical(value).decode())
        return 0 if equal else 1
    for row in rows:
        data_out(row)
    if out is not None:
        data_out(f"kept as  {visible(_rebuilt.shown(out))}")
    _diff.print_all(known[:_MOST], left_out)
    data_out(f"equal to {visible(name)}, byte for byte" if equal else "differs")
    return 0 if equal else 1
