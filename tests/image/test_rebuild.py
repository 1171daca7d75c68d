"""Built again: equal is said only of equal bytes and true records; a planted difference is named."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.image import planted
from tests.image.conftest import Sample
from tests.platforms.nitro.signer import identity, signature, with_section

from troth.errors import Malformed, Unavailable
from troth.image import build as builder
from troth.image import check, compare, owners, rebuild, stated
from troth.image import lock as locks
from troth.image.build import Built
from troth.image.compare import Difference
from troth.image.explain import causes, explain
from troth.image.rebuild import Rebuilt
from troth.image.stated import Stated
from troth.image.store import Store, digest
from troth.wire import cpio, eif, ramdisk
from troth.wire.json import canonical

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def again(sample: Sample) -> Rebuilt:
    return rebuild.build(sample.folder, store=sample.store)


def record(built: Built, **changes: object) -> Stated:
    return stated.read(canonical({**built.record, **changes}), field="record")


def test_equal_to_image_and_record(
    sample: Sample, built: Built, again: Rebuilt, tmp_path: Path
) -> None:
    assert rebuild.of_image(eif.pack(built.image), again) == (None, False)
    said = record(built)
    assert list(rebuild.of_source(sample.folder, said)) == []
    assert list(rebuild.of_record(said, again)) == []
    assert again.nitro == built.measurements["nitro"]
    again.keep(tmp_path / "kept.eif")
    names = {"kept.eif", "kept.measurements.json", "kept.build.json"}
    assert {p.name for p in tmp_path.iterdir()} == names
    assert digest((tmp_path / "kept.eif").read_bytes()) == built.sha256


@pytest.mark.parametrize("alone", [(), ("true",)])
def test_a_network_that_stays_is_told(
    sample: Sample, alone: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*_: object, **__: object) -> None:
        raise Unavailable("enough")

    said: list[str] = []
    monkeypatch.setattr(rebuild, "apart", lambda: alone)
    monkeypatch.setattr(check, "start", start)
    with pytest.raises(Unavailable, match="enough"):
        rebuild.build(sample.folder, store=sample.store, say=said.append)
    assert any("take the network away" in line for line in said) == (not alone)


def test_the_record_carries_recipe_and_lock(sample: Sample, built: Built) -> None:
    said = record(built)
    assert said.recipe.encode() == (sample.folder / "troth.toml").read_bytes()
    assert said.lock.encode() == (sample.folder / "troth.lock").read_bytes()


def test_a_signature_is_taken_off_and_nothing_else(built: Built, again: Rebuilt) -> None:
    signed = with_section(built.image, signature(built.image, identity()))
    assert rebuild.of_image(eif.pack(signed), again) == (None, True)
    found, taken = rebuild.of_image(eif.pack(replace(signed, default_memory=1 << 30)), again)
    assert taken
    assert found is not None
    assert [d.path for d in found.differences] == ["default_mem"]


def test_a_record_that_lies(built: Built, again: Rebuilt) -> None:
    """The image is equal; what is said of it is not."""
    packages = [dict(p) for p in built.record["packages"]]
    packages[0]["source_version"] = "0"
    nitro = {**built.record["nitro"], "pcr1": "1" * 96}
    said = record(built, packages=packages, nitro=nitro, audited="by nobody")
    found = {d.path: d for d in rebuild.of_record(said, again)}
    name = packages[0]["name"]
    assert set(found) == {f"packages.{name}.source_version", "nitro.pcr1", "audited"}
    assert found["audited"].second is None
    where = {"git": "https://example.org/x", "commit": "1" * 40, "path": "."}
    assert list(rebuild.of_record(record(built, source=where), again)) == []


def test_a_record_in_another_form(built: Built, again: Rebuilt) -> None:
    """What a person reads the same way is not the same record."""
    packages = list(built.record["packages"])
    as_object = {p["name"]: p for p in packages}
    for other in (packages[::-1], as_object):
        assert [d.what for d in rebuild.of_record(record(built, packages=other), again)] == [
            "order"
        ]


def test_a_record_that_is_nested_deep(built: Built, again: Rebuilt) -> None:
    """It is told of, or refused; at no depth does anything else come of it."""
    plain = canonical({**built.record, "audited": "HERE"})
    came = []
    for depth in (10, *range(100, 1000, 50), 100_000):
        deep = plain.replace(b'"HERE"', b'{"a":' * depth + b"1" + b"}" * depth)
        try:
            found = list(rebuild.of_record(stated.read(deep, field="record"), again))
        except Malformed:
            came.append("refused")
        else:
            assert [d.path for d in found] == ["audited"]
            came.append("told")
    assert (came[0], came[-1]) == ("told", "refused")
    assert came == sorted(came, reverse=True)


def test_a_source_that_is_not_the_records(sample: Sample, built: Built, tmp_path: Path) -> None:
    folder = tmp_path / "app"
    check.copy_app(sample.folder, folder, reverse=False)
    main = folder / "app" / "main.py"
    main.write_bytes(main.read_bytes() + b"#")
    (folder / "app" / "new.py").write_bytes(b"")
    (folder / "troth.toml").write_bytes((folder / "troth.toml").read_bytes() + b"cpus = 2\n")
    locked = locks.load(folder)
    first = replace(locked.debs[0], sha256="1" * 64)
    locks.save(folder, replace(locked, debs=(first, *locked.debs[1:])))
    (folder / "troth.toml").write_bytes(b"cpus = 2\n" + (sample.folder / "troth.toml").read_bytes())
    agent = {**built.record["tool"], "agent_sha256": "2" * 64}
    found = list(rebuild.of_source(folder, record(built, tool=agent)))
    assert [d.path for d in found] == [
        "troth.toml", f"troth.lock.debs.{first.name}.sha256", "/app/main.py", "/app/new.py",
        "troth's own part of the image",
    ]  # fmt: skip
    assert found[0].line is not None and found[0].line[0] == 1
    assert found[3].first is None


def test_what_is_no_image(again: Rebuilt) -> None:
    with pytest.raises(Malformed):
        rebuild.of_image(b"junk", again)


def planted_in(image: eif.Eif, kind: eif.Kind, change: Callable[[bytes], bytes]) -> bytes:
    """The image with its first section of a kind changed."""
    sections = list(image.sections)
    at = next(i for i, section in enumerate(sections) if section.kind is kind)
    sections[at] = eif.Section(kind=kind, pieces=(change(bytes(sections[at].data)),))
    return eif.pack(replace(image, sections=tuple(sections)))


def test_a_word_of_the_command_line(built: Built, again: Rebuilt) -> None:
    data = planted_in(built.image, eif.Kind.COMMAND_LINE, lambda line: line + b" debug")
    comparison, _ = rebuild.of_image(data, again)
    assert comparison is not None
    (found,) = comparison.differences
    assert explain(found).told == ("the word debug is only in the first",)
    assert explain(found).cause is causes.COMMAND_LINE


def test_a_time_in_a_ramdisk(built: Built, again: Rebuilt) -> None:
    def dated(data: bytes) -> bytes:
        archive = bytearray(ramdisk.plain(data))
        stamps = cpio.stamps(archive)
        at = stamps["usr/lib"].at + 46  # mtime, in hexadecimal
        archive[at : at + 8] = b"%08x" % 1700000000
        return ramdisk.padded([gzip.compress(archive, 1, mtime=0)])

    comparison, _ = rebuild.of_image(planted_in(built.image, eif.Kind.RAMDISK, dated), again)
    assert comparison is not None
    (found,) = comparison.differences
    assert (found.path, found.what) == ("/usr/lib", "time")
    assert (found.first, found.second) == ("2023-11-14 22:13:20Z", "none")
    assert explain(found).cause is causes.TIME


@pytest.fixture(scope="module")
def differs(
    sample: Sample, built: Built, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Difference]:
    """What differs in an image for which a wheel, a Debian package and a mode were tampered with."""
    folder = tmp_path_factory.mktemp("planted") / "app"
    check.copy_app(sample.folder, folder, reverse=False)
    store = Store(folder=tmp_path_factory.mktemp("store"), vendored=None)
    locked = locks.load(folder)
    for item in (*locked.all_debs, *locked.all_wheels):
        store.put(
            sample.store.get(sha256=item.sha256, name=item.file), sha256=item.sha256, name=item.file
        )
    lock = locked

    def other(item: locks.Deb | locks.Wheel, data: bytes) -> dict[str, object]:
        store.put(data, sha256=digest(data), name=item.file)
        return {"sha256": digest(data), "size": len(data)}

    deb = next(d for d in lock.debs if d.name == "libpython3.13-stdlib")
    data = planted.deb(
        store.get(sha256=deb.sha256, name=deb.file),
        "usr/lib/python3.13/hmac.py",
        lambda text: text.replace(b"def new(", b"def  new("),
    )
    debs = tuple(replace(d, **other(d, data)) if d is deb else d for d in lock.debs)
    wheel = next(w for w in lock.agent_wheels if w.name == "pyopenssl")
    data = planted.wheel(
        store.get(sha256=wheel.sha256, name=wheel.file),
        "OpenSSL/version.py",
        lambda text: text + b"# planted\n",
    )
    wheels = tuple(replace(w, **other(w, data)) if w is wheel else w for w in lock.agent_wheels)
    locks.save(folder, replace(lock, debs=debs, agent_wheels=wheels))
    (folder / "app" / "main.py").chmod(0o755)
    tampered = builder.build(folder, store=store)
    found = compare.compare(*(eif.read(eif.pack(x.image)) for x in (built, tampered)))
    assert found.left_out == 0
    said = json.loads(canonical(built.record))
    who = owners.of_record(said, sample.store, [d.path for d in found.differences])
    return {d.path: replace(d, section=who.get(d.path, "")) for d in found.differences}


def test_a_wheel(differs: dict[str, Difference]) -> None:
    place = "/usr/lib/troth/lib/OpenSSL"
    found = differs[f"{place}/version.py"]
    assert found.section.startswith("the wheel pyopenssl ")
    assert found.line is not None and found.line[2] == "# planted"
    assert (
        f"compiled from {place}/version.py"
        in differs[f"{place}/__pycache__/version.cpython-313.pyc"].section
    )
    (listed,) = (d for path, d in differs.items() if path.endswith(".dist-info/RECORD"))
    assert explain(listed).cause is causes.REPACKED


def test_a_debian_package(differs: dict[str, Difference]) -> None:
    found = differs["/usr/lib/python3.13/hmac.py"]
    assert found.section.startswith("the Debian package libpython3.13-stdlib ")
    assert found.line is not None and found.line[2].startswith("def  new(")
    assert explain(found, owner=found.section).cause is causes.PACKAGE


def test_a_mode_bit(differs: dict[str, Difference]) -> None:
    found = differs["/app/main.py"]
    assert (found.what, found.section) == ("mode", "the app")
    assert explain(found, owner=found.section).cause is causes.MODE


def test_nothing_else_differs(differs: dict[str, Difference]) -> None:
    names = {path.rpartition("/")[2] for path in differs}
    assert names == {
        "RECORD", "version.py", "version.cpython-313.pyc", "hmac.py", "hmac.cpython-313.pyc", "main.py"
    }  # fmt: skip
