"""Finds an app's program in a root that was brought, and what has to be there to start it."""

from typing import Final

from troth.errors import Misuse
from troth.image import elf
from troth.image.architecture import AMD64, Architecture
from troth.image.foreign import File, Folder, Foreign
from troth.image.startable import interpreter as script_interpreter
from troth.image.tree import normal

_PT_INTERP: Final = 3
_MOST_HEADERS: Final = 64
_MOST_SCRIPTS: Final = 4  # a script's interpreter may be a script, as Linux has it
_HEAD: Final = 256  # of a script, as Linux reads it
_ENTRY: Final = "give another command: --entry, or app.entry in troth.toml"


def find(
    root: Foreign, name: str, *, path: str, directory: str, machine: Architecture = AMD64
) -> str:
    """The absolute path of a program, which is there and can be started.

    Args:
        root: the app's.
        name: as the command names it.
        path: the folders to look in, as in the variable PATH.
        directory: where the app starts, for a relative name.
        machine: that it must be for.

    Raises:
        Misuse: it is not there, cannot be executed, is for another machine, or what interprets or loads
            it is not there.
    """
    if "/" in name:
        tried = [name if name.startswith("/") else f"{directory}/{name}"]
    else:
        tried = [f"{place}/{name}" for place in path.split(":") if place.startswith("/")]
    for place in tried:
        there = root.follow(place)
        if isinstance(there, File) and there.executable:
            found = f"/{normal(place)}" if ".." not in place.split("/") else place
            _startable(root, there, found, _MOST_SCRIPTS, machine)
            return found
    where = "there" if "/" in name else f"in PATH ({path})"
    raise Misuse(f"the command {name!r} is no program {where} in {root.name}", fix=_ENTRY)


def folder(root: Foreign, path: str) -> None:
    """Makes the folder that the app starts in where there is none, as a container's runtime does.

    Raises:
        Misuse: something else is there.
    """
    plain = normal(path)
    if plain and root.follow(plain) is None:
        root.put(plain, Folder(-1))
    if not isinstance(root.follow(plain), Folder):
        raise Misuse(f"{path} is where the app starts, and is no folder in {root.name}")


def _startable(root: Foreign, file: File, name: str, scripts: int, machine: Architecture) -> None:
    head = bytes(file.data[:_HEAD])
    interpreter, what = script_interpreter(head), "interpreter"
    if elf.is_elf(head):
        if (found := elf.machine(head)) != machine.elf:
            raise Misuse(
                f"{name} is a program for {found}, and this image is for {machine.elf}",
                fix=f"build the container for linux/{machine.name}",
            )
        interpreter, what = _loader(file.data), "loader"
    if not interpreter:
        return  # the kernel will say
    there = root.follow(interpreter)
    if not isinstance(there, File) or not there.executable:
        raise Misuse(
            f"{name} needs the {what} {interpreter}, which {root.name} does not have",
            fix="add it to the image, or link the program statically",
        )
    if what == "interpreter" and scripts:
        _startable(root, there, interpreter, scripts - 1, machine)


def _loader(data: bytes | memoryview) -> str:
    """The loader that an ELF file names (System V ABI), or an empty text."""

    def number(at: int, size: int) -> int:
        return int.from_bytes(bytes(data[at : at + size]), "little")

    table, size, count = number(32, 8), number(54, 2), number(56, 2)
    for row in range(min(count, _MOST_HEADERS)):
        at = table + row * size
        if number(at, 4) == _PT_INTERP:
            begin, length = number(at + 8, 8), min(number(at + 32, 8), 4096)
            text = bytes(data[begin : begin + length]).partition(b"\0")[0]
            return text.decode("utf-8", "replace")
    return ""
