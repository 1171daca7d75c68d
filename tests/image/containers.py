"""Container images made on the spot: layers, and the forms in which tools save them."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from tests.image.made import member, tar

from troth.image import oci, oci_files
from troth.image.foreign import File, Folder, Foreign, Link
from troth.image.layers import LeftOut, lay

Files = dict[str, bytes]

OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"


def folder(path: str, **fields: Any) -> tarfile.TarInfo:
    return member(path, mode=0o755, type=tarfile.DIRTYPE, **fields)


def link(path: str, target: str, **fields: Any) -> tarfile.TarInfo:
    return member(path, type=tarfile.SYMTYPE, linkname=target, **fields)


def hard(path: str, target: str, **fields: Any) -> tarfile.TarInfo:
    return member(path, type=tarfile.LNKTYPE, linkname=target, **fields)


def program(path: str, data: bytes = b"#!/bin/sh\n", **fields: Any) -> tarfile.TarInfo:
    return member(path, data, **({"mode": 0o755} | fields))


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def config(layers: list[bytes], **fields: Any) -> bytes:
    """A configuration; `config` among the fields is what the program is told."""
    value = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
    }
    return json.dumps(value | fields).encode()


def packed(layer: bytes, how: str) -> bytes:
    if how == "gzip":
        return gzip.compress(layer, 1, mtime=0)
    if how == "zstd":
        from backports import zstd

        return zstd.compress(layer)
    return layer


def blob(files: Files, data: bytes, kind: str, **fields: Any) -> dict[str, Any]:
    """Puts a blob among the files; its descriptor."""
    name = digest(data)
    files[f"blobs/sha256/{name[7:]}"] = data
    return {"mediaType": kind, "digest": name, "size": len(data), **fields}


def layout(*layers: bytes, how: str = "gzip", **fields: Any) -> Files:
    """An OCI layout with one image."""
    files: Files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    files["index.json"] = index(manifest(files, list(layers), how=how, **fields))
    return files


def index(*descriptors: dict[str, Any]) -> bytes:
    return json.dumps(
        {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(descriptors)}
    ).encode()


def manifest(
    files: Files, layers: list[bytes], *, how: str = "gzip", **fields: Any
) -> dict[str, Any]:
    """Puts an image among the files; the descriptor of its manifest."""
    kind = OCI_LAYER + {"gzip": "+gzip", "zstd": "+zstd", "plain": ""}[how]
    value = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": blob(files, config(layers, **fields), CONFIG),
        "layers": [blob(files, packed(layer, how), kind) for layer in layers],
    }
    return blob(files, json.dumps(value).encode(), MANIFEST)


def docker_save(*layers: bytes, **fields: Any) -> Files:
    """What docker save wrote before version 25."""
    data = config(list(layers), **fields)
    names = [f"{number:064x}/layer.tar" for number in range(len(layers))]
    row = {"Config": f"{digest(data)[7:]}.json", "RepoTags": ["app:latest"], "Layers": names}
    files = dict(zip(names, layers, strict=True))
    return {row["Config"]: data, **files, "manifest.json": json.dumps([row]).encode()}


def docker_save_with_index(*layers: bytes, **fields: Any) -> Files:
    """What it writes since: an OCI layout of plain layers, and the list of old beside it."""
    files = layout(*layers, how="plain", **fields)
    data = config(list(layers), **fields)
    row = {
        "Config": f"blobs/sha256/{digest(data)[7:]}",
        "RepoTags": ["app:latest"],
        "Layers": [f"blobs/sha256/{digest(layer)[7:]}" for layer in layers],
    }
    return {**files, "manifest.json": json.dumps([row]).encode()}


def as_tar(files: Files, path: Path) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            item = tarfile.TarInfo(name)
            item.size = len(data)
            archive.addfile(item, io.BytesIO(data))
    return path


def as_folder(files: Files, path: Path) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def laid(path: Path) -> tuple[Foreign, LeftOut]:
    with oci_files.opened(path) as files:
        return lay(oci.image(files, name=path.name), name=path.name)


def tree(root: Foreign) -> dict[str, object]:
    """Path to what is there: None for a folder, bytes and `+` if it may be executed, `-> target`."""
    found: dict[str, object] = {}
    todo: list[tuple[str, Any]] = [("", root.root)]
    while todo:
        path, node = todo.pop()
        if path:
            match node:
                case Folder():
                    found[path] = None
                case File():
                    found[path] = bytes(node.data) + (b"+" if node.executable else b"")
                case Link():
                    found[path] = f"-> {node.target}"
        if isinstance(node, Folder):
            todo += [(f"{path}/{n}".lstrip("/"), c) for n, c in node.children.items()]
    return found


def layers_of(tmp_path: Path, *layers: bytes) -> dict[str, object]:
    """The tree that these layers make."""
    return tree(laid(as_folder(layout(*layers, how="plain"), tmp_path / "oci"))[0])


__all__ = ["member", "tar"]
