"""Compiles every Python file of an image with the image's own locked interpreter.

The interpreter runs from a temporary folder, through its own loader, with a fixed hash seed and nothing
of the host's Python. The bytecode carries the source's hash and is never checked against it at run
time: the file system is measured and read-only.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Final

from troth.errors import Misuse, Unavailable
from troth.image import slim
from troth.image.files import disk
from troth.image.tree import Tree

_WORKER: Final = Path(__file__).with_name("compile_worker.py")
_LOADER: Final = "usr/lib64/ld-linux-x86-64.so.2"
_TIMEOUT: Final = 600


def compile_all(
    tree: Tree, *, python: str, strict: frozenset[str], interpreter: Tree | None = None
) -> None:
    """Adds `__pycache__/NAME.cpython-3xx.pyc` beside every `.py` file.

    Args:
        tree: changed in place.
        python: such as `3.13`.
        strict: owners whose files must compile; others (test samples of libraries) may not.
        interpreter: holds the interpreter, where the image's own is for another machine; of the same
            version, for which bytecode is the same on every machine.

    Raises:
        Misuse: a file of the app's has a syntax error.
        Unavailable: the image's interpreter does not run on this machine.
    """
    with disk("compiling"), TemporaryDirectory(prefix="troth-compile-") as place:
        root = Path(place)
        sources = list(_sources(tree))
        _interpreter(tree if interpreter is None else interpreter, root, python)
        # Numbers, not names: how a locale spells a name on disk must not matter.
        (root / "compiled").mkdir()
        jobs = []
        for number, (path, _) in enumerate(sources):
            source, target = root / "compiled" / f"{number}.py", root / "compiled" / f"{number}.pyc"
            source.write_bytes(tree[path].data)
            jobs.append((str(source), f"/{path}", str(target)))
        failed = _run(root, python, jobs)
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


def _interpreter(tree: Tree, root: Path, python: str) -> None:
    """What the interpreter itself needs, under `root`; its modules are taken from their sources."""
    wanted = (f"usr/bin/python{python}", f"usr/lib/python{python}/", "usr/lib64/")
    for path, node in tree.files():
        if slim.is_library(path) or path.startswith(wanted):
            _place(root / path, node.data)
            (root / path).chmod(0o755)
    for path in tree:
        real = tree.resolve(path)
        if (
            slim.is_library(path)
            and real is not None
            and real != path
            and not (root / path).exists()
        ):
            _place(root / path, tree[real].data)
    loader = tree.resolve(_LOADER)
    if loader is None:
        raise Misuse("the image has no loader, so no Python")
    _place(root / "loader", tree[loader].data)
    (root / "loader").chmod(0o755)


def _place(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _run(root: Path, python: str, jobs: list[tuple[str, str, str]]) -> frozenset[str]:
    program = str(root / f"usr/bin/python{python}")
    command = [
        str(root / "loader"),
        "--library-path",
        ":".join(str(root / folder) for folder in slim.LIBRARIES),
        "--argv0",
        program,
        program,
        *("-s", "-S", "-B", "-P", str(_WORKER)),
    ]
    lines = "".join(json.dumps(job) + "\n" for job in jobs)
    try:
        done = subprocess.run(
            command,
            input=lines,
            env={"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=_TIMEOUT,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(
            f"the image's python{python} does not run here: {error}",
            fix="build on an x86-64 Linux machine",
        ) from None
    if done.returncode:
        raise Unavailable(f"the image's python{python} ended with: {done.stderr.strip()[-300:]}")
    return frozenset(done.stdout.splitlines())
