"""`troth release sbom`, `licences` and `audit`, on an image that is made on the spot."""

import json
from pathlib import Path

import pytest
from tests.image.made import lock
from tests.release.supplied import DEBS, Desk, desk, record, sha
from tests.release.test_osv import advisory, put

from troth.cli.main import run
from troth.image import recipe, store
from troth.wire import json as strict

SAMPLE = Path(__file__).parents[1] / "data" / "app"
Says = pytest.CaptureFixture[str]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    found = desk(tmp_path)
    # The user's own store, where what was locked is found again.
    cache = tmp_path / "cache" / "troth" / "store"
    cache.mkdir(parents=True)
    (tmp_path / "store").rename(cache / "sha256")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert store.Store.of_user().folder == cache / "sha256"
    return found


@pytest.fixture
def says(capsys: Says) -> Says:
    return capsys


def affected(name: str, *, ecosystem: str = "PyPI", fixed: str = "99") -> dict[str, object]:
    events = [{"introduced": "0"}, {"fixed": fixed}]
    return {
        "package": {"ecosystem": ecosystem, "name": name},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
    }


def test_a_bill_of_materials(made: Desk, says: Says) -> None:
    assert run(["release", "sbom", made.path("app.eif"), "-o", made.path("app.cdx.json")]) == 0
    assert "9 parts, and 6 found inside" in says.readouterr().err
    data = (made.folder / "app.cdx.json").read_bytes()
    assert run(["release", "sbom", made.path("app.eif")]) == 0
    assert says.readouterr().out.encode() == data
    assert run(["release", "sbom", made.path("app.eif"), "-o", made.path("app.cdx.json")]) == 2


def test_of_a_record_alone(made: Desk, says: Says) -> None:
    assert run(["release", "sbom", made.path("app.build.json")]) == 0
    said = says.readouterr()
    assert "the image is not at hand" in said.err
    assert json.loads(said.out)["metadata"]["component"]["name"] == "app"


def test_without_a_record_there_are_no_parts(made: Desk, says: Says) -> None:
    (made.folder / "app.build.json").unlink()
    for command in (["sbom"], ["licences"], ["audit", "--osv", made.path("app.eif")]):
        assert run(["release", command[0], made.path("app.eif"), *command[1:]]) == 2
        assert "has no build record" in says.readouterr().err
    made.put("app.build.json", b"{}")
    assert run(["release", "sbom", made.path("app.eif")]) == 3


def test_licences(made: Desk, says: Says) -> None:
    assert run(["release", "licences", made.path("app.eif")]) == 0
    lines = says.readouterr().out.splitlines()
    at = lines.index("deb libc6 2.41-12: GPL-2; LGPL-2.1+")
    assert lines[at + 1] == "    source: glibc 2.41-12"
    at = lines.index("deb python3.13-minimal 3.13.5-2: not stated")
    assert lines[at + 1] == "    source: python3.13 3.13.5-2"
    assert "wheel pure-thing 1.2: MIT License" in lines
    assert run(["release", "licences", made.path("app.eif"), "--json"]) == 0
    rows = {row["part"]: row for row in json.loads(says.readouterr().out)["licences"]}
    assert rows["deb libc6"]["copyleft"] is True
    assert rows["deb linux-image-6"]["built_using"] == ["linux 6.12-1"]
    assert rows["wheel crypto"]["source"] == ""


def test_packages_that_travel_with_the_app(made: Desk, says: Says) -> None:
    """Under their own names, as the record's lock has them; here there is none, and digests are the names."""
    cache = made.folder / "cache" / "troth" / "store" / "sha256"
    cache.rename(made.folder / "packages")
    cache.mkdir()
    assert run(["release", "licences", made.path("app.eif")]) == 0
    assert "deb libc6 2.41-12: not at hand" in says.readouterr().out
    assert (
        run(["release", "licences", made.path("app.eif"), "--packages", made.path("packages")]) == 0
    )
    assert "deb libc6 2.41-12: GPL-2; LGPL-2.1+" in says.readouterr().out


def test_packages_under_the_names_that_the_records_lock_gives(made: Desk, says: Says) -> None:
    cache = made.folder / "cache" / "troth" / "store" / "sha256"
    (made.folder / "packages").mkdir()
    digest = sha(DEBS["libc6"])
    (cache / digest).rename(made.folder / "packages" / f"{digest}.deb")
    text = lock(recipe.load(SAMPLE), deb=DEBS["libc6"]).to_json().decode()
    argv = ["release", "licences", made.path("app.eif"), "--packages", made.path("packages")]
    for said, known in (
        ("nonsense", "not at hand"),
        (1, "not at hand"),
        (text, "GPL-2; LGPL-2.1+"),
    ):
        made.put("app.build.json", strict.canonical(record() | {"lock": said}))
        assert run(argv) == 0
        assert f"deb libc6 2.41-12: {known}" in says.readouterr().out
    (made.folder / "packages" / f"{digest}.deb").write_bytes(b"another")
    assert run(argv) == 3


def test_an_audit(made: Desk, says: Says) -> None:
    path = str(
        put(
            made.folder,
            advisory("PYSEC-1", aliases=["CVE-2026-1"], affected=[affected("pure-thing")]),
            advisory("DSA-1", affected=[affected("other", ecosystem="Debian:13")]),
        )
    )
    argv = ["release", "audit", made.path("app.eif"), "--osv", path]
    assert run(argv) == 1
    shown = says.readouterr().out
    assert "affected     wheel pure-thing 1.2: PYSEC-1 (CVE-2026-1)" in shown
    assert "the newest of 2026-01-02T03:04:05Z" in shown
    assert "clean" not in shown
    assert run([*argv, "--json"]) == 1
    found = json.loads(says.readouterr().out)
    assert found["database"]["ecosystems"] == {"Debian:13": 1, "PyPI": 1}
    assert found["exit"] == 1
    assert {row["state"] for row in found["parts"]} == {
        "affected",
        "not affected by what this file holds",
        "not audited",
    }


def test_what_was_not_audited_must_be_named(made: Desk, says: Says) -> None:
    path = str(
        put(
            made.folder,
            advisory("PYSEC-1", affected=[affected("other")]),
            advisory("DSA-1", affected=[affected("other", ecosystem="Debian:13")]),
        )
    )
    argv = ["release", "audit", made.path("app.eif"), "--osv", path]
    assert run(argv) == 4
    assert "not audited  inside openssl" in says.readouterr().out
    named: list[str] = []
    for name in ("app", "troth", "crypto/*", "app/*"):
        assert run([*argv, *named]) == 4
        named += ["--allow-unaudited", name]
    says.readouterr()
    assert run([*argv, *named]) == 0
    assert "of which 8 are allowed" in says.readouterr().out
    # Of what is not at hand nobody knows what is inside.
    argv[2] = made.path("app.build.json")
    assert run([*argv, *named[:-2]]) == 4
    assert run([*argv, *named]) == 0


def test_a_database_that_is_none(made: Desk, says: Says) -> None:
    for data, code in ((b"", 3), (b"{}", 3), (b"PK\3\4", 3), (b"[]", 2)):
        path = made.put("db.json", data)
        assert run(["release", "audit", made.path("app.eif"), "--osv", path]) == code
        assert says.readouterr().out == ""
    assert run(["release", "audit", made.path("app.eif"), "--osv", made.path("absent")]) == 5


def test_hostile_names_do_not_reach_the_terminal(made: Desk, says: Says) -> None:
    value = record()
    value["app"][0]["path"] = "/app/\x1b[2J"
    made.put("app.build.json", strict.canonical(value))
    assert run(["release", "licences", made.path("app.build.json")]) == 0
    assert "\x1b" not in says.readouterr().out
