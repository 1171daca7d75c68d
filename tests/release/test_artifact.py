"""What a wheel and the hardware kernel are made from, as statements and bills of materials say it."""

import copy
import json
import platform
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.image import backend

from troth.errors import Malformed, Misuse
from troth.image.checkout import Source
from troth.image.hardware import inputs as pinned
from troth.image.store import digest
from troth.release import artifact, artifact_provenance, artifact_sbom, provenance
from troth.release.artifact import Artifact
from troth.wire import json as strict

BUILDER = "https://example.com/ci"
SOURCE = Source(git="https://git.example/thing.git", commit="0f" * 20, path=".")
KERNEL = b"a kernel"
ABOUT = "thing-1.0.dist-info"
SAID = b"Metadata-Version: 2.4\nName: Thing\nVersion: 1.0\nRequires-Dist: other>=2\n"


def wheel(said: bytes = SAID, *, name: str = backend.WHEEL, folder: Path) -> Artifact:
    source = folder / "source"
    if not source.exists():
        backend.source(source, "ab" * 32)
    data = backend.wheel({"thing.py": b"", f"{ABOUT}/METADATA": said})
    return artifact.wheel(data, name=name, source=SOURCE, folder=source)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Artifact:
    lock = pinned.inputs()
    other = replace(lock, kernel=replace(lock.kernel, sha256=digest(KERNEL)))
    monkeypatch.setattr(artifact, "inputs", lambda: other)
    return artifact.kernel(KERNEL)


def problems(statement: Any, made: Artifact | None, of: Artifact) -> tuple[str, ...]:
    asked = {"name": of.name, "sha256": of.sha256, "kind": of.kind}
    return artifact_provenance.problems(statement, made=made, **asked)


def test_what_is_said_of_a_wheel(tmp_path: Path) -> None:
    made = wheel(folder=tmp_path)
    said = artifact_provenance.statement(made, builder=BUILDER)
    assert said["subject"] == [{"name": backend.WHEEL, "digest": {"sha256": made.sha256}}]
    build = said["predicate"]["buildDefinition"]
    assert build["externalParameters"]["source"]["commit"] == SOURCE.commit
    assert build["resolvedDependencies"] == [
        {
            "name": "source",
            "uri": f"git+{SOURCE.git}",
            "digest": {"gitCommit": SOURCE.commit},
        },
        {
            "name": "builder: wheel tiny-backend",
            "uri": "pkg:pypi/tiny-backend@1.0",
            "digest": {"sha256": "ab" * 32},
        },
    ]
    assert artifact_provenance.source(said) == {
        "git": SOURCE.git,
        "commit": SOURCE.commit,
        "path": ".",
    }
    assert provenance.parse(strict.canonical(said)) == said
    assert problems(said, made, made) == problems(said, None, made) == ()


def test_what_is_said_of_the_kernel(kernel: Artifact) -> None:
    lock = pinned.inputs()
    said = artifact_provenance.statement(kernel, builder=BUILDER)
    build = said["predicate"]["buildDefinition"]
    uris = [one["uri"] for one in build["resolvedDependencies"]]
    assert uris[0] == f"pkg:deb/debian/{lock.source.name}@{lock.source.version}"
    assert len(uris) == 1 + len(lock.toolchain)
    assert all(len(one["digest"]["sha256"]) == 64 for one in build["resolvedDependencies"])
    byproducts = said["predicate"]["runDetails"]["byproducts"]
    assert byproducts == [
        {"name": "configuration", "digest": {"sha256": lock.kernel.config_sha256}}
    ]
    assert artifact_provenance.source(said) == {}
    assert problems(said, kernel, kernel) == ()
    with pytest.raises(Misuse, match="not the hardware kernel"):
        artifact.kernel(b"another one")


def test_a_statement_is_the_same_on_every_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = wheel(folder=tmp_path)
    more = f'only-there==1.0 ; platform_machine == "aarch64" --hash=sha256:{"cd" * 32}\n'
    with (tmp_path / "source" / "requirements" / "build.txt").open("a") as file:
        file.write(more)
    there = []
    for machine in ("x86_64", "aarch64"):
        monkeypatch.setattr(platform, "machine", lambda machine=machine: machine)
        there.append(wheel(folder=tmp_path))
    assert there[0] == there[1]
    assert there[0].inputs == here.inputs


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))


@pytest.mark.parametrize("kind", ["wheel", "kernel"])
def test_every_member_counts(kind: str, kernel: Artifact, tmp_path: Path) -> None:
    made = kernel if kind == "kernel" else wheel(folder=tmp_path)
    said = artifact_provenance.statement(made, builder=BUILDER)
    for path in places(said):
        if path in (("_type",), ("predicateType",), ("subject",), ("predicate",)):
            continue  # `provenance.parse` asks for these
        for change in ("gone", "more", "other"):
            bad = copy.deepcopy(said)
            inner: Any = bad
            for key in path[:-1]:
                inner = inner[key]
            if change == "gone":
                del inner[path[-1]]
            elif change == "more" and isinstance(inner, dict):
                inner["more"] = True
            elif change == "other":
                inner[path[-1]] = {"another": 1}
            if bad != said and path != ("predicate", "runDetails", "builder", "id"):
                assert problems(bad, made, made), (path, change)


def test_another_kind_and_another_builder(kernel: Artifact, tmp_path: Path) -> None:
    made = wheel(folder=tmp_path)
    said = artifact_provenance.statement(made, builder=BUILDER)
    kind = {"name": made.name, "sha256": made.sha256, "made": None}
    assert artifact_provenance.problems(said, kind="kernel", **kind)
    assert artifact_provenance.problems(said, kind="wheel", builder="urn:x", **kind)
    assert artifact_provenance.problems(said, kind="wheel", builder=BUILDER, **kind) == ()
    assert problems(said, kernel, made)
    with pytest.raises(Misuse, match="no URI"):
        artifact_provenance.statement(made, builder="me")


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (SAID.replace(b"Thing", b"Other"), backend.WHEEL),
        (SAID.replace(b"1.0", b"1.1"), backend.WHEEL),
        (SAID, "thing-1.1-py3-none-any.whl"),
        (SAID + b"Name: other\n", backend.WHEEL),
        (SAID.replace(b"Thing", b"Th\xffing"), backend.WHEEL),
        (SAID + b"Requires-Dist: a\n b\n", backend.WHEEL),
        (b"", backend.WHEEL),
    ],
)
def test_wheels_that_are_others_by_what_they_say(said: bytes, name: str, tmp_path: Path) -> None:
    with pytest.raises(Malformed):
        wheel(said, name=name, folder=tmp_path)


def test_bills_of_materials(kernel: Artifact, tmp_path: Path) -> None:
    for made in (kernel, wheel(folder=tmp_path)):
        data = artifact_sbom.write(made)
        assert data == artifact_sbom.write(made)
        said = json.loads(data)
        assert "timestamp" not in said["metadata"]
        assert said["metadata"]["component"]["hashes"][0]["content"] == made.sha256
        assert len(said["components"]) == len(made.inputs) + len(made.needs)
    several = replace(made, inputs=(replace(made.inputs[0], sha256=("01" * 32, "02" * 32)),))
    parts = json.loads(artifact_sbom.write(several))["components"]
    first = next(one for one in parts if one["name"] == "tiny-backend")
    assert "hashes" not in first
    values = [one["value"] for one in first["properties"] if "one-of" in one["name"]]
    assert values == ["01" * 32, "02" * 32]
