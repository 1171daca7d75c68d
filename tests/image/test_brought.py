"""From what was saved to what an image holds: the same for equal content, and only for what was locked."""

from pathlib import Path
from typing import Any

import pytest
from tests.image.containers import (
    as_folder,
    as_tar,
    digest,
    docker_save,
    folder,
    layout,
    link,
    member,
    program,
    tar,
)

from troth.errors import Misuse
from troth.image import brought
from troth.image.brought import Brought
from troth.image.lock import Pin
from troth.image.recipe import parse

BASE = tar(folder("bin"), program("bin/app"), program("bin/sh", b"text"), member("etc/x", b"1"))
TOLD = {
    "Entrypoint": ["app"],
    "Cmd": ["-v"],
    "Env": ["PATH=/bin", "A=1"],
    "WorkingDir": "/srv",
    "StopSignal": "SIGINT",
    "ExposedPorts": {"80/tcp": {}},
    "User": "web",
}


def bring(path: Path, pin: Pin | None = None, **app: Any) -> Brought:
    document = {
        "app": {"name": "a", "from_oci": path.name, **app},
        "environment": app.pop("environment", {}),
    }
    document["app"].pop("environment", None)
    recipe = parse(document, folder=path.parent)
    found = brought.bring(path.parent, recipe, pin or brought.pin(path))
    assert found is not None
    return found


def test_what_the_image_says(tmp_path: Path) -> None:
    found = bring(as_tar(docker_save(BASE, config=TOLD), tmp_path / "a.tar"))
    process = found.process
    assert process.command == ("/bin/app", "-v")
    assert dict(process.environment) == {"PATH": "/bin", "A": "1"}
    assert (process.directory, process.stop_signal) == ("/srv", 2)
    paths = {entry.path for entry in found.entries}
    assert {"rootfs/bin/app", "rootfs/srv", "rootfs/proc", "rootfs/run"} <= paths
    assert found.said == (
        "its user is 'web'; here the app is always user 1000, and owns every file",
    )
    assert found.record["exposed"] == [80]
    assert found.record["left_out"] == list(found.said)
    assert found.record["layers"] == [digest(BASE)]


def test_what_the_recipe_says_comes_first(tmp_path: Path) -> None:
    path = as_tar(docker_save(BASE, config=TOLD), tmp_path / "a.tar")
    found = bring(path, entry=["sh", "-c"], directory="/etc", environment={"A": "2", "B": "3"})
    assert found.process.command == ("/bin/sh", "-c")
    assert found.process.directory == "/etc"
    assert dict(found.process.environment) == {"PATH": "/bin", "A": "2", "B": "3"}


def test_equal_content_is_an_equal_root(tmp_path: Path) -> None:
    parts = [
        tar(folder("bin", mtime=5), program("bin/sh", b"text", uid=9)),
        tar(member("etc/x", b"0"), member("etc/old", b"0")),
        tar(member("etc/.wh.old"), member("etc/x", b"1", mtime=3), program("bin/app", gid=1)),
    ]
    one = bring(as_tar(docker_save(BASE, config=TOLD), tmp_path / "a.tar"))
    other = bring(as_folder(layout(*parts, config=TOLD), tmp_path / "b"))
    order = [sorted(found.entries, key=lambda e: e.path) for found in (one, other)]
    assert order[0] == order[1]
    assert one.process == other.process
    assert one.record["layers"] != other.record["layers"]


def test_the_tag_moved(tmp_path: Path) -> None:
    path = as_tar(docker_save(BASE, config=TOLD), tmp_path / "a.tar")
    pin = brought.pin(path)
    as_tar(docker_save(BASE, config=TOLD | {"Cmd": ["-x"]}), path)
    moved = brought.pin(path)
    with pytest.raises(Misuse) as refused:
        bring(path, pin)
    assert (
        str(refused.value)
        == f"a.tar holds the image {moved.config}, and the lock names {pin.config}"
    )
    assert "troth lock APP --update" in refused.value.fix


def test_a_manifest_counts_where_both_have_one(tmp_path: Path) -> None:
    packed = as_folder(layout(BASE, config=TOLD), tmp_path / "a")
    plain = as_folder(layout(BASE, config=TOLD, how="plain"), tmp_path / "b")
    old = as_tar(docker_save(BASE, config=TOLD), tmp_path / "c.tar")
    pins = [brought.pin(path) for path in (packed, plain, old)]
    assert len({pin.config for pin in pins}) == 1
    assert pins[2].manifest == ""
    # The configuration names every layer's content, so that the oldest form is as good.
    bring(old, pins[0])
    bring(packed, pins[2])
    with pytest.raises(Misuse, match=f"{pins[1].manifest}, and the lock names {pins[0].manifest}"):
        bring(plain, pins[0])


def test_no_command(tmp_path: Path) -> None:
    path = as_tar(docker_save(BASE), tmp_path / "a.tar")
    with pytest.raises(Misuse, match="a.tar names no command to start") as refused:  # noqa: RUF043
        bring(path)
    assert "--entry" in refused.value.fix
    assert bring(path, entry=["/bin/app"]).process.command == ("/bin/app",)


def test_a_program_that_is_hidden_at_run_time(tmp_path: Path) -> None:
    layer = tar(program("tmp/app"), link("app", "/tmp/app"))
    for name in ("/tmp/app", "/app"):
        path = as_tar(docker_save(layer, config={"Cmd": [name]}), tmp_path / "a.tar")
        with pytest.raises(Misuse, match=f"the command '{name}' is no program"):
            bring(path)


def test_a_folder(tmp_path: Path) -> None:
    place = tmp_path / "root"
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "app").write_bytes(b"#!/bin/app\n")
    (place / "bin" / "app").chmod(0o755)
    app = {"name": "a", "from_rootfs": "root", "entry": ["app", "1"], "directory": "/work"}
    recipe = parse({"app": app, "environment": {"A": "b"}}, folder=tmp_path)
    found = brought.bring(tmp_path, recipe, None)
    assert found is not None
    assert found.process.command == ("/bin/app", "1")
    assert found.process.directory == "/work"
    assert found.process.environment["A"] == "b"
    assert found.process.environment["PATH"].endswith("/bin")
    assert "rootfs/work" in {entry.path for entry in found.entries}
    elsewhere = tmp_path / "elsewhere"
    place.rename(elsewhere)
    again = brought.bring(tmp_path, recipe, None, source=elsewhere)
    assert again is not None and set(again.entries) == set(found.entries)


def test_an_image_that_no_lock_pins(tmp_path: Path) -> None:
    """Nor is a folder that it was saved to taken for a root."""
    place = as_folder(layout(BASE), tmp_path / "image")
    recipe = parse({"app": {"name": "a", "from_oci": "image", "entry": ["app"]}}, folder=tmp_path)
    with pytest.raises(Misuse, match="the lock names no container image"):
        brought.bring(tmp_path, recipe, None, source=place)


def test_an_app_that_brings_nothing(tmp_path: Path) -> None:
    recipe = parse({"app": {"name": "a", "entry": ["x"]}}, folder=tmp_path)
    assert brought.bring(tmp_path, recipe, None) is None


@pytest.mark.parametrize(("size", "memory"), [(0, 512), (10 << 20, 512), (300 << 20, 1536)])
def test_memory(size: int, memory: int, tmp_path: Path) -> None:
    found = bring(as_tar(docker_save(BASE, config=TOLD), tmp_path / "a.tar"))
    plain = {name: getattr(found, name) for name in found.__slots__}
    assert Brought(**plain | {"size": size}).memory() == memory
