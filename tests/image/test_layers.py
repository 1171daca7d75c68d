"""Layers over each other: whiteouts, names of one file, and what is refused or left out and said."""

import random
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.image.containers import (
    as_folder,
    as_tar,
    digest,
    docker_save,
    docker_save_with_index,
    folder,
    hard,
    laid,
    layers_of,
    layout,
    link,
    member,
    packed,
    program,
    tar,
    tree,
)

from troth.errors import Malformed
from troth.image import oci, oci_files
from troth.image.layers import lay
from troth.image.unpacked import Budget

LOW = tar(
    folder("etc"), member("etc/a", b"low"), member("etc/b", b"low"), folder("etc/deep"),
    member("etc/deep/c", b"low"), link("lib", "usr/lib"), folder("usr/lib"),
    member("usr/lib/x", b"low"),
)  # fmt: skip
PLAIN: dict[str, object] = {
    "etc": None, "etc/a": b"low", "etc/b": b"low", "etc/deep": None, "etc/deep/c": b"low",
    "lib": "-> usr/lib", "usr": None, "usr/lib": None, "usr/lib/x": b"low",
}  # fmt: skip


def without(*paths: str, **more: object) -> dict[str, object]:
    kept = {
        path: value
        for path, value in PLAIN.items()
        if not any(path == gone or path.startswith(f"{gone}/") for gone in paths)
    }
    return kept | {path.replace("__", "/"): value for path, value in more.items()}


@pytest.mark.parametrize(
    ("upper", "expected"),
    [
        (tar(), PLAIN),
        (tar(member("etc/.wh.a")), without("etc/a")),
        (tar(member("etc/.wh.deep")), without("etc/deep")),
        (tar(member(".wh.etc")), without("etc")),
        (tar(member("etc/.wh.absent"), member("no/.wh.where")), PLAIN),
        (tar(member("etc/.wh..wh..opq")), without("etc/a", "etc/b", "etc/deep")),
        (tar(member(".wh..wh..opq")), {}),
        # A whiteout hides what lies below its layer, wherever in the layer it stands.
        (tar(member("etc/a", b"new"), member("etc/.wh.a")), without(etc__a=b"new")),
        (tar(member("etc/.wh.a"), member("etc/a", b"new")), without(etc__a=b"new")),
        (
            tar(member("etc/new", b"new"), member("etc/.wh..wh..opq")),
            without("etc/a", "etc/b", "etc/deep", etc__new=b"new"),
        ),
        (
            tar(member("etc/deep/d", b"new"), member("etc/.wh.deep")),
            without("etc/deep/c", etc__deep__d=b"new"),
        ),
        # A folder joins, anything else takes the place.
        (tar(folder("etc"), program("etc/a", b"new")), without(etc__a=b"new+")),
        (tar(member("etc/deep", b"new")), without("etc/deep", etc__deep=b"new")),
        (tar(folder("etc/a")), without("etc/a", etc__a=None)),
        (tar(link("etc", "usr")), without("etc", etc="-> usr")),
        (tar(folder("lib"), member("lib/y", b"new")), without(lib=None, lib__y=b"new")),
        # Through a link, in the image's own root.
        (tar(member("lib/y", b"new")), without(usr__lib__y=b"new")),
        (tar(member("lib/.wh.x")), without("usr/lib/x")),
        # Names of one file, also of one in a lower layer.
        (tar(hard("etc/h", "etc/a")), without(etc__h=b"low")),
        (tar(hard("etc/h", "/etc/a"), hard("i", "./etc/h")), without(etc__h=b"low", i=b"low")),
        (tar(hard("h", "lib/x")), without(h=b"low")),
        (tar(hard("h", "lib")), without(h="-> usr/lib")),
        # What AUFS keeps for itself.
        (tar(folder(".wh..wh.plnk"), member(".wh..wh.aufs")), PLAIN),
        # Names as some tools write them.
        (tar(folder("./"), member("./etc//./a", b"new")), without(etc__a=b"new")),
        (tar(member("/etc/a", b"new")), without(etc__a=b"new")),
        (tar(link("abs", "/etc/a"), link("up", "../../../etc/a")),
         without(abs="-> /etc/a", up="-> ../../../etc/a")),
        # Once more, and the same.
        (tar(member("n", b"1"), member("n", b"1"), folder("f"), folder("f")),
         without(n=b"1", f=None)),
    ],
)  # fmt: skip
def test_a_layer_over_another(upper: bytes, expected: object, tmp_path: Path) -> None:
    assert layers_of(tmp_path, LOW, upper) == expected


def test_a_link_of_the_host_is_never_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    upper = tar(link("out", str(outside)), member("out/file", b"inside"), link("l", "../" * 50))
    found = layers_of(tmp_path, upper, tar(member("l/top", b"x")))
    assert list(outside.iterdir()) == []
    assert found[f"{outside}/file".lstrip("/")] == b"inside"
    assert found["top"] == b"x"


@pytest.mark.parametrize(
    ("upper", "said"),
    [
        (tar(member("../a")), r"'\.\./a' has the path '\.\./a', which climbs"),
        (tar(member("etc/../../a")), "climbs with `..`"),
        (tar(folder("..")), "climbs with `..`"),
        (tar(hard("h", "../etc/a")), "climbs with `..`"),
        (tar(hard("h", "absent")), "second name of 'absent', which is no file before it"),
        (tar(hard("h", "later"), member("later")), "which is no file before it"),
        (tar(hard("h", "etc")), "which is no file before it"),
        (tar(link("l", "")), "a link to nothing"),
        (tar(link("l", "x" * 4096)), "a link to nothing, or to what is no path"),
        (tar(member("etc/a/b")), "passes through a file"),
        (tar(link("l", "m"), link("m", "l"), member("l/x")), "links without end"),
        (tar(link("l", "/l"), member("l/x")), "links without end"),
        (tar(member("etc/.wh.")), "takes away what is no name"),
        (tar(member("etc/.wh...")), "takes away what is no name"),
        (tar(member("etc/.wh..")), "takes away what is no name"),
        (tar(member("n", b"1"), member("n", b"2")), "'n' is in one layer twice, and differs"),
        (tar(member("n", b"1"), program("n", b"1")), "in one layer twice"),
        (tar(member("n", b"1"), folder("n")), "in one layer twice"),
        (tar(link("n", "a"), link("n", "b")), "in one layer twice"),
        (tar(member(".")), "names the root, and is no folder"),
        (tar(member("a/" * 250 + "b")), "too deep"),
        (tar(member("x" * 256)), "is no name for a file"),
        (tar(member("/".join(["y" * 200] * 25))), "is no name for a file"),
        (tar(member("big", b"x" * 2000))[:1200], "ends in the midst of a"),
        (tar(member("a")) + b"junk", "something follows"),
    ],
)
def test_a_layer_that_is_refused(upper: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(Malformed, match=said) as refused:
        layers_of(tmp_path, LOW, upper)
    assert "oci" in str(refused.value) or "layer 2" in str(refused.value)


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    special = tar(
        member("null", type=tarfile.CHRTYPE), member("disk", type=tarfile.BLKTYPE),
        member("etc/a", type=tarfile.FIFOTYPE), member("dev/tty", type=tarfile.CHRTYPE),
        *(program(f"su{n}", mode=0o4755) for n in range(5)),
    )  # fmt: skip
    root, left_out = laid(as_folder(layout(LOW, special), tmp_path / "x"))
    assert left_out.said() == (
        "1 block devices are left out: /disk",
        "1 character devices are left out: /null",
        "1 pipes are left out: /etc/a",
        "5 programs lose their set-user or set-group bit: /su0, /su1, /su2 and others",
    )
    # A device takes the place of what was there, too.
    assert "etc/a" not in tree(root)


def test_attributes_are_said(tmp_path: Path) -> None:
    item = tarfile.TarInfo("bin/ping")
    item.pax_headers = {"SCHILY.xattr.security.capability": "\x01"}
    path = tmp_path / "layer.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(item)
    _, left_out = laid(as_folder(layout(path.read_bytes()), tmp_path / "x"))
    assert left_out.said() == ("1 files lose their extended attributes: /bin/ping",)


@pytest.mark.parametrize("how", ["gzip", "zstd", "plain"])
def test_a_blob_with_other_bytes(how: str, tmp_path: Path) -> None:
    """The digest is what is said, even where the bytes are no archive any more."""
    files = layout(LOW, how=how)
    name = f"blobs/sha256/{digest(packed(LOW, how))[7:]}"
    for at in (0, len(files[name]) // 2, len(files[name]) - 1):
        data = bytearray(files[name])
        data[at] ^= 1
        place = as_folder(files | {name: bytes(data)}, tmp_path / f"x{at}")
        with pytest.raises(
            Malformed, match=f"is sha256:[0-9a-f]{{64}}, and the manifest says {name[13:]}"
        ):
            laid(place)


def test_an_archive_with_another_content_than_the_configuration_says(tmp_path: Path) -> None:
    rootfs = {"type": "layers", "diff_ids": [digest(b"another")]}
    with pytest.raises(Malformed, match="unpacks to sha256:"):
        laid(as_folder(layout(LOW, rootfs=rootfs), tmp_path / "x"))
    with pytest.raises(Malformed, match="unpacks to sha256:"):
        laid(as_tar(docker_save(LOW, rootfs=rootfs), tmp_path / "y"))


def test_a_bomb_in_several_layers(tmp_path: Path) -> None:
    layers = [tar(member(f"{n}", bytes(400_000))) for n in range(3)]
    with oci_files.opened(as_folder(layout(*layers), tmp_path / "x")) as files:
        image = oci.image(files, name="x")
        with pytest.raises(Malformed, match="unpacks to more"):
            lay(image, name="x", budget=Budget(1_000_000))
        lay(image, name="x", budget=Budget(1_400_000))


def test_every_form_gives_the_same(tmp_path: Path) -> None:
    """Forms of saving, of packing, of dating: none of it is content."""
    upper = tar(member("etc/.wh.a"), program("run.sh"))
    dated = tar(member("etc/.wh.a", mtime=7), program("run.sh", uid=5, gid=6, mtime=9, mode=0o711))
    whole = tar(
        program("run.sh"), member("usr/lib/x", b"low"), link("lib", "usr/lib"),
        member("etc/deep/c", b"low"), member("etc/b", b"low"),
    )  # fmt: skip
    places = [
        *(
            as_folder(layout(LOW, upper, how=how), tmp_path / how)
            for how in ("gzip", "zstd", "plain")
        ),
        as_tar(layout(LOW, upper), tmp_path / "1"),
        as_tar(docker_save(LOW, upper), tmp_path / "2"),
        as_tar(docker_save_with_index(LOW, upper), tmp_path / "3"),
        as_folder(docker_save(LOW, upper), tmp_path / "4"),
        as_folder(layout(LOW, dated), tmp_path / "5"),
        as_folder(layout(whole), tmp_path / "6"),
        as_folder(layout(LOW, tar(), upper, upper), tmp_path / "7"),
    ]
    first, *others = (sorted(laid(p)[0].entries(), key=lambda e: e.path) for p in places)
    for other in others:
        assert other == first


PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)


@st.composite
def changes(draw: Any) -> tuple[dict[str, bytes | None], set[str], set[str]]:
    """One layer: what it holds (None for a folder), what it hides, and what it hides the inside of."""
    holds: dict[str, bytes | None] = {}
    for path in draw(st.lists(PATHS, max_size=6)):
        parts = path.split("/")
        above = ["/".join(parts[:n]) for n in range(1, len(parts))]
        if path in holds or any(holds.get(p) is not None for p in above):
            continue
        holds |= dict.fromkeys(above)
        holds[path] = draw(st.sampled_from([b"", b"1", b"2"]))
    return holds, set(draw(st.lists(PATHS, max_size=3))), set(draw(st.lists(PATHS, max_size=2)))


def model(layers: list[Any]) -> dict[str, bytes | None]:
    """The specification's words on a flat list of names."""
    state: dict[str, bytes | None] = {}

    def gone(path: str, *, itself: bool) -> None:
        for name in tuple(state):
            if name.startswith(f"{path}/") or (itself and name == path):
                del state[name]

    for holds, hidden, opaque in layers:
        for path in hidden:
            gone(path, itself=True)
        for path in opaque:
            gone(path, itself=False)
        for path, value in holds.items():
            if value is not None or state.get(path) is not None:
                gone(path, itself=True)
            state[path] = value
    return state


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(layers=st.lists(changes(), min_size=1, max_size=4), seed=st.integers(0, 1000))
def test_layers_as_the_specification_has_them(layers, seed: int, tmp_path: Path) -> None:
    archives = []
    source = random.Random(seed)
    for holds, hidden, opaque in layers:
        items = [
            folder(path) if value is None else member(path, value)
            for path, value in sorted(holds.items())
        ]
        for path in hidden:
            parent, _, name = path.rpartition("/")
            items.insert(source.randrange(len(items) + 1), member(f"{parent}/.wh.{name}"))
        for path in opaque:
            items.insert(source.randrange(len(items) + 1), member(f"{path}/.wh..wh..opq"))
        archives.append(tar(*items))
    place = as_tar(docker_save(*archives), tmp_path / "x.tar")
    assert tree(laid(place)[0]) == model(layers)
