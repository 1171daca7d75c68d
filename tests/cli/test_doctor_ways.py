"""`troth doctor` says of each way of running an image that it works, or what is missing and how to get it."""

import json
import subprocess
from pathlib import Path

import pytest
from tests.runtime.enclaves import put_on_path
from tests.runtime.test_nitro_host import put
from tests.runtime.test_qemu_nitro_found import WITH, WITHOUT
from tests.runtime.test_qemu_nitro_found import put as put_program

from troth.cli._doctor_ways import ways
from troth.cli.main import run
from troth.runtime import grounds
from troth.runtime.nitro_host import Host


class Found:
    """What is said of one way."""

    def __init__(self, way: str) -> None:
        self.works, self.what, self.fix = dict(ways())[way]


def test_every_ground_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert home.is_dir()
    assert run(["doctor", "--json"]) == 0
    names = {finding["name"] for finding in json.loads(capsys.readouterr().out)}
    assert {f"run on {name}" for name in grounds.KINDS} <= names
    for name, (works, what, fix) in ways():
        assert what
        assert works or fix, name


def test_qemu_nitro(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = put_program(home / "mine", WITH)
    monkeypatch.setenv("TROTH_QEMU_NITRO", str(mine))
    one = Found("qemu-nitro")
    assert one.works
    assert one.what == f"{mine}; its documents are unsigned"
    put_program(mine, WITHOUT)
    one = Found("qemu-nitro")
    assert not one.works
    assert "scripts/build_qemu_nitro.sh" in one.fix


def test_nitro(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Host(root=home)
    monkeypatch.setattr("troth.runtime.nitro_host.Host", lambda: machine)
    assert "Enabled=true" in Found("nitro").fix
    put(home, "dev/nitro_enclaves", "")
    assert Found("nitro").what == "nitro-cli is not on this machine"
    standin = put_on_path(home, monkeypatch)
    put(home, "sys/module/nitro_enclaves/parameters/ne_cpus", "1,3")
    put(home, "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "256")
    one = Found("nitro")
    assert one.works
    assert one.what.endswith("/nitro-cli, 512 MiB free, 2 CPUs set aside, 0 running")
    standin.fails("describe-enclaves", "E19 /dev/nitro_enclaves")
    assert not Found("nitro").works


@pytest.mark.parametrize(
    ("probe", "works", "words"),
    [
        (subprocess.CompletedProcess([], 0, "", ""), True, "nested"),
        (subprocess.CompletedProcess([], 1, "", "unshare: refused here\n"), False, "refused here"),
        (subprocess.CompletedProcess([], 1, "", ""), False, "refused"),
        (subprocess.TimeoutExpired([], 30), False, "did not end"),
    ],
)
def test_simulator(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    probe: object,
    works: bool,
    words: str,
) -> None:
    real = subprocess.run

    def stand_in(argv, **more):
        if argv[0] != "unshare":
            return real(argv, **more)
        if isinstance(probe, Exception):
            raise probe
        return probe

    monkeypatch.setattr("subprocess.run", stand_in)
    one = Found("simulator")
    assert (one.works, words in one.what) == (works, True)
    monkeypatch.setenv("PATH", str(home))
    assert Found("simulator").what == "cannot be tried"
