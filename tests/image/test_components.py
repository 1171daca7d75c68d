"""The parts that a record names, and what is refused in a record."""

import copy
from typing import Any

import pytest
from tests.release.supplied import DEBS, record, sha

from troth.errors import Malformed
from troth.image import components
from troth.wire import json


def read(value: Any) -> dict[str, Any]:
    return components.read_record(json.canonical(value), field="app.build.json")


def test_every_input_is_a_part() -> None:
    found = components.of_record(read(record()), sha256="9" * 64)
    assert found.record == "9" * 64
    assert [(p.kind, p.name, p.role) for p in found.parts] == [
        ("deb", "libc6", "image"),
        ("deb", "libgcc-s1", "image"),
        ("deb", "python3.13-minimal", "interpreter"),
        ("wheel", "crypto", "image"),
        ("wheel", "pure-thing", "image"),
        ("deb", "linux-image-6", "kernel"),
        ("deb", "gcc", "builder"),
        ("agent", "troth", "image"),
        ("file", "/app/program", "image"),
    ]
    kernel = found.parts[5]
    assert (kernel.source, kernel.built_using) == ("linux-signed", ("linux 6.12-1",))
    assert found.parts[0].sha256 == sha(DEBS["libc6"])
    assert found.parts[0].licences is None


def test_of_the_hardware_kernel_the_source_is_named() -> None:
    value = record()
    package = {
        "name": "linux-source-6.12", "version": "6.12.118-1", "sha256": "7" * 64,
        "source": "linux", "source_version": "6.12.118-1", "built_using": [],
    }  # fmt: skip
    value["kernel"] |= {"kind": "hardware", "package": package, "version": "6.12.118-troth"}
    (kernel,) = (
        p for p in components.of_record(read(value), sha256="").parts if p.role == "kernel"
    )
    assert (kernel.kind, kernel.version, kernel.sha256) == ("kernel", "6.12.118-troth", "5" * 64)
    assert (kernel.source, kernel.source_version) == ("linux", "6.12.118-1")
    assert kernel.built_using == (f"linux-source-6.12 6.12.118-1 sha256:{'7' * 64}",)


def test_a_root_that_the_app_brings_is_a_part() -> None:
    value = record() | {"root": {"kind": "oci", "config": f"sha256:{'8' * 64}"}}
    (root,) = (p for p in components.of_record(read(value), sha256="").parts if p.kind == "root")
    assert (root.name, root.sha256) == ("oci", "8" * 64)


CHANGES: tuple[tuple[tuple[Any, ...], Any], ...] = (
    (("schema",), "troth/build/2"),
    (("recipe_sha256",), "x"),
    (("lock_sha256",), None),
    (("image",), []),
    (("image", "sha256"), "A" * 64),
    (("tool",), None),
    (("tool", "agent_sha256"), ""),
    (("tool", "version"), 1),
    (("nitro", "pcr0"), "00"),
    (("nitro",), []),
    (("suite",), None),
    (("packages",), {}),
    (("packages", 0), []),
    (("packages", 0, "name"), None),
    (("packages", 0, "version"), 1),
    (("packages", 0, "sha256"), "0"),
    (("packages", 0, "source"), []),
    (("packages", 0, "built_using"), "x"),
    (("packages", 0, "built_using"), [1]),
    (("kernel",), None),
    (("kernel", "package"), None),
    (("builder",), {}),
    (("app",), None),
    (("app", 0), "x"),
    (("app", 0, "path"), "relative"),
    (("app", 0, "sha256"), "x"),
    (("archive_keys",), 1),
    (("root",), []),
)


@pytest.mark.parametrize(("path", "value"), CHANGES)
def test_what_is_no_record(path: tuple[Any, ...], value: Any) -> None:
    bad: Any = copy.deepcopy(record()) | ({"root": {}} if path == ("root",) else {})
    holder = bad
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    with pytest.raises(Malformed):
        read(bad)
    del holder[path[-1]]
    if path not in (("builder",), ("root",)) and path[-1] not in ("source", "built_using", 0):
        with pytest.raises(Malformed):
            read(bad)


def test_bytes_that_are_none() -> None:
    data = json.canonical(record())
    for bad in (b"", b"[]", b"null", data[:-1], data + b"x"):
        with pytest.raises(Malformed):
            components.read_record(bad, field="x")
