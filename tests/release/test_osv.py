"""Databases of advisories: in which forms they are read, and what is refused."""

import errno
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from troth.errors import Malformed, Misuse, Unavailable
from troth.release import osv

SHORT = {"id": "A", "modified": "2026-01-02T03:04:05Z"}
WANTED = frozenset({("PyPI", "pure-thing"), ("Debian:13", "glibc")})


def advisory(identity: str = "A-1", **more: Any) -> dict[str, Any]:
    value = {
        "id": identity,
        "modified": "2026-01-02T03:04:05Z",
        "affected": [{"package": {"ecosystem": "PyPI", "name": "Pure_Thing"}, "versions": ["1.0"]}],
    }
    return value | more


def put(folder: Path, *records: Any, name: str = "db.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(records[0] if len(records) == 1 else list(records)))
    return path


def packed(folder: Path, files: dict[str, bytes]) -> Path:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    path = folder / "db.zip"
    path.write_bytes(out.getvalue())
    return path


def test_nothing_in_a_folder_is_passed_over_in_silence(tmp_path: Path) -> None:
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    put(folder, advisory(), name="a.JSON")
    put(outside, advisory("B-1"), name="b.json")
    (folder / "near.json").symlink_to("../outside/b.json")
    assert osv.read(folder, wanted=WANTED).records == 2
    (folder / "more").symlink_to("../outside")
    with pytest.raises(Misuse, match="more is a link to no file"):
        osv.read(folder, wanted=WANTED)
    (folder / "more").unlink()
    assert osv.read(packed(outside, {"C.JSON": json.dumps(advisory()).encode()}), wanted=WANTED)
    with pytest.raises(Malformed, match=r"holds 'deeper/all\.zip'"):
        osv.read(packed(outside, {"c.json": b"{}", "deeper/all.zip": b""}), wanted=WANTED)
    for name in ("all.zip", "all.json.GZ", "all.jsonl"):
        (folder / name).write_bytes(b"")
        with pytest.raises(Misuse, match=rf"{name} is of the kind \.\w+, and what it holds"):
            osv.read(folder, wanted=WANTED)
        (folder / name).unlink()


def test_a_folder_that_may_not_be_read_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, advisory(), name="a.json")
    closed = tmp_path / "closed"
    closed.mkdir()
    put(closed, advisory("B-1"), name="b.json")
    real = os.scandir

    def scandir(path: str | Path) -> Any:  # as it is for others than root, whom no mode stops
        if Path(path) == closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(Unavailable, match="permission denied"):
        osv.read(tmp_path, wanted=WANTED)


def test_one_record_a_list_a_folder_and_a_zip(tmp_path: Path) -> None:
    later = advisory("B-2", modified="2026-02-01T00:00:00.123Z", aliases=["CVE-1"])
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    put(tmp_path / "folder", advisory(), name="a.json")
    put(tmp_path / "folder" / "deep", later, name="b.json")
    (tmp_path / "folder" / "README").write_text("no record")
    forms = [
        put(tmp_path, advisory(), later),
        tmp_path / "folder",
        packed(tmp_path, {f"{i}.json": json.dumps(r).encode() for i, r in enumerate((advisory(), later))}),
    ]  # fmt: skip
    for form in forms:
        found = osv.read(form, wanted=WANTED)
        assert (found.records, found.modified) == (2, "2026-02-01T00:00:00Z")
        assert found.ecosystems == {"PyPI": 2}
        assert [one.id for one in found.advisories["PyPI", "pure-thing"]] == ["A-1", "B-2"]
        assert len(found.sha256) == 64
    assert len({osv.read(form, wanted=WANTED).sha256 for form in forms}) == 3
    assert osv.read(put(tmp_path, advisory()), wanted=WANTED).records == 1


def test_what_was_withdrawn_or_is_about_something_else_is_not_kept(tmp_path: Path) -> None:
    gone = advisory("B", withdrawn="2026-01-01T00:00:00Z")
    other = advisory("C", affected=[{"package": {"ecosystem": "Go", "name": "x"}}])
    commits = advisory("D", affected=[{"ranges": [{"type": "GIT", "events": []}]}])
    silent = advisory("E", affected=None, aliases=None)
    found = osv.read(put(tmp_path, gone, other, commits, silent), wanted=WANTED)
    assert found.records == 4
    assert found.ecosystems == {"Go": 1}
    assert found.advisories == {}


def test_null_withdraws_nothing(tmp_path: Path) -> None:
    found = osv.read(put(tmp_path, advisory(withdrawn=None)), wanted=WANTED)
    assert ("PyPI", "pure-thing") in found.advisories
    for odd in (True, "", "yes", 0):
        with pytest.raises(Malformed, match="withdrawn"):
            osv.read(put(tmp_path, advisory(withdrawn=odd)), wanted=WANTED)


def test_what_databases_add_to_records_may_hold_fractions(tmp_path: Path) -> None:
    found = osv.read(put(tmp_path, advisory(database_specific={"score": 7.5})), wanted=WANTED)
    assert found.records == 1


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ("x", "no record"),
        ({}, "without an id"),
        (advisory(""), "without an id"),
        (advisory("a b"), "without an id"),
        (advisory(modified="yesterday"), "when it was modified"),
        (advisory(modified=None), "when it was modified"),
        (advisory(affected={}), "no list"),
        (advisory(affected=[1]), "without a name"),
        (advisory(affected=[{"package": 1}]), "without a name"),
        (advisory(affected=[{"package": {"ecosystem": "PyPI"}}]), "without a name"),
        (advisory(aliases=[1]), "no text"),
    ],
)
def test_what_is_no_record(tmp_path: Path, record: Any, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        osv.read(put(tmp_path, record), wanted=WANTED)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"versions": "1.0"}, "no list"),
        ({"versions": [1]}, "no text"),
        ({"ranges": [{}]}, "without a type"),
        ({"ranges": [{"type": "ECOSYSTEM", "events": {}}]}, "no list"),
        ({"ranges": [{"type": "ECOSYSTEM", "events": [{}]}]}, "not one thing"),
        ({"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0", "fixed": "1"}]}]}, "one"),
        ({"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": 0}]}]}, "without a version"),
    ],
)
def test_what_is_no_range(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    package = {"package": {"ecosystem": "PyPI", "name": "x"}}
    with pytest.raises(Malformed, match=words):
        osv.read(put(tmp_path, advisory(affected=[package | change])), wanted=WANTED)


def test_the_same_record_twice(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="A-1 comes twice"):
        osv.read(put(tmp_path, advisory(), advisory()), wanted=WANTED)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b'{"id":1,"id":2}', b"\xff", b"[" * 100_000, b"1" * 10_000, b"null", b"PK\3\4"],
)
def test_what_is_no_json(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.json").write_bytes(data)
    with pytest.raises(Malformed):
        osv.read(tmp_path / "x.json", wanted=WANTED)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no such file"):
        osv.read(tmp_path / "absent", wanted=WANTED)
    with pytest.raises(Misuse, match="no record"):
        osv.read(tmp_path, wanted=WANTED)
    with pytest.raises(Misuse, match="no record"):
        osv.read(packed(tmp_path, {"README": b""}), wanted=WANTED)


def test_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path, {"a.json": bytes(osv.MAX_RECORD + 1)})
    assert path.stat().st_size < 100_000
    with pytest.raises(Malformed, match="holds more than"):
        osv.read(path, wanted=WANTED)
    monkeypatch.setattr(osv, "MAX_UNPACKED", 100)
    with pytest.raises(Malformed, match="holds more than"):
        osv.read(packed(tmp_path, {"a.json": bytes(60), "b.json": bytes(60)}), wanted=WANTED)
    monkeypatch.setattr(osv, "MAX_RECORD", 120)
    (tmp_path / "large.json").write_bytes(bytes(121))
    with pytest.raises(Malformed, match="larger than"):
        osv.read(tmp_path / "large.json", wanted=WANTED)
    monkeypatch.setattr(osv, "MAX_RECORDS", 1)
    with pytest.raises(Malformed, match="more than 1 records"):
        osv.read(put(tmp_path, *({**SHORT, "id": i} for i in "AB"), name="s.json"), wanted=WANTED)


def test_any_damage_of_a_zip_is_damage_or_another_database(tmp_path: Path) -> None:
    path = packed(tmp_path, {"a.json": json.dumps(advisory()).encode()})
    data = path.read_bytes()
    good = osv.read(path, wanted=WANTED)
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x41]) + data[place + 1 :])
        try:
            assert osv.read(path, wanted=WANTED).sha256 != good.sha256
        except (Malformed, Misuse):
            pass
        path.write_bytes(data[:place])
        with pytest.raises((Malformed, Misuse)):
            osv.read(path, wanted=WANTED)
