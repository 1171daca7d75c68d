"""A container image or a folder becomes an app in one line, and the same app again from its recipe."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.image.containers import as_tar, docker_save, folder, program, tar

from troth.cli import up
from troth.cli._bring import notes
from troth.image import brought, lock, locking, recipe
from troth.image.fetched import Gone

SAMPLE = Path(__file__).parents[1] / "data" / "app"
LAYER = tar(folder("bin"), program("bin/app"), program("bin/sh", b"text"))
TOLD = {"Entrypoint": ["app"], "ExposedPorts": {"8080/tcp": {}}, "User": "web"}


def _troth(where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "troth", *arguments]
    return subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a saved image and a folder to bring."""
    as_tar(docker_save(LAYER, config=TOLD), tmp_path / "web.tar")
    (tmp_path / "root" / "bin").mkdir(parents=True)
    for name, data in (("app", b"#!/bin/sh\n"), ("sh", b"text")):
        (tmp_path / "root" / "bin" / name).write_bytes(data)
        (tmp_path / "root" / "bin" / name).chmod(0o755)
    return tmp_path


@pytest.mark.network
def test_one_line_and_again_from_the_recipe(place: Path) -> None:
    done = _troth(place, "build", "--from-oci", "web.tar", "--listen", "8080", "--json")
    assert done.returncode == 0, done.stderr
    assert "wrote web/troth.toml and its lock; build it again with: troth build web" in done.stderr
    assert "note: its user is 'web'; here the app is always user 1000" in done.stderr
    first = json.loads(done.stdout)
    assert first["image"] == "web.eif"
    text = '[app]\nname = "web"\nfrom_oci = "../web.tar"\n\n[[listen]]\nport = 8080\n'
    assert (place / "web" / "troth.toml").read_text() == text
    record = json.loads((place / "web.build.json").read_text())
    assert record["root"]["config"] == brought.pin(place / "web.tar").config
    # From its recipe, checked, and with the image somewhere else.
    (place / "web.tar").rename(place / "moved.tar")
    done = _troth(place, "build", "web", "--from-oci", "moved.tar", "--check", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sha256"] == first["sha256"]
    done = _troth(place, "build", "web")
    assert done.returncode == 2
    assert "is no file and no folder" in done.stderr
    # Another image under the same name.
    as_tar(docker_save(LAYER, config=TOLD | {"Cmd": ["x"]}), place / "web.tar")
    done = _troth(place, "build", "web")
    assert (done.returncode, done.stdout) == (2, "")
    assert "holds the image sha256:" in done.stderr
    assert "fix: bring the image that was locked" in done.stderr


@pytest.mark.network
def test_a_folder_in_one_line(place: Path) -> None:
    flags = (
        "--from-rootfs",
        "root",
        "--name",
        "app",
        "--entry",
        "app 'one word'",
        "--memory",
        "64",
    )
    done = _troth(place, "build", *flags, "--directory", "/bin", "-o", "x.eif")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("x.eif  sha256 ")
    found = recipe.load(place / "app")
    assert (found.from_rootfs, found.entry, found.memory) == ("../root", ("app", "one word"), 64)
    assert (found.directory, found.listen) == ("/bin", ())
    done = _troth(place, "build", *flags, "-o", "z.eif")
    assert done.returncode == 2
    assert "app/troth.toml is there, and says something else" in done.stderr


def test_a_port_is_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    record = {"root": {"left_out": ["1 pipes are left out: /\x1b[2J"], "exposed": [80, 443]}}
    notes(record, listens=False)
    told = capsys.readouterr().err.splitlines()
    assert (
        told[1]
        == "note: nothing leads to the app; it says that it listens on 80, 443: --listen PORT"
    )
    assert "\x1b" not in told[0]
    notes(record, listens=True)
    notes({}, listens=False)
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("", "there is nothing to build"),
        ("--from-oci web.tar --from-rootfs root", "both given"),
        ("--from-oci absent.tar", "fix: name what `docker save` wrote"),
        ("--from-oci web.tar --name Web", "app.name is 'Web'"),
        ("--from-rootfs root --entry x", "root is what is brought"),
        ("--from-rootfs root --name a", "app.entry is missing"),
        ("--from-rootfs root --name a --entry '", "--entry is no command"),
        ("--from-oci web.tar --listen 0", "listen[0].port is 0"),
        ("--from-oci web.tar --memory 1", "memory (MiB) is 1"),
        ("--from-oci web.tar --directory x", "app.directory is 'x'"),
        ("--from-oci web.tar --entry \x7f", "a flag holds what no recipe can"),
        ("sample --name other", "sample has a recipe, which says its name"),
        ("sample --listen 80", "sample has a recipe, which says its name"),
    ],
)
def test_what_is_refused(flags: str, said: str, place: Path) -> None:
    shutil.copytree(SAMPLE, place / "sample")
    done = _troth(place, "build", *flags.split(" ") if flags else ())
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert said in done.stderr
    assert not list(place.glob("*/troth.toml"))[1:]
    assert not list(place.glob("*.eif"))


def test_up_locks_no_copy_of_what_is_brought_from_elsewhere(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise Gone(("x.deb",))

    (place / "web").mkdir()
    (place / "web" / "troth.toml").write_text('[app]\nname = "web"\nfrom_oci = "../web.tar"\n')
    lock.save(place / "web", lock.load(SAMPLE))
    monkeypatch.setattr(locking, "ensure", gone)
    with pytest.raises(Gone) as refused:
        up.locked(place / "web", place / "work", print, print)
    assert "troth lock --update" in refused.value.fix
    assert not (place / "work").exists()


def test_an_image_for_an_app_that_brings_none(place: Path) -> None:
    shutil.copytree(SAMPLE, place / "sample")
    done = _troth(place, "build", "sample", "--from-oci", "web.tar")
    assert (done.returncode, done.stdout) == (2, "")
    assert "sample brings no root" in done.stderr


def test_what_is_damaged(place: Path) -> None:
    shutil.copytree(SAMPLE, place / "web")
    (place / "web" / "troth.toml").write_text('[app]\nname = "web"\nfrom_oci = "../web.tar"\n')
    kept = replace(lock.load(SAMPLE), oci=brought.pin(place / "web.tar"))
    lock.save(place / "web", replace(kept, recipe=recipe.load(place / "web").pinned()))
    for data in ((place / "web.tar").read_bytes()[:900], b"", bytes(2048)):
        (place / "web.tar").write_bytes(data)
        done = _troth(place, "lock", "web", "--update")
        assert done.returncode == (2 if data == bytes(2048) else 3), done.stderr
        assert done.stdout == ""
