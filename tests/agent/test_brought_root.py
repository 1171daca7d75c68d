"""A root that was brought, another userland than the agent's, runs unchanged and sees nothing but itself."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.agent.conftest import PROBE, Probe
from tests.image.containers import as_tar
from tests.image.userland import image

import troth
from troth.image import brought, lock, recipe
from troth.image import build as builder
from troth.platforms.nitro.measure import measure
from troth.runtime import development, runs
from troth.wire import eif as wire

pytestmark = [pytest.mark.namespaces, pytest.mark.network]

RECIPE = """
memory = 256
scratch = ["/srv/data/own"]
[app]
name = "brought"
from_oci = "../app.tar"
[environment]
GREETING = "from the recipe"
[[listen]]
port = 8080
"""


@pytest.fixture(scope="module")
def eif(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Locked as the probe is, so that no package but the image's own has to be found."""
    top = tmp_path_factory.mktemp("brought")
    as_tar(image(top / "packages"), top / "app.tar")
    folder = top / "app"
    folder.mkdir()
    (folder / "troth.toml").write_text(RECIPE)
    plain = lock.load(PROBE)
    pinned = replace(plain, oci=brought.pin(top / "app.tar"), vendor="")
    lock.save(folder, replace(pinned, recipe=recipe.load(folder).pinned()))
    builder.write(builder.build(folder), top / "brought.eif")
    return top / "brought.eif"


@pytest.fixture(scope="module")
def running(eif: Path) -> Iterator[Probe]:
    pki = development.nitro()
    policy = troth.Policy.for_image(
        {"nitro": measure(wire.read(eif.read_bytes())).hex()}, name="brought"
    )
    with runs.start(eif, pki=pki) as run:
        yield Probe(run, policy, (pki.root(),))


@pytest.fixture(scope="module")
def seen(running: Probe) -> Any:
    """What it says of itself, over a channel whose evidence was accepted."""
    return running.ask("")


def test_it_runs_unchanged_under_its_own_userland(seen: Any) -> None:
    assert seen["python"].startswith("3.")
    assert seen["arguments"] == ["/opt/main.py", "first", "second"]
    assert seen["folder"] == "/opt/new/folder"
    assert seen["libc"]
    assert "done" in seen["shell"]


def test_its_environment_is_the_images_and_the_recipes(seen: Any) -> None:
    assert seen["environment"] == {
        "GREETING": "from the recipe",
        "HOME": "/",
        "LANG": "C.UTF-8",
        "PATH": "/opt:/usr/bin:/bin",
        "PWD": "/opt/new/folder",  # busybox's shell sets it
        "PYTHONDONTWRITEBYTECODE": "1",
        "SHLVL": "1",
    }
    assert seen["user"] == 1000


def test_nothing_of_the_agents_is_in_sight(seen: Any) -> None:
    assert seen["agents"] == []
    assert seen["walked_out"] == []
    assert "rootfs" not in seen["root"]
    assert ".dockerenv" not in seen["root"]
    assert "nsm" not in seen["devices"]
    assert not [mount for mount in seen["mounts"] if mount.startswith(("/rootfs", "/usr", "/etc"))]
    assert min(seen["processes"]) == 1
    assert len(seen["processes"]) < 6


def test_what_is_mounted_inside(seen: Any) -> None:
    assert "/srv/data/own" in seen["mounts"]
    assert {"/", "/proc", "/dev", "/run", "/tmp", "/run/troth/agent.sock"} <= set(seen["mounts"])
    assert seen["run"] == ["lock", "troth"]
    assert seen["hosts"] == "127.0.0.1 localhost\n::1 localhost\n"
    assert seen["localhost"] == "127.0.0.1"


def test_the_agent_answers_inside(seen: Any) -> None:
    assert seen["info"]["name"] == "brought"
    assert seen["evidence"] == "nitro"


def test_its_root_is_read_only_and_nothing_writable_executes(seen: Any) -> None:
    assert "Read-only" in seen["root_written"]
    assert "Read-only" in seen["opt_written"]
    assert "done" in seen["tmp_written"]
    assert "done" in seen["run_written"]
    assert "PermissionError" in seen["tmp_executed"]
    assert "PermissionError" in seen["run_executed"]


def test_it_has_no_privilege(seen: Any) -> None:
    assert "PermissionError" in seen["chroot"]
    assert "done" not in seen["namespace"]


def test_it_is_asked_to_end_as_it_expects(eif: Path) -> None:
    """The image's STOPSIGNAL, not SIGTERM, which this app does not hear."""
    with runs.start(eif, pki=development.nitro()) as run:
        supervisor = run.state.supervisor.pid
        (sandbox,) = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
        os.kill(int(sandbox), signal.SIGTERM)
        assert run.wait() == 7
