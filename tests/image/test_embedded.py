"""Libraries inside files, by what they leave there; and lists that makers of wheels put in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.image.made import library
from tests.release.supplied import LIST, PROGRAM

from troth.errors import Malformed
from troth.image import embedded
from troth.image.embedded import Inside
from troth.wire import json

ELF = library()


@pytest.mark.parametrize(
    ("text", "name", "version"),
    [
        (b"OpenSSL 3.4.0 22 Oct 2024", "openssl", "3.4.0"),
        (b"OpenSSL 1.1.1w  11 Sep 2023", "openssl", "1.1.1w"),
        (b"OpenSSL 3.6.0-beta1 16 Sep 2025", "openssl", "3.6.0-beta1"),
        (b"LibreSSL 3.9.2", "libressl", "3.9.2"),
        (b"\0BoringSSL\0", "boringssl", ""),
        (b"\0OpenSSL 1.1.1 (compatible; BoringSSL)\0", "boringssl", ""),
        (b"AWS-LC 1.30.1", "aws-lc", "1.30.1"),
        (b" deflate 1.3.1 Copyright 1995-2024", "zlib", "1.3.1"),
        (b"\x001.0.8, 13-Jul-2019\0", "bzip2", "1.0.8"),
        (b"expat_2.6.4\0", "expat", "2.6.4"),
        (b"\x002024-08-13 09:16:08 " + b"c" * 64 + b"\0", "sqlite", ""),
        (b"libcurl/8.9.1", "curl", "8.9.1"),
        (b"libpng version 1.6.43", "libpng", "1.6.43"),
        (b"rustc version 1.80.0 (0 2024)", "rust", "1.80.0"),
    ],
)
def test_traces(text: bytes, name: str, version: str) -> None:
    assert embedded.scan(ELF + text) == (Inside(name=name, version=version),)
    assert embedded.scan(text) == ()  # no ELF file, such as a README


def test_what_is_no_trace() -> None:
    for text in (
        b"needs OpenSSL 3.4.0 or newer",
        b"CRYPTOGRAPHY_IS_BORINGSSL",
        b"OpenSSL 3's legacy provider",
        b"go1.22",
        b"\ndep\tx\tv1\t",
    ):
        assert embedded.scan(ELF + text) == ()


def test_a_program_in_go_names_its_modules() -> None:
    assert embedded.scan(PROGRAM) == (
        Inside(name="go", version="1.22.3"),
        Inside(name="golang.org/x/net", version="v0.1.0", kind="golang"),
    )


def test_a_file_that_wants_to_be_long() -> None:
    many = b"".join(b"libcurl/1.2.%d " % i for i in range(embedded.MAX_FOUND + 50))
    assert len(embedded.scan(ELF + many)) == embedded.MAX_FOUND


def test_a_list_of_parts() -> None:
    assert embedded.is_list("a-1.dist-info/sboms/x.json")
    assert not embedded.is_list("a-1.dist-info/x.json") and not embedded.is_list("sboms/x.json")
    assert embedded.listed(json.canonical(LIST), name="x") == (
        Inside(name="openssl", version="3.4.0", sha256="ab" * 32, licences=("Apache-2.0",)),
        Inside(name="serde", version="1.0.1", kind="cargo"),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"bomFormat": "SPDX"},
        {"components": {}},
        {"components": [1]},
        {"components": [{}]},
        {"components": [{"name": "a\nb"}]},
        {"components": [{"name": "a", "version": 1}]},
        {"components": [{"name": "a", "version": "\x1b[2J"}]},
    ],
)
def test_what_is_no_list(change: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        embedded.listed(json.canonical(LIST | change), name="x")


def test_parts_that_hold_parts() -> None:
    inner = {"name": "deep", "version": "1", "purl": "pkg:pypi/deep@1"}
    outer = {
        "name": "bundle",
        "version": "2",
        "components": [{"name": "mid", "components": [inner]}],
    }
    found = embedded.listed(json.canonical(LIST | {"components": [outer]}), name="x")
    assert [(one.name, one.kind) for one in found] == [
        ("bundle", "generic"),
        ("deep", "pypi"),
        ("mid", "generic"),
    ]
    for wrong in ({"components": 1}, {"components": [1]}):
        with pytest.raises(Malformed):
            embedded.listed(json.canonical(LIST | {"components": [outer | wrong]}), name="x")


@pytest.mark.parametrize(
    ("purl", "kind"),
    [
        ("pkg:pypi/some-thing@1.0", "pypi"),
        ("pkg:pypi/Some.Thing", "pypi"),
        ("pkg:pypi/another@1.0", "generic"),
        ("pkg:pypi/some-thing@0.9", "generic"),
        ("pkg:pypi/some-thing@1.0?x=y#z", "pypi"),
        ("pkg:cargo/another@2", "cargo"),
    ],
)
def test_a_part_with_two_names_is_not_asked_for_by_one(purl: str, kind: str) -> None:
    part = {"name": "some_thing", "version": "1.0", "purl": purl}
    (found,) = embedded.listed(json.canonical(LIST | {"components": [part]}), name="x")
    assert found.kind == kind


def test_a_list_in_another_form_is_not_passed_over() -> None:
    for name in ("list.json", "list.cdx.xml", "list.spdx", "deeper/list.json"):
        assert embedded.is_list(f"x-1.dist-info/sboms/{name}")
    assert not embedded.is_list("x/sboms/list.json")
    with pytest.raises(Malformed):
        embedded.listed(b"<bom/>", name="x")


def test_odd_members_of_a_component_are_not_read() -> None:
    odd = {"name": "a", "purl": 7, "hashes": [1, {"alg": "SHA-256", "content": "x"}],
           "licenses": [1, {"license": 2}, {"license": {"id": [1]}}, {"expression": "MIT"}]}  # fmt: skip
    found = embedded.listed(
        json.canonical({"bomFormat": "CycloneDX", "components": [odd]}), name="x"
    )
    assert found == (Inside(name="a", version="", licences=("MIT",)),)


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    assert isinstance(embedded.scan(b"\x7fELF" + data), tuple)
    with pytest.raises(Malformed):
        embedded.listed(data, name="x")
