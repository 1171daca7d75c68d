"""Files that no platform measures, and what they are made from: a wheel, and the hardware kernel.

Everything here is had from what anybody has: the wheel and a commit of its source, or this very troth, which pins
what the kernel is made from.

Does not verify: that the file comes out of it. `troth rebuild` shows that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from troth.errors import Malformed, Misuse
from troth.image import unpack_wheel, wheel_again
from troth.image.checkout import Source
from troth.image.hardware import options, plan
from troth.image.hardware.inputs import inputs
from troth.image.pins import canonical
from troth.image.store import digest

# Requirements are read as for this Python on x86-64, on whichever ones they are read.
_PYTHON: Final = "3.11.0"
_LINUX: Final = "GPL-2.0-only WITH Linux-syscall-note"
_MOST_NEEDS: Final = 1000
_MOST_WORDS: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """Something that went in, or that built it.

    Attributes:
        role: `source` or `builder`.
        kind: `wheel` or `deb`.
        name, version: as its maker spells them.
        sha256: of the files that it may be; one of a package of Debian's.
    """

    role: str
    kind: str
    name: str
    version: str
    sha256: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file, and what it is made from.

    Attributes:
        kind: `wheel` or `kernel`.
        name: the file's.
        title, version: of what is in it.
        sha256: of the file, in hex.
        licence: as it states it, an expression of SPDX; or empty.
        source: the commit that it is made from; None for the kernel, whose source is a package.
        suite: of Debian's packages, or empty.
        external: what whoever asked for the build chose.
        internal: what decided it beside.
        inputs: what went in.
        needs: of a wheel what it needs where it runs, as it says it.
        byproducts: name to SHA-256 of what else came out.
    """

    kind: str
    name: str
    title: str
    version: str
    sha256: str
    licence: str
    source: Source | None = None
    suite: str = ""
    external: Mapping[str, Any]
    internal: Mapping[str, Any]
    inputs: tuple[Input, ...]
    needs: tuple[str, ...] = ()
    byproducts: Mapping[str, str]


def wheel(data: bytes, *, name: str, source: Source, folder: Path) -> Artifact:
    """A wheel and the commit that it is made from.

    Args:
        data: the wheel.
        name: its file's.
        source: the commit.
        folder: its files.

    Raises:
        Misuse: the source names no build requirements by hash, or the name is no wheel's.
        Malformed: the wheel is damaged, or is another one by what it says itself.
        Unavailable: the package `packaging` is not installed (extra `locks`).
    """
    title, version = wheel_again.named(name)
    said = _metadata(data, name)
    if canonical(said["Name"]) != canonical(title) or said["Version"] != version:
        raise Malformed(
            f"says of itself that it is {said['Name']} {said['Version']}"[:200], field=name
        )
    how = wheel_again.plan(folder, python=_PYTHON)
    return Artifact(
        kind="wheel",
        name=name,
        title=said["Name"],
        version=version,
        sha256=digest(data),
        licence=said["License-Expression"],
        source=source,
        external={"source": {"git": source.git, "commit": source.commit, "path": source.path}},
        internal={
            "backend": how.backend,
            "project": {"name": wheel_again.PROJECT, "digest": {"sha256": how.project_sha256}},
            "requirements": {
                "name": wheel_again.REQUIREMENTS,
                "digest": {"sha256": how.requirements_sha256},
            },
        },
        inputs=tuple(
            Input(role="builder", kind="wheel", name=p.name, version=p.version, sha256=p.sha256)
            for p in how.pins
        ),
        needs=tuple(said["Requires-Dist"]),
        byproducts={},
    )


def _metadata(data: bytes, name: str) -> dict[str, Any]:
    """What a wheel says of itself (core metadata)."""
    said = unpack_wheel.metadata(data, name=name)
    once = {}
    for key in ("Name", "Version", "License-Expression"):
        values = [str(value) for value in said.get_all(key, [])]
        if len(values) > 1 or not all(_is_plain(value) for value in values):
            raise Malformed(f"its METADATA does not say its {key} once, in words", field=name)
        once[key] = values[0] if values else ""
    needs = [str(value) for value in said.get_all("Requires-Dist", [])]
    if len(needs) > _MOST_NEEDS or not all(map(_is_plain, needs)):
        raise Malformed("needs what has no name, or too much", field=name)
    return {**once, "Requires-Dist": needs}


def _is_plain(value: str) -> bool:
    return value.isascii() and value.isprintable() and len(value) <= _MOST_WORDS


def kernel(data: bytes) -> Artifact:
    """The hardware kernel, and what it is made from.

    Raises:
        Misuse: it is not the one that this troth pins.
        Malformed: this troth's lock is damaged.
    """
    lock = inputs()
    pinned = lock.kernel
    if digest(data) != pinned.sha256:
        raise Misuse(
            f"it is not the hardware kernel {pinned.version} that this troth pins: its SHA-256 is {digest(data)}",
            fix="`troth kernel build -o FILE` gives that one; for an older one take the troth of that time",
        )
    source = lock.source
    builders = lock.toolchain
    return Artifact(
        kind="kernel",
        name=pinned.file,
        title="linux",
        version=pinned.version,
        sha256=pinned.sha256,
        licence=_LINUX,
        suite=lock.suite,
        external={
            "package": {"name": source.name, "version": source.version},
            "options": {"digest": {"sha256": digest(options.fragment(options.table()))}},
        },
        internal={
            "suite": lock.suite,
            "archiveKeys": list(lock.keys),
            "plan": plan.VERSION,
            "madeFrom": {"digest": {"sha256": pinned.made_from}},
        },
        inputs=(
            Input(role="source", kind="deb", name=source.name, version=source.version, sha256=(source.sha256,)),
            *(Input(role="builder", kind="deb", name=d.name, version=d.version, sha256=(d.sha256,)) for d in builders),
        ),
        byproducts={"configuration": pinned.config_sha256},
    )  # fmt: skip
