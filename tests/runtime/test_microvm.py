"""Images that boot in QEMU: a whole life, and each way in which a guest or QEMU can fail, named with its fix."""

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from stat import S_IFREG

import pytest
from tests.agent.conftest import PROBE

import troth
from troth.errors import Misuse, Unavailable
from troth.image import build as builder
from troth.model.report import Verdict
from troth.platforms.nitro.measure import measure
from troth.runtime import booted, console, development, local_ramdisk, qemu, runs, state
from troth.runtime.console import Console
from troth.runtime.grounds import Job
from troth.runtime.load import load
from troth.runtime.microvm import Microvm
from troth.wire import cpio, eif, ramdisk

pytestmark = [pytest.mark.microvm, pytest.mark.network]
EXAMPLES = Path(__file__).parents[2] / "examples"
QUIET = (
    "import http.server as h\nh.ThreadingHTTPServer(('127.0.0.1', 8080), h.BaseHTTPRequestHandler)"
)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(PROBE, tmp_path_factory.mktemp("image") / "probe.eif")


def built(app: Path, path: Path) -> Path:
    builder.write(builder.build(app), path)
    return path


@pytest.fixture
def variant(tmp_path: Path) -> Callable[..., Path]:
    """The probe with another program or recipe: nothing else is built anew."""

    def make(
        program: str | None = None, *, recipe: Callable[[str], str] = lambda text: text
    ) -> Path:
        app = tmp_path / "variant"
        shutil.copytree(PROBE, app)
        if program is not None:
            (app / "app/main.py").write_text(program)
        (app / "troth.toml").write_text(recipe((app / "troth.toml").read_text()))
        return built(app, tmp_path / "variant.eif")

    return make


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder of its own; nothing may be left in it, and no QEMU that was started from it."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    yield tmp_path
    assert state.everything() == ()
    assert not machines(tmp_path)


def machines(folder: Path) -> list[str]:
    """Processes of QEMU that run in a folder below this one."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(folder):
                command = (process / "cmdline").read_bytes()
                found += [process.name] if qemu.PROGRAM.encode() in command else []
    return found


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def start(image: Path, **more) -> runs.Run:
    return runs.start(image, pki=development.nitro(), on="microvm", **more)


def policy(image: Path) -> troth.Policy:
    return troth.Policy.for_image({"nitro": measure(eif.read(image.read_bytes())).hex()})


def ask(run: runs.Run, image: Path, path: str = "/", **more) -> bytes:
    """One answer over the attested channel, which is judged first."""
    trust = (development.nitro().root(),)
    url = f"https://{run.published[0].address}/"
    with troth.connect(url, policy=policy(image), trust=trust) as connection:
        assert connection.verified.report.verdict is Verdict.ACCEPTED
        return connection.request("GET", path, **more).body


def rewritten(image: Path, path: Path, change: Callable[[cpio.Entry], cpio.Entry]) -> Path:
    """The same image with other files in its first ramdisk."""
    whole = eif.read(image.read_bytes())
    first = whole.ramdisks[0]
    entries = [change(entry) for entry in ramdisk.read(first.data)]
    changed = eif.Section(kind=eif.Kind.RAMDISK, pieces=cpio.pack(entries))
    sections = [changed if section is first else section for section in whole.sections]
    path.write_bytes(eif.pack(eif.Eif(sections=tuple(sections))))
    return path


def with_init(image: Path, path: Path, script: bytes) -> Path:
    def change(entry: cpio.Entry) -> cpio.Entry:
        if entry.path != "init":
            return entry
        return cpio.Entry(path="init", mode=S_IFREG | 0o755, data=script)

    return rewritten(image, path, change)


@pytest.mark.slow
def test_the_auction(tmp_path: Path) -> None:
    """The example as a reader runs it: a bidding over vsock, verified, and an end that is heard of."""
    path = built(EXAMPLES / "auction", tmp_path / "auction.eif")
    with start(path) as run:
        assert run.says == "functional test: no isolation from this machine"
        assert ask(run, path, "/info")
        address = proxied(run, path)
        client = [sys.executable, str(EXAMPLES / "auction/client.py"), next(address)]
        done = subprocess.run(client, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["statement"]
        address.close()
        os.kill(run.state.supervisor.pid, 0)
        folder = run.state.folder
    assert not folder.exists()


def proxied(run: runs.Run, image: Path) -> Iterator[str]:
    from troth.channel import client, dial
    from troth.channel.proxy import Proxy, listen_local

    target = dial.parse(f"https://{run.published[0].address}/")
    trust = (development.nitro().root(),)

    def opened():
        return client.connect(target.dialler(), policy=policy(image), trust=trust, name="x")

    with Proxy(listen_local(0), opened, tell=lambda _: None) as proxy:
        threading.Thread(target=proxy.serve, daemon=True).start()
        yield proxy.address


def test_an_exit_code_reaches_the_host_and_the_consoles_words_stay(variant) -> None:
    program = (
        "import socket, sys\n"
        "listener = socket.create_server(('127.0.0.1', 8080))\n"
        "listener.accept()\n"  # the agent's question whether it listens
        "print('goodbye', file=sys.stderr)\n"
        "sys.exit(42)\n"
    )
    with start(variant(program), detach=True) as run:
        assert run.wait() == 42
        assert b"goodbye" in run.console()
    assert state.read(run.id).exit_code == 42
    assert runs.clean() == (run.id,)


def test_asked_to_end_it_ends_by_the_apps_own_way(variant) -> None:
    program = (
        "import signal, socket, sys, time\n"
        "def end(*_):\n"
        "    print('asked', flush=True)\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "listener = socket.create_server(('127.0.0.1', 8080))\n"
        "time.sleep(600)\n"
    )
    with start(variant(program), detach=True) as run:
        console_file = run.state.folder / state.CONSOLE
    with console_file.open("rb") as kept:
        runs.stop(run.id)
        assert b"asked" in kept.read()


def test_a_killed_supervisor_takes_the_machine_with_it(image: Path, tmp_path: Path) -> None:
    with start(image, detach=True) as run:
        pass
    assert machines(tmp_path)
    os.kill(run.state.supervisor.pid, 9)
    until(lambda: not machines(tmp_path))
    assert runs.clean() == (run.id,)


def test_the_app_may_have_the_security_module(variant, tmp_path: Path) -> None:
    """`raw_nsm`: an unchanged client's ioctl works, and troth's own channel and evidence do not."""
    path = variant(recipe=lambda text: f"raw_nsm = true\n{text}")
    with start(path) as run:
        assert run.raw_nsm
        published = run.published[0]
        connection = http.client.HTTPConnection(published.host, published.host_port, timeout=30)
        connection.request("GET", "/ask_nsm")
        answer = json.loads(connection.getresponse().read())
        assert answer.startswith("done: a1") and b"DescribeNSM".hex() in answer, answer
        body = json.dumps(
            {"method": "POST", "path": "/v1/attest", "body": {"nonce": "00" * 32, "app_data": ""}}
        )
        connection.request("POST", "/agent", body)
        refused = connection.getresponse()
        assert refused.status == 409
        assert "attests nothing" in json.loads(refused.read())["error"]
        connection.close()
        for command in (["verify", f"https://{published.address}"], ["policy", "new"]):
            done = subprocess.run(
                [sys.executable, "-m", "troth", *command, "--image", str(path)],
                capture_output=True,
                text=True,
                check=False,
                cwd=tmp_path,
            )
            assert done.returncode == 2, done
            assert "its app has the security module itself" in done.stderr
            assert "fix: set raw_nsm = false" in done.stderr


def test_no_qemu_and_an_old_one(image: Path, tmp_path: Path, monkeypatch) -> None:
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    monkeypatch.setenv("PATH", str(bin_folder))
    with pytest.raises(Unavailable, match="there is no qemu-system-x86_64") as raised:
        start(image)
    assert "scripts/install_optional.sh" in raised.value.fix
    old = bin_folder / qemu.PROGRAM
    old.write_text("#!/bin/sh\necho 'QEMU emulator version 7.2.19 (Debian)'\n")
    old.chmod(0o755)
    with pytest.raises(Unavailable, match=r"is QEMU 7\.2, and 10 is needed") as raised:
        start(image)
    assert "bookworm-backports" in raised.value.fix


def test_killed_in_mid_boot(image: Path, tmp_path: Path) -> None:
    def kill() -> None:
        until(lambda: machines(tmp_path), 60)
        time.sleep(0.5)
        for process in machines(tmp_path):
            os.kill(int(process), 9)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(Unavailable, match="QEMU was ended by signal 9") as raised:
        start(image)
    killer.join()
    assert raised.value.fix


def test_killed_later(image: Path, tmp_path: Path) -> None:
    with start(image, detach=True) as run:
        (process,) = machines(tmp_path)
        os.kill(int(process), 9)
        assert run.wait() == booted.LOST
        assert b"QEMU was ended by signal 9" in run.console()
    assert runs.clean() == (run.id,)


def test_a_guest_that_panics(image: Path, tmp_path: Path) -> None:
    broken = with_init(image, tmp_path / "broken.eif", b"#!/absent\n")
    with pytest.raises(
        Unavailable, match="the image's kernel panicked; the guest said: "
    ) as raised:
        start(broken)
    assert "FileNotFoundError" in str(raised.value)
    assert "without --on" in raised.value.fix


def test_a_guest_that_never_answers(image: Path, tmp_path: Path) -> None:
    script = b"#!/usr/bin/python3.13 -IS\nwhile True: pass\n"
    silent = with_init(image, tmp_path / "silent.eif", script)
    with pytest.raises(Unavailable, match=r"the app was not ready within 12 s") as raised:
        start(silent, timeout=12)
    assert raised.value.fix


def test_an_app_that_never_listens(variant) -> None:
    with pytest.raises(Unavailable, match="it must listen on the ports") as raised:
        start(variant("import time; time.sleep(600)"), timeout=25)
    assert raised.value.fix


def test_a_guest_that_floods_the_console(variant) -> None:
    program = (
        "import threading, http.server\n"
        "def flood():\n"
        "    while True: print('x' * 4000, flush=True)\n"
        "threading.Thread(target=flood, daemon=True).start()\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200); self.send_header('Content-Length', '2')\n"
        "        self.end_headers(); self.wfile.write(b'ok')\n"
        "    def log_message(self, *_): pass\n"
        "http.server.ThreadingHTTPServer(('127.0.0.1', 8080), H).serve_forever()\n"
    )
    path = variant(program)
    with start(path, timeout=90) as run:
        assert ask(run, path) == b"ok"
        until(lambda: len(run.console()) > 1 << 16)
        kept = sum(file.stat().st_size for file in run.state.folder.glob("console.log*"))
        assert kept <= 2 * console.MAX_BYTES


def test_an_image_bigger_than_its_memory(variant) -> None:
    path = variant(recipe=lambda text: text.replace("memory = 256", "memory = 64"))
    with pytest.raises(
        Misuse, match=r"it takes \d+ MiB to boot, and its recipe gives it 64"
    ) as raised:
        start(path)
    assert "set memory = " in raised.value.fix
    assert "troth.toml" in raised.value.fix


def test_a_clock_that_is_wrong_is_refused_inside(image: Path, tmp_path: Path) -> None:
    """QEMU is told another date, as a host might."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    wrapper = bin_folder / qemu.PROGRAM
    real = qemu.find()
    wrapper.write_text(f'#!/bin/sh\nexec {real} "$@" -rtc base=2001-02-03T04:05:06\n')
    wrapper.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{bin_folder}:{os.environ['PATH']}")
        with pytest.raises(Unavailable, match="clock shows 2001-02-03") as raised:
            start(image)
    assert raised.value.fix


def test_the_device_is_one_whose_driver_is_a_process(image: Path) -> None:
    assert "cuse" in local_ramdisk.modules_of(image)
    moved = image.with_name("elsewhere.eif")
    assert local_ramdisk.modules_of(moved) == {}


def test_without_the_package_at_hand_a_socket_stands_for_the_device(image, tmp_path) -> None:
    alone = tmp_path / "alone.eif"
    shutil.copy(image, alone)
    with start(alone) as run:
        assert ask(run, alone, "/interfaces") == b'["lo"]'


@contextlib.contextmanager
def ground(image: Path, folder: Path) -> Iterator[tuple[Microvm, Console]]:
    """The ground alone, launched, without the process that otherwise owns it."""
    folder.mkdir()
    os.chdir(folder)
    words = Console()
    made = Microvm(words)
    words.start(folder / state.CONSOLE)
    try:
        made.launch(
            Job(
                image=image,
                loaded=load(image),
                folder=folder,
                free={},
                pki=development.nitro().to_pem_bundle(),
                debug=False,
                unless_stopped=lambda: None,
            )
        )
        yield made, words
    finally:
        made.kill()
        made.wait()
        made.close()
        words.finish(5)


@pytest.fixture
def elsewhere() -> Iterator[None]:
    here = Path.cwd()
    yield
    os.chdir(here)


@pytest.mark.usefixtures("elsewhere")
def test_a_boot_without_a_sign_of_life_is_begun_anew_once(image, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(booted, "STALLED", 2.0)
    monkeypatch.setattr(booted, "TOILED", 0.1)
    silent = with_init(
        image, tmp_path / "silent.eif", b"#!/usr/bin/python3.13 -IS\nwhile 1: pass\n"
    )
    with ground(silent, tmp_path / "run") as (made, _):
        first = made.fileno()
        with pytest.raises(Unavailable, match="booted twice and showed no sign of life") as raised:
            until(made.ready, 60)
        assert made.fileno() != first
    assert "less busy" in raised.value.fix


@pytest.mark.slow
@pytest.mark.usefixtures("elsewhere")
def test_twenty_boots_while_both_processors_are_busy(image: Path, tmp_path: Path) -> None:
    """The kernel measures its clock wrong then, unless it is told: none may hang, and none is begun anew."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        for number in range(20):
            with ground(image, tmp_path / f"run{number}") as (made, _):
                first = made.fileno()
                until(lambda: made.ready() or made.met, 120)
                assert made.fileno() == first
    finally:
        for process in busy:
            process.kill()
            process.wait()
