"""The build record: which kernel, and which source each package is from."""

import pytest
from tests.image.conftest import Sample
from tests.image.hardware.stand_in import deb
from tests.image.made import ar, member, package, tar

from troth.errors import Malformed
from troth.image import build as builder
from troth.image import packages, record
from troth.image.build import Built
from troth.image.hardware.inputs import inputs
from troth.image.store import Store, digest


def control(text: str) -> bytes:
    """A package that says this of itself, and holds nothing."""
    said = tar(member("./control", text.encode()))
    return ar(("debian-binary", b"2.0\n"), ("control.tar", said), ("data.tar", tar()))


def said(store: Store, text: str) -> dict[str, object]:
    data = control(text)
    store.put(data, sha256=digest(data), name="x")
    (fields,) = packages.said([deb("libx", data)], store)
    return record._package(deb("libx", data), fields)


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(folder=tmp_path_factory.mktemp("store"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Package: libx\nVersion: 1\n", ("libx", "1", [])),
        ("Package: libx\nSource: xlib\n", ("xlib", "1", [])),
        ("Package: libx\nSource: xlib (2:1.0-3+b1)\n", ("xlib", "2:1.0-3+b1", [])),
        (
            "Source: signed (1)\nBuilt-Using: linux (= 6.12-1), b (= 2)\nStatic-Built-Using: a (= 3)\n",
            ("signed", "1", ["a 3", "b 2", "linux 6.12-1"]),
        ),
        ("Description: of\n several lines\n .\nSource: x (4)\n", ("x", "4", [])),
    ],
)
def test_what_a_package_says_it_is_from(
    store: Store, text: str, expected: tuple[str, str, list[str]]
) -> None:
    found = said(store, text)
    assert (found["source"], found["source_version"], found["built_using"]) == expected


@pytest.mark.parametrize(
    "text",
    ["Source: X y z\n", "Source: \x1b[31m\n", "Source: a\nSource: b\n", "no field\n", "Source:\n"],
)
def test_what_says_nothing_clear(store: Store, text: str) -> None:
    with pytest.raises(Malformed):
        said(store, text)


def test_a_package_without_a_control_file(store: Store) -> None:
    empty = ar(("control.tar", tar(member("./md5sums", b""))), ("data.tar", tar()))
    for data in (empty, package()):
        store.put(data, sha256=digest(data), name="x")
        with pytest.raises(Malformed):
            packages.said([deb("libx", data)], store)


@pytest.mark.network
def test_the_sources_of_an_image(built: Built) -> None:
    debs = {p["name"]: p for p in built.record["packages"] if p["kind"] == "deb"}
    assert debs["libc6"]["source"] == "glibc"
    assert debs["libpython3.13-stdlib"]["source"] == "python3.13"
    assert debs["libc6"]["files"] > 0
    kernel = built.record["kernel"]
    assert (kernel["kind"], kernel["asked"]) == ("debian", "debian")
    assert kernel["package"]["source"] == "linux-signed-amd64"
    assert kernel["package"]["built_using"] == [f"linux {kernel['package']['version']}"]
    assert kernel["sha256"] == digest(b"".join(built.image.kernel.pieces))


@pytest.mark.network
@pytest.mark.hardware_kernel
def test_the_hardware_kernel_in_the_place_of_debians(sample: Sample, built: Built) -> None:
    other = builder.build(sample.folder, store=sample.store, kernel="hardware")
    kernel, pinned = other.record["kernel"], inputs()
    assert (kernel["kind"], kernel["asked"]) == ("hardware", "debian")
    assert kernel["sha256"] == pinned.kernel.sha256
    assert kernel["version"] == pinned.kernel.version
    assert kernel["config_sha256"] == pinned.kernel.config_sha256
    assert kernel["toolchain_sha256"] == pinned.toolchain_sha256
    assert kernel["package"]["source"] == "linux"
    assert kernel["package"]["source_version"] == pinned.source.version
    assert other.record["packages"] == built.record["packages"]
    assert other.measurements["nitro"]["pcr1"] != built.measurements["nitro"]["pcr1"]
    assert other.measurements["nitro"]["pcr2"] == built.measurements["nitro"]["pcr2"]
    assert other.image.size <= 35 * 10**6
