"""A container image as it was saved: which manifest, which configuration, which layers.

Reads OCI image layouts (image-spec 1.1) and what `docker save` writes: before version 25 a
`manifest.json` alone, an index and blobs beside it since. Every digest that is named is checked; a
layer's are when it is unpacked (`layers.py`).
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final

from troth.errors import Malformed, Misuse
from troth.image.architecture import AMD64, Architecture
from troth.image.oci_files import SAVE, Files, Stored
from troth.wire import json

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_MOST_JSON: Final = 4 * 1024 * 1024
_MOST_LAYERS: Final = 512
_MOST_DEEP: Final = 3
_MOST_MANIFESTS: Final = 256
_INDEXES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_CONFIGS: Final = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)
_LAYERS: Final = re.compile(
    r"application/vnd\.(oci\.image\.layer\.v1\.tar(\+gzip|\+zstd)?"
    r"|oci\.image\.layer\.nondistributable\.v1\.tar(\+gzip|\+zstd)?"
    r"|docker\.image\.rootfs\.(foreign\.)?diff\.tar(\.gzip|\.zstd)?)"
)
ANEW: Final = "do not use this image; save or download it anew"
_ATTESTATION: Final = "vnd.docker.reference.type"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer.

    Attributes:
        stored: its bytes as they are stored.
        digest: SHA-256 of those bytes, or an empty text where nothing names it.
        diff_id: SHA-256 of the unpacked archive.
    """

    stored: Stored
    digest: str
    diff_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image for one machine.

    Attributes:
        manifest: digest of its manifest, or an empty text where only `manifest.json` stands for it.
        config_digest: digest of its configuration, which names the content of each layer.
        config: the configuration.
        layers: from the lowest up.
    """

    manifest: str
    config_digest: str
    config: dict[str, Any]
    layers: tuple[Layer, ...]


def image(files: Files, *, name: str, machine: Architecture = AMD64) -> Image:
    """The one image for Linux on a machine that was saved.

    Args:
        files: what was saved.
        name: of the file or folder, for errors.
        machine: that it must be for.

    Raises:
        Misuse: there is none for this machine, or more than one.
        Malformed: a digest or a size is not that of the bytes, a part is missing, or it is no image.
    """
    if files.find("oci-layout") is not None:
        layout = _document(_need(files, "oci-layout", name))
        if layout.get("imageLayoutVersion") != "1.0.0":
            raise Malformed("is of a version that is not read here", field="oci-layout")
        return _of_layout(files, name, machine)
    if files.find("manifest.json") is not None:
        return _of_docker(files, name, machine)
    raise Misuse(
        f"{name} has no oci-layout and no manifest.json, so it holds no container image",
        fix=f"save the image: {SAVE}",
    )


def _of_layout(files: Files, name: str, machine: Architecture) -> Image:
    index = _document(_need(files, "index.json", name))
    found: dict[str, Image] = {}
    others: set[str] = set()
    for descriptor in _manifests(files, index, _MOST_DEEP, set()):
        listed = _listed(descriptor.get("platform"))
        if listed is not None and listed != ("linux", machine.name):
            others.add("/".join(listed))  # its blobs need not even have been saved
            continue
        manifest = _named(files, descriptor)
        digest = str(descriptor["digest"])
        config_descriptor = _table(manifest, "config", digest)
        if config_descriptor.get("mediaType") not in _CONFIGS:
            others.add(f"{config_descriptor.get('mediaType')!a}, which is no image")
            continue
        config = _named(files, config_descriptor)
        platform = _platform(listed, config)
        if platform != ("linux", machine.name):
            others.add("/".join(platform))
        elif digest not in found:
            found[digest] = Image(
                manifest=digest,
                config_digest=str(config_descriptor["digest"]),
                config=config,
                layers=_layers(files, manifest, config, digest),
            )
    return _only(list(found.values()), others, name, machine)


def _manifests(
    files: Files, index: dict[str, Any], deep: int, read: set[str]
) -> list[dict[str, Any]]:
    """Descriptors of manifests, those of nested indexes too; what vouches for an image is left out.

    An index in `read` has been read, and is not read again however often it is named.
    """
    found = []
    for item in _list(index, "manifests", "index"):
        if not isinstance(item, dict):
            raise Malformed("holds something else than descriptors", field="index.manifests")
        annotations = item.get("annotations")
        if isinstance(annotations, dict) and _ATTESTATION in annotations:
            continue
        kind = item.get("mediaType")
        if kind in _INDEXES:
            if not deep:
                raise Malformed("is nested too deep", field="index")
            if (digest := str(item.get("digest"))) not in read:
                read.add(digest)
                found += _manifests(files, _named(files, item), deep - 1, read)
        elif kind in _MANIFESTS:
            found.append(item)
        else:
            raise Malformed(f"holds {kind!a}, which is not read here", field="index.manifests")
        if len(found) > _MOST_MANIFESTS:
            raise Malformed(f"names more than {_MOST_MANIFESTS} manifests", field="index")
    return found


def _of_docker(files: Files, name: str, machine: Architecture) -> Image:
    rows = json.parse(_bytes(_need(files, "manifest.json", name)), field="manifest.json")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Malformed("is no list of objects", field="manifest.json")
    if len(rows) > _MOST_MANIFESTS:
        raise Malformed(f"names more than {_MOST_MANIFESTS} images", field="manifest.json")
    found: list[Image] = []
    others: set[str] = set()
    for row in rows:
        path = row.get("Config")
        if not isinstance(path, str):
            raise Malformed("names no configuration", field="manifest.json")
        data = _bytes(_need(files, path, name))
        digest = hashlib.sha256(data).hexdigest()
        stem = path.rpartition("/")[2].removesuffix(".json")
        if len(stem) == len(digest) and stem != digest:
            raise _wrong(path, f"sha256:{stem}", f"sha256:{digest}")
        config = _object(data, path)
        platform = _platform(None, config)
        if platform != ("linux", machine.name):
            others.add("/".join(platform))
            continue
        paths = _list(row, "Layers", "manifest.json")
        pairs = zip(paths, _diff_ids(config, len(paths)), strict=True)
        layers = tuple(
            Layer(stored=_need(files, str(p), name), digest="", diff_id=d) for p, d in pairs
        )
        found.append(
            Image(manifest="", config_digest=f"sha256:{digest}", config=config, layers=layers)
        )
    return _only(found, others, name, machine)


def _only(found: list[Image], others: set[str], name: str, machine: Architecture) -> Image:
    wanted = f"linux/{machine.name}"
    if len(found) == 1:
        return found[0]
    if found:
        raise Misuse(
            f"{name} holds {len(found)} images for {wanted}",
            fix="save one alone: docker save IMAGE:TAG -o image.tar",
        )
    what = f"only {', '.join(sorted(others))}" if others else "no image"
    raise Misuse(
        f"{name} holds {what}; this app's enclave runs {wanted}",
        fix=f"save the image of that platform: docker pull --platform {wanted} IMAGE",
    )


def _layers(
    files: Files, manifest: dict[str, Any], config: dict[str, Any], digest: str
) -> tuple[Layer, ...]:
    rows = _list(manifest, "layers", digest)
    found = []
    for row, diff_id in zip(rows, _diff_ids(config, len(rows)), strict=True):
        if not isinstance(row, dict):
            raise Malformed("holds something else than descriptors", field=f"{digest} layers")
        kind = row.get("mediaType")
        if not isinstance(kind, str) or not _LAYERS.fullmatch(kind):
            raise Malformed(
                f"has a layer of the kind {kind!a}, which is not read here", field=digest
            )
        found.append(
            Layer(
                stored=_blob(files, row),
                digest=str(row["digest"]).removeprefix("sha256:"),
                diff_id=diff_id,
            )
        )
    return tuple(found)


def _diff_ids(config: dict[str, Any], layers: int) -> tuple[str, ...]:
    """What each layer unpacks to, without the name of the hash."""
    rootfs = _table(config, "rootfs", "config")
    found = _list(rootfs, "diff_ids", "config.rootfs")
    if len(found) != layers:
        raise Malformed(
            f"names {len(found)} layers, its manifest {layers}", field="config.rootfs.diff_ids"
        )
    if layers > _MOST_LAYERS:
        raise Malformed(f"has more than {_MOST_LAYERS} layers", field="config.rootfs.diff_ids")
    return tuple(_digest(item, "config.rootfs.diff_ids") for item in found)


def _listed(said: Any) -> tuple[str, str] | None:
    """What an index says that an image is for, if it does."""
    if not isinstance(said, dict):
        return None
    return str(said.get("os")), str(said.get("architecture"))


def _platform(listed: tuple[str, str] | None, config: dict[str, Any]) -> tuple[str, str]:
    """What the configuration is for; a descriptor that says otherwise is another reading of it."""
    own = (str(config.get("os", "")), str(config.get("architecture", "")))
    if listed is not None and listed != own:
        raise Malformed(
            f"is for {'/'.join(own)}, and the index says {'/'.join(listed)}", field="config"
        )
    return own


def _blob(files: Files, descriptor: dict[str, Any]) -> Stored:
    """What a descriptor points to, of the size that it says; documents are hashed when they are read."""
    digest = _digest(descriptor.get("digest"), "descriptor.digest")
    stored = files.find(f"blobs/sha256/{digest}")
    if stored is None:
        foreign = bool(descriptor.get("urls")) or "foreign" in str(descriptor.get("mediaType"))
        raise Malformed(
            f"sha256:{digest} is missing"
            + (": it lies elsewhere by design, and is fetched by nobody here" if foreign else ""),
            field="blobs",
            fix="use a base image whose layers may be copied"
            if foreign
            else f"save it whole: {SAVE}",
        )
    size = descriptor.get("size")
    if type(size) is not int or size != stored.size:
        raise Malformed(
            f"sha256:{digest} has {stored.size} bytes, its descriptor says {size!a}", field="blobs"
        )
    return stored


def _named(files: Files, descriptor: dict[str, Any]) -> dict[str, Any]:
    """The document that a descriptor points to."""
    return _document(_blob(files, descriptor), str(descriptor.get("digest")))


def _document(stored: Stored, digest: str = "") -> dict[str, Any]:
    """A JSON object, held against its digest where it has one."""
    data = _bytes(stored)
    found = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if digest and found != digest:
        raise _wrong(stored.name, digest, found)
    return _object(data, stored.name)


def _object(data: bytes, name: str) -> dict[str, Any]:
    value = json.parse(data, field=name)
    if not isinstance(value, dict):
        raise Malformed("is no object", field=name)
    return value


def _wrong(name: str, said: str, found: str) -> Malformed:
    return Malformed(
        f"is {found}, and is named {said}",
        field=name,
        fix=ANEW,
    )


def _bytes(stored: Stored) -> bytes:
    if stored.size > _MOST_JSON:
        raise Malformed(f"is larger than {_MOST_JSON} bytes", field=stored.name)
    return stored.read(0, stored.size)


def _need(files: Files, path: str, name: str) -> Stored:
    found = files.find(path)
    if found is None:
        raise Malformed(f"{path!a} is missing", field=name, fix=f"save it whole: {SAVE}")
    return found


def _digest(value: Any, field: str) -> str:
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise Malformed(f"is {value!a}, and must be sha256: with 64 digits", field=field)
    return value.removeprefix("sha256:")


def _table(value: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    inner = value.get(key)
    if not isinstance(inner, dict):
        raise Malformed(f"has no {key}", field=where)
    return inner


def _list(value: dict[str, Any], key: str, where: str) -> list[Any]:
    inner = value.get(key)
    if not isinstance(inner, list):
        raise Malformed(f"has no list of {key}", field=where)
    return inner
