"""Runs: started, listed, stopped, and nothing left behind however they end."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.agent.conftest import PROBE
from tests.platforms.nitro.signer import DAY, identity, signature

import troth
from troth.errors import Malformed, Misuse, Unavailable
from troth.image import build as builder
from troth.platforms.nitro.measure import measure, pcr8
from troth.release.pcr8 import attach
from troth.runtime import development, runs, state
from troth.trust import load_roots
from troth.wire import eif

TODAY = datetime.now(UTC)
pytestmark = [pytest.mark.namespaces, pytest.mark.network]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "probe.eif"
    builder.write(builder.build(PROBE), path)
    return path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder of its own for each test; nothing may be left running or on disk in it."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    yield tmp_path
    left = [run.id for run in state.everything() if run.supervisor.alive()]
    for name in left:
        with contextlib.suppress(Misuse):
            runs.stop(name)
    assert not left
    assert not processes_with(str(tmp_path))


def processes_with(text: str) -> list[str]:
    """Command lines and roots of processes that mention a folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            mounts = (folder / "mountinfo").read_text()
            if text in (folder / "cmdline").read_text() or text in mounts:
                found.append(folder.name)
    return found


def until(condition: object, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_started_listed_and_stopped(image: Path) -> None:
    with runs.start(image, pki=development.nitro()) as run:
        assert [r.id for r in state.everything()] == [run.id]
        assert state.read(run.id).seen == state.RUNNING
        assert run.published[0].host == "127.0.0.1"
        assert len(run.pcrs) == 3
        assert (state.root() / run.id / state.NSM).stat().st_mode & 0o777 == 0o600
        folder = run.state.folder
    assert not folder.exists()
    assert state.everything() == ()
    assert run.pcrs["pcr0"] != "00" * 48


def test_debug_mode_shows(image: Path) -> None:
    with runs.start(image, pki=development.nitro(), debug=True) as run:
        assert set(run.pcrs.values()) == {"00" * 48}


def test_a_signed_image_shows_its_signer(image: Path, tmp_path: Path) -> None:
    by = identity(begin=TODAY - DAY, end=TODAY + DAY)
    built = eif.read(image.read_bytes())
    signed = tmp_path / "signed.eif"
    signed.write_bytes(eif.pack(attach(built, signature(built, by, at=TODAY), at=TODAY)))
    expected = dict(measure(built).hex()) | {"pcr8": pcr8(by.der).hex()}
    with runs.start(signed, pki=development.nitro()) as run:
        root = load_roots(development.root_file())
        assert dict(run.pcrs) == expected
        policy = troth.Policy.for_image({"nitro": expected})
        address = f"https://{run.published[0].address}/"
        with troth.connect(address, policy=policy, trust=root) as connection:
            assert connection.verified.claims.measurement("pcr8") == expected["pcr8"]
    with runs.start(signed, pki=development.nitro(), debug=True) as run:
        assert set(run.pcrs.values()) == {"00" * 48}


def test_detached_and_stopped_by_name(image: Path) -> None:
    with runs.start(image, pki=development.nitro(), detach=True) as run:
        name = run.id
    assert state.read(name).seen == state.RUNNING
    runs.stop(name)
    with pytest.raises(Misuse):
        state.read(name)


def test_a_killed_supervisor_takes_everything_with_it(image: Path) -> None:
    with runs.start(image, pki=development.nitro(), detach=True) as run:
        name, folder = run.id, run.state.folder
    supervisor = state.read(name).supervisor
    supervisor.signal(signal.SIGKILL)
    until(lambda: not processes_with(str(folder)))
    assert state.read(name).seen == state.LOST
    assert runs.clean() == (name,)
    assert not folder.exists()


def test_a_killed_owner_ends_the_run(image: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from troth.runtime import development, runs;"
        "run = runs.start(Path(sys.argv[1]), pki=development.nitro());"
        "print(run.id, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(image)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    name = owner.stdout.readline().strip()
    folder = state.root() / name
    owner.kill()
    owner.wait()
    owner.stdout.close()
    until(lambda: not folder.exists())
    until(lambda: not processes_with(str(folder)))


@pytest.mark.parametrize("after", [0.05, 0.3, 0.7, 1.2, 3.0])
def test_interrupted_in_any_phase(image: Path, home: Path, after: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "troth", "run", str(image)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    time.sleep(after)
    os.killpg(process.pid, signal.SIGINT)
    _, talk = process.communicate(timeout=20)
    assert process.returncode in (130, -signal.SIGINT), talk
    until(lambda: not processes_with(str(home)))
    until(lambda: not [p for p in state.root().glob("*") if not p.name.startswith(".new-")])


def test_a_port_that_is_taken(image: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable) as raised:
            runs.start(image, pki=development.nitro(), publish={8080: port})
    assert str(port) in str(raised.value)
    assert raised.value.fix


def test_what_the_image_does_not_declare(image: Path) -> None:
    with pytest.raises(Misuse):
        runs.start(image, pki=development.nitro(), publish={9999: 0})
    with pytest.raises(Misuse):
        runs.start(image, pki=development.nitro(), free={"other": b""})


def test_what_is_no_image(image: Path, tmp_path: Path) -> None:
    data = bytearray(image.read_bytes())
    data[-5] ^= 1
    broken = tmp_path / "broken.eif"
    broken.write_bytes(data)
    with pytest.raises(Malformed):
        runs.start(broken, pki=development.nitro())
    with pytest.raises(Unavailable):
        runs.start(tmp_path / "absent.eif", pki=development.nitro())


def test_two_at_once_do_not_share_anything(image: Path) -> None:
    pki = development.nitro()
    with runs.start(image, pki=pki) as one, runs.start(image, pki=pki) as other:
        assert one.id != other.id
        assert one.published[0].host_port != other.published[0].host_port
        assert one.pcrs == other.pcrs


def test_the_development_root_is_private_and_stays() -> None:
    first, again = development.nitro(), development.nitro()
    assert first.root().sha256 == again.root().sha256
    folder = development.folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in folder.iterdir():
        if path != development.root_file():
            assert path.stat().st_mode & 0o777 == 0o600, path
    assert b"PRIVATE" not in development.root_file().read_bytes()


def test_the_commands(image: Path) -> None:
    def troth(*argv: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "troth", *argv],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout

    code, text = troth("run", str(image), "--detach", "--json")
    assert code == 0
    name = json.loads(text)["id"]
    code, text = troth("ps", "--json")
    assert [run["id"] for run in json.loads(text)] == [name]
    assert troth("logs", name)[0] == 0
    assert troth("logs", "nobody")[0] == 2
    assert troth("stop")[0] == 2
    assert troth("stop", "--all") == (0, f"{name}\n")
    assert troth("ps") == (0, "")
    assert troth("clean") == (0, "")


def interpreter(user: int) -> tuple[str, dict[str, str]]:
    """A Python that this user may execute, and where it finds troth and its libraries."""
    source = Path(troth.__file__).parents[1]
    libraries = sysconfig.get_paths()["purelib"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{source}:{libraries}"}
    probe = "import troth, cryptography, cyclopts, sys; assert sys.version_info >= (3, 11)"
    for name in dict.fromkeys((sys.executable, "/usr/bin/python3")):
        with contextlib.suppress(OSError):
            done = subprocess.run(
                [name, "-P", "-c", probe],
                user=user,
                group=user,
                extra_groups=[],
                env=environment,
                cwd="/",
                capture_output=True,
                check=False,
            )
            if done.returncode == 0:
                return name, environment
    pytest.skip("no Python here that another user may execute, with troth's libraries")


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests have shown it for this user")
def test_an_ordinary_user(image: Path) -> None:
    """Root may turn switches that nobody else may: what runs for root must run, and hold, for others."""
    user = 65534
    name, environment = interpreter(user)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        copy = Path(shutil.copy(image, folder))
        copy.chmod(0o644)
        data = Path(folder, "data")
        data.mkdir()
        os.chown(data, user, user)
        code = (
            "import sys; from pathlib import Path; from troth.runtime import development, runs\n"
            "with runs.start(Path(sys.argv[1]), pki=development.nitro()) as run:\n"
            "    print(run.published[0].address, flush=True); sys.stdin.read()"
        )
        owner = subprocess.Popen(
            [name, "-P", "-c", code, str(copy)],
            user=user,
            group=user,
            extra_groups=[],
            env=environment | {"XDG_DATA_HOME": str(data)},
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert owner.stdout is not None
        address = owner.stdout.readline().strip()
        if not address:
            pytest.fail(str(owner.communicate()[1]))
        registers = measure(eif.read(image.read_bytes())).hex()
        policy = troth.Policy.for_image({"nitro": registers})
        trust = load_roots(data / "troth/development/nitro/root.pem")
        ways_in = (
            *("exec_from_tmp", "loader_on_tmp", "map_from_tmp", "exec_from_memory"),
            *("loader_on_sealed_memory", "code_below_home", "new_user_namespace", "sysctl"),
        )
        for way in ways_in:
            with troth.connect(f"https://{address}/", policy=policy, trust=trust) as connection:
                answer = json.loads(connection.request("GET", f"/{way}").body)
            assert not answer.startswith("done"), way
        _, errors = owner.communicate("")
        assert owner.returncode == 0, errors
        assert list((data / "troth/runs").iterdir()) == []
        assert not processes_with(folder)


def test_no_room(image: Path, home: Path) -> None:
    """On a data folder of four megabytes: an error with its fix, and nothing half unpacked."""
    script = (
        'mount -t tmpfs -o size=4m none "$XDG_DATA_HOME" && "$@"; code=$?; '
        'find "$XDG_DATA_HOME/troth/runs" -mindepth 1; exit $code'
    )
    done = subprocess.run(
        [
            *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"),
            *(sys.executable, "-m", "troth", "run", str(image)),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"XDG_DATA_HOME": str(home)},
    )
    assert done.returncode == 5, done.stderr
    assert "No space left" in done.stderr
    assert "fix:" in done.stderr
    assert done.stdout == ""


def test_namespaces_that_are_refused(image: Path) -> None:
    """Inside a user namespace that may make no other one, as on a machine that forbids them."""
    script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    done = subprocess.run(
        [
            *("unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"),
            *(sys.executable, "-m", "troth", "run", str(image)),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 5, done.stderr
    assert "error: this machine refuses user namespaces" in done.stderr
    assert "  fix: raise the limit as root: sysctl -w user.max_user_namespaces=" in done.stderr
    assert done.stdout == ""
