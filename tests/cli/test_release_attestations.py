"""`troth release attestations`: who published the wheels of an app."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.release.simulated import attestation, bundle, instance, provenance, published

from troth.cli.main import run
from troth.image import lock as locks
from troth.image.attested import Attested
from troth.image.lock import Wheel

SAMPLE = Path(__file__).parents[1] / "data" / "app"
SIGSTORE = instance()
Says = pytest.CaptureFixture[str]


@dataclass(frozen=True)
class App:
    folder: Path
    wheel: Wheel

    def check(self, *more: str) -> int:
        root = ("--trusted-root", str(self.folder / "root.json"))
        return run(["release", "attestations", str(self.folder / "app"), *root, *more])

    def put(self, data: bytes) -> None:
        (self.folder / "files").mkdir(exist_ok=True)
        (self.folder / "files" / f"{self.wheel.file}.provenance").write_bytes(data)

    def add(self, data: bytes) -> int:
        self.put(data)
        return self.check("--add", str(self.folder / "files"))

    @property
    def lock(self) -> locks.Lock:
        return locks.load(self.folder / "app")

    def made(self, **more: str) -> bytes:
        said = published(self.wheel.file, more.pop("sha256", self.wheel.sha256))
        return provenance(attestation(bundle(SIGSTORE, said, **more)), **more)


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(SAMPLE, tmp_path / "app")
    (tmp_path / "root.json").write_bytes(SIGSTORE.trusted_root())
    (wheel,) = (w for w in locks.load(SAMPLE).all_wheels if w.name == "cryptography")
    return App(tmp_path, wheel)


def shown(says: Says, name: str) -> str:
    (line,) = (row for row in says.readouterr().out.splitlines() if f" {name} " in row)
    return line


def test_nothing_is_kept_and_so_nothing_is_audited(app: App, capsys: Says) -> None:
    assert app.check() == 4
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(app.lock.all_wheels)
    assert all(line.startswith("not audited") for line in lines)
    named = [word for w in app.lock.all_wheels for word in ("--allow-unaudited", w.name)]
    assert app.check(*named) == 0
    assert app.check(*named[2:]) == 4


def test_of_no_wheel_nothing_is_shown(app: App) -> None:
    locks.save(app.folder / "app", replace(app.lock, wheels=(), agent_wheels=()))
    assert app.lock.all_wheels == ()
    assert app.check() == 4


def test_the_first_file_says_who_and_another_publisher_is_refused(app: App, capsys: Says) -> None:
    assert app.add(app.made()) == 4  # the others
    said = capsys.readouterr()
    assert "published by owner/crypto by release.yml, as the first file says" in said.err
    assert "verified     cryptography" in said.out
    (one,) = app.lock.attested
    assert (one.repository, one.workflow) == ("owner/crypto", "release.yml")
    before = app.lock
    assert app.add(app.made(repository="somebody/else")) == 3
    err = capsys.readouterr().err
    assert "is of somebody/else by release.yml, and should be of owner/crypto" in err
    assert app.add(app.made(workflow="other.yml")) == 3
    assert app.lock == before
    assert app.check("--json") == 4
    found = json.loads(capsys.readouterr().out)
    (row,) = (row for row in found["wheels"] if row["state"] == "verified")
    assert row["publisher"] == "owner/crypto by release.yml"


def test_a_file_about_another_wheel_is_not_kept(app: App) -> None:
    for bad in (app.made(sha256="0" * 64), b"{}", app.made()[:-1]):
        assert app.add(bad) == 3
        assert app.lock.attested == ()


def test_a_folder_that_is_none_or_has_nothing(app: App, capsys: Says) -> None:
    assert app.check("--add", str(app.folder / "absent")) == 2
    assert "is no folder" in capsys.readouterr().err
    (app.folder / "files").mkdir()
    assert app.check("--add", str(app.folder / "files")) == 4
    assert "kept 0 of" in capsys.readouterr().err


def test_a_lock_that_expects_somebody_else(app: App, capsys: Says) -> None:
    assert app.add(app.made()) == 4
    capsys.readouterr()
    (one,) = app.lock.attested
    locks.save(app.folder / "app", replace(app.lock, attested=(replace(one, repository="a/b"),)))
    assert app.check() == 1
    line = shown(capsys, "cryptography")
    assert line.startswith("refused") and "owner/crypto" in line and "a/b" in line


def test_what_is_not_at_hand_is_not_audited(app: App, capsys: Says) -> None:
    assert app.add(app.made()) == 4
    shutil.rmtree(app.folder / "cache")
    capsys.readouterr()
    assert app.check() == 4
    assert "is not at hand" in shown(capsys, "cryptography")
    one = Attested(name="cryptography", repository="a/b", workflow="w.yml", provenance="")
    locks.save(app.folder / "app", replace(app.lock, attested=(one,)))
    assert app.check() == 4
    assert "should be of a/b by w.yml" in shown(capsys, "cryptography")


def test_a_file_that_travels_with_the_app_and_was_changed(app: App, capsys: Says) -> None:
    locks.save(app.folder / "app", replace(app.lock, vendor="packages"))
    assert app.add(app.made()) == 4
    kept = app.folder / "app" / "packages" / f"{app.wheel.file}.provenance"
    assert "verified" in shown(capsys, "cryptography")
    kept.write_bytes(kept.read_bytes().replace(b"owner/crypto", b"other/crypto"))
    assert app.check() == 1
    assert shown(capsys, "cryptography").startswith("refused")


def test_another_root(app: App, capsys: Says) -> None:
    assert app.add(app.made()) == 4
    (app.folder / "root.json").write_bytes(instance().trusted_root())
    capsys.readouterr()
    assert app.check() == 1
    assert shown(capsys, "cryptography").startswith("refused")
    (app.folder / "root.json").write_bytes(b"{}")
    assert app.check() == 3
