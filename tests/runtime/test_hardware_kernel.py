"""The hardware kernel boots: in stock QEMU, with nothing but what the command line tells it."""

import json
import re
from pathlib import Path

import pytest
from tests.agent.conftest import PROBE

import troth
from troth.image import build as builder
from troth.image.hardware.inputs import inputs
from troth.model.report import Verdict
from troth.platforms.nitro.measure import measure
from troth.runtime import development, runs
from troth.wire import eif, ramdisk

WAYS = [
    "exec_from_tmp",
    "loader_on_tmp",
    "map_from_tmp",
    "exec_from_memory",
    "loader_on_sealed_memory",
    "shared_memory",
    "vsock_of_its_own",
    "write_to_root",
    "mount_over_app",
    "remount_root",
    "new_user_namespace",
    "become_root",
    "open_nsm",
    "connect_nsm",
    "memory_of_first",
    "sysctl",
    "network",
]

pytestmark = [pytest.mark.hardware_kernel, pytest.mark.network]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hardware") / "probe.eif"
    builder.write(builder.build(PROBE, kernel="hardware"), path)
    return path


def test_there_is_nothing_to_load(image: Path) -> None:
    first = eif.read(image.read_bytes()).ramdisks[0]
    assert not any(entry.path.startswith("usr/lib/modules") for entry in ramdisk.read(first.data))


@pytest.mark.microvm
def test_a_whole_life_in_a_microvm(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    pki = development.nitro()
    policy = troth.Policy.for_image({"nitro": measure(eif.read(image.read_bytes())).hex()})
    with runs.start(image, pki=pki, on="microvm") as run:
        url = f"https://{run.published[0].address}/"
        with troth.connect(url, policy=policy, trust=(pki.root(),)) as connection:
            assert connection.verified.report.verdict is Verdict.ACCEPTED
            answers = {name: connection.request("GET", f"/{name}").body for name in WAYS}
    # What the agent takes away is taken away by this kernel too.
    assert [name for name, answer in answers.items() if json.loads(answer).startswith("done")] == [
        "shared_memory"  # data in memory stays possible
    ]


def test_what_it_says_of_itself(image: Path) -> None:
    """A bzImage holds its version in plain text (boot protocol 2.00, field kernel_version)."""
    data = bytes(eif.read(image.read_bytes()).kernel.data)
    assert data[0x202:0x206] == b"HdrS"
    at = int.from_bytes(data[0x20E:0x210], "little") + 0x200
    said = data[at : data.index(b"\0", at)].decode()
    assert said == f"{inputs().kernel.version} (build@build) #1 SMP Thu Jan  1 00:00:00 UTC 1970"
    assert re.match(r"6\.12\.", said)
