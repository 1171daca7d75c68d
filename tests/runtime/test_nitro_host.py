"""What a host has set aside is compared with what an image needs, before anything is started."""

from pathlib import Path

import pytest

from troth.errors import Unavailable
from troth.runtime.nitro_host import Host, Share

MIB = 1 << 20


def put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="ascii")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """As an instance with 1 GiB in pages of two sizes, two CPUs set aside, and two threads a core."""
    put(tmp_path, "dev/nitro_enclaves", "")
    put(tmp_path, "sys/module/nitro_enclaves/parameters/ne_cpus", "1,3\n")
    put(tmp_path, "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "256\n")
    put(tmp_path, "sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "0\n")
    put(tmp_path, "sys/kernel/mm/hugepages/hugepages-32768kB/free_hugepages", "16\n")
    put(tmp_path, "sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0,2\n")
    return Host(root=tmp_path)


def test_what_it_has(host: Host) -> None:
    host.check()
    assert (host.free_memory(), host.pool(), host.threads()) == (1024, 2, 2)


def test_no_device(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="/dev/nitro_enclaves") as caught:
        Host(root=tmp_path).check()
    assert "Enabled=true" in caught.value.fix


@pytest.mark.parametrize(
    ("size", "memory", "cpus", "share"),
    [
        (30 * MIB, 512, 1, (512, 2)),
        (128 * MIB, 512, 2, (512, 2)),
        (128 * MIB + 1, 512, 2, (514, 2)),
        (300 * MIB, 512, 3, (1200, 4)),
        (1, 1, 0, (64, 2)),
        (1, 65, 1, (66, 2)),
    ],
)
def test_what_an_image_is_given(
    host: Host, size: int, memory: int, cpus: int, share: tuple[int, int]
) -> None:
    given = host.share(size=size, memory=memory, cpus=cpus)
    assert (given.memory, given.cpus) == share


def test_more_than_there_is(host: Host) -> None:
    host.check_room(Share(memory=1024, cpus=2))
    with pytest.raises(Unavailable, match="needs 1026 MiB, and 1024 MiB are set aside") as caught:
        host.check_room(Share(memory=1026, cpus=2))
    assert "memory_mib: 1026 or more in /etc/nitro_enclaves/allocator.yaml" in caught.value.fix
    with pytest.raises(Unavailable, match="needs 4 CPUs, and 2 are set aside") as caught:
        host.check_room(Share(memory=512, cpus=4))
    assert "cpu_count: 4 or more" in caught.value.fix


def test_nothing_is_told(tmp_path: Path) -> None:
    host = Host(root=tmp_path)
    assert (host.free_memory(), host.pool(), host.threads()) == (None, None, 1)
    host.check_room(Share(memory=1 << 20, cpus=64))


@pytest.mark.parametrize(
    ("listed", "count"),
    [("1,3", 2), ("1-3,7", 4), ("", None), ("no", 0), ("1-", 1), ("1,,2", 0), ("-3", 0)],
)
def test_lists_of_cpus(host: Host, listed: str, count: int | None) -> None:
    put(host.root, "sys/module/nitro_enclaves/parameters/ne_cpus", listed)
    assert host.pool() == count
