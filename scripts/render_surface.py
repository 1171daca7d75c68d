"""Write docs/reference/surface.md's reports of the examples again, each from the tree that it builds to.

    scripts/render_surface.py [NAME …]

Programs of Go, Rust and the container image are compiled first, in a copy, by this machine's own tools. The tests
that build the examples hold the page against the records of these builds. Sizes are rounded, so that a few
lines more in the agent are no news.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from troth.image import locking, rootfs, surface_build
from troth.image.brought import bring
from troth.image.memo import Memo
from troth.image.surface_names import PROGRAMS
from troth.image.surface_words import KINDS

REPOSITORY: Final = Path(__file__).parents[1]
EXAMPLES: Final = REPOSITORY / "examples"
PAGE: Final = REPOSITORY / "docs" / "reference" / "surface.md"
END: Final = "<!-- end -->"
PINNED: Final = ("hello", "auction", "shell", "hello-node")
COMPILED: Final = ("hello-go", "hello-rust")
OTHERS: Final = ("hello-oci",)
"""Made of what this machine's apt gives today, which no lock pins: rendered, and not checked."""
_NAMED: Final = (
    *PROGRAMS,
    "static",
    "no_pie",
    "missing_libraries",
    "outside_rpath",
    "executable_stack",
)
_QUIET: Final = ("setuid", "setgid", "world_writable", "units", "unread")
_LEAST: Final = 50_000  # bytes that are told as a tenth of a megabyte
_COMPILER: Final = re.compile(r"[0-9a-f]{64}  (\S.*)$", re.MULTILINE)


def report(name: str, memo: Memo) -> tuple[dict[str, Any], str]:
    """The surface of an example, and what compiled its program."""
    with tempfile.TemporaryDirectory() as place:
        ignored = shutil.ignore_patterns("bin", "target", "image.tar", "__pycache__")
        folder = shutil.copytree(EXAMPLES / name, Path(place, name), ignore=ignored)
        made_by = ""
        if (folder / rootfs.COMPILE).exists():
            words = [folder / rootfs.COMPILE]
            done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
            made_by = compiler(done.stdout)
        if not (folder / "troth.lock").exists():
            from troth.image.store import Store

            locking.make(folder, store=Store.of_user())
        recipe, lock, store = locking.ensure(folder)
        brought = bring(folder, recipe, lock.oci)
        with rootfs.make(folder, recipe, lock, store, brought=brought, memo=memo) as made:
            return surface_build.report(recipe, lock, made.tree, made.kernel, brought), made_by


def compiler(said: str) -> str:
    """What a program was compiled by, from what `compile` says last; empty where it does not say."""
    match = _COMPILER.search(said)
    return match[1] if match else ""


def section(found: dict[str, Any], made_by: str) -> str:
    """The report of one example as the page has it, from what its build record says."""
    numbers, named = found["numbers"], found["named"]
    counted = [
        f"{round(numbers['files'], -1):,} files",
        f"{numbers['elf']} in machine code",
        f"{numbers['packages']} packages",
        f"{numbers['programs']} {'program' if numbers['programs'] == 1 else 'programs'} in PATH",
        f"{numbers['listeners']} listeners",
        f"{numbers['modules']} kernel modules",
        f"{round(numbers['python_lines'], -3):,} lines of Python",
    ]
    kinds = [_kind(kind, numbers[kind], named.get(kind, [])) for kind in _NAMED if numbers[kind]]
    none = [kind for kind in (*_NAMED, *_QUIET) if not numbers[kind]]
    some = [f"{kind} {numbers[kind]}" for kind in _QUIET if numbers[kind]]
    lines = [f"Compiled by {made_by}."] if made_by else []
    lines += [f"{', '.join(counted)}.", f"{'; '.join([*kinds, *some])}."]
    lines += [f"None: {', '.join(none)}.", "", "| MB | for | of it |", "| ---: | --- | --- |"]
    for kind, words in KINDS.items():
        owners = [o for o in found["owners"] if o["kind"] == kind]
        size = sum(owner["numbers"].get("bytes", 0) for owner in owners)
        if size:
            told = f"{size / 1e6:.1f}" if size >= _LEAST else "<0.1"
            lines.append(f"| {told} | {words} | {_largest(owners)} |")
    lines.append(f"| **{numbers['bytes'] / 1e6:.1f}** | all of it, unpacked | |")
    return "\n".join(lines)


def _kind(kind: str, number: int, paths: list[str]) -> str:
    shown = ", ".join(f"`{path}`" for path in paths[:3])
    return f"{kind} {number}" + (f" ({shown}{', …' if number > 3 else ''})" if shown else "")


def _largest(owners: list[dict[str, Any]]) -> str:
    large = [o for o in owners if o["numbers"].get("bytes", 0) >= _LEAST][:6]
    told = [f"{o['name']} {o['numbers']['bytes'] / 1e6:.1f}" for o in large]
    left = len(owners) - len(large)
    return ", ".join(told) + (f", and {left} more" if told and left else "")


def opening(name: str) -> str:
    """What stands before a report."""
    return f"<!-- surface of {name}: made by scripts/render_surface.py -->"


def shown(text: str, name: str) -> str:
    """The report that a page has."""
    _, begin, rest = text.partition(opening(name) + "\n")
    made, end, _ = rest.partition("\n" + END)
    if not begin or not end:
        raise SystemExit(f"error: the page has no place for {name}")
    return made


def main(names: list[str]) -> int:
    """Write the reports of these examples, or of all."""
    text = PAGE.read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        memo = Memo(folder=Path(folder), key=b"of this run alone")
        found = {name: report(name, memo) for name in names or [*PINNED, *COMPILED, *OTHERS]}
    for name, what in found.items():
        there, made = shown(text, name), section(*what)
        text = text.replace(f"{opening(name)}\n{there}\n", f"{opening(name)}\n{made}\n")
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
