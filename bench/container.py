"""A container image of 300 MB becomes an EIF: memory beside its content, time beside one read and hash."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.timing import Line, peak

from troth.errors import TrothError
from troth.image import brought, deb
from troth.image.lock import Pin
from troth.image.store import Store
from troth.platforms.nitro.measure import measure
from troth.wire import cpio, eif

SIZE = 300 << 20
LAYERS = 4
ROUNDS = 2
PIECE = 1 << 20
# A process of its own: the largest of what it has started is then this command alone.
_MEASURED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def _packages() -> list[bytes]:
    """The Debian packages that were locked on this machine, whatever they are."""
    folder = Store.of_user().folder
    found = (path.read_bytes() for path in sorted(folder.glob("*")) if path.is_file())
    return [data for data in found if data.startswith(b"!<arch>\n")]


def _content(packages: list[bytes]) -> Iterator[tuple[str, bytes, bool]]:
    """Files of the packages, each package below a folder of its own, over and over until enough."""
    left = SIZE
    for turn in range(100):
        for number, package in enumerate(packages):
            try:
                for item in deb.members(package, name=f"{number}"):
                    if item.kind == "file" and left > 0:
                        yield f"{turn}/{number}/{item.path}", item.data, item.executable
                        left -= len(item.data)
            except TrothError:
                continue  # not packed as the release's packages are
            if left <= 0:
                return


def _saved(folder: Path, packages: list[bytes]) -> Path:
    """An OCI layout with gzip layers in one tar, as a registry's image is saved."""
    blobs: list[tuple[str, int, str, Path]] = []
    files = _content(packages)
    for number in range(LAYERS):
        plain, packed = folder / f"{number}.tar", folder / f"{number}.tar.gz"
        with tarfile.open(plain, "w") as layer:
            written = 0
            if not number:
                _add(layer, "bin/app", b"#!/bin/app\n", executable=True)
            for name, data, executable in files:
                _add(layer, name, data, executable=executable)
                written += len(data)
                if written > SIZE // LAYERS and number < LAYERS - 1:
                    break
        with packed.open("wb") as out:
            subprocess.run(["gzip", "-1", "-n", "-c", str(plain)], stdout=out, check=True)
        diff_id = _digest(plain)
        plain.unlink()
        blobs.append((_digest(packed), packed.stat().st_size, diff_id, packed))
    config = json.dumps(
        {
            "os": "linux",
            "architecture": "amd64",
            "config": {"Entrypoint": ["/bin/app"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{row[2]}" for row in blobs]},
        }
    ).encode()
    kind = "application/vnd.oci.image.layer.v1.tar+gzip"
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "config": _row("application/vnd.oci.image.config.v1+json", config),
            "layers": [
                {"mediaType": kind, "digest": f"sha256:{row[0]}", "size": row[1]} for row in blobs
            ],
        }
    ).encode()
    index = {"manifests": [_row("application/vnd.oci.image.manifest.v1+json", manifest)]}
    with tarfile.open(folder / "image.tar", "w") as archive:
        _add(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(archive, "index.json", json.dumps(index).encode())
        for data in (config, manifest):
            _add(archive, f"blobs/sha256/{hashlib.sha256(data).hexdigest()}", data)
        for name, _, _, path in blobs:
            archive.add(path, f"blobs/sha256/{name}")
            path.unlink()
    return folder / "image.tar"


def _row(kind: str, data: bytes) -> dict[str, object]:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return {"mediaType": kind, "digest": digest, "size": len(data)}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _add(archive: tarfile.TarFile, name: str, data: bytes, *, executable: bool = False) -> None:
    item = tarfile.TarInfo(name)
    item.size, item.mode = len(data), 0o755 if executable else 0o644
    archive.addfile(item, io.BytesIO(data))


def _become(archive: Path, pinned: Pin, out: Path) -> int:
    """The whole way but for the agent's own packages; bytes of the content."""
    root = brought.from_oci(archive, pinned=pinned, entry=(), directory="", environment={})
    image = eif.Eif(
        sections=(
            eif.Section(kind=eif.Kind.KERNEL, pieces=(b"kernel",)),
            eif.Section(kind=eif.Kind.COMMAND_LINE, pieces=(b"reboot=k panic=30",)),
            eif.Section(kind=eif.Kind.METADATA, pieces=(b"{}",)),
            eif.Section(kind=eif.Kind.RAMDISK, pieces=cpio.pack(root.entries)),
        )
    )
    with ThreadPoolExecutor(max_workers=1) as beside, out.open("wb") as file:
        registers = beside.submit(measure, image)
        eif.write(file, image)
        registers.result()
    return root.size


def _read_and_hash(path: Path) -> None:
    running = hashlib.sha384()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            running.update(piece)
    running.digest()


def becoming() -> list[Line] | str:
    """Memory as a multiple of the content, in a fresh process; time as a multiple of the floor."""
    packages = _packages()
    if not packages:
        return "no Debian package is in the store; `troth lock` on an app fetches some"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive, out = _saved(folder, packages), folder / "image.eif"
        del packages
        pinned = brought.pin(archive)
        taken = floor = float("inf")
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            _become(archive, pinned, out)
            taken = min(taken, time.perf_counter() - begin)
            begin = time.perf_counter()
            _read_and_hash(out)
            floor = min(floor, time.perf_counter() - begin)
        done = subprocess.run(
            [sys.executable, "-m", "bench.container", str(archive), str(out)],
            capture_output=True,
            text=True,
            check=True,
        )
        memory, size = (int(word) for word in done.stdout.split())
        whole = _whole(archive, folder / "whole")
    what = f"a container image of {size >> 20} MiB becomes an EIF"
    lines = [
        Line(what, taken, "reading and hashing the EIF", floor, 8.0),
        Line("peak memory", memory, "the image's files", size, 2.0, unit="bytes"),
    ]
    if isinstance(whole, str):
        print(f"  without the whole command: {whole}")
        return lines
    title = "peak memory of `troth build --from-oci`, Python and the agent's packages in it"
    return [*lines, Line(title, whole, "the image's files", size, 2.0, unit="bytes")]


def _whole(archive: Path, folder: Path) -> int | str:
    """Peak memory of the command and of what it starts, or why there is none: it locks the agent's packages."""
    folder.mkdir()
    command = (
        *(sys.executable, "-c", _MEASURED, sys.executable, "-m", "troth", "build"),
        *("--from-oci", str(archive), "--name", "large", "--kernel", "debian", "-o", "large.eif"),
    )
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        return done.stderr.strip()[-300:]
    return int(done.stdout.split()[-1]) * 1024


if __name__ == "__main__":
    _before = peak()
    _size = _become(Path(sys.argv[1]), brought.pin(Path(sys.argv[1])), Path(sys.argv[2]))
    print(peak() - _before, _size)
