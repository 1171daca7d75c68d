"""Can Linux start this file of an app's on the image's machine? Said when an image is built, not when the app is."""

from pathlib import PurePosixPath
from typing import Final

from troth.errors import Misuse
from troth.image import elf
from troth.image.tree import Tree

_SCRIPT: Final = b"#!"
_MOST_LINE: Final = 256  # of an interpreter line, as the kernel reads it
_COMPILE: Final = (
    "compile it for {} Linux, as ./compile of `troth init --lang go` does for 64-bit x86"
)


def check_machine(data: bytes, *, name: str, wanted: str = elf.X86_64) -> None:
    """Refuse a program that is compiled for another machine; any other file passes.

    Args:
        data: the file.
        name: its path, for the error.
        wanted: what the image is for, in the words of `elf.machine`.

    Raises:
        Misuse: it is such a program.
    """
    if elf.is_elf(data) and (machine := elf.machine(data)) != wanted:
        raise Misuse(
            f"{name} is compiled for {machine}, and this image is for {wanted}",
            fix=_COMPILE.format(wanted),
        )


def interpreter(data: bytes) -> str | None:
    """What the first line of a script names, perhaps an empty text; None if the file is no script."""
    if not data.startswith(_SCRIPT):
        return None
    line = data[len(_SCRIPT) : _MOST_LINE].partition(b"\n")[0].decode("utf-8", "replace")
    return (line.split() or [""])[0]


def check_entry(tree: Tree, path: str, *, wanted: str = elf.X86_64) -> None:
    """Refuse an entry that the kernel does not start.

    Args:
        tree: holds it.
        path: of a regular file in it.
        wanted: what the image is for, in the words of `elf.machine`.

    Raises:
        Misuse: it is compiled for another machine or system, or is a script whose interpreter is not in
            the image.
    """
    data = tree[path].data
    if elf.is_elf(data):
        check_machine(data, name=f"/{path}", wanted=wanted)
        return
    program = interpreter(data)
    if program is None:
        raise Misuse(
            f"the entry /{path} is neither a Linux program nor a script with a #! line",
            fix=_COMPILE.format(wanted),
        )
    if not PurePosixPath(program).is_absolute() or tree.resolve(program) is None:
        raise Misuse(
            f"the entry /{path} is a script for {program!r}, which is not in the image",
            fix="add the Debian package that has it to debian.packages in troth.toml, or correct the "
            "first line of the script",
        )
