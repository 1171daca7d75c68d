"""Linux's own driver, in a machine that QEMU emulates: what programs do to streams, both ways."""

import contextlib
import hashlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from stat import S_IFREG

import pytest
from tests.agent.conftest import PROBE

from troth.image import build as builder
from troth.runtime import qemu
from troth.runtime.vsock import Vsock
from troth.wire import cpio, eif

pytestmark = [pytest.mark.microvm, pytest.mark.network, pytest.mark.slow]
INIT = Path(__file__).parents[2] / "data" / "vsock" / "init.py"
DATA = b"".join(hashlib.sha256(i.to_bytes(2, "big")).digest() for i in range(1 << 15))
SECONDS = 600  # a machine that is emulated beside many others has a twentieth of a processor


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kernel, a ramdisk with our program as the first, and the image's command line."""
    folder = tmp_path_factory.mktemp("machine")
    builder.write(builder.build(PROBE), folder / "probe.eif")
    image = eif.read((folder / "probe.eif").read_bytes())
    entry = cpio.Entry(path="first", mode=S_IFREG | 0o755, data=INIT.read_bytes())
    (folder / "kernel").write_bytes(image.kernel.data)
    with (folder / "ramdisk").open("wb") as out:
        for section in image.ramdisks:
            out.write(section.data)
        out.writelines(cpio.pack([entry]))
    (folder / "line").write_bytes(bytes(image.command_line.data))
    return folder


def _start(machine: Path, *more: str) -> subprocess.Popen[bytes]:
    khz = qemu.tsc_khz()
    line = (machine / "line").read_text() + " rdinit=/first quiet"
    argv = [
        *(qemu.find(), "-M", "microvm,acpi=on,pcie=off,rtc=on,memory-backend=m", "-cpu", "max"),
        *("-object", "memory-backend-memfd,id=m,size=512M,share=on", "-accel", "tcg", *more),
        *("-chardev", "socket,id=c,path=front", "-device", "vhost-user-vsock-device,chardev=c"),
        *("-kernel", str(machine / "kernel"), "-initrd", str(machine / "ramdisk")),
        *("-append", line if khz is None else f"{line} tsc_early_khz={khz}"),
        *("-display", "none", "-serial", "file:console", "-no-reboot"),
    ]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


class _Host:
    """The host's programs, and how they came out."""

    def __init__(self, vsock: Vsock) -> None:
        self.vsock = vsock
        self.left_behind = False
        self.asked: list[object] = []
        for port, program in enumerate((_echo, _speak, self._slow, self._ask), 7000):
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(f"uds_{port}")
            listener.listen(128)
            threading.Thread(target=_serve, args=(listener, program), daemon=True).start()

    def _slow(self, sock: socket.socket) -> None:
        data = bytearray()
        while part := sock.recv(20_000):
            data += part
            time.sleep(0.005)
        self.left_behind = bytes(data) == DATA

    def _ask(self, sock: socket.socket) -> None:
        """The host's turn to begin: large, one after the other, many at once, nobody there."""
        with contextlib.suppress(OSError):
            one = self.vsock.connect(8080, 30)
            threading.Thread(
                target=lambda: (one.sendall(DATA), one.shutdown(socket.SHUT_WR)), daemon=True
            ).start()
            self.asked.append(_read(one) == DATA)
            for _ in range(50):
                with self.vsock.connect(8080, 30) as other:
                    other.sendall(b"x")
                    self.asked.append(other.recv(1) == b"x")
            many = [self.vsock.connect(8080, 30) for _ in range(40)]
            for other in many:
                other.sendall(DATA[:5000])
                other.shutdown(socket.SHUT_WR)
            self.asked += [_read(other) == DATA[:5000] for other in many]
        try:
            self.vsock.connect(99, 30)
        except OSError as error:
            self.asked.append(type(error))
        while not self.left_behind:
            time.sleep(0.05)
        sock.send(b".")


def _serve(listener: socket.socket, program: Callable[[socket.socket], None]) -> None:
    while True:
        sock = listener.accept()[0]
        threading.Thread(target=program, args=(sock,), daemon=True).start()


def _read(sock: socket.socket) -> bytes:
    with sock:
        data = bytearray()
        while part := sock.recv(1 << 16):
            data += part
        return bytes(data)


def _echo(sock: socket.socket) -> None:
    with sock:
        while data := sock.recv(1 << 16):
            sock.sendall(data)


def _speak(sock: socket.socket) -> None:
    with sock, contextlib.suppress(OSError):
        sock.sendall(DATA)


@pytest.mark.parametrize("legacy", ["on", "off"])
def test_what_programs_do_comes_out_as_they_expect(
    machine: Path, vsock: Vsock, folder: Path, legacy: str
) -> None:
    host = _Host(vsock)
    if legacy == "on":  # and a machine that was killed on its way leaves nothing for the next
        killed = _start(machine)
        time.sleep(3)
        killed.kill()
        killed.wait()
    process = _start(machine, "-global", f"virtio-mmio.force-legacy={legacy}")
    try:
        process.wait(SECONDS)
    finally:
        process.kill()
        process.wait()
    (said,) = (
        json.loads(line.partition("SAID ")[2])
        for line in (folder / "console").read_text(errors="replace").splitlines()
        if "SAID " in line
    )
    assert said == {
        "refused": True,
        "by the name 2": True,
        "large": True,
        "over unread": True,
        "little room": [True] * 3,
        "at once": True,
        "in a row": True,
        "left behind": True,
        "broken off": True,
    }
    assert host.asked == [True] * 91 + [ConnectionRefusedError]
    assert set(vsock.notes) == {"the front end went away"}
