"""What can be seen of the parts, and what is said where they are not at hand."""

from pathlib import Path

import pytest
from tests.image.made import INFO, wheel
from tests.release.supplied import CRYPTO, DEBS, desk, image, record, sha
from tests.runtime.test_load import packed

from troth.errors import Malformed, Misuse
from troth.image import components, looking
from troth.image.components import Components, Part
from troth.image.store import Store


def known() -> Components:
    return components.of_record(record(), sha256="0" * 64)


def named(found: Components, name: str) -> Part:
    return next(part for part in found.parts if part.name == name)


def test_licences_and_what_is_inside(tmp_path: Path) -> None:
    found = looking.look(known(), store=desk(tmp_path).store, image=image())
    assert found.unseen == ()
    assert named(found, "libc6").licences == ("GPL-2", "LGPL-2.1+")
    assert named(found, "libgcc-s1").licences == ("GPL-2", "LGPL-2.1+")  # by a link
    assert named(found, "python3.13-minimal").licences == ()  # not stated
    assert named(found, "crypto").licences == ("Apache-2.0 OR BSD-3-Clause",)
    assert named(found, "pure-thing").licences == ("MIT License",)
    inside = [(p.name, p.version, p.within, p.purl) for p in found.parts if p.within]
    assert inside == [
        ("openssl", "3.4.0", "wheel crypto", "generic"),
        ("rust", "1.80.0", "wheel crypto", "generic"),
        ("openssl", "3.4.0", "wheel crypto", "generic"),
        ("serde", "1.0.1", "wheel crypto", "cargo"),
        ("go", "1.22.3", "file /app/program", "generic"),
        ("golang.org/x/net", "v0.1.0", "file /app/program", "golang"),
    ]


def test_what_is_not_at_hand_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for store in (None, Store(folder=tmp_path / "empty")):
        found = looking.look(known(), store=store, image=None)
        assert found.parts == known().parts
        said = {(one.about, one.what) for one in found.unseen}
        debs = {(name, "licences") for name in DEBS}
        assert said == debs | {
            (name, what) for name in ("crypto", "pure-thing") for what in ("licences", "inside")
        } | {("app", "inside")}


def test_the_image_is_looked_into_only_where_it_can_be(tmp_path: Path) -> None:
    store = desk(tmp_path).store
    found = looking.look(known(), store=store, image=packed((b"no archive",)))
    assert [one.about for one in found.unseen] == ["app"]
    rooted = record() | {"root": {"kind": "rootfs"}}
    brought = components.of_record(rooted, sha256="0" * 64)
    said = looking.look(brought, store=store, image=None).unseen
    assert [one.about for one in said] == ["app", "root"]
    said = looking.look(brought, store=store, image=image()).unseen
    assert [one.about for one in said] == ["root"]


def test_a_list_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    bad = wheel({f"{INFO}/sboms/a.json": b"{", f"{INFO}/METADATA": b""})
    value = record()
    value["packages"][3]["sha256"] = sha(bad)
    made = desk(tmp_path)
    made.put(f"store/{sha(bad)}", bad)
    found = looking.look(components.of_record(value, sha256=""), store=made.store, image=image())
    assert ["cannot be read" in one.words for one in found.unseen] == [True]
    assert (found.unseen[0].about, found.unseen[0].what) == ("crypto", "inside")


def test_files_of_the_app_that_the_record_gets_wrong(tmp_path: Path) -> None:
    store = desk(tmp_path).store
    for change, words in (
        ({"path": "/app/program", "sha256": "0" * 64}, "another file"),
        ({"path": "/app/absent", "sha256": "0" * 64}, "has no /app/absent"),
    ):
        parts = components.of_record(record() | {"app": [change]}, sha256="")
        with pytest.raises(Misuse, match=words):
            looking.look(parts, store=store, image=image())


def test_a_package_that_is_none(tmp_path: Path) -> None:
    value = record()
    value["packages"][0]["sha256"] = sha(CRYPTO)  # a wheel where a package of Debian's should be
    parts = components.of_record(value, sha256="")
    with pytest.raises(Malformed):
        looking.look(parts, store=desk(tmp_path).store, image=None)


def test_folders_of_documents_that_lead_in_a_circle() -> None:
    part = Part(kind="deb", name="a", version="1")
    docs: dict[str, tuple[str, tuple[str, ...] | None]] = {"a": ("b", None), "b": ("a", None)}
    assert looking._licensed(part, docs).licences is None
