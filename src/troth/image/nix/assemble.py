"""Puts the root file system of an image together, each file held to the digest that files.json says.

    python3 assemble.py files.json FILES PACKAGES OUT

A file comes from the package that it is said to come from, found there by its digest; from the folder FILES,
where the app's own and troth's lie; or is compiled by the image's own interpreter. Imports nothing of troth's:
it stands beside the flake that it was written out with. Nothing is written outside OUT.
"""

import hashlib
import io
import json
import lzma
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FILES, COMPILED = "files", "compiled"
_MOST = 1 << 30


def digest(data: bytes) -> str:
    """SHA-256 in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def contents(package: bytes) -> Iterator[bytes]:
    """What the files of a Debian package or a wheel hold; of a packed kernel module what is in it."""
    if package.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(package)) as wheel:
            for entry in wheel.infolist():
                with wheel.open(entry) as content:
                    yield content.read(min(entry.file_size, _MOST))
        return
    at = 8
    while at < len(package):
        name, size = package[at : at + 16].rstrip(b" /"), int(package[at + 48 : at + 58])
        if name.startswith(b"data.tar"):
            data = package[at + 60 : at + 60 + size]
            if name.endswith(b".xz"):
                data = lzma.LZMADecompressor().decompress(data, _MOST)
            with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
                for item in archive:
                    file = (
                        archive.extractfile(item) if item.isreg() and not item.issparse() else None
                    )
                    if file is not None:
                        found = file.read()
                        yield found
                        if item.name.endswith(".ko.xz"):
                            yield lzma.LZMADecompressor().decompress(found, _MOST)
            return
        at += 60 + size + size % 2


def inside(root: Path, path: str) -> Path:
    """A path below the root."""
    place = root / path
    if path.startswith("/") or ".." in path.split("/") or place.parent.resolve() != place.parent:
        sys.exit(f"error: {path} leads out of the tree, or through a link")
    return place


def place(root: Path, row: dict[str, Any], data: bytes) -> None:
    """Writes one file, if it is the one that was said."""
    if digest(data) != row["sha256"]:
        sys.exit(f"error: /{row['path']} has the SHA-256 {digest(data)}, not {row['sha256']}")
    target = inside(root, row["path"])
    with target.open("xb") as file:
        file.write(data)
    target.chmod(int(row["mode"], 8))


def unpack(root: Path, package: dict[str, Any], rows: list[dict[str, Any]], packages: Path) -> None:
    """Writes the files that come from one package, which is held to its digest first."""
    data = (packages / package["sha256"]).read_bytes()
    if digest(data) != package["sha256"]:
        sys.exit(f"error: {package['file']} has other bytes than the lock says")
    wanted = {row["sha256"] for row in rows}
    found = {key: item for item in contents(data) if (key := digest(item)) in wanted}
    for row in rows:
        if row["sha256"] not in found:
            sys.exit(f"error: /{row['path']} is not in {package['file']}")
        place(root, row, found[row["sha256"]])


def compile_all(
    root: Path, document: dict[str, Any], rows: list[dict[str, Any]], worker: Path
) -> None:
    """Bytecode, by the interpreter that is in the tree."""
    python = document["python"]
    with tempfile.TemporaryDirectory() as name:
        jobs = []
        for number, row in enumerate(rows):
            # The source and its target under numbers: how a file system spells names must not matter.
            source, target = Path(name, f"{number}.py"), Path(name, f"{number}.pyc")
            source.write_bytes(inside(root, row["source"]).read_bytes())
            jobs.append([str(source), f"/{row['source']}", str(target)])
        command = [
            str(root / document["loader"]),
            *("--library-path", ":".join(str(root / folder) for folder in document["libraries"])),
            *("--argv0", str(root / python), str(root / python)),
            *("-s", "-S", "-B", "-P", str(worker)),
        ]
        done = subprocess.run(
            command,
            input="".join(json.dumps(job) + "\n" for job in jobs).encode(),
            env={"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
            check=False,
        )
        if done.returncode:
            sys.exit(f"error: the image's interpreter ended with {done.returncode}")
        for row, (_, _, made) in zip(rows, jobs, strict=True):
            place(root, row, Path(made).read_bytes())


def main(list_file: str, files: str, packages: str, out: str) -> None:
    """Assembles the tree: folders, files, links, and last what is compiled."""
    document = json.loads(Path(list_file).read_bytes())
    root = Path(out)
    root.mkdir()
    root = root.resolve()
    by_source: dict[str, list[dict[str, Any]]] = {}
    for row in document["files"]:
        if "sha256" in row:
            by_source.setdefault(row["from"], []).append(row)
        elif "target" not in row:
            inside(root, row["path"]).mkdir()
    compiled = by_source.pop(COMPILED, [])
    for row in by_source.pop(FILES, []):
        place(root, row, Path(files, row["sha256"]).read_bytes())
    for package in document["packages"]:
        unpack(root, package, by_source.pop(package["sha256"], []), Path(packages))
    if by_source:
        sys.exit(f"error: no package has the SHA-256 {', '.join(sorted(by_source))}")
    for row in document["files"]:
        if "target" in row:
            inside(root, row["path"]).symlink_to(row["target"])
    compile_all(root, document, compiled, Path(files, "compile_worker.py").absolute())


if __name__ == "__main__":
    os.umask(0o022)
    main(*sys.argv[1:])
