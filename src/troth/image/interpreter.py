"""The image's own locked interpreter, at work while the image is built.

It runs from a temporary folder, through its own loader, with a fixed hash seed and nothing of the host's
Python: what it makes is the same whatever Python builds the image.
"""

import hashlib
import json
import subprocess
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Self

from troth.errors import Misuse, Unavailable
from troth.image import slim
from troth.image.files import disk, write_new
from troth.image.tree import Node, Tree

_LOADER: Final = "usr/lib64/ld-linux-x86-64.so.2"
_TIMEOUT: Final = 600
_END: Final = 10


class Interpreter:
    """What the interpreter itself needs, of a tree as it is now; unpacked when there is work for it.

    To be closed, as a context: its folder is temporary.

    Args:
        tree: of an image, or of one that holds the interpreter for this machine.
        python: such as `3.13`.

    Raises:
        Misuse: the tree has no loader.
    """

    def __init__(self, tree: Tree, *, python: str) -> None:
        self._held = ExitStack()
        self._python = python
        self._files = dict(_files(tree, python))
        loader = tree.resolve(_LOADER)
        if loader is None:
            raise Misuse("the image has no loader, so no Python")
        self._files["loader"] = tree[loader]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    @cached_property
    def identity(self) -> bytes:
        """A digest of all of it."""
        running = hashlib.sha256(self._python.encode())
        for path, node in sorted(self._files.items()):
            running.update(f"\0{path}\0".encode() + node.sha256())
        return running.digest()

    @cached_property
    def root(self) -> Path:
        """The folder in which it is unpacked, and in which its work lies.

        Raises:
            Unavailable: the disk is full.
        """
        with disk("unpacking the image's interpreter"):
            root = Path(self._held.enter_context(TemporaryDirectory(prefix="troth-interpreter-")))
            library = f"usr/lib/python{self._python}/"
            archive = f"usr/lib/python{self._python.replace('.', '')}.zip"
            (root / archive).parent.mkdir(parents=True)
            with zipfile.ZipFile(root / archive, "x") as sources:
                for path, node in self._files.items():
                    if path.startswith(library) and path.endswith(".py"):
                        # One file in the place of a thousand: that takes a third of the time.
                        sources.writestr(zipfile.ZipInfo(path.removeprefix(library)), node.data)
                    else:
                        write_new(root / path, node.data)
                        (root / path).chmod(0o755)
        return root

    def run(self, worker: Path, jobs: Sequence[Sequence[str]]) -> str:
        """Runs a script of ours, and gives what it prints.

        Args:
            worker: the script.
            jobs: each is a line of JSON on its standard input.

        Raises:
            Unavailable: it does not run on this machine, or fails.
        """
        root, python = self.root, self._python
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
            with subprocess.Popen(
                command,
                env={
                    "PYTHONHASHSEED": "0",
                    "PYTHONHOME": str(root / "usr"),
                    "LC_ALL": "C.UTF-8",
                    "PATH": "/usr/bin:/bin",
                },
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
            ) as process:
                said, wrong = _ended(process, lines)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(
                f"the image's python{python} does not run here: {error}",
                fix="build on an x86-64 Linux machine",
            ) from None
        if process.returncode:
            raise Unavailable(f"the image's python{python} ended with: {wrong.strip()[-300:]}")
        return said


def _ended(process: "subprocess.Popen[str]", lines: str) -> tuple[str, str]:
    """What it says and complains of, when it and all that it forked are at an end.

    Raises:
        TimeoutExpired: it takes too long.
    """
    try:
        return process.communicate(lines, timeout=_TIMEOUT)
    except BaseException:
        process.kill()
        # What it forked has these open, too, and still writes where its folder is about to be removed.
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_END)
        raise


def _files(tree: Tree, python: str) -> Iterator[tuple[str, Node]]:
    """Program, libraries and standard library, by path; what a link leads to under the link's name, too."""
    wanted = (f"usr/bin/python{python}", f"usr/lib/python{python}/", "usr/lib64/")
    for path, node in tree.files():
        if slim.is_library(path) or path.startswith(wanted):
            yield path, node
    for path in tree:
        if slim.is_library(path):
            real = tree.resolve(path)
            if real is not None and real != path:
                yield path, tree[real]
