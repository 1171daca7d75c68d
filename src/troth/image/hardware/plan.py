"""How the hardware kernel is compiled: which tools, which steps, and nothing of the machine around.

The steps run inside a file system of locked packages. Who makes the walls around it is handed in, as
`Sandbox`: this package starts no program of the host's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

VERSION: Final = 1
"""Raised whenever a step changes, so that a kernel pinned before does not stand for it."""

TOOLS: Final = (
    "gcc", "make", "flex", "bison", "bc", "libelf-dev", "libc6-dev", "perl-base", "xz-utils", "tar",
    "dash", "bash", "coreutils", "sed", "grep", "mawk", "findutils", "gzip", "diffutils",
)  # fmt: skip
"""What compiles a kernel; the lock has these with all that they depend on."""
UNUSED: Final = frozenset({"base-files", "debconf", "openssl-provider-legacy"})
"""Depended on for what happens when a package is installed; here none is."""
LINKS: Final = (("usr/bin/awk", "mawk"), ("usr/bin/cc", "gcc"), ("usr/bin/sh", "dash"))
"""Made by scripts of packages, which are never run."""

ARCHIVE: Final = "/archive.tar.xz"
"""Where the source's own archive is seen inside."""
IMAGE: Final = "arch/x86/boot/bzImage"
CONFIG: Final = ".config"
FRAGMENT: Final = "fragment"
FILES: Final = 830
"""About how many C files are compiled; for progress only."""

# Drivers and documents that no minimal kernel has: two thirds of the source. Their `Kconfig` files
# stay, because the whole tree of options is read. If one were needed, compiling would fail.
_FOREIGN: Final = (
    "arch/a*", "arch/csky", "arch/hexagon", "arch/l*", "arch/m*", "arch/nios2", "arch/o*", "arch/p*",
    "arch/r*", "arch/s*", "arch/xtensa", "drivers/gpu", "drivers/infiniband", "drivers/media",
    "drivers/net/ethernet", "drivers/net/wireless", "drivers/scsi", "drivers/staging", "sound",
)  # fmt: skip
_LEFT_OUT: Final = (
    "*/Documentation/*.rst",
    "*/Documentation/*.yaml",
    "*/tools/testing/*",
    "*/tools/perf/*",
    *(f"*/{folder}/*.{ending}" for folder in _FOREIGN for ending in ("[chS]", "dts", "dtsi")),
)

_STAMP: Final = {
    "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
    "KBUILD_BUILD_USER": "build",
    "KBUILD_BUILD_HOST": "build",
    "KBUILD_BUILD_VERSION": "1",
}
# A name in the fragment that this version of the source does not know is an error.
_STRICT: Final = ("KCONFIG_WARN_UNKNOWN_SYMBOLS=1", "KCONFIG_WERROR=1")
# Two tools that the kernel's own would ask for and use if it found them.
_ABSENT: Final = ("RUSTC=/bin/false", "PAHOLE=/bin/false")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A folder or file of the host's that is seen inside.

    Attributes:
        source: on the host.
        target: absolute, inside.
        writable: whether it may be changed.
    """

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One program run inside.

    Attributes:
        root: the unpacked tools, seen read-only as the root.
        binds: what else is seen.
        argv: the program and its arguments.
        variables: its whole environment.
        hostname: of the machine as it looks inside.
        umask: of the program.
    """

    root: Path
    binds: tuple[Bind, ...]
    argv: tuple[str, ...]
    variables: Mapping[str, str]
    hostname: str
    umask: int


class Sandbox(Protocol):
    """Runs a job in namespaces of its own, without network, and gives its exit code."""

    def __call__(self, job: Job, *, line: Callable[[str], object]) -> int:
        """Runs it to its end.

        Args:
            job: what to run.
            line: takes each line that the program prints.

        Raises:
            Unavailable: this machine refuses the namespaces.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What may differ between two builds and must not matter.

    Attributes:
        name: for messages, and of its folder on the host.
        source, build: folders as they are seen inside.
        variables: beside the fixed ones.
        hostname: of the machine inside.
        umask: of all programs.
        jobs: how many compile at once.
    """

    name: str
    source: str
    build: str
    variables: Mapping[str, str]
    hostname: str
    umask: int
    jobs: int


def plain(jobs: int) -> Environment:
    """The ordinary environment."""
    return Environment(
        name="plain",
        source="/source",
        build="/build",
        variables={"LC_ALL": "C", "TZ": "UTC", "USER": "build"},
        hostname="build",
        umask=0o022,
        jobs=jobs,
    )


def strange(jobs: int) -> Environment:
    """Another one, in all that a careless build would let in."""
    return Environment(
        name="strange",
        source="/srv/somebody/a-much-longer-way/to/the-source",
        build="/var/tmp/elsewhere/deeper/out",  # noqa: S108 - inside
        variables={
            "LC_ALL": "C.UTF-8",
            "TZ": "Asia/Kathmandu",
            "USER": "somebody-else",
            "SOURCE_DATE_EPOCH": "1234567890",
        },
        hostname="elsewhere",
        umask=0o077,
        jobs=jobs + 1,
    )


def unpack(root: Path, archive: Path, source: Path, where: Environment) -> Job:
    """Unpacks the source, by the locked tar and xz."""
    left_out = tuple(f"--exclude={pattern}" for pattern in _LEFT_OUT)
    return _job(
        root,
        (Bind(source=archive, target=ARCHIVE), Bind(source=source, target=where.source, writable=True)),
        ("tar", "-xf", ARCHIVE, "-C", where.source, "--strip-components=1", "--no-same-owner", *left_out),
        where,
    )  # fmt: skip


def configure(root: Path, source: Path, build: Path, where: Environment) -> Job:
    """Makes the configuration: nothing at all but the fragment."""
    fragment = f"KCONFIG_ALLCONFIG={where.build}/{FRAGMENT}"
    return _make(root, source, build, where, (fragment, *_STRICT, "allnoconfig"))


def compile_kernel(root: Path, source: Path, build: Path, where: Environment) -> Job:
    """Compiles the kernel."""
    return _make(root, source, build, where, (f"-j{where.jobs}", "bzImage"))


def _make(root: Path, source: Path, build: Path, where: Environment, words: tuple[str, ...]) -> Job:
    return _job(
        root,
        (
            Bind(source=source, target=where.source),
            Bind(source=build, target=where.build, writable=True),
        ),
        ("make", "-C", where.source, f"O={where.build}", *_ABSENT, *words),
        where,
    )


def _job(root: Path, binds: tuple[Bind, ...], argv: tuple[str, ...], where: Environment) -> Job:
    return Job(
        root=root,
        binds=binds,
        argv=(f"/usr/bin/{argv[0]}", *argv[1:]),
        variables={"PATH": "/usr/bin:/usr/sbin", "HOME": "/", **_STAMP, **where.variables},
        hostname=where.hostname,
        umask=where.umask,
    )
