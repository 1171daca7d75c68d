"""What of troth goes into images: all that the agent needs, and nothing that it does not."""

import subprocess
import sys
from pathlib import Path

from troth.image import agent_parts


def test_it_runs_alone(tmp_path: Path) -> None:
    """In a folder that has these files and no others, each is imported, with no other part of troth."""
    for name, data in agent_parts.files():
        path = tmp_path / "troth" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    modules = [
        "troth." + name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name, _ in agent_parts.files()
        if name != "__init__.py"
    ]
    places = [str(tmp_path), *(place for place in sys.path if "site-packages" in place)]
    script = (
        f"import sys; sys.path[:0] = {places!r}\n"
        f"for name in {modules!r}: __import__(name)\n"
        "import troth; print(troth.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path))


def test_nothing_that_judges_builds_or_pretends_is_in_it() -> None:
    names = [name for name, _ in agent_parts.files()]
    assert "agent/init.py" in names
    assert names == sorted(names)
    for part in ("image/", "cli/", "render/", "policy/", "trust/", "model/", "simulate", "apprais"):
        assert not [name for name in names if part in name], part
    assert len(names) < 50


def test_the_same_each_time() -> None:
    assert list(agent_parts.files()) == list(agent_parts.files())
