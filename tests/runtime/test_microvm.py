"""Images that boot in QEMU: whole lives, from the first word to an end that the host hears of."""

import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.examples import surface_page
from tests.runtime.machines import ask, built, ground, machines, policy, start, until

from troth.image import companions
from troth.runtime import development, local_ramdisk, runs, state

pytestmark = [pytest.mark.microvm, pytest.mark.network, pytest.mark.usefixtures("nothing_left")]
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
def test_the_auction(tmp_path: Path) -> None:
    """The example as a reader runs it: a bidding over vsock, verified, and an end that is heard of."""
    path = built(EXAMPLES / "auction", tmp_path / "auction.eif")
    surface_page.check("auction", companions.of(path, companions.RECORD))
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


def test_a_killed_supervisor_takes_the_machine_with_it(probe_file: Path, tmp_path: Path) -> None:
    with start(probe_file, detach=True) as run:
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
        assert (
            "0f181f" in answer
        )  # of the locked registers the last is 31, behind 15: see the agent
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


def test_the_device_is_one_whose_driver_is_a_process(probe_file: Path) -> None:
    assert "cuse" in local_ramdisk.modules_of(probe_file)
    moved = probe_file.with_name("elsewhere.eif")
    assert local_ramdisk.modules_of(moved) == {}


def test_without_the_package_at_hand_a_socket_stands_for_the_device(probe_file, tmp_path) -> None:
    alone = tmp_path / "alone.eif"
    shutil.copy(probe_file, alone)
    with start(alone) as run:
        assert ask(run, alone, "/interfaces") == b'["lo"]'


@pytest.mark.slow
@pytest.mark.usefixtures("elsewhere")
def test_twenty_boots_while_both_processors_are_busy(probe_file: Path, tmp_path: Path) -> None:
    """The kernel measures its clock wrong then, unless it is told: none may hang, and none is begun anew."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        for number in range(20):
            with ground(probe_file, tmp_path / f"run{number}") as (made, _):
                first = made.fileno()
                until(lambda: made.ready() or made.met, 120)
                assert made.fileno() == first
    finally:
        for process in busy:
            process.kill()
            process.wait()
