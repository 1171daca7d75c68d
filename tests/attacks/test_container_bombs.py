"""Attacks on the machine that builds: small container images that cost it much."""

import json
from pathlib import Path

import pytest
from tests.image.containers import (
    as_tar,
    blob,
    docker_save,
    folder,
    hard,
    index,
    laid,
    layout,
    link,
    member,
    program,
    tar,
)

from troth.errors import Malformed, Misuse
from troth.image import brought, foreign, oci, oci_files

MANY = 400


def bring(tmp_path: Path, *layers: bytes) -> brought.Brought:
    path = as_tar(layout(*layers), tmp_path / "image.tar")
    return brought.from_oci(
        path, pinned=brought.pin(path), entry=("/a",), directory="/", environment={}
    )


def test_names_of_one_file_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [hard(f"l{number}", "large") for number in range(MANY)]
    layer = tar(program("a", b"#!/a\n"), member("large", bytes(1 << 16)), *names)
    assert bring(tmp_path, layer).size > MANY << 16
    monkeypatch.setattr(brought, "MAX_UNPACKED", MANY << 16)
    with pytest.raises(Malformed, match="25 MiB of files, each name of a file counted"):
        bring(tmp_path, layer)


@pytest.mark.parametrize("whiteout", [".wh.d", "d/.wh..wh..opq"])
def test_the_same_files_taken_away_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whiteout: str
) -> None:
    files = [member(f"d/{number}") for number in range(MANY)]
    layer = tar(folder("d"), *files, *(member(whiteout) for _ in range(MANY)))
    path = as_tar(layout(layer), tmp_path / "image.tar")
    monkeypatch.setattr(foreign, "_MOST_LOOKED", MANY * MANY // 2)
    with pytest.raises(Malformed, match="again and again"):
        laid(path)


def test_paths_through_links_that_turn_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = "a/../" * 800
    links = [link(f"l{number}", f"{turns}l{number + 1}") for number in range(30)]
    files = [member(f"l0/{number}") for number in range(MANY)]
    layer = tar(folder("a"), *links, folder("l30"), *files)
    path = as_tar(layout(layer), tmp_path / "image.tar")
    monkeypatch.setattr(foreign, "_MOST_STEPS", 1_000_000)
    with pytest.raises(Malformed, match="too many links to follow"):
        laid(path)


def test_indexes_of_one_index_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With three levels the readings are the cube of the names."""
    files = layout(tar())
    kind = oci._INDEXES[0]
    inner = blob(files, b'{"manifests":[]}', kind)
    middle = blob(files, index(*[inner] * MANY), kind)
    files["index.json"] = index(*[middle] * MANY)
    read: list[str] = []
    real = oci.json.parse
    monkeypatch.setattr(
        oci.json, "parse", lambda data, *, field: [read.append(field), real(data, field=field)][1]
    )
    with (
        oci_files.opened(as_tar(files, tmp_path / "image.tar")) as opened,
        pytest.raises(Misuse, match="holds no image"),
    ):
        oci.image(opened, name="image.tar")
    assert len(read) == 4


def test_one_configuration_for_images_without_end(tmp_path: Path) -> None:
    files = docker_save(tar())
    rows = json.loads(files["manifest.json"])
    files["manifest.json"] = json.dumps(rows * 257).encode()
    with (
        oci_files.opened(as_tar(files, tmp_path / "image.tar")) as opened,
        pytest.raises(Malformed, match="more than 256 images"),
    ):
        oci.image(opened, name="image.tar")
