"""The walls around the compiler, asked from inside with a static program: the image's own tools."""

import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from troth.errors import Unavailable
from troth.image.hardware import tools
from troth.image.hardware.inputs import inputs
from troth.image.hardware.plan import Bind, Job
from troth.image.locking import fetch_debs
from troth.image.store import Store
from troth.runtime import workshop

pytestmark = [pytest.mark.namespaces, pytest.mark.network]
NEEDED = ("dash", "coreutils", "libc6", "libacl1", "libattr1", "libselinux1", "libpcre2-8-0",
    "libgmp10", "libssl3t64", "libsystemd0", "libcap2", "libzstd1", "zlib1g")  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a shell, out of the locked packages."""
    few = tuple(deb for deb in inputs().toolchain if deb.name in NEEDED)
    store = Store.of_user()
    fetch_debs(few, store=store)
    folder = tmp_path_factory.mktemp("workshop") / "root"
    tools.write(tools.tree(few, store), folder)
    return folder


@pytest.fixture
def job(root: Path, tmp_path: Path) -> Job:
    (tmp_path / "out").mkdir()
    (tmp_path / "in").write_text("given")
    return Job(
        root=root,
        binds=(
            Bind(source=tmp_path / "in", target="/given.txt"),
            Bind(source=tmp_path / "out", target="/a/deep/out", writable=True),
        ),
        argv=("/usr/bin/sh", "-c", "true"),
        variables={"PATH": "/usr/bin", "WORD": "said"},
        hostname="somewhere",
        umask=0o027,
    )


def say(job: Job, script: str) -> tuple[int, list[str]]:
    lines: list[str] = []
    code = workshop.run(replace(job, argv=("/usr/bin/sh", "-c", script)), line=lines.append)
    return code, lines


def test_what_is_inside(job: Job, tmp_path: Path) -> None:
    script = """
        echo $WORD; cat /proc/sys/kernel/hostname; echo; cat /given.txt; echo; umask; id -u; echo $$
        ls /proc | grep -c '^[0-9]' 2>/dev/null || ls -d /proc/[0-9]* | wc -l
        cat /proc/net/dev | wc -l; echo made > /a/deep/out/made; ls /
    """
    code, lines = say(job, script)
    assert code == 0, lines
    assert lines[:6] == ["said", "somewhere", "", "given", "0027", "0"]
    assert (tmp_path / "out" / "made").read_text() == "made\n"
    assert (tmp_path / "out" / "made").stat().st_mode & 0o777 == 0o640
    assert {"home", "work", "root"}.isdisjoint(lines)


def test_nothing_else_can_be_written(job: Job) -> None:
    for path in ("/x", "/usr/x", "/given.txt", "/a/deep/x", "/dev/x", "/usr/bin/sh"):
        code, lines = say(job, f"echo x > {path}")
        assert code != 0, path
        assert "Read-only file system" in lines[0] or "Permission denied" in lines[0], lines


def test_no_network_and_no_process_of_the_hosts(job: Job) -> None:
    code, lines = say(job, "wc -l < /proc/net/dev; echo /proc/[0-9]*")
    assert code == 0
    assert lines == ["3", "/proc/1"]


def test_nothing_of_the_callers_environment(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAKED", "yes")
    code, lines = say(job, "env | sort")
    assert code == 0
    assert lines == ["PATH=/usr/bin", "PWD=/", "WORD=said"]


def test_exit_codes_and_signals(job: Job) -> None:
    assert say(job, "exit 7")[0] == 7
    assert say(job, "echo out; echo err >&2; exit 1")[1] == ["out", "err"]
    missing = replace(job, argv=("/usr/bin/nothing",))
    with pytest.raises(Unavailable, match="/usr/bin/nothing"):
        workshop.run(missing, line=print)


def test_a_machine_without_namespaces(job: Job) -> None:
    """The limit of a user namespace in which the rest runs is none."""
    program = (
        "import sys, pickle; from troth.runtime import workshop\n"
        "from troth.errors import Unavailable\n"
        "try: workshop.run(pickle.loads(bytes.fromhex(sys.argv[1])), line=print)\n"
        "except Unavailable as e: print(e, '|', e.fix)\n"
    )
    script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", sys.executable, "-c", program,
         pickle.dumps(job).hex()],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "refuses user namespaces" in done.stdout
    assert "max_user_namespaces" in done.stdout


def test_who_is_killed_takes_all_with_him(job: Job) -> None:
    """The process that asked is killed: nothing inside goes on."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        script = "while :; do echo x; sleep 0.1; done"
        loud = replace(job, argv=("/usr/bin/sh", "-c", script))
        workshop.run(loud, line=lambda text: os.write(writing, text.encode()))
        os._exit(0)
    os.close(writing)
    assert os.read(reading, 1) == b"x"
    before = _inside()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reading)
    assert before
    end = time.monotonic() + 10
    while time.monotonic() < end and _inside() & before:
        time.sleep(0.05)
    assert not _inside() & before


def _inside() -> set[int]:
    """Processes whose host name is that of the job."""
    found = set()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if b"while :; do echo x" in (place / "cmdline").read_bytes():
                found.add(int(place.name))
        except OSError:
            continue
    return found - {os.getpid()}


def test_an_interruption_ends_it(job: Job) -> None:
    seen: list[str] = []

    def line(text: str) -> None:
        seen.append(text)
        raise KeyboardInterrupt

    loud = replace(job, argv=("/usr/bin/sh", "-c", "while :; do echo x; sleep 0.1; done"))
    with pytest.raises(KeyboardInterrupt):
        workshop.run(loud, line=line)
    assert seen == ["x"]
