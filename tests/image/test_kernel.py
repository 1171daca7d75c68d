"""The kernel and its modules, out of packages made here."""

import lzma
import tarfile

import pytest
from tests.image.made import member, package

from troth.errors import Malformed
from troth.image import kernel

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


def test_the_command_line_has_nothing_at_its_end() -> None:
    assert kernel.COMMAND_LINE.strip(b" \n\0") == kernel.COMMAND_LINE
