"""Whole runs on nitro, with stand-ins for the program, the enclave and the vsock: ports, stops, ends."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runtime.enclaves import StandIn, put_on_path
from tests.runtime.test_load import GOOD, image, kept
from tests.runtime.test_nitro_guard import until
from tests.runtime.test_nitro_host import put

import troth
from troth.cli.main import run as command
from troth.errors import Unavailable
from troth.runtime import runs, state

REPOSITORY = Path(__file__).parents[2]
SITE = """
import os
if "STAND_IN" in os.environ:
    from tests.runtime import stand_in_enclave
    from troth.runtime import nitro
    stand_in_enclave.put_into(nitro)
"""


@pytest.fixture
def standin(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StandIn]:
    folder = tmp_path_factory.mktemp("n")  # short: unix sockets are in it
    held = put_on_path(folder, monkeypatch)
    (folder / "alive").touch()
    put(folder, "host/dev/nitro_enclaves", "")
    put(folder, "host/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "256")
    (folder / "sitecustomize.py").write_text(SITE, encoding="utf-8")
    source = Path(troth.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{source}:{REPOSITORY}")
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    yield held
    for run in state.everything():
        runs.stop(run.id)
    assert until(lambda: not living(held))


def living(standin: StandIn) -> list[int]:
    """Processes of enclaves that have not ended."""
    found = []
    for enclave in standin.enclaves():
        process = int(str(enclave["ProcessID"]))
        try:
            if ") Z " not in Path(f"/proc/{process}/stat").read_text("ascii"):
                found.append(process)
        except OSError:
            continue
    return found


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return kept(tmp_path, image(GOOD | {"listen": [{"port": 8080}], "cpus": 1}))


def said_back(port: int, words: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.sendall(words)
        sock.shutdown(socket.SHUT_WR)
        return sock.recv(100)


def test_ports_are_forwarded_and_a_stop_is_clean(standin: StandIn, app: Path) -> None:
    with runs.start(app, pki=None, on="nitro", free={"hint": b"\x07"}) as run:
        assert run.state.on == "nitro"
        assert (standin.folder / "free").read_text() == "('free', {'hint': '07'})"
        assert said_back(run.published[0].host_port, b"are you there?") == b"are you there?"
        folder = run.state.folder
        assert len(living(standin)) == 1
    assert not living(standin)
    assert not folder.exists()
    assert standin.calls("terminate-enclave") == []  # its agent was asked, and ended


def test_an_enclave_that_dies_is_noticed(standin: StandIn, app: Path) -> None:
    with runs.start(app, pki=None, on="nitro") as run:
        os.kill(living(standin)[0], signal.SIGKILL)
        assert run.wait() == 70


def test_one_that_does_not_end_when_asked_is_terminated(standin: StandIn, app: Path) -> None:
    with runs.start(app, pki=None, on="nitro") as run:
        os.kill(living(standin)[0], signal.SIGSTOP)
        began = time.monotonic()
        run.stop()
        assert time.monotonic() - began < 30
    assert len(standin.calls("terminate-enclave")) == 1
    assert until(lambda: not living(standin))


def test_a_killed_supervisor_takes_its_enclave_along(standin: StandIn, app: Path) -> None:
    run = runs.start(app, pki=None, on="nitro")
    os.kill(run.state.supervisor.pid, signal.SIGKILL)
    assert until(lambda: not living(standin), 20)
    with pytest.raises(Unavailable):
        run.wait()
    run.stop()


def test_from_the_command_line(
    standin: StandIn, app: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["run", str(app), "--on", "nitro", "--detach", "--debug-mode"]) == 0
    shown = capsys.readouterr()
    assert "8080 -> https://127.0.0.1:" in shown.out
    assert "on nitro: an enclave on this EC2 instance" in shown.err
    assert "--trust" not in shown.err
    (run,) = state.everything()
    assert until(lambda: b"hello from the app" in (run.folder / state.CONSOLE).read_bytes())
    assert command(["stop", run.id]) == 0
    assert not living(standin)
    assert "--debug-mode" in standin.calls("run-enclave")[0]


def test_refusals_reach_the_command_line(
    standin: StandIn, app: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    standin.fails("run-enclave", "E36", "E39", "E11")
    assert command(["run", str(app), "--on", "nitro"]) == 5
    shown = capsys.readouterr().err
    assert "did not boot" in shown
    assert "(E36)" in shown
    assert "fix: try the same image with --on microvm" in shown
    assert list(state.root().glob("*")) == []
