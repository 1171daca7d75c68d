"""Whether Linux on x86-64 starts a program, asked before there is an image."""

from typing import Final

from troth.errors import Misuse
from troth.image import elf
from troth.image.tree import Tree

_HEAD: Final = 256  # of a script's first line, as Linux reads it
_COMPILED: Final = "compile it for Linux on x86-64; a template's ./compile does"


def check_machine(data: bytes, *, name: str) -> None:
    """Refuses an ELF file that is compiled for another machine; anything else passes.

    Raises:
        Misuse: it is.
    """
    if elf.is_elf(data) and elf.machine(data) != elf.X86_64:
        raise Misuse(
            f"{name} is compiled for {elf.machine(data)}, and images run on {elf.X86_64}",
            fix=_COMPILED,
        )


def check_entry(tree: Tree, path: str) -> None:
    """Refuses an entry that Linux would not start: no program and no script, or one without interpreter.

    Args:
        tree: the image's.
        path: of the entry's file, links resolved.

    Raises:
        Misuse: it is one.
    """
    data = tree[path].data
    if elf.is_elf(data):
        check_machine(data, name=f"/{path}")
        return
    if not data.startswith(b"#!"):
        raise Misuse(f"the entry /{path} is neither a Linux program nor a script", fix=_COMPILED)
    words = data[2:_HEAD].partition(b"\n")[0].split(maxsplit=1)
    interpreter = words[0].decode("utf-8", "replace") if words else ""
    if not interpreter.startswith("/") or tree.resolve(interpreter) is None:
        raise Misuse(
            f"the entry /{path} is a script for {interpreter!r}, which is not in the image",
            fix="add the Debian package that has it to debian.packages in troth.toml",
        )
