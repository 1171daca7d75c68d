"""`troth kernel build`, and what `--kernel` does to a build: as programs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from troth.cli import _kernel, kernel
from troth.image.hardware import kept
from troth.image.hardware.inputs import inputs
from troth.image.store import Store, digest

SAMPLE = Path(__file__).parents[1] / "data" / "app"


def troth(*words: str | Path, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    more = {} if cache is None else {"XDG_CACHE_HOME": str(cache)}
    return subprocess.run(
        [sys.executable, "-m", "troth", *map(str, words)],
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A cache with all that an app needs, and without the hardware kernel."""
    cache = tmp_path / "cache"
    mine = Store.of_user().folder
    there = cache / "troth" / "store" / "sha256"
    there.mkdir(parents=True)
    for path in mine.iterdir() if mine.is_dir() else ():
        if path.name != inputs().kernel.sha256 and len(path.name) == 64:
            (there / path.name).symlink_to(path)
    return cache


def app(folder: Path, kernel: str = "") -> Path:
    shutil.copytree(SAMPLE, folder)
    recipe = folder / "troth.toml"
    if kernel:
        recipe.write_text(f'kernel = "{kernel}"\n{recipe.read_text()}')
    return folder


@pytest.mark.hardware_kernel
def test_what_is_in_the_store_is_not_built(tmp_path: Path) -> None:
    pinned = inputs().kernel
    done = troth("kernel", "build", "-o", tmp_path / "vmlinuz", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert said["kernel"] == {
        "version": pinned.version,
        "sha256": pinned.sha256,
        "size": pinned.size,
    }
    assert (said["built"], said["checked"], said["milliseconds"]) == (False, False, {})
    assert digest((tmp_path / "vmlinuz").read_bytes()) == pinned.sha256
    config = (tmp_path / "vmlinuz.config").read_bytes()
    assert digest(config) == pinned.config_sha256
    assert b"CONFIG_NSM=y\n" in config
    assert b"CONFIG_MODULES=" not in config
    plain = troth("kernel", "build")
    assert plain.returncode == 0
    assert plain.stdout.startswith(f"{pinned.version}  {pinned.size} bytes  sha256 {pinned.sha256}")
    assert plain.stdout.endswith("in the store already\n")


def test_a_mirror_that_has_nothing(tmp_path: Path) -> None:
    (tmp_path / "debian").mkdir()
    url = f"file://{tmp_path}/debian/"
    done = troth("kernel", "build", "--mirror", url, cache=tmp_path / "cache")
    assert (done.returncode, done.stdout) == (5, "")
    assert "no longer has linux-source-6.12_" in done.stderr
    assert "troth kernel build --mirror URL" in done.stderr
    assert troth("kernel", "build", "--mirror", "nowhere").returncode == 2


def test_a_kernel_that_there_is_not(tmp_path: Path) -> None:
    done = troth("build", app(tmp_path / "app"), "--kernel", "mainline")
    assert (done.returncode, done.stdout) == (2, "")
    assert "debian" in done.stderr and "hardware" in done.stderr
    done = troth("build", app(tmp_path / "other", "Hardware"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "kernel is 'Hardware', and must be one of debian, hardware" in done.stderr


@pytest.mark.network
def test_no_kernel_is_built_for_an_app_that_can_not_be(tmp_path: Path, empty: Path) -> None:
    folder = app(tmp_path / "app", "hardware")
    (folder / "app" / "main.py").write_text("def f(:\n")
    done = troth("build", folder, cache=empty)
    assert (done.returncode, done.stdout) == (2, "")
    assert "syntax error" in done.stderr
    assert "hardware kernel" not in done.stderr


@pytest.mark.network
@pytest.mark.hardware_kernel
def test_another_kernel_than_the_recipes_is_said(tmp_path: Path) -> None:
    folder = app(tmp_path / "app", "hardware")
    one, two = tmp_path / "one.eif", tmp_path / "two.eif"
    done = troth("build", folder, "-o", one, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["kernel"] == "hardware"
    record = json.loads(one.with_suffix(".build.json").read_bytes())["kernel"]
    assert (record["asked"], record["kind"]) == ("hardware", "hardware")
    done = troth("build", folder, "-o", two, "--kernel", "debian", "--json")
    assert done.returncode == 0
    assert "the recipe asks for the kernel 'hardware', and --kernel for 'debian'" in done.stderr
    record = json.loads(two.with_suffix(".build.json").read_bytes())["kernel"]
    assert (record["asked"], record["kind"]) == ("hardware", "debian")


@pytest.mark.network
@pytest.mark.namespaces
@pytest.mark.slow
def test_up_takes_debians_while_the_other_is_not_built(tmp_path: Path, empty: Path) -> None:
    folder = app(tmp_path / "app", "hardware")
    done = troth("up", folder, "--work", tmp_path / "work", "--json", cache=empty)
    assert done.returncode == 0, done.stderr
    assert "the hardware kernel is not built yet, so this run has Debian's" in done.stderr
    assert "troth kernel build" in done.stderr
    record = json.loads((tmp_path / "work" / "sample.build.json").read_bytes())["kernel"]
    assert (record["asked"], record["kind"]) == ("hardware", "debian")
    assert kept.find(Store(folder=empty / "troth" / "store" / "sha256")) is None


def test_a_kernel_that_went_away_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--out` names a file that is written, or there is an error."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(_kernel, "ensure", lambda *_, **__: {})
    with pytest.raises(kept.Missing):
        kernel.build(out=tmp_path / "vmlinuz")


def test_two_builds_that_differ_are_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    found = ("the image from byte 7 on (13 and 17 bytes)", "the options RUSTC_VERSION")
    assert kernel._differs(found, json=False) == 1
    assert capsys.readouterr().out.splitlines() == [f"differs: {line}" for line in found]
    assert kernel._differs(found, json=True) == 1
    assert json.loads(capsys.readouterr().out) == {"checked": True, "differences": list(found)}
