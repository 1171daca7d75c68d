"""The kernel and its modules, out of packages made here."""

import lzma
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from tests.image.hardware.stand_in import deb
from tests.image.made import member, package

from troth.errors import Malformed
from troth.image import kernel
from troth.image.lock import Lock
from troth.image.memo import Memo
from troth.image.store import Store, digest

VERSION = "6.12.0-cloud-amd64"
FOLDER = f"./usr/lib/modules/{VERSION}/kernel"


def _module(name: str, depends: str, *, folder: str = "net") -> tarfile.TarInfo:
    data = b"\x7fELF\0license=GPL\0depends=" + depends.encode() + b"\0name=" + name.encode() + b"\0"
    return member(f"{FOLDER}/{folder}/{name}.ko.xz", lzma.compress(data))


def _package(*left_out: str) -> bytes:
    modules = {
        "virtio_mmio": "",
        "nsm": "",
        "vsock": "",
        "vmw_vsock_virtio_transport_common": "vsock",
        "vmw_vsock_virtio_transport": "vmw_vsock_virtio_transport_common,vsock",
        "ext4": "jbd2",
    }
    return package(
        member(f"./boot/vmlinuz-{VERSION}", b"bzImage"),
        member(f"./boot/config-{VERSION}", b"CONFIG"),
        *(_module(n, d) for n, d in modules.items() if n not in left_out),
    )


def test_what_is_taken() -> None:
    found = kernel.take(_package(), name="linux.deb")
    assert (found.image, found.version) == (b"bzImage", VERSION)
    assert [name for name, _ in found.modules] == [
        "virtio_mmio.ko",
        "vsock.ko",
        "vmw_vsock_virtio_transport_common.ko",
        "vmw_vsock_virtio_transport.ko",
        "nsm.ko",
    ]
    assert all(data.startswith(b"\x7fELF") for _, data in found.modules)


@pytest.mark.parametrize("name", ["nsm", "vsock", "vmw_vsock_virtio_transport"])
def test_a_module_that_is_missing(name: str) -> None:
    with pytest.raises(Malformed, match=f"lacks the module {name}"):
        kernel.take(_package(name), name="linux.deb")


def test_no_kernel() -> None:
    with pytest.raises(Malformed, match="holds no kernel"):
        kernel.take(package(member("./usr/bin/x", b"")), name="linux.deb")


def test_a_module_that_is_damaged() -> None:
    damaged = package(
        member(f"./boot/vmlinuz-{VERSION}", b"bzImage"),
        member(f"{FOLDER}/drivers/virtio_mmio.ko.xz", b"not xz"),
    )
    with pytest.raises(Malformed, match="the module virtio_mmio is damaged"):
        kernel.take(damaged, name="linux.deb")


@pytest.mark.parametrize("depends", ["virtio_mmio", "nsm", "\xff"])
def test_a_module_that_depends_on_itself_or_on_what_has_no_name(depends: str) -> None:
    """At once, or by way of another."""
    data = package(
        member(f"./boot/vmlinuz-{VERSION}", b"bzImage"),
        _module("virtio_mmio", depends),
        _module("nsm", "virtio_mmio"),
    )
    with pytest.raises(Malformed, match="lacks the module"):
        kernel.take(data, name="linux.deb")


def test_a_version_that_is_no_text() -> None:
    with pytest.raises(Malformed, match="a kernel of the version"):
        kernel.take(package(member("./boot/vmlinuz-6é", b"bzImage")), name="linux.deb")


def test_it_is_the_same_from_memory(tmp_path: Path) -> None:
    """Whether it must be raw is asked each time: what is remembered for one machine is no other's."""
    data = _package()
    store = Store(folder=tmp_path / "store")
    store.put(data, sha256=digest(data), name="x")
    memo = Memo(folder=tmp_path / "made", key=bytes(32))

    def taken(memo: Memo | None, *, raw: bool) -> kernel.Kernel:
        lock = SimpleNamespace(kernel=deb("linux", data), machine=SimpleNamespace(raw=raw))
        return kernel.of_lock(cast("Lock", lock), store, memo)

    for used in (None, memo, memo):
        assert taken(used, raw=False) == kernel.take(data, name="x")
        with pytest.raises(Malformed, match="a raw one alone"):
            taken(used, raw=True)


def test_the_command_line_has_nothing_at_its_end() -> None:
    assert kernel.COMMAND_LINE.strip(b" \n\0") == kernel.COMMAND_LINE
