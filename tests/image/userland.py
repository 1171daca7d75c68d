"""A container image out of this machine's own Debian packages: another C library and Python than the agent's."""

import re
import subprocess
from pathlib import Path
from typing import Any

from tests.image.containers import docker_save_with_index, folder, hard, link, member, program, tar

from troth.image import deb

DATA = Path(__file__).parents[1] / "data" / "brought"
_WANTED = re.compile(
    r"libc6|zlib1g(t64)?|libexpat1|libffi8|libgcc-s1|libbz2-1.0|liblzma5|busybox-static"
    r"|libssl3(t64)?|libpython3[.0-9]*-(minimal|stdlib)|python3[.0-9]*-minimal"
)
_DEPENDS = (
    "apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts",
    "--no-breaks", "--no-replaces", "--no-enhances",
)  # fmt: skip


def packages(into: Path) -> list[Path]:
    """The packages of Python and busybox, fetched by the machine's own apt."""
    asked = ("python3-minimal", "libpython3-stdlib", "busybox-static")
    done = subprocess.run([*_DEPENDS, *asked], capture_output=True, text=True, check=True)
    names = sorted({name for name in done.stdout.split() if _WANTED.fullmatch(name)})
    into.mkdir(parents=True)
    subprocess.run(
        ["apt-get", "download", "-o", "APT::Sandbox::User=root", *names],
        cwd=into, capture_output=True, check=True,
    )  # fmt: skip
    return sorted(into.glob("*.deb"))


def layer(package: Path) -> bytes:
    """A package as a layer of its own."""
    made: list[Any] = []
    for item in deb.members(package.read_bytes(), name=package.name):
        match item.kind:
            case "file":
                made.append(member(item.path, item.data, mode=0o755 if item.executable else 0o644))
            case "link":
                made.append(link(item.path, item.target))
            case "hard":
                made.append(hard(item.path, item.target))
            case "folder" if item.path:
                made.append(folder(item.path))
    return tar(*made)


def image(into: Path) -> dict[str, bytes]:
    """The probe of `tests/data/brought` in it, and more than a probe needs."""
    layers = [layer(package) for package in packages(into)]
    app = tar(
        folder("opt"), member("opt/main.py", (DATA / "main.py").read_bytes()),
        program("opt/start", b'#!/bin/sh\nexec python3 /opt/main.py "$@"\n'),
        folder("run"), folder("run/lock"), member("run/pid", b"1"), folder("bin"),
        link("bin/sh", "busybox"), member("usr/share/doc/.wh..wh..opq"),
        member(".dockerenv"), member("etc/hosts", b"10.0.0.1 builder\n"),
    )  # fmt: skip
    return docker_save_with_index(
        *layers,
        app,
        config={
            "Entrypoint": ["start", "first"],
            "Cmd": ["second"],
            "Env": [
                "PATH=/opt:/usr/bin:/bin",
                "PYTHONDONTWRITEBYTECODE=1",
                "GREETING=from the image",
            ],
            "WorkingDir": "/opt/new/folder",
            "User": "nobody",
            "StopSignal": "SIGQUIT",
            "ExposedPorts": {"8080/tcp": {}},
        },
    )
