"""What all tests share: the vectors, an empty home, and the parts of a machine that tests may need.

A test that needs a part carries its marker and is skipped, with a reason, where the part is absent.
`TROTH_REQUIRE=namespaces,network,variation,firmware,swtpm,softhsm,microvm,peers,toolchains,native,vectors`
turns such skips into failures; CI sets it, so that a machine which lost a part can't go green by running less.

`--without-native` runs everything on OpenSSL alone, also where troth-native is installed.
"""

import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import settings

# Two cores shared by many: a slow example is no failure. CI draws the same examples each time.
settings.register_profile("troth", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("troth")

# What is started in the background ignores Ctrl-C, and so does all that it starts, until told otherwise.
# The tests of Ctrl-C mean programs as a terminal starts them.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No build of the tests remembers an earlier one: below a file there is no place for the key.
os.environ["XDG_STATE_HOME"] = os.devnull

REPOSITORY = Path(__file__).parents[1]
HOW_TO_GET_IT = "scripts/install_optional.sh installs what can be installed"


# Found before the installed one by the programs that tests start: it refuses to be imported.
WITHOUT_NATIVE = REPOSITORY / "tests" / "data" / "without_native"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--without-native",
        action="store_true",
        help="check signatures with OpenSSL alone, as where troth-native is not installed",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--without-native"):
        sys.modules["troth_native"] = None  # type: ignore[assignment] # so that an import fails
        behind = os.environ.get("PYTHONPATH")
        paths = [str(WITHOUT_NATIVE), *([behind] if behind else ())]
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)


def _without_native() -> bool:
    return "troth_native" in sys.modules and sys.modules["troth_native"] is None


def _run(*argv: str, timeout: float = 20) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)


def _why_no_namespaces() -> str:
    """Nest two user namespaces with their own mounts, processes and network, as the simulator does."""
    if shutil.which("unshare") is None:
        return "the program unshare (Debian: util-linux) is absent"
    probe = _run(
        *("unshare", "--user", "--map-root-user", "--mount", "--pid", "--net", "--fork", "--"),
        *("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "true"),
    )
    return "" if probe.returncode == 0 else f"user namespaces are refused: {probe.stderr.strip()}"


def _reaches(site: str, proxy: str) -> bool:
    """Whether something listens where this source of packages says, or at the proxy before it."""
    parts = urlsplit(proxy or site)
    if parts.scheme in ("file", "copy", "cdrom"):
        return Path(parts.path).exists()
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=5):
            return True
    except OSError:
        return False


def _why_no_network() -> str:
    """Ask the machine's own apt and pip where packages come from, and whether they are there."""
    if os.environ.get("TROTH_OFFLINE"):
        return "TROTH_OFFLINE is set"
    if shutil.which("apt-get") is None:
        return "apt is absent"
    targets = _run("apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages")
    sites = list(dict.fromkeys(targets.stdout.split()))
    if not sites:
        return "apt has no sources configured"
    proxy = _run("apt-config", "shell", "p", "Acquire::http::Proxy").stdout
    proxy = proxy.partition("=")[2].strip().strip("'")
    if not _reaches(sites[0], "" if proxy == "DIRECT" else proxy):
        return "apt's first source does not answer"
    pip = _run(sys.executable, "-m", "pip", "index", "versions", "iniconfig", timeout=60)
    return "" if pip.returncode == 0 else "pip's index does not answer"


def _why_no_variation() -> str:
    """Mount disorderfs for a moment, and ask faketime for another date."""
    for name in ("faketime", "disorderfs"):
        if shutil.which(name) is None:
            return f"the program {name} is absent"
    # A killed faketime leaves its shared memory behind, by its number; one that gets the same number fails.
    asked = (_run("faketime", "2001-02-03 00:00:00", "date", "+%Y") for _ in range(5))
    if not any(done.stdout.strip() == "2001" for done in asked):
        return "faketime does not change the date here"
    fusermount = shutil.which("fusermount") or shutil.which("fusermount3")
    if fusermount is None:
        return "the program fusermount (Debian: fuse) is absent"
    with tempfile.TemporaryDirectory() as folder:
        source, mount = Path(folder, "source"), Path(folder, "mount")
        source.mkdir()
        mount.mkdir()
        (source / "seen").touch()
        mounted = _run("disorderfs", "--sort-dirents=yes", str(source), str(mount))
        seen = (mount / "seen").exists()
        _run(fusermount, "-u", str(mount))
    return "" if seen else f"disorderfs can't mount: {mounted.stderr.strip()}"


def _why_no_firmware() -> str:
    """Read the images that this machine has, and ask each for the sections that loaders prepare."""
    from tests.wire import firmware

    images = firmware.installed()
    for name in ("sev_sections", "tdx_sections"):
        if not any(firmware.has(image, name) for _, image in images):
            return f"none of {len(images)} firmware images here has {name.replace('_', ' ')}"
    return ""


PEERS = ("tinfoil", "ehbp", "dstack_sdk")


@functools.cache
def peer_python(package: str) -> str:
    """The interpreter that can import another project's package: this one, or that of $TROTH_PEERS."""
    folder = os.environ.get("TROTH_PEERS")
    for candidate in (sys.executable, *([f"{folder}/bin/python"] if folder else ())):
        if Path(candidate).exists() and _run(candidate, "-c", f"import {package}").returncode == 0:
            return candidate
    return ""


def _why_no_peers() -> str:
    """Ask the interpreters for the clients of other projects."""
    absent = [package for package in PEERS if not peer_python(package)]
    if not absent:
        return ""
    names = ", ".join(absent)
    return (
        f"no {names} here nor where TROTH_PEERS says; scripts/install_peers.sh makes such a place"
    )


def _why_no_swtpm() -> str:
    """Ask the software TPM for its version."""
    if shutil.which("swtpm") is None:
        return "the program swtpm (Debian: swtpm) is absent"
    asked = _run("swtpm", "--version")
    return "" if asked.returncode == 0 else f"swtpm does not start: {asked.stderr.strip()}"


SOFTHSM = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/pkcs11/libsofthsm2.so")


def softhsm_module() -> str:
    """Where SoftHSM's PKCS#11 module is, or nothing."""
    return next((path for path in SOFTHSM if Path(path).exists()), "")


def _why_no_softhsm() -> str:
    """Look for the software token, and for the library that speaks to it."""
    if shutil.which("softhsm2-util") is None or not softhsm_module():
        return "SoftHSM (Debian: softhsm2) is absent"
    return "" if find_spec("pkcs11") else "the package python-pkcs11 (the extra pkcs11) is absent"


def _why_no_microvm() -> str:
    """Ask QEMU for its version and for the machine that images boot on."""
    program = shutil.which("qemu-system-x86_64")
    if program is None:
        return "the program qemu-system-x86_64 (Debian: qemu-system-x86) is absent"
    said = _run(program, "--version").stdout
    found = re.search(r"version (\d+)\.", said)
    if found is None or int(found[1]) < 10:
        return f"QEMU is older than 10: {said.splitlines()[:1]}"
    machines = _run(program, "-M", "help").stdout
    return "" if re.search(r"^microvm\b", machines, re.MULTILINE) else "QEMU has no microvm machine"


def _why_no_qemu_nitro() -> str:
    """Look where troth looks."""
    from troth.errors import Unavailable
    from troth.runtime import qemu_nitro_found

    try:
        qemu_nitro_found.find()
    except Unavailable as absent:
        return str(absent)
    return ""


def _why_no_hardware_kernel() -> str:
    """Look for the pinned bytes in the user's own store."""
    from troth.image.hardware import kept
    from troth.image.store import Store

    found = kept.find(Store.of_user())
    return "" if found else "it is not in the store; `troth kernel build` makes it in some minutes"


TOOLCHAINS = {
    "go": ("version",),
    "cargo": ("--version",),
    "node": ("--version",),
    "perl": ("-MTest::More", "-e", "1"),
}


def _why_no_toolchains() -> str:
    """Start the compilers and interpreters of the examples in other languages."""
    for name, words in TOOLCHAINS.items():
        if shutil.which(name) is None:
            return f"the program {name} is absent"
        asked = _run(name, *words)
        if asked.returncode:
            return f"{name} does not start: {asked.stderr.strip()}"
    return ""


def _why_no_native() -> str:
    """Import it, and ask whether it is of the version that is used."""
    if _without_native():
        return "--without-native was asked for"
    try:
        from troth_native import VERSION
    except (ImportError, OSError) as error:
        return f"troth-native can't be imported: {error} (make native)"
    from troth.crypto import beside

    return "" if beside.native() else f"troth-native is of version {VERSION} (make native)"


_PROBES: dict[str, Callable[[], str]] = {
    "namespaces": _why_no_namespaces,
    "network": _why_no_network,
    "variation": _why_no_variation,
    "firmware": _why_no_firmware,
    "swtpm": _why_no_swtpm,
    "softhsm": _why_no_softhsm,
    "microvm": _why_no_microvm,
    "hardware_kernel": _why_no_hardware_kernel,
    "peers": _why_no_peers,
    "toolchains": _why_no_toolchains,
    "qemu_nitro": _why_no_qemu_nitro,
    "native": _why_no_native,
}


@functools.cache
def why_not(part: str) -> str:
    """Why this part can't be used here; empty if it can. The probe is real and runs once."""
    try:
        return _PROBES[part]()
    except subprocess.TimeoutExpired as late:
        return f"the probe {late.cmd[0]} did not end"


def leave_out(part: str, reason: str) -> None:
    """Skips the test for want of a part, or fails it where that part is required."""
    asked_for = part == "native" and _without_native()
    if not asked_for and part in os.environ.get("TROTH_REQUIRE", "").replace(",", " ").split():
        pytest.fail(f"TROTH_REQUIRE names {part}, and {reason}", pytrace=False)
    pytest.skip(f"{part}: {reason} ({HOW_TO_GET_IT})")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or where `TROTH_REQUIRE` says so fail, what can't run on this machine."""
    for part in _PROBES:
        if item.get_closest_marker(part) is not None and (reason := why_not(part)):
            leave_out(part, reason)


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of real evidence and published test vectors, which lies outside the project."""
    named = os.environ.get("TROTH_VECTORS")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "vectors"
    if not (folder / "nitro" / "MANIFEST.tsv").is_file():
        leave_out("vectors", f"{folder} holds none; name the folder with TROTH_VECTORS")
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home with nothing of the user's in it, for this test and the programs it starts."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    return folder
