"""Which image was saved: the one for Linux on x86-64, all of whose digests are right."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.image.containers import (
    INDEX,
    MANIFEST,
    Files,
    as_folder,
    as_tar,
    blob,
    config,
    digest,
    docker_save,
    docker_save_with_index,
    index,
    layout,
    manifest,
    member,
    tar,
)

from troth.errors import Malformed, Misuse
from troth.image import oci
from troth.image.oci_files import Stored, opened

LAYER = tar(member("a", b"x"))


class InMemory:
    def __init__(self, files: Files, path: Path) -> None:
        self._handle = path.open("w+b")
        self._found = {}
        for name, data in files.items():
            begin = self._handle.tell()
            self._handle.write(data)
            self._found[name] = Stored(
                name=name, size=len(data), handle=self._handle.fileno(), begin=begin
            )
        self._handle.flush()

    def find(self, name: str) -> Stored | None:
        return self._found.get(name)


def image(files: Files, tmp_path: Path) -> oci.Image:
    return oci.image(InMemory(files, tmp_path / "all"), name="app.tar")


def changed(files: Files, path: str, change: Any) -> Files:
    """The files with one JSON document changed, and nothing that names it."""
    return files | {path: json.dumps(change(json.loads(files[path]))).encode()}


def empty() -> Files:
    return {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}


def test_what_is_read(tmp_path: Path) -> None:
    files = layout(LAYER, config={"Cmd": ["x"]})
    found = image(files, tmp_path)
    assert found.manifest == json.loads(files["index.json"])["manifests"][0]["digest"]
    assert found.config_digest == digest(config([LAYER], config={"Cmd": ["x"]}))
    assert found.config["config"] == {"Cmd": ["x"]}
    assert [layer.diff_id for layer in found.layers] == [digest(LAYER)[7:]]
    assert [layer.digest for layer in found.layers] == [digest_of_layer(files)]


def digest_of_layer(files: Files) -> str:
    name = json.loads(files["index.json"])["manifests"][0]["digest"][7:]
    return json.loads(files[f"blobs/sha256/{name}"])["layers"][0]["digest"][7:]


def test_forms_of_one_image_have_one_configuration(tmp_path: Path) -> None:
    forms = [docker_save(LAYER), docker_save_with_index(LAYER), layout(LAYER, how="gzip")]
    found = [image(files, tmp_path) for files in forms]
    assert len({item.config_digest for item in found}) == 1
    assert [bool(item.manifest) for item in found] == [False, True, True]
    for number, files in enumerate(forms):
        for save in (as_tar, as_folder):
            with opened(save(files, tmp_path / f"{number}-{save.__name__}")) as saved:
                again = oci.image(saved, name="x")
            assert again.config_digest == found[number].config_digest


def test_the_platform_of_several(tmp_path: Path) -> None:
    """An index for many machines, nested as build tools write it, with its attestation beside it."""
    files = empty()
    amd, arm = (manifest(files, [LAYER], architecture=name) for name in ("amd64", "arm64"))
    vouch = manifest(files, [LAYER], os="unknown", architecture="unknown")
    amd["platform"] = {"os": "linux", "architecture": "amd64"}
    arm["platform"] = {"os": "linux", "architecture": "arm64", "variant": "v8"}
    vouch["annotations"] = {"vnd.docker.reference.type": "attestation-manifest"}
    # Of the others docker save lists what it does not save.
    absent = dict(arm, digest=digest(b"absent"), platform={"os": "linux", "architecture": "s390x"})
    unsaid = dict(absent, platform={"os": "unknown", "architecture": "unknown"})
    inner = blob(files, index(arm, absent, unsaid, vouch, amd, amd), INDEX)
    files["index.json"] = index(inner)
    assert image(files, tmp_path).manifest == amd["digest"]


def test_no_image_for_this_machine(tmp_path: Path) -> None:
    for files in (layout(LAYER, architecture="arm64"), docker_save(LAYER, architecture="arm64")):
        with pytest.raises(
            Misuse, match="holds only linux/arm64; this app's enclave runs linux/amd64"
        ) as refused:
            image(files, tmp_path)
        assert "--platform linux/amd64" in refused.value.fix
    files = empty()
    files["index.json"] = index()
    with pytest.raises(Misuse, match="holds no image"):
        image(files, tmp_path)
    with pytest.raises(Misuse, match="windows/amd64"):
        image(layout(LAYER, os="windows"), tmp_path)


def test_two_images(tmp_path: Path) -> None:
    files = empty()
    files["index.json"] = index(manifest(files, [LAYER]), manifest(files, []))
    with pytest.raises(Misuse, match="holds 2 images for linux/amd64") as refused:
        image(files, tmp_path)
    assert "save one alone" in refused.value.fix
    files = docker_save(LAYER)
    twice = changed(files, "manifest.json", lambda rows: rows * 2)
    with pytest.raises(Misuse, match="holds 2 images"):
        image(twice, tmp_path)


def test_what_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="holds no container image") as refused:
        image({"a": b""}, tmp_path)
    assert "docker save" in refused.value.fix
    files = empty()
    chart = {"config": blob(files, b"{}", "application/vnd.cncf.helm.config.v1+json"), "layers": []}
    files["index.json"] = index(blob(files, json.dumps(chart).encode(), MANIFEST))
    with pytest.raises(Misuse, match="helm"):
        image(files, tmp_path)


def test_a_missing_layer(tmp_path: Path) -> None:
    files = layout(LAYER)
    gone = digest_of_layer(files)
    del files[f"blobs/sha256/{gone}"]
    with pytest.raises(Malformed, match=f"sha256:{gone} is missing") as refused:
        image(files, tmp_path)
    assert "save it whole" in refused.value.fix
    files = docker_save(LAYER)
    (name,) = (name for name in files if name.endswith("layer.tar"))
    del files[name]
    with pytest.raises(Malformed, match=r"layer.tar' is missing"):
        image(files, tmp_path)


def remade(change: Any) -> Files:
    """A layout with a changed manifest that is named by its right digest."""
    files = layout(LAYER)
    name = json.loads(files["index.json"])["manifests"][0]["digest"][7:]
    value = json.loads(files.pop(f"blobs/sha256/{name}"))
    change(value)
    files["index.json"] = index(blob(files, json.dumps(value).encode(), MANIFEST))
    return files


def layer_of(value: dict[str, Any]) -> dict[str, Any]:
    return value["layers"][0]


FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


def test_a_layer_that_lies_elsewhere(tmp_path: Path) -> None:
    absent = {"mediaType": FOREIGN, "digest": digest(b"?"), "size": 1, "urls": ["https://x/"]}
    files = remade(lambda value: value["layers"].__setitem__(0, absent))
    with pytest.raises(Malformed, match="it lies elsewhere by design") as refused:
        image(files, tmp_path)
    assert "whose layers may be copied" in refused.value.fix
    # One that is there all the same is as good as any.
    image(remade(lambda value: layer_of(value).update(mediaType=FOREIGN)), tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: layer_of(v).update(size=5), "its descriptor says 5"),
        (lambda v: layer_of(v).update(size=True), "its descriptor says True"),
        (lambda v: layer_of(v).pop("size"), "its descriptor says None"),
        (lambda v: layer_of(v).update(digest="sha512:" + "0" * 128), "must be sha256:"),
        (lambda v: layer_of(v).update(digest="sha256:../../etc"), "must be sha256:"),
        (lambda v: layer_of(v).update(digest=7), "must be sha256:"),
        (lambda v: layer_of(v).update(mediaType="application/vnd.oci.image.layer.v1.tar+encrypted"),
         "encrypted', which is not read here"),
        (lambda v: layer_of(v).pop("mediaType"), "kind None"),
        (lambda v: v.update(layers=[1]), "something else than descriptors"),
        (lambda v: v.update(layers=[]), "names 1 layers, its manifest 0"),
        (lambda v: v.update(layers=v["layers"] * 2), "names 1 layers, its manifest 2"),
        (lambda v: v.pop("layers"), "no list of layers"),
        (lambda v: v.pop("config"), "has no config"),
        (lambda v: v["config"].update(digest=digest(b"x")), "is missing"),
    ],
)  # fmt: skip
def test_a_manifest_that_is_refused(change: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(Malformed, match=said):
        image(remade(change), tmp_path)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rootfs": None}, "has no rootfs"),
        ({"rootfs": {"diff_ids": None}}, "no list of diff_ids"),
        ({"rootfs": {"diff_ids": ["x"]}}, "must be sha256:"),
    ],
)
def test_a_configuration_that_is_refused(fields: Any, said: str, tmp_path: Path) -> None:
    for files in (layout(LAYER, **fields), docker_save(LAYER, **fields)):
        with pytest.raises(Malformed, match=said):
            image(files, tmp_path)


@pytest.mark.parametrize("kind", ["manifest", "config"])
def test_a_document_with_other_bytes(kind: str, tmp_path: Path) -> None:
    files = layout(LAYER)
    (name,) = (
        name
        for name, data in files.items()
        if name.startswith("blobs/")
        and data.startswith(b"{")
        and (b"diff_ids" in data) is (kind == "config")
    )
    files[name] = files[name].replace(b" ", b"\n", 1)
    with pytest.raises(Malformed, match=r"is sha256:[0-9a-f]{64}, and is named sha256:"):
        image(files, tmp_path)


def test_a_saved_configuration_with_other_bytes(tmp_path: Path) -> None:
    files = docker_save(LAYER)
    (name,) = (name for name in files if name.endswith(".json") and name != "manifest.json")
    files[name] += b" "
    with pytest.raises(Malformed, match="is named sha256:"):
        image(files, tmp_path)


@pytest.mark.parametrize(
    ("path", "data", "said"),
    [
        ("oci-layout", b'{"imageLayoutVersion":"2.0.0"}', "of a version that is not read"),
        ("oci-layout", b"[]", "is no object"),
        ("index.json", b"{}", "no list of manifests"),
        ("index.json", b'{"manifests":[1]}', "something else than descriptors"),
        ("index.json", b'{"manifests":[{"mediaType":"text/plain"}]}', "'text/plain', which is not read"),
        ("index.json", b'{"manifests":[],"manifests":[]}', "'manifests' twice"),
        ("index.json", b'{"manifests":[{"mediaType":"%s"}]}' % MANIFEST.encode(), "must be sha256:"),
        ("index.json", b'{"manifests":[{"mediaType":"%s"}]}' % INDEX.encode(), "must be sha256:"),
        ("index.json", b"{" * 5_000_000, "is larger than"),
    ],
)  # fmt: skip
def test_a_layout_that_is_refused(path: str, data: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(Malformed, match=said):
        image(layout(LAYER) | {path: data}, tmp_path)


@pytest.mark.parametrize(
    "rows", [{}, [1], [{}], [{"Config": 1}], [{"Config": "absent", "Layers": []}]]
)
def test_a_list_of_dockers_that_is_refused(rows: Any, tmp_path: Path) -> None:
    with pytest.raises(Malformed):
        image(docker_save(LAYER) | {"manifest.json": json.dumps(rows).encode()}, tmp_path)


def test_an_index_that_says_otherwise(tmp_path: Path) -> None:
    files = empty()
    row = manifest(files, [LAYER], architecture="arm64")
    row["platform"] = {"os": "linux", "architecture": "amd64"}
    files["index.json"] = index(row)
    with pytest.raises(Malformed, match="is for linux/arm64, and the index says linux/amd64"):
        image(files, tmp_path)


def test_an_index_in_an_index_without_end(tmp_path: Path) -> None:
    files = empty()
    row = manifest(files, [LAYER])
    for _ in range(5):
        row = blob(files, index(row), INDEX)
    files["index.json"] = index(row)
    with pytest.raises(Malformed, match="nested too deep"):
        image(files, tmp_path)


def test_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oci, "_MOST_LAYERS", 1)
    with pytest.raises(Malformed, match="more than 1 layers"):
        image(layout(LAYER, LAYER), tmp_path)
    monkeypatch.setattr(oci, "_MOST_MANIFESTS", 1)
    files = empty()
    files["index.json"] = index(manifest(files, [LAYER]), manifest(files, []))
    with pytest.raises(Malformed, match="more than 1 manifests"):
        image(files, tmp_path)


GOOD = {**layout(LAYER), **docker_save(LAYER)}


@given(st.data())
def test_cut_or_changed_bytes(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    files = dict(GOOD)
    if data.draw(st.booleans()):
        del files["oci-layout"]
    name = data.draw(st.sampled_from(sorted(files)))
    text = bytearray(files[name])
    if data.draw(st.booleans()):
        text = text[: data.draw(st.integers(0, len(text) - 1))]
    else:
        text[data.draw(st.integers(0, len(text) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        image(files | {name: bytes(text)}, tmp_path_factory.getbasetemp())
    except (Malformed, Misuse):
        return
