"""What `nitro-cli` says is understood as AWS documents it, and its errors end in a next move."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runtime.enclaves import StandIn, put_on_path

from troth.errors import Malformed, Unavailable
from troth.runtime.nitro_cli import MEANINGS, Enclave, NitroCli, explain

DOCUMENTED = {
    "EnclaveName": "my_enclave",
    "EnclaveID": "i-abc12345def67890a-enc9876abcd543210ef12",
    "ProcessID": 12345,
    "EnclaveCID": 10,
    "NumberOfCPUs": 2,
    "CPUIDs": [1, 3],
    "MemoryMiB": 1600,
}


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    held = put_on_path(tmp_path, monkeypatch)
    yield held
    for enclave in held.enclaves():
        NitroCli.find().terminate(str(enclave["EnclaveID"]))


def start(image: str = "app.eif", *, debug: bool = False) -> Enclave:
    return NitroCli.find().run(Path(image), name="app-1", cid=16, memory=512, cpus=2, debug=debug)


def test_an_enclave_from_start_to_end(standin: StandIn) -> None:
    enclave = start()
    assert (enclave.cid, enclave.cpus, enclave.memory, enclave.debug) == (16, 2, 512, False)
    (listed,) = NitroCli.find().describe()
    assert (listed.id, listed.state) == (enclave.id, "RUNNING")
    NitroCli.find().terminate(enclave.id)
    assert NitroCli.find().describe() == ()
    (call,) = standin.calls("run-enclave")
    assert call == [
        *("run-enclave", "--eif-path", "app.eif", "--enclave-name", "app-1"),
        *("--enclave-cid", "16", "--memory", "512", "--cpu-count", "2"),
    ]


def test_debug_mode(standin: StandIn) -> None:
    start(debug=True)
    assert standin.calls("run-enclave")[0][-1] == "--debug-mode"
    assert NitroCli.find().describe()[0].debug


@pytest.mark.parametrize(
    ("codes", "words", "fix"),
    [
        (["E19 /dev/nitro_enclaves", "E39", "E11"], "no enclaves", "modprobe nitro_enclaves"),
        (["E19 /sys/module/nitro_enclaves/parameters/ne_cpus"], "no enclaves", "modprobe"),
        (["E19 /var/log/nitro_enclaves/x.log"], "may not use", "group ne"),
        (["E19 /somewhere"], "opened: /somewhere", "/var/log"),
        (["E22", "E39"], "fewer CPUs", "cpu_count in /etc/nitro_enclaves/allocator.yaml"),
        (["E26", "E39"], "four times the image", "memory in the recipe"),
        (["E27", "E39"], "too little memory", "memory_mib in /etc/nitro_enclaves/allocator.yaml"),
        (["E29", "E39"], "driver refused", "nitro-enclaves-allocator"),
        (["E36", "E39", "E11"], "did not boot", "--on microvm"),
        (["E77"], "some new trouble", "/var/log/nitro_enclaves"),
    ],
)
def test_the_first_code_is_the_cause(
    standin: StandIn, codes: list[str], words: str, fix: str
) -> None:
    standin.fails("run-enclave", *codes)
    with pytest.raises(Unavailable, match=codes[0][:3]) as caught:
        start()
    assert words in str(caught.value)
    assert fix in caught.value.fix
    assert "E39" not in str(caught.value)


@pytest.mark.parametrize("code", sorted(MEANINGS))
def test_every_code_has_a_fix(code: str) -> None:
    error = explain("run-enclave", f"[ {code} ] Some title. And more.", 1)
    assert code in str(error)
    assert error.fix
    assert "{" not in error.fix


def test_no_code_at_all() -> None:
    assert "thread 'main' panicked" in str(explain("run-enclave", "x\nthread 'main' panicked", 101))
    assert "no word" in str(explain("run-enclave", "", 101))


def test_a_program_that_does_not_end(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(standin.folder, "bin", "nitro-cli").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr("troth.runtime.nitro_cli._ASK_SECONDS", 0.2)
    with pytest.raises(Unavailable, match="did not end within"):
        NitroCli.find().describe()


def test_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="nitro-cli is not on this machine") as caught:
        NitroCli.find()
    assert "microvm" in caught.value.fix
    with pytest.raises(Unavailable, match="cannot be executed"):
        NitroCli(program=str(tmp_path)).describe()


@pytest.mark.parametrize(
    "change",
    [
        {"EnclaveID": 7},
        {"EnclaveID": "i-1; reboot"},
        {"EnclaveCID": 3},
        {"EnclaveCID": 2**32 - 1},
        {"EnclaveCID": "16"},
        {"MemoryMiB": None},
        {"NumberOfCPUs": []},
    ],
)
def test_other_than_documented(change: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        Enclave.read(DOCUMENTED | change)


def test_a_process_that_is_not_told() -> None:
    assert Enclave.read(DOCUMENTED).process == 12345
    for process in (None, "12", -1, 0):
        assert Enclave.read(DOCUMENTED | {"ProcessID": process}).process == 0


@pytest.mark.parametrize(
    "answer", ["", "done", "{", "{}", "[]", "[{}]", '{"Terminated": 1}', "null", "Started: [1, 3]"]
)
def test_answers_that_are_none(standin: StandIn, answer: str) -> None:
    script = Path(standin.folder, "bin", "nitro-cli")
    script.write_text(f"#!/bin/sh\nprintf '%s' '{answer}'\n")
    program = NitroCli.find()
    with pytest.raises(Malformed):
        start()
    with pytest.raises(Malformed):
        program.terminate("i-1-enc1")
    if answer != "[]":
        with pytest.raises(Malformed):
            program.describe()


def test_it_says_that_it_did_not_end(standin: StandIn) -> None:
    script = Path(standin.folder, "bin", "nitro-cli")
    script.write_text(f"#!/bin/sh\necho '{json.dumps({'Terminated': False})}'\n")
    with pytest.raises(Unavailable, match="does not end"):
        NitroCli.find().terminate("i-1-enc1")
