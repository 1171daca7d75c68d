"""What is known of runs: a process id that is used again is not the run's, and damage is named."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed, Misuse, TrothError
from troth.runtime import runs, state
from troth.wire import json


def record(**more) -> state.RunState:
    values = {
        "id": "app-00ff00",
        "image": "/app.eif",
        "on": "simulator",
        "started": "2026-11-23T03:10:00.000+00:00",
        "debug": False,
        "raw_nsm": False,
        "detached": True,
        "pcrs": ("00" * 48,) * 3,
        "published": (state.Published(port=8080, host="127.0.0.1", host_port=4000),),
        "status": state.RUNNING,
        "exit_code": None,
        "supervisor": state.Process.this(),
    }
    return state.RunState(**values | more)


@pytest.fixture(autouse=True)
def data(home: Path) -> Path:
    state.root().mkdir(parents=True)
    return home


def keep(run: state.RunState) -> state.RunState:
    run.folder.mkdir()
    run.write(run.folder)
    return run


def test_written_and_read() -> None:
    run = keep(record())
    assert state.read(run.id) == run
    assert (run.folder / state.STATE).stat().st_mode & 0o777 == 0o600
    assert run.published[0].address == "127.0.0.1:4000"
    assert state.everything() == (run,)


def test_oldest_first_and_damaged_ones_left_out() -> None:
    late = keep(record(id="b"))
    early = keep(record(id="a", started="2026-11-22T00:00:00.000+00:00"))
    (state.root() / "c").mkdir()
    (state.root() / "d").mkdir()
    (state.root() / "d" / state.STATE).write_bytes(b"{}")
    assert state.everything() == (early, late)


def test_a_process_is_more_than_its_number() -> None:
    here = state.Process.this()
    assert here.alive()
    for other in (
        replace(here, began=here.began + 1),
        replace(here, boot="0"),
        replace(here, pid=2**22 + 1),
    ):
        assert not other.alive()
        # Signal 0 would reach us, if it were sent to whoever has the number now.
        assert not other.signal(signal.SIGKILL)


def test_one_that_ended_and_is_not_yet_reaped_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    stat = Path(f"/proc/{child.pid}/stat").read_bytes()
    began = int(stat[stat.rindex(b")") + 2 :].split()[19])
    process = replace(state.Process.this(), pid=child.pid, began=began)
    assert process.alive()
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not process.alive()
    child.communicate()


def test_a_run_without_its_supervisor_is_lost_and_cleaned() -> None:
    gone = replace(state.Process.this(), began=1)
    lost = keep(record(id="lost", supervisor=gone))
    ended = keep(record(id="ended", supervisor=gone, status=state.ENDED, exit_code=0))
    alive = keep(record(id="alive"))
    assert [run.seen for run in (lost, ended, alive)] == ["lost", "ended", "running"]
    (lost.folder / state.ROOT).mkdir()
    runs.sweep()
    assert not (lost.folder / state.ROOT).exists()
    assert (lost.folder / state.STATE).exists()
    assert sorted(runs.clean()) == ["ended", "lost"]
    assert state.everything() == (alive,)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../runs/a", ".new-a", "-a", "a" * 81])
def test_names_that_lead_elsewhere(name) -> None:
    with pytest.raises(Misuse):
        state.read(name)


@given(st.data())
def test_a_damaged_state_is_ours_to_name(data) -> None:
    text = bytearray(json.canonical({"schema": state.SCHEMA, **record().to_dict()}))
    if data.draw(st.booleans()):
        text = text[: data.draw(st.integers(0, len(text) - 1))]
    else:
        text[data.draw(st.integers(0, len(text) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        state.RunState.from_dict(json.parse(bytes(text), field=state.STATE))
    except TrothError:
        return


def test_another_schema() -> None:
    with pytest.raises(Malformed):
        state.RunState.from_dict({**record().to_dict(), "schema": "troth/run/2"})
