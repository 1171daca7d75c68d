"""`troth lock` as a user meets it: exit codes, data on stdout, a next move on stderr."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[1] / "data" / "app"


def troth(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "troth", "lock", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SAMPLE, tmp_path / "app"))


@pytest.mark.network
def test_a_lock_that_fits_stays_and_vendoring_keeps_its_versions(app: Path) -> None:
    before = json.loads((app / "troth.lock").read_bytes())
    done = troth(str(app), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["changed"] is False
    done = troth(str(app), "--vendor", "packages", "--json")
    assert (done.returncode, json.loads(done.stdout)["changed"]) == (0, True)
    assert json.loads((app / "troth.lock").read_bytes()) == before | {"vendor": "packages"}


def test_a_broken_lock_is_named_with_the_way_out(app: Path) -> None:
    (app / "troth.lock").write_text("<<<<<<< ours\n")
    done = troth(str(app))
    assert (done.returncode, done.stdout) == (3, "")
    assert "error: troth.lock" in done.stderr
    assert "--update" in done.stderr


@pytest.mark.parametrize(
    "words",
    [["--mirror", "nonsense"], ["--vendor", "/tmp/x"], ["--vendor", "app"]],
    ids=lambda words: words[1],
)
def test_what_cannot_be_meant_is_misuse(app: Path, words: list[str]) -> None:
    done = troth(str(app), *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "fix:" in done.stderr


def test_no_app_is_misuse(tmp_path: Path) -> None:
    assert troth(str(tmp_path)).returncode == 2
