"""The part of troth that goes into every image: what the agent imports, and nothing else.

Found by following the imports in its files, those inside functions too. The functions of a package's
`__init__` are not followed: they serve those who import the package for itself, which the agent does not.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from troth.image.store import digest

_PACKAGE: Final = Path(__file__).parent.parent
_NAME: Final = _PACKAGE.name
_STARTS: Final = (f"{_NAME}.agent.init", f"{_NAME}.agent.spare")  # what boot.py imports


def files() -> Iterator[tuple[str, bytes]]:
    """Paths below the package, sorted, and contents."""
    found: dict[str, bytes] = {}
    todo, seen = [*_STARTS], set[str]()
    while todo:
        module = todo.pop()
        if module in seen:
            continue
        seen.add(module)
        path = _file(module)
        if path is None:
            continue
        name = path.relative_to(_PACKAGE).as_posix()
        found[name] = path.read_bytes()
        todo += _imported(found[name], everywhere=path.name != "__init__.py")
        # A package is loaded before what is in it.
        todo += [module[:i] for i, letter in enumerate(module) if letter == "."]
    yield from sorted(found.items())


def sha256() -> str:
    """One digest of all of them, by which two troths that build the same are known."""
    running = hashlib.sha256()
    for name, data in files():
        running.update(f"{name}\0{digest(data)}\n".encode())
    return running.hexdigest()


def _file(module: str) -> Path | None:
    place = _PACKAGE.joinpath(*module.split(".")[1:])
    for path in (place.with_suffix(".py"), place / "__init__.py"):
        if path.is_file():
            return path
    return None


@lru_cache(maxsize=512)
def _imported(source: bytes, *, everywhere: bool) -> tuple[str, ...]:
    """Modules of troth's that a file may load; parsing it is what takes time, and a build asks twice."""
    return tuple(_imports(ast.parse(source).body, everywhere=everywhere))


def _imports(body: list[ast.stmt], *, everywhere: bool) -> Iterator[str]:
    """Modules of troth's that these statements may load; a name that is no module leads to no file."""
    for statement in body:
        match statement:
            case ast.Import(names=names):
                yield from (a.name for a in names if a.name.split(".")[0] == _NAME)
            case ast.ImportFrom(module=str(module), names=names, level=0) if (
                module.split(".")[0] == _NAME
            ):
                yield module
                yield from (f"{module}.{a.name}" for a in names)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                continue
            case ast.FunctionDef() | ast.AsyncFunctionDef() if not everywhere:
                continue
            case _:
                for field in ("body", "orelse", "finalbody", "handlers", "cases"):
                    inner = getattr(statement, field, [])
                    blocks = [n for n in inner if isinstance(n, ast.stmt)]
                    blocks += [s for n in inner if not isinstance(n, ast.stmt) for s in n.body]
                    yield from _imports(blocks, everywhere=everywhere)
