"""Keys that the host's user has in the kernel: no namespace hides them, and children inherit them."""

import ctypes
import errno
import os
import subprocess
import sys

import pytest

from troth.agent import filter as system_calls
from troth.runtime import linux, sandbox

_KEYCTL = {"x86_64": (248, 249, 250), "aarch64": (217, 218, 219)}
_HERE = _KEYCTL.get(os.uname().machine)
_SEARCH = (
    "import ctypes, sys\n"
    "libc = ctypes.CDLL(None, use_errno=True)\n"
    "libc.syscall.restype = ctypes.c_long\n"
    "found = libc.syscall(ctypes.c_long(int(sys.argv[1])), ctypes.c_long(10), ctypes.c_long(-3),\n"
    "    b'user', b'troth-attack', ctypes.c_long(0))\n"
    "print('found' if found >= 0 else ctypes.get_errno())\n"
)


def _with_a_key_of_the_users(step: str) -> str:
    """What a child finds that takes `step` first, in a session that holds a key."""
    assert _HERE is not None
    add, _, keyctl = _HERE
    code = (
        "import ctypes, subprocess, sys\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        f"if libc.syscall(ctypes.c_long({keyctl}), ctypes.c_long(1), None) < 0: sys.exit(9)\n"
        f"key = libc.syscall(ctypes.c_long({add}), b'user', b'troth-attack', b'secret',\n"
        "    ctypes.c_long(6), ctypes.c_long(-3))\n"
        "if key < 0: sys.exit(9)\n"
        f"{step}\n"
        f"search = [sys.executable, '-c', sys.argv[1], '{keyctl}']\n"
        "sys.exit(subprocess.run(search).returncode)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, _SEARCH], capture_output=True, text=True, check=False
    )
    if done.returncode == 9:
        pytest.skip("this kernel keeps no keys for us")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


pytestmark = pytest.mark.skipif(_HERE is None, reason="no system call numbers for this machine")


def test_the_search_itself_finds_it() -> None:
    assert _with_a_key_of_the_users("pass") == "found"


def test_the_app_asks_the_kernel_for_no_keys() -> None:
    step = (
        "from troth.agent import filter\nfrom troth.runtime import linux\n"
        "linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)\nfilter.install()"
    )
    assert _with_a_key_of_the_users(step) == str(errno.ENOSYS)


def test_an_image_starts_with_a_session_of_its_own() -> None:
    """Its init runs without the app's filter, so the session's keys must stay outside."""
    step = "from troth.runtime import linux\nlinux.leave_session_keyring()"
    assert _with_a_key_of_the_users(step) == str(errno.ENOKEY)


@pytest.mark.namespaces
def test_the_launcher_leaves_it() -> None:
    """In a real launcher, up to where it waits for its plan."""
    assert _HERE is not None
    libc = ctypes.CDLL(None, use_errno=True)
    serial = [ctypes.c_long(_HERE[2]), ctypes.c_long(0), ctypes.c_long(-3), ctypes.c_long(0)]
    seen = []
    original = linux.map_user
    read, write = os.pipe()

    def mapped(**numbers: int) -> None:
        original(**numbers)
        seen.append(libc.syscall(*serial))

    def prctl(*_: int) -> int:
        os.write(write, f"{seen[0]} {libc.syscall(*serial)}".encode())
        os._exit(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linux, "map_user", mapped)
        patch.setattr(linux, "prctl", prctl)
        patch.setattr(linux, "close_from", lambda *_, **__: None)
        launcher = sandbox.Launcher(write)
    launcher.wait()
    before, after = os.read(read, 100).split()
    if before.startswith(b"-"):
        pytest.skip("this kernel keeps no keys for us")
    assert before != after


def test_both_machines_are_covered() -> None:
    for name, numbers in _KEYCTL.items():
        program = system_calls.program(name)
        for number in numbers:
            assert number.to_bytes(4, "little") in program
