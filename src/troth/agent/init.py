"""Process 1 of an enclave: sets up, starts the agent's services and the app, and ends with the app."""

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Final

from troth.agent import config as app_config
from troth.agent import machine
from troth.agent.api import Api
from troth.agent.attest import Attester
from troth.agent.config import AppConfig
from troth.agent.identity import Identity
from troth.agent.jail import SOCKET, Jail
from troth.agent.listener import Listener, open_port
from troth.agent.serve import Server
from troth.channel.server import make_credentials
from troth.errors import TrothError
from troth.platforms.nitro.collect import open_nsm
from troth.runtime import linux

SHARED: Final = Path("/run/troth/host")
"""Shared with a simulating host: a socket a port, `free/NAME`, and the file that says ready."""
_POLL: Final = 0.005


def main() -> int:
    """Runs the enclave; its exit code is the app's."""
    if os.getpid() != 1:
        # It mounts file systems: elsewhere than as a machine's first process it would do harm.
        print("agent: this is the first process of an enclave and runs as nothing else", flush=True)
        return 2
    try:
        # Whatever reads another process's memory must not read ours.
        linux.prctl(linux.PR_SET_DUMPABLE, 0)
        if not Path("/proc/self").exists():
            machine.set_up()
        config = app_config.read(app_config.PATH.read_bytes())
        jail = Jail(config)
        _serve(config)
        jail.start()
        threading.Thread(target=_say_when_ready, args=(config,), daemon=True).start()
        return _until_end(jail.pid)
    except TrothError as error:
        print(f"agent: {error}", flush=True)
        if error.fix:
            print(f"agent: fix: {error.fix}", flush=True)
        return error.exit_code
    except OSError as error:
        print(f"agent: {error.strerror}: {error.filename or ''}", flush=True)
        return 70


def _serve(config: AppConfig) -> None:
    """The API on its socket, and the attested way in for each port."""
    identity = Identity()
    attester = Attester(open_nsm(), identity.spki)
    api = Api(config=config, attester=attester, identity=identity, free=SHARED / "free")
    Path(SOCKET).parent.mkdir(parents=True, exist_ok=True)
    Server(Path(SOCKET), api).start()
    credentials = make_credentials()
    for port in config.listen:
        Listener(port, open_port(port, SHARED), credentials, attester.for_channel).start()


def _say_when_ready(config: AppConfig) -> None:
    """Tells a simulating host once the app answers on all of its ports."""
    for port in config.listen:
        while not _answers(port):
            time.sleep(_POLL)
    if SHARED.is_dir():
        (SHARED / "ready").touch()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1.0) as probe:
            # Where nobody listens, a connection from a port to itself may come about.
            return bool(probe.getsockname() != probe.getpeername())
    except OSError:
        return False


def _until_end(app: int) -> int:
    """Passes a wish to end on to the app, reaps what is orphaned, and gives the app's exit code."""
    signal.signal(signal.SIGTERM, lambda *_: os.kill(app, signal.SIGTERM))
    while True:
        pid, status = os.wait()
        if pid == app:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
