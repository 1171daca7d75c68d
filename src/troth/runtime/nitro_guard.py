"""A process that ends an enclave where the process that started it was killed: no kernel would."""

import contextlib
import os
import signal
import socket
import time
from typing import Final, NoReturn

from troth.errors import TrothError
from troth.runtime import linux
from troth.runtime.nitro_cli import NitroCli

_TRIES: Final = 60
_PAUSE: Final = 2.0
"""Seconds between tries: an enclave that is just being started cannot be ended yet."""


class Guard:
    """Made before its process has a thread, since it forks. Does nothing until it is armed."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        if os.fork() == 0:
            _stand(theirs)
        theirs.close()
        ours.recv(1)  # until it stands, a signal to our group would reach it
        self._socket = ours

    def arm(self, name: str) -> None:
        """From now on, if this process ends without `disarm`, the enclave of this name is ended."""
        self._socket.sendall(name.encode() + b"\n")

    def disarm(self) -> None:
        """The enclave has ended, or was never there. May be called twice."""
        if self._socket.fileno() >= 0:
            with contextlib.suppress(OSError):  # somebody has killed it
                self._socket.sendall(b"\n")
            self._socket.close()


def _stand(owner: socket.socket) -> NoReturn:
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        null = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(null, standard)
        linux.close_from(3, keep=(owner.fileno(),))
        owner.sendall(b".")
        with owner.makefile("rb") as lines:
            armed = [line.strip().decode() for line in lines]
        if armed and armed[-1]:
            _end(armed[-1])
    finally:
        os._exit(0)


def _end(name: str) -> None:
    for _ in range(_TRIES):
        try:
            NitroCli.find().terminate(name)
        except TrothError:
            time.sleep(_PAUSE)
        else:
            return
