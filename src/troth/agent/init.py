"""Process 1 of an enclave: sets up, starts the agent's services and the app, and ends with the app."""

import hashlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from troth.agent import config as app_config
from troth.agent import machine, serve
from troth.agent.api import Api
from troth.agent.attest import Attester
from troth.agent.config import AppConfig
from troth.agent.console import Console
from troth.agent.host import Host, Outside, Simulating
from troth.agent.identity import Identity
from troth.agent.jail import SOCKET, Jail
from troth.agent.listener import Listener, Plain, attested, reach
from troth.channel.server import make_credentials
from troth.errors import EXIT_BUG, TrothError
from troth.platforms.nitro.collect import DEVICE, Nsm, open_nsm
from troth.runtime import linux

_POLL: Final = 0.02
"""Seconds between two looks whether the app answers: on one processor each takes from the app's own start."""
_CONSOLE_SECONDS: Final = 2.0
RAW_REGISTER: Final = 31
RAW_MARK: Final = hashlib.sha384(b"troth raw_nsm").digest()
"""What the last register is extended with where the app has the security module itself."""


def main() -> int:
    """Runs the enclave; its exit code is the app's. On a machine of its own it does not return."""
    if os.getpid() != 1:
        # It mounts file systems: elsewhere than as a machine's first process it would do harm.
        print("agent: this is the first process of an enclave and runs as nothing else", flush=True)
        return 2
    if Path("/proc/self").exists():
        return _guarded(lambda: _run(Simulating, None))
    try:
        _guarded(_run_alone)
    except BaseException:  # noqa: BLE001 - nothing may keep the machine from its end
        import traceback

        traceback.print_exc()  # without the colours that a terminal gets
    finally:
        machine.end()


def _guarded(step: Callable[[], int]) -> int:
    """The exit code of a step, or of the error that it ended with; the last words are the error's."""
    try:
        return step()
    except TrothError as error:
        print(f"agent: {error}", flush=True)
        if error.fix:
            print(f"agent: fix: {error.fix}", flush=True)
        return error.exit_code
    except OSError as error:
        print(f"agent: {error.strerror}: {error.filename or ''}", flush=True)
        return EXIT_BUG


def _run_alone() -> int:
    """On a machine of its own: what a simulating host would have prepared comes first."""
    machine.set_up()
    console = Console()
    try:
        return _guarded(lambda: _run(Outside, console))
    finally:
        console.finish(_CONSOLE_SECONDS)


def _run(meet: Callable[[], Host], console: Console | None) -> int:
    # Whatever reads another process's memory must not read ours.
    linux.prctl(linux.PR_SET_DUMPABLE, 0)
    config = app_config.read(app_config.PATH.read_bytes())
    jail = Jail(config)
    if console is not None:
        console.start()
    host = meet()
    code = EXIT_BUG
    try:
        _serve(config, host, alone=console is not None)
        jail.start()
        host.watch(jail.stop)
        threading.Thread(target=_say_when_ready, args=(config, host), daemon=True).start()
        code = _until_end(jail)
    except TrothError as error:
        code = error.exit_code
        raise
    finally:
        host.say_ended(code)
    return code


def _serve(config: AppConfig, host: Host, *, alone: bool) -> None:
    """The API on its socket, and the attested way in for each port."""
    nsm = open_nsm()
    if alone:
        machine.seed(nsm.random())
        Path(DEVICE).chmod(0o666 if config.raw_nsm else 0o600)
    if config.raw_nsm:
        mark_raw(nsm)
    identity = Identity()
    attester = Attester(nsm, identity.spki)
    api = Api(config=config, attester=attester, identity=identity, free=host.free)
    Path(SOCKET).parent.mkdir(parents=True, exist_ok=True)
    serve.serve(Path(SOCKET), api)
    # Whoever has the module itself can have it sign what an attested channel would be known by. So
    # there is none then, and the app's port is led to as it is.
    door = Plain if config.raw_nsm else attested(make_credentials(), attester.for_channel)
    for port in config.listen:
        Listener(port, host.listen(port), door).start()


def mark_raw(nsm: Nsm) -> None:
    """Locks a register that nobody expects, before the app has the module: its evidence says so for good.

    Else whoever has an image's first three registers as bare hex would take whatever its app had signed.

    Raises:
        Unavailable: the module refuses; the app must not start then.
    """
    nsm.extend(RAW_REGISTER, RAW_MARK)
    nsm.lock(RAW_REGISTER)


def _say_when_ready(config: AppConfig, host: Host) -> None:
    """Tells the host once the app answers on all of its ports."""
    for port in config.listen:
        while not _answers(port):
            time.sleep(_POLL)
    host.say_ready()


def _answers(port: int) -> bool:
    try:
        with reach(port, 1.0) as probe:
            # Where nobody listens, a connection from a port to itself may come about.
            return bool(probe.getsockname() != probe.getpeername())
    except OSError:
        return False


def _until_end(jail: Jail) -> int:
    """Passes a wish to end on to the app, reaps what is orphaned, and gives the app's exit code."""
    signal.signal(signal.SIGTERM, lambda *_: jail.stop())
    while True:
        pid, status = os.wait()
        if pid == jail.pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
