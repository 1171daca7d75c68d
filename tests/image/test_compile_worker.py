"""The compiler that runs inside the image's interpreter, here under this machine's own."""

import json
import subprocess
import sys
from pathlib import Path

from troth.image import compile_worker


def _run(*jobs: tuple[Path, str, Path]) -> subprocess.CompletedProcess[str]:
    lines = "".join(json.dumps([str(s), name, str(t)]) + "\n" for s, name, t in jobs)
    return subprocess.run(
        [sys.executable, "-S", "-B", str(compile_worker.__file__)],
        input=lines,
        capture_output=True,
        text=True,
        check=False,
    )


def test_files_are_compiled_under_the_images_names(tmp_path: Path) -> None:
    source, target = tmp_path / "a.py", tmp_path / "out" / "a.pyc"
    source.write_text("def f(): pass\n", "utf-8")
    done = _run((source, "/app/a.py", target))
    assert (done.returncode, done.stdout) == (0, "")
    data = target.read_bytes()
    assert data[4:8] == b"\1\0\0\0"
    assert b"/app/a.py" in data
    assert str(tmp_path).encode() not in data


def test_wrong_syntax_is_told_and_the_rest_is_compiled(tmp_path: Path) -> None:
    jobs = []
    for name, text in (("a", "x = 1\n"), ("b", "def x(:\n"), ("c", "\ttab\n"), ("d", "y = 2\n")):
        (tmp_path / f"{name}.py").write_text(text, "utf-8")
        jobs.append((tmp_path / f"{name}.py", f"/app/{name}.py", tmp_path / f"{name}.pyc"))
    done = _run(*jobs)
    assert done.returncode == 0
    assert sorted(map(json.loads, done.stdout.splitlines())) == ["/app/b.py", "/app/c.py"]
    assert {p.stem for p in tmp_path.glob("*.pyc")} == {"a", "d"}


def test_any_other_failure_ends_the_build(tmp_path: Path) -> None:
    """A file that is not there, or a disk that is full, must not look like a file without bytecode."""
    done = _run((tmp_path / "absent.py", "/app/absent.py", tmp_path / "x.pyc"))
    assert done.returncode == 1
    assert "/app/absent.py could not be compiled" in done.stderr
    (tmp_path / "a.py").write_text("x = 1\n", "utf-8")
    (tmp_path / "file").touch()
    done = _run((tmp_path / "a.py", "/app/a.py", tmp_path / "file" / "a.pyc"))
    assert done.returncode == 1


def test_a_name_of_several_lines_is_one_name(tmp_path: Path) -> None:
    """Or a wheel with such a file could say of another's that it has no bytecode, which is remembered."""
    source = tmp_path / "a.py"
    source.write_text("def x(:\n", "utf-8")
    name = "/lib/x\n/lib/other.py\u2028/lib/third.py"
    done = _run((source, name, tmp_path / "a.pyc"))
    assert [json.loads(line) for line in done.stdout.splitlines()] == [name]
