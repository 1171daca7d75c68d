"""Stand-ins for an enclave and for the vsock to it, on unix sockets in the folder that `STAND_IN` names.

As a program, `stand_in_enclave.py CID`, it is an enclave whose agent says that it is ready and whose app sends
back what it gets. As a module it is what `troth.runtime.nitro` uses in the vsock's place; see `put_into`.
"""

import os
import socket
import sys
import threading
from pathlib import Path

from troth.wire import control

HERE = Path(os.environ.get("STAND_IN", "."))
PORT = 8080


class Wire:
    """In the place of `troth.runtime.nitro.Vsock`."""

    def connect(self, cid: int, port: int) -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        made.connect(str(HERE / f"{cid}_{port}"))
        return made

    def listen(self, port: int) -> "Listener":
        return Listener(str(HERE / f"host_{port}"))


class Listener(socket.socket):
    """Callers say from which CID they come, as vsock would."""

    def __init__(self, path: str) -> None:
        super().__init__(socket.AF_UNIX)
        Path(path).unlink(missing_ok=True)
        self.bind(path)
        self.listen()

    def accept(self) -> tuple[socket.socket, tuple[int, int]]:
        sock, _ = super().accept()
        return sock, (int.from_bytes(sock.recv(4), "big"), 1024)


def put_into(program: object) -> None:
    """Has `troth.runtime.nitro` use these; called as a Python starts whose path begins with `STAND_IN`."""
    from troth.runtime.nitro_host import Host

    program.Vsock = Wire  # type: ignore[attr-defined]
    program.Host = lambda: Host(root=HERE / "host")  # type: ignore[attr-defined]


def main(cid: int) -> int:
    """The enclave."""
    app = socket.socket(socket.AF_UNIX)
    app.bind(str(HERE / f"{cid}_{PORT}"))
    app.listen()
    threading.Thread(target=_echo, args=(app,), daemon=True).start()
    with socket.socket(socket.AF_UNIX) as host:
        host.connect(str(HERE / f"host_{control.CONTROL_PORT}"))
        host.sendall(cid.to_bytes(4, "big"))
        first = control.take(host.recv, limit=control.MAX_FREE)
        (HERE / "free").write_text(repr(first), encoding="utf-8")
        host.sendall(control.pack({"ready": True}))
        while (message := control.take(host.recv)) is not None:
            if message == ("stop", True):
                host.sendall(control.pack({"ended": 3}))
            if message == ("seen", True):
                break
    return 0


def _echo(listener: socket.socket) -> None:
    while True:
        sock, _ = listener.accept()
        with sock:
            while chunk := sock.recv(4096):
                sock.sendall(chunk)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
