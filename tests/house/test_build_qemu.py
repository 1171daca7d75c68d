"""The script that builds QEMU: it finds what it built, and takes no source but the pinned one."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_qemu_nitro.sh"
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
LISTS = "echo 'nitro-enclave  AWS Nitro Enclave'"
APT = """case "$*" in
  *indextargets*) echo "http://mirror.invalid/debian/" ;;
  *download-only*) for n in qemu_10.0.13+ds.orig.tar.xz qemu_10.0.13+ds-0+deb13u1.dsc \
      qemu_10.0.13+ds-0+deb13u1.debian.tar.xz; do echo other >$n; done ;;
esac"""


class Place:
    """A cache folder, and programs in front of the machine's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.built = folder / "troth" / "qemu-nitro"
        (folder / "bin").mkdir()

    def program(self, path: Path | str, script: str) -> None:
        """A shell script in the place of a program."""
        path = self.folder / "bin" / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(self, *arguments: str, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", str(SCRIPT), *arguments],
            env={
                "HOME": str(self.folder),
                "XDG_CACHE_HOME": str(self.folder),
                "TMPDIR": str(self.folder),
                "PATH": f"{self.folder / 'bin'}:{path}",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_what_is_there_is_found_and_not_built_again(place: Place) -> None:
    absent = place.run("--check")
    assert (absent.returncode, "fix: build it" in absent.stderr) == (5, True)
    place.program(place.built / "bin" / "qemu-system-x86_64", LISTS)
    assert place.run("--check").stdout.strip() == str(place.built / "bin" / "qemu-system-x86_64")
    place.program("apt-get", "exit 9")
    version = next(
        line.partition("=")[2] for line in SCRIPT.read_text().splitlines() if "VERSION=" in line
    )
    (place.built / "version").write_text(f"{version} 1\n")
    done = place.run()
    assert (done.returncode, done.stdout.strip()) == (
        0,
        str(place.built / "bin" / "qemu-system-x86_64"),
    )


def test_unknown_options(place: Place) -> None:
    assert place.run("--help").returncode == 5


def test_no_apt(place: Place) -> None:
    for name in ("dirname", "cat", "grep", "uname"):
        (place.folder / "bin" / name).symlink_to(f"/usr/bin/{name}")
    done = place.run(path="")
    assert (done.returncode, "there is no apt" in done.stderr) == (5, True)


@pytest.mark.skipif(not KEYS.exists(), reason="Debian's keys are absent")
def test_another_source_is_refused(place: Place) -> None:
    place.program("dpkg-query", "echo install ok installed")
    place.program("apt-get", APT)
    done = place.run()
    assert (done.returncode, "is not the source of" in done.stderr) == (5, True)
    assert not (place.built / "bin").exists()
    assert not list(place.folder.glob("qemu-nitro.*"))  # nothing is left


@pytest.mark.skipif(not KEYS.exists(), reason="Debian's keys are absent")
@pytest.mark.parametrize(
    ("fails", "words"),
    [
        ("update", "cannot be fetched"),
        ("download-only", "has no source of qemu"),
        ("none", "names no"),
    ],
)
def test_what_apt_cannot_do(place: Place, fails: str, words: str) -> None:
    place.program("dpkg-query", "echo install ok installed")
    tell = "" if fails == "none" else "echo http://mirror.invalid/debian/"
    place.program("apt-get", f'case "$*" in *indextargets*) {tell} ;; *{fails}*) exit 100 ;; esac')
    done = place.run()
    assert (done.returncode, words in done.stderr) == (5, True)


def test_a_package_that_cannot_be_installed(place: Place) -> None:
    place.program("dpkg-query", "exit 1")
    place.program("id", "echo 0")
    place.program("apt-get", 'case "$*" in *install*) exit 100 ;; esac')
    done = place.run()
    assert (done.returncode, "apt cannot install bison" in done.stderr) == (5, True)
