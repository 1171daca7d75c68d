"""An enclave does not outlive a supervisor that was killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runtime.enclaves import StandIn, put_on_path

from troth.runtime.nitro_cli import NitroCli

OWNER = """
import sys, time
from troth.runtime.nitro_guard import Guard
guard = Guard()
for word in sys.argv[1:]:
    guard.disarm() if word == "disarm" else guard.arm(word)
print("armed", flush=True)
time.sleep(600)
"""


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    held = put_on_path(tmp_path, monkeypatch)
    yield held
    for enclave in held.enclaves():
        NitroCli.find().terminate(str(enclave["EnclaveID"]))


def killed(*words: str) -> None:
    """A process with a guard, after it was killed."""
    argv = [sys.executable, "-c", OWNER, *words]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"armed\n"
        os.killpg(owner.pid, signal.SIGKILL)


def until(condition, seconds: float = 15) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def start(name: str) -> None:
    NitroCli.find().run(Path("app.eif"), name=name, cid=16, memory=512, cpus=2, debug=False)


def test_its_enclave_is_ended(standin: StandIn) -> None:
    start("app-1")
    killed("app-1")
    assert until(lambda: not standin.enclaves())
    assert standin.calls("terminate-enclave")[-1] == [
        "terminate-enclave",
        "--enclave-name",
        "app-1",
    ]


def test_one_that_is_only_just_being_started_is_ended_too(standin: StandIn) -> None:
    killed("app-2")
    assert until(lambda: len(standin.calls("terminate-enclave")) > 0)
    start("app-2")
    assert until(lambda: not standin.enclaves())


def test_others_are_left_alone(standin: StandIn) -> None:
    start("app-3")
    killed()
    killed("app-4", "disarm")
    killed("disarm")
    time.sleep(0.5)
    assert len(standin.enclaves()) == 1
