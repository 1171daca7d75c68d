"""Compiles every Python file of an image with the image's own locked interpreter.

The bytecode carries the source's hash and is never checked against it at run
time: the file system is measured and read-only.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Final

from troth.errors import Misuse
from troth.image.files import disk
from troth.image.interpreter import Interpreter
from troth.image.memo import Memo, recall
from troth.image.tree import Tree

_WORKER: Final = Path(__file__).with_name("compile_worker.py")
_Source = tuple[str, bytes]


def compile_all(
    tree: Tree,
    *,
    python: str,
    strict: frozenset[str],
    interpreter: Interpreter,
    memo: Memo | None = None,
) -> None:
    """Adds `__pycache__/NAME.cpython-3xx.pyc` beside every `.py` file.

    Args:
        tree: changed in place.
        python: such as `3.13`.
        strict: owners whose files must compile; others (test samples of libraries) may not.
        interpreter: of the same tree, or where that is for another machine one of the same version, for
            which bytecode is the same on every machine.
        memo: remembers what was compiled.

    Raises:
        Misuse: a file of the app's has a syntax error.
        Unavailable: the image's interpreter does not run on this machine.
    """
    tag = "cpython-" + python.replace(".", "")
    # Owner by owner: with what changes every day is kept nothing that never does.
    owned: dict[str, list[_Source]] = {}
    for path, data in _sources(tree):
        owned.setdefault(tree[path].owner, []).append((path, data))
    parts = list(owned.values())

    def make(missing: Sequence[int]) -> list[list[bytes]]:
        made = iter(_compiled([s for number in missing for s in parts[number]], interpreter))
        return [[next(made) for _ in parts[number]] for number in missing]

    identity = b"" if memo is None else interpreter.identity
    tasks = [(identity, *(item for s in part for item in s)) for part in parts]
    for owner, compiled in zip(owned, recall(memo, "bytecode", tasks, make), strict=True):
        for (path, _), code in zip(owned[owner], compiled, strict=True):
            if code:
                folder, stem = PurePosixPath(path).parent, PurePosixPath(path).stem
                tree.add_file(f"{folder}/__pycache__/{stem}.{tag}.pyc", bytes(code), owner=owner)
            elif owner in strict:
                raise Misuse(
                    f"/{path} of {owner} has a syntax error",
                    fix=f"run python{python} -m py_compile on it",
                )


def _compiled(sources: Sequence[_Source], interpreter: Interpreter) -> list[bytes]:
    """The bytecode of each source; empty where its syntax is wrong."""
    with disk("compiling"), TemporaryDirectory(prefix="compile-", dir=interpreter.root) as name:
        jobs = []
        # Numbers, not names: how a locale spells a name on disk must not matter.
        for number, (path, data) in enumerate(sources):
            source, target = Path(name, f"{number}.py"), Path(name, f"{number}.pyc")
            source.write_bytes(data)
            jobs.append((str(source), f"/{path}", str(target)))
        failed = frozenset(map(json.loads, interpreter.run(_WORKER, jobs).splitlines()))
        return [b"" if path in failed else Path(made).read_bytes() for _, path, made in jobs]


def _sources(tree: Tree) -> Iterator[_Source]:
    """What is compiled, sorted by path; boot.py is run by path, never imported."""
    for path, node in sorted(tree.files()):
        if path.endswith(".py") and path != "usr/lib/troth/boot.py":
            yield path, node.data
