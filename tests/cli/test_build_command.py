"""`troth build` and `troth measure` as programs: data on stdout, talk on stderr, true exit codes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from troth.errors import Unavailable
from troth.image import locking
from troth.image.store import Store
from troth.platforms.nitro.measure import measure
from troth.wire import eif
from troth.wire.eif import Eif, Kind, Section

SAMPLE = Path(__file__).parents[1] / "data" / "app"
IMAGE = Eif(
    sections=(
        Section(kind=Kind.KERNEL, pieces=(b"kernel",)),
        Section(kind=Kind.COMMAND_LINE, pieces=(b"line",)),
        Section(kind=Kind.METADATA, pieces=(b"{}",)),
        Section(kind=Kind.RAMDISK, pieces=(b"disk",)),
    )
)


def _troth(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "troth", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_measuring(tmp_path: Path) -> None:
    image = tmp_path / "x.eif"
    image.write_bytes(eif.pack(IMAGE))
    expected = dict(measure(IMAGE).hex())
    done = _troth("measure", image)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"nitro  {k}  {v}" for k, v in expected.items()]
    assert json.loads(_troth("measure", image, "--json").stdout) == {"nitro": expected}


def test_measuring_what_is_no_image(tmp_path: Path) -> None:
    image = tmp_path / "x.eif"
    assert _troth("measure", image).returncode == 5
    data = eif.pack(IMAGE)
    for wrong in (b"", bytes(16384), data[:-1], data + b"\0"):
        image.write_bytes(wrong)
        done = _troth("measure", image)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.startswith("error: eif.")


def test_an_app_that_is_none(tmp_path: Path) -> None:
    done = _troth("build", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "has no troth.toml" in done.stderr
    shutil.copytree(SAMPLE, tmp_path / "app", ignore=shutil.ignore_patterns("troth.lock"))
    done = _troth("build", tmp_path / "app", "-o", tmp_path / "x.eif")
    assert (done.returncode, done.stdout) == (2, "")
    assert "has no troth.lock" in done.stderr
    assert "fix: run `troth lock`" in done.stderr
    assert not (tmp_path / "x.eif").exists()


@pytest.mark.network
def test_building_and_being_interrupted(tmp_path: Path) -> None:
    app, out = tmp_path / "app", tmp_path / "out"
    shutil.copytree(SAMPLE, app)
    try:
        locking.ensure(app, store=Store.of_user())
    except Unavailable:  # the mirror went on to newer versions
        locking.make(app, store=Store.of_user())
    out.mkdir()
    variables = {**os.environ, "TMPDIR": str(out)}
    command = [sys.executable, "-m", "troth", "build", str(app), "-o", str(out / "x.eif")]
    for wait, more in ((1.0, ["--check"]), (2.5, ["--check"]), (1.5, [])):
        process = subprocess.Popen(
            [*command, *more],
            env=variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(wait)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert list(out.iterdir()) == []
    done = subprocess.run(
        [*command, "--json"], env=variables, capture_output=True, text=True, check=True
    )
    said = json.loads(done.stdout)
    assert (said["checked"], said["differences"]) == (False, [])
    measured = json.loads(_troth("measure", out / "x.eif", "--json").stdout)
    assert said["measurements"] == measured
    assert {p.name for p in out.iterdir()} == {"x.eif", "x.measurements.json", "x.build.json"}
