"""Bytecode is each file's own: the same whatever else is compiled, remembered or wrong beside it."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from troth.errors import Misuse
from troth.image.bytecode import compile_all
from troth.image.interpreter import Interpreter
from troth.image.memo import Memo
from troth.image.tree import Tree

GOOD, WRONG = b"x = {'a': (1, 2)}\n", b"def x(:\n"
LIBRARY = "usr/local/lib"


class ThisPython:
    """This machine's interpreter in the place of an image's."""

    identity = b"this"

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, worker: Path, jobs: Sequence[Sequence[str]]) -> str:
        lines = "".join(json.dumps(job) + "\n" for job in jobs)
        command = [sys.executable, "-S", "-B", str(worker)]
        return subprocess.run(
            command, input=lines, stdout=subprocess.PIPE, text=True, check=True
        ).stdout


def compiled(folder: Path, files: dict[str, dict[str, bytes]], memo: Memo | None) -> Tree:
    tree = Tree()
    for owner, contents in files.items():
        for path, data in contents.items():
            tree.add_file(f"{LIBRARY}/{path}", data, owner=owner)
    tool = cast("Interpreter", ThisPython(folder))
    compile_all(tree, python="3.13", strict=frozenset({"app"}), interpreter=tool, memo=memo)
    return tree


VICTIM = {"victim": {"victim/__init__.py": b"", "victim/a.py": GOOD}}
OTHERS = {
    "names another's": {f"x\n/{LIBRARY}/victim/a.py": WRONG},
    "in other lines": {f"x\u2028/{LIBRARY}/victim/a.py": WRONG, "y\r.py": GOOD},
    "the same name": {"other/a.py": WRONG},
    "nothing": {},
}


@pytest.mark.parametrize("other", OTHERS)
def test_what_is_beside_it_changes_nothing_that_is_remembered(tmp_path: Path, other: str) -> None:
    memo = Memo(folder=tmp_path / "made", key=bytes(32))
    beside = {other: OTHERS[other]} | VICTIM
    for files in (beside, VICTIM, beside):
        found = compiled(tmp_path, files, memo).entries()
        assert found == compiled(tmp_path, files, None).entries()
        paths = {entry.path for entry in found}
        for name in ("__init__", "a"):
            assert f"{LIBRARY}/victim/__pycache__/{name}.cpython-313.pyc" in paths


def test_a_wrong_file_is_refused_of_those_who_must_not_have_one(tmp_path: Path) -> None:
    """Also where another owner's of the same content is remembered; and mended, it is compiled."""
    memo = Memo(folder=tmp_path / "made", key=bytes(32))
    compiled(tmp_path, {"library": {"a.py": WRONG}}, memo)
    for _ in range(2):
        with pytest.raises(Misuse, match=f"/{LIBRARY}/a.py of app has a syntax error"):
            compiled(tmp_path, {"app": {"a.py": WRONG}}, memo)
    assert f"{LIBRARY}/__pycache__/a.cpython-313.pyc" in compiled(
        tmp_path, {"app": {"a.py": GOOD}}, memo
    )
