"""Compiles every Python file of an image with the image's own locked interpreter.

The bytecode carries the source's hash and is never checked against it at run
time: the file system is measured and read-only.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Final

from troth.errors import Misuse
from troth.image import interpreter as locked
from troth.image.files import disk
from troth.image.tree import Tree

_WORKER: Final = Path(__file__).with_name("compile_worker.py")


def compile_all(tree: Tree, *, python: str, strict: frozenset[str], interpreter: Tree) -> None:
    """Adds `__pycache__/NAME.cpython-3xx.pyc` beside every `.py` file.

    Args:
        tree: changed in place.
        python: such as `3.13`.
        strict: owners whose files must compile; others (test samples of libraries) may not.
        interpreter: holds the interpreter: the same tree, or where that is for another machine one of
            the same version, for which bytecode is the same on every machine.

    Raises:
        Misuse: a file of the app's has a syntax error.
        Unavailable: the image's interpreter does not run on this machine.
    """
    with disk("compiling"), TemporaryDirectory(prefix="troth-compile-") as place:
        root = Path(place)
        sources = list(_sources(tree))
        locked.unpack(interpreter, root, python=python)
        # Numbers, not names: how a locale spells a name on disk must not matter.
        (root / "compiled").mkdir()
        jobs = []
        for number, (path, _) in enumerate(sources):
            source, target = root / "compiled" / f"{number}.py", root / "compiled" / f"{number}.pyc"
            source.write_bytes(tree[path].data)
            jobs.append((str(source), f"/{path}", str(target)))
        failed = frozenset(locked.run(_WORKER, jobs, root=root, python=python).splitlines())
        tag = "cpython-" + python.replace(".", "")
        for (path, owner), (_, name, made) in zip(sources, jobs, strict=True):
            if name not in failed:
                folder, stem = PurePosixPath(path).parent, PurePosixPath(path).stem
                cached = str(folder / "__pycache__" / f"{stem}.{tag}.pyc")
                tree.add_file(cached, Path(made).read_bytes(), owner=owner)
            elif owner in strict:
                raise Misuse(
                    f"/{path} of {owner} has a syntax error",
                    fix=f"run python{python} -m py_compile on it",
                )


def _sources(tree: Tree) -> Iterator[tuple[str, str]]:
    """Paths of what is compiled, sorted, with their owners; boot.py is run by path, never imported."""
    for path, node in sorted(tree.files()):
        if path.endswith(".py") and path != "usr/lib/troth/boot.py":
            yield path, node.owner
