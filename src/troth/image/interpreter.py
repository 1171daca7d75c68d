"""The image's own locked interpreter, at work while the image is built.

It runs from a temporary folder, through its own loader, with a fixed hash seed and nothing of the host's
Python: what it makes is the same whatever Python builds the image.
"""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from troth.errors import Misuse, Unavailable
from troth.image import slim
from troth.image.files import write_new
from troth.image.tree import Tree

_LOADER: Final = "usr/lib64/ld-linux-x86-64.so.2"
_TIMEOUT: Final = 600


def unpack(tree: Tree, root: Path, *, python: str) -> None:
    """What the interpreter itself needs, under `root`.

    Args:
        tree: of an image, or of one that holds the interpreter for this machine.
        root: a folder.
        python: such as `3.13`.

    Raises:
        Misuse: the tree has no loader.
    """
    wanted = (f"usr/bin/python{python}", f"usr/lib/python{python}/", "usr/lib64/")
    for path, node in tree.files():
        if slim.is_library(path) or path.startswith(wanted):
            write_new(root / path, node.data)
            (root / path).chmod(0o755)
    for path in tree:
        real = tree.resolve(path)
        if (
            slim.is_library(path)
            and real is not None
            and real != path
            and not (root / path).exists()
        ):
            write_new(root / path, tree[real].data)
    loader = tree.resolve(_LOADER)
    if loader is None:
        raise Misuse("the image has no loader, so no Python")
    write_new(root / "loader", tree[loader].data)
    (root / "loader").chmod(0o755)


def run(worker: Path, jobs: Sequence[Sequence[str]], *, root: Path, python: str) -> str:
    """Runs a script of ours in the interpreter, and gives what it prints.

    Args:
        worker: the script.
        jobs: each is a line of JSON on its standard input.
        root: where `unpack` has put the interpreter.
        python: such as `3.13`.

    Raises:
        Unavailable: it does not run on this machine, or fails.
    """
    program = str(root / f"usr/bin/python{python}")
    command = [
        str(root / "loader"),
        "--library-path",
        ":".join(str(root / folder) for folder in slim.LIBRARIES),
        "--argv0",
        program,
        program,
        *("-s", "-S", "-B", "-P", str(worker)),
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
    return done.stdout
