"""The image's interpreter at work: it is there or refused, reads nothing of this machine's, and leaves nothing."""

import json
from pathlib import Path

import pytest
from tests.image.conftest import Sample

from troth.errors import Misuse, Unavailable
from troth.image import interpreter, rootfs
from troth.image.interpreter import Interpreter
from troth.image.locking import ensure
from troth.image.tree import Tree

ASKS = """
import json, sys, zlib
files = [str(getattr(module, "__file__", None) or "") for module in sys.modules.values()]
with open("/proc/self/maps") as maps:
    loaded = {line.split(maxsplit=5)[5].strip() for line in maps if "/" in line and "x" in line.split()[1]}
print(json.dumps({"loaded": sorted(loaded), "path": sys.path, "files": files, "said": sys.stdin.read(), "version": sys.version_info[:2]}))
"""

FORKS = """
import json, os, pathlib, sys, time
folder = pathlib.Path(json.loads(sys.stdin.readline())[0])
if os.fork():
    time.sleep(60)
for _ in range(20):
    time.sleep(0.1)
(folder / "last").touch()
"""


def test_without_a_loader() -> None:
    with pytest.raises(Misuse, match="no loader"):
        Interpreter(Tree(), python="3.13")


def test_what_is_no_program_is_told(tmp_path: Path) -> None:
    tree = Tree()
    tree.add_file("usr/lib64/ld-linux-x86-64.so.2", b"x", owner="x")
    with Interpreter(tree, python="3.13") as tool, pytest.raises(Unavailable, match="does not run"):
        tool.run(tmp_path / "x.py", [])


@pytest.mark.network
def test_it_is_the_images_alone(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "PATH", "STARTUP", "SAFEPATH", "PYCACHEPREFIX", "OPTIMIZE"):
        monkeypatch.setenv(f"PYTHON{name}", str(tmp_path))
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    for name in ("sitecustomize", "json", "zlib", "encodings"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('of the host')")
    monkeypatch.chdir(tmp_path)
    worker = tmp_path / "asks.py"
    worker.write_text(ASKS)
    recipe, lock, store = ensure(sample.folder, store=sample.store)
    with rootfs.make(sample.folder, recipe, lock, store) as made:
        tool = made.interpreter
        found = json.loads(tool.run(worker, [("a", "b")]))
        root = str(tool.root)
        with pytest.raises(Unavailable, match="ended with"):
            tool.run(tmp_path / "absent.py", [])
        worker.write_text(FORKS)
        monkeypatch.setattr(interpreter, "_TIMEOUT", 1)
        with pytest.raises(Unavailable, match="timed out"):
            tool.run(worker, [(str(tool.root),)])
        assert (tool.root / "last").exists(), "what it forked was not waited for"
    assert found["said"] == '["a", "b"]\n'
    assert found["version"] == [3, 13]
    assert all(place.startswith(f"{root}/usr/lib/python3") for place in found["path"])
    inside = [file for file in found["files"] if file and file != str(worker)]
    # Modules that are a part of the program call themselves so where the library lies that was named.
    assert inside
    assert all(file.startswith(f"{root}/usr/lib/python3") for file in inside)
    assert f"{root}/loader" in found["loaded"]
    assert [file for file in found["loaded"] if not file.startswith(f"{root}/")] == []
    assert not Path(root).exists()


@pytest.mark.network
def test_another_library_is_another_interpreter(sample: Sample) -> None:
    recipe, lock, store = ensure(sample.folder, store=sample.store)
    with rootfs.make(sample.folder, recipe, lock, store) as made:
        tree, first = made.tree, made.interpreter.identity
        assert Interpreter(tree, python="3.13").identity != first  # bytecode is there now
        tree.add_file("usr/lib/python3.13/more.py", b"", owner="x")
        assert (
            Interpreter(tree, python="3.12").identity != Interpreter(tree, python="3.13").identity
        )
