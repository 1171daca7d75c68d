"""The ground on EC2, with stand-ins for `nitro-cli`, the host's files and its vsock: no hardware is here."""

import contextlib
import os
import queue
import select
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from stat import S_IFREG

import pytest
from tests.runtime.enclaves import StandIn, put_on_path
from tests.runtime.test_load import image, kept
from tests.runtime.test_nitro_guard import until
from tests.runtime.test_nitro_host import put

from troth.errors import Misuse, TrothError, Unavailable
from troth.runtime import nitro
from troth.runtime.console import Console
from troth.runtime.grounds import Job
from troth.runtime.load import Loaded, load
from troth.runtime.nitro import Nitro, Vsock
from troth.runtime.nitro_cli import NitroCli
from troth.runtime.nitro_host import Host
from troth.wire import control, cpio


class Listener:
    """A listening vsock socket whose callers are pairs of sockets."""

    def __init__(self) -> None:
        self.callers: queue.Queue[tuple[socket.socket, tuple[int, int]] | None] = queue.Queue()

    def accept(self) -> tuple[socket.socket, tuple[int, int]]:
        if (caller := self.callers.get()) is None:
            raise OSError
        return caller

    def shutdown(self, _: int) -> None:
        self.callers.put(None)

    def close(self) -> None:
        self.callers.put(None)


def as_vsock(sock: socket.socket) -> socket.socket:
    """The same, to Python a socket of vsock: it takes other options for those."""
    return socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM, fileno=sock.detach())


class Wire(Vsock):
    """A vsock between this process and itself."""

    def __init__(self) -> None:
        self.listener = Listener()
        self.taken = False
        self.asked: list[tuple[int, int]] = []

    def listen(self, port: int):
        assert port == control.CONTROL_PORT
        if self.taken:
            raise OSError(98, "Address already in use")
        return self.listener

    def connect(self, cid: int, port: int) -> socket.socket:
        self.asked.append((cid, port))
        return as_vsock(socket.socketpair()[0])

    def call(self, cid: int) -> socket.socket:
        """The agent's end of a connection from this address."""
        ours, theirs = socket.socketpair()
        ours.settimeout(10)
        self.listener.callers.put((as_vsock(theirs), (cid, 1024)))
        return ours


class Stage:
    """A ground on a host that has room."""

    def __init__(self, folder: Path, standin: StandIn) -> None:
        self.standin = standin
        self.wire = Wire()
        put(folder, "host/dev/nitro_enclaves", "")
        put(folder, "host/sys/module/nitro_enclaves/parameters/ne_cpus", "1,3")
        put(folder, "host/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "256")
        self.host = Host(root=folder / "host")
        self.folder = folder / "app-1a2b3c"
        self.folder.mkdir()
        self.image = kept(folder, image())
        self.loaded = load(self.image)
        self.console = Console()
        self.console.start(folder / "console.log")
        self.closed = False
        self.ground = Nitro(self.console, host=self.host, vsock=self.wire)

    def launch(
        self,
        *,
        loaded: Loaded | None = None,
        debug: bool = False,
        unless_stopped: Callable[[], None] = lambda: None,
    ) -> None:
        self.ground.launch(
            Job(
                image=self.image,
                loaded=loaded or self.loaded,
                folder=self.folder,
                free={"hint": b"\x01"},
                pki="",
                debug=debug,
                unless_stopped=unless_stopped,
            )
        )

    @property
    def cid(self) -> int:
        call = self.standin.calls("run-enclave")[-1]
        return int(call[call.index("--enclave-cid") + 1])

    def agent(self) -> socket.socket:
        """The enclave's agent, after it was given its data."""
        sock = self.wire.call(self.cid)
        assert control.take(sock.recv) == ("free", {"hint": "01"})
        return sock

    def close(self) -> None:
        """Once."""
        if not self.closed:
            self.closed = True
            self.ground.close()

    def is_guarded(self) -> bool:
        """Whether the guard would end the enclave after us."""
        return self.ground._guard._socket.fileno() >= 0

    def printed(self) -> bytes:
        return (self.folder.parent / "console.log").read_bytes()


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    standin = put_on_path(tmp_path, monkeypatch)
    made = Stage(tmp_path, standin)
    yield made
    (tmp_path / "trouble.json").unlink(missing_ok=True)
    made.ground.kill()
    made.close()
    made.console.given()
    made.ground._guard.disarm()
    for enclave in standin.enclaves():
        with contextlib.suppress(Unavailable):  # the test has ended it
            NitroCli.find().terminate(str(enclave["EnclaveID"]))


def readable(ground: Nitro, seconds: float) -> bool:
    return bool(select.select([ground.fileno()], [], [], seconds)[0])


def test_from_start_to_a_clean_end(stage: Stage) -> None:
    ground = stage.ground
    stage.launch()
    assert (ground.poll(), ground.ready()) == (None, False)
    (call,) = stage.standin.calls("run-enclave")
    assert call[call.index("--enclave-name") + 1] == "app-1a2b3c"
    assert call[call.index("--memory") + 1] == "256"
    assert call[call.index("--cpu-count") + 1] == "2"
    assert "--debug-mode" not in call
    with stage.agent() as agent:
        agent.sendall(control.pack({"ready": True}))
        assert until(ground.ready)
        ground.connect(8080).close()
        assert stage.wire.asked == [(stage.cid, 8080)]
        ground.terminate()
        assert control.take(agent.recv) == ("stop", True)
        agent.sendall(control.pack({"ended": 7}))
        assert control.take(agent.recv) == ("seen", True)
    assert not readable(ground, 0)
    os.kill(int(str(stage.standin.enclaves()[0]["ProcessID"])), signal.SIGKILL)
    assert readable(ground, 20)
    assert (ground.poll(), ground.wait(), ground.wait()) == (7, 7, 7)
    stage.close()
    assert not stage.is_guarded()
    assert b"--debug-mode" in stage.printed()
    assert stage.standin.calls("terminate-enclave") == []


def test_debug_mode_shows_the_console(stage: Stage) -> None:
    stage.launch(debug=True)
    assert "--debug-mode" in stage.standin.calls("run-enclave")[0]
    assert until(lambda: b"hello from the app" in stage.printed())


def test_an_end_without_a_word(stage: Stage) -> None:
    stage.launch()
    stage.agent().close()
    os.kill(int(str(stage.standin.enclaves()[0]["ProcessID"])), signal.SIGKILL)
    assert readable(stage.ground, 20)
    assert stage.ground.wait() == 70


def test_an_end_that_only_the_list_shows(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nitro, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(os, "pidfd_open", lambda _: (_ for _ in ()).throw(OSError))
    stage.launch()
    process = int(str(stage.standin.enclaves()[0]["ProcessID"]))
    assert not readable(stage.ground, 0.5)
    os.kill(process, signal.SIGKILL)
    assert readable(stage.ground, 20)


def test_a_stop(stage: Stage) -> None:
    stage.launch()
    stage.ground.kill()
    assert readable(stage.ground, 0)
    assert stage.standin.enclaves() == []
    assert stage.ground.wait() == 70
    stage.close()
    assert not stage.is_guarded()


def test_a_stop_that_is_refused_is_left_to_the_guard(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nitro, "_KILL_PAUSE", 0.05)
    stage.launch()
    stage.standin.fails("terminate-enclave", "E39")
    stage.ground.kill()
    assert len(stage.standin.calls("terminate-enclave")) == 3
    assert stage.ground.wait() == 70
    stage.close()
    assert stage.is_guarded()


def test_debians_kernel_is_refused(stage: Stage) -> None:
    modules = cpio.Entry(path="usr/lib/modules/load", mode=S_IFREG | 0o644, data=b"nsm.ko\n")
    with_modules = Loaded(
        **{name: getattr(stage.loaded, name) for name in Loaded.__slots__}
        | {"entries": (*stage.loaded.entries, modules)}
    )
    with pytest.raises(Misuse, match="Debian's kernel") as caught:
        stage.launch(loaded=with_modules)
    assert 'kernel = "hardware"' in caught.value.fix
    assert stage.standin.calls("run-enclave") == []


def test_a_host_without_enclaves(stage: Stage) -> None:
    (stage.host.root / "dev/nitro_enclaves").unlink()
    with pytest.raises(Unavailable, match="/dev/nitro_enclaves"):
        stage.launch()


def test_less_memory_than_its_files_take(stage: Stage) -> None:
    """A host would start it, and its agent find that files are missing."""
    large = cpio.Entry(path="large", mode=S_IFREG | 0o644, data=bytes(200 << 20))
    loaded = replace(stage.loaded, entries=(*stage.loaded.entries, large))
    with pytest.raises(Misuse, match=r"it takes \d+ MiB to boot, and this host would give it 256"):
        stage.launch(loaded=loaded)
    assert stage.standin.calls("run-enclave") == []


def test_more_memory_than_is_set_aside(stage: Stage) -> None:
    put(stage.host.root, "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "100")
    with pytest.raises(Unavailable, match="needs 256 MiB, and 200 MiB are set aside"):
        stage.launch()
    assert stage.standin.calls("run-enclave") == []


def test_another_run_has_the_control_port(stage: Stage) -> None:
    stage.wire.taken = True
    with pytest.raises(Unavailable, match="port 9001 of this instance cannot be had") as caught:
        stage.launch()
    assert "troth ps" in caught.value.fix


@pytest.mark.parametrize("code", ["E22", "E27", "E29", "E36", "E39"])
def test_what_nitro_cli_refuses(stage: Stage, code: str) -> None:
    stage.standin.fails("run-enclave", code, "E39", "E11")
    with pytest.raises(Unavailable, match=code) as caught:
        stage.launch()
    assert caught.value.fix
    assert stage.ground.poll() == 0
    assert not stage.is_guarded()


class Stop(Exception):  # noqa: N818 - as the supervisor's
    """Somebody asked to stop."""


def test_a_stop_while_it_is_being_started(stage: Stage) -> None:
    calls = iter([None, Stop()])

    def unless_stopped() -> None:
        if raised := next(calls, None):
            raise raised

    script = Path(stage.standin.folder, "bin", "nitro-cli")
    script.write_text("#!/bin/sh\nexec sleep 30\n")
    with pytest.raises(Stop):
        stage.launch(unless_stopped=unless_stopped)
    assert stage.ground.poll() == 0
    assert stage.is_guarded()  # the program may have got it under way


def test_other_enclaves_are_not_listened_to(stage: Stage) -> None:
    stage.launch()
    with stage.wire.call(stage.cid + 1) as stranger:
        assert stranger.recv(1) == b""
    with stage.agent() as agent:
        agent.sendall(control.pack({"ready": True}))
        assert until(stage.ground.ready)


def test_an_agent_that_breaks_the_rules(stage: Stage) -> None:
    stage.launch()
    with stage.agent() as agent:
        agent.sendall(control.pack({"open": "the door"}))

        def refused() -> bool:
            try:
                return stage.ground.ready()
            except TrothError as error:
                return "broke the rules" in str(error)

        assert until(refused)


def test_no_vsock_here_is_an_ordinary_error() -> None:
    with pytest.raises(OSError, match="Errno"):
        Vsock().connect(1 << 20, 8080)


def test_ends_that_come_at_once(stage: Stage) -> None:
    stage.launch()
    threads = [threading.Thread(target=stage.ground._end) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert readable(stage.ground, 0)
