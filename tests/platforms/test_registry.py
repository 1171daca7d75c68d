"""The registry: every platform is whole, and evidence is told apart by its first bytes alone."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.nitro.forge import document

from troth.errors import Malformed
from troth.model.codes import TABLE
from troth.model.roots import RootClass
from troth.platforms import PLATFORMS, detect


def test_each_platform_is_whole() -> None:
    assert len({platform.name for platform in PLATFORMS}) == len(PLATFORMS)
    for platform in PLATFORMS:
        assert platform.name.isidentifier()
        assert platform.title
        assert platform.required
        assert set(platform.required) <= set(TABLE.values())
        for root in platform.roots():
            assert root.platform == platform.name
            assert root.root_class is RootClass.VENDOR
            assert root.review_by is not None


def test_real_evidence_is_recognised(vectors: Path) -> None:
    for file in sorted((vectors / "nitro").iterdir()):
        if file.suffix in (".tsv", ".md"):
            continue
        found = detect(file.read_bytes())
        assert found is not None, file.name
        platform, bare, framing = found
        assert platform.name == "nitro", file.name
        assert (framing == "") == (bare == file.read_bytes()), file.name
        # What was unwrapped needs no unwrapping.
        assert detect(bare) == (platform, bare, ""), file.name


@pytest.mark.parametrize(
    "data",
    [b"", b"\x84", b"\0\2", b"{}", b"<html>", b"-----BEGIN CERTIFICATE-----", bytes(16 * 1024)],
)
def test_what_is_no_evidence(data: bytes) -> None:
    assert detect(data) is None


@given(data=st.binary(max_size=64), start=st.sampled_from([0, 4, 6, 12]))
def test_any_bytes_are_told_apart_or_malformed(data: bytes, start: int) -> None:
    good, _ = document()
    for head in (b"", good[:start], b"\0\2" + data[:2] + good[:6], b"hESh", b"0oRE"):
        try:
            found = detect(head + data)
        except Malformed:
            continue
        assert found is None or found[0] in PLATFORMS
