"""Attacks on roots that shall count for one platform: by what stands in their file."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from troth.cli import _expect
from troth.errors import Malformed, Misuse
from troth.platforms.nitro.simulate_pki import DevelopmentPki
from troth.trust import load_roots, parse_roots

PEM = DevelopmentPki.create(datetime(2026, 11, 23, tzinfo=UTC)).root_pem().encode()


@pytest.mark.parametrize("other", [b"all", b"snp", b" tdx ", b""])
def test_a_file_does_not_widen_what_it_was_asked_for(tmp_path: Path, other: bytes) -> None:
    path = tmp_path / "root.pem"
    path.write_bytes(b"# platform:" + other + b"\n" + PEM)
    with pytest.raises(Misuse, match="nitro was asked for"):
        load_roots(path, platform="nitro")
    with pytest.raises(Misuse, match="nitro was asked for"):
        _expect.roots([f"nitro:{path}"])


def test_a_file_may_say_the_same(tmp_path: Path) -> None:
    path = tmp_path / "root.pem"
    path.write_bytes(b"# platform: nitro\r\n" + PEM)
    assert [root.platform for root in load_roots(path, platform="nitro")] == ["nitro"]


def test_one_narrowed_file_beside_another_that_is_not(tmp_path: Path) -> None:
    one, other = tmp_path / "one.pem", tmp_path / "other.pem"
    one.write_bytes(b"# platform: tdx\n" + PEM)
    other.write_bytes(PEM)
    found, text = _expect.roots([str(one), f"nitro:{other}"])
    assert [root.platform for root in found] == ["tdx", "nitro"]
    assert [root.platform for root in parse_roots(text, source="both")] == ["tdx", "nitro"]


@pytest.mark.parametrize(
    "line",
    [
        b"\xef\xbb\xbf# platform: nitro\n",
        b"#platform: nitro\n",
        b" # platform: nitro\n",
        b"# Platform: nitro\n",
        b"## platform : nitro\n",
        b"# platform = nitro\n",
        b"# platform: nitro\r",
    ],
)
def test_a_narrowing_that_is_not_read_is_not_passed_over(line: bytes) -> None:
    with pytest.raises(Malformed, match="line about platforms"):
        parse_roots(line + PEM, source="root.pem")
