"""What a supervisor leaves behind when something under it has a bug: nothing."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from troth.runtime.console import Console
from troth.runtime.supervisor import Request, Supervisor


class Broken:
    """A ground whose vsock thread has died of a bug, which comes out when it is let go of."""

    def poll(self) -> int:
        return 0

    def close(self) -> None:
        raise ZeroDivisionError


@pytest.fixture
def here() -> Iterator[None]:
    before = Path.cwd()
    yield
    os.chdir(before)


@pytest.mark.usefixtures("here")
def test_a_bug_below_takes_the_runs_folder_with_it(tmp_path: Path) -> None:
    ours, _ = socket.socketpair()
    request = Request(
        image="app.eif", pki="", free={}, publish=(), detach=False, debug=False, timeout=None
    )
    made = Supervisor(
        control=ours, request=request, console=Console(), on="microvm", ground=Broken()
    )
    made.folder = tmp_path / "app-1a2b3c"
    made.folder.mkdir()
    (made.folder / "console.log").write_bytes(b"secret")
    with pytest.raises(ZeroDivisionError):
        made._take_away(None, 0)
    assert not made.folder.exists()
