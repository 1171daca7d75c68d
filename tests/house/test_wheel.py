"""The wheel is the same bytes wherever, whenever and by whomever it is built."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PARTS = ("src", "pyproject.toml", "README.md", "LICENSE")


def _build(folder: Path, *, umask: int, age: int, environment: dict[str, str]) -> Path:
    folder.mkdir(parents=True)
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)
    for path in folder.rglob("*"):
        os.utime(path, (age, age))
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "out"],
        cwd=folder,
        env=os.environ | environment,
        umask=umask,
        check=True,
        capture_output=True,
    )
    (wheel,) = (folder / "out").glob("*.whl")
    return wheel


def test_the_wheel_builds_to_the_same_bytes_twice(tmp_path: Path) -> None:
    one = _build(
        tmp_path / "a", umask=0o022, age=1_000_000_000, environment={"TZ": "UTC", "LC_ALL": "C"}
    )
    two = _build(
        tmp_path / "some" / "where else",
        umask=0o077,
        age=1_700_000_000,
        environment={"TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "7"},
    )
    assert one.name == two.name
    digests = {hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in (one, two)}
    assert len(digests) == 1


def test_the_wheel_holds_what_is_needed_and_nothing_else(tmp_path: Path) -> None:
    import zipfile

    wheel = _build(tmp_path / "a", umask=0o022, age=1_000_000_000, environment={})
    names = zipfile.ZipFile(wheel).namelist()
    assert "troth/py.typed" in names
    assert any(name.startswith("troth/platforms/nitro/roots/") for name in names)
    templates = REPOSITORY / "src" / "troth" / "cli" / "templates"
    for path in templates.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert f"troth/cli/templates/{path.relative_to(templates).as_posix()}" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"troth"}
