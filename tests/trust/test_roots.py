"""Roots and their classes: a caller's root is never called a vendor's."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.platforms.nitro.forge import chain, specs

from troth.errors import Malformed, Misuse, Unavailable
from troth.model.roots import RootClass
from troth.platforms import PLATFORMS
from troth.platforms.nitro.simulate_pki import DevelopmentPki
from troth.trust import development_by_digest, load_roots, parse_roots, scoped, vendor_roots

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def test_the_vendor_root_is_pinned_and_has_a_review_date(vectors: Path) -> None:
    assert {root.root_class for root in vendor_roots()} == {RootClass.VENDOR}
    # Google and Intel publish no authority of their token services that could be pinned.
    without = {"gcs", "ita"}
    assert {root.platform for root in vendor_roots()} == {p.name for p in PLATFORMS} - without
    (root,) = (root for root in vendor_roots() if root.platform == "nitro")
    assert root.review_by is not None
    assert root.not_after is not None
    assert root.review_by < root.not_after
    from troth.platforms.nitro.format import parse

    document = parse((vectors / "nitro" / "anjuna-prod-2021-03-17.bin").read_bytes())
    assert hashlib.sha256(document.cabundle[0]).hexdigest() == root.sha256


def test_a_simulators_root_says_so(tmp_path: Path) -> None:
    pki = DevelopmentPki.create(NOW)
    path = tmp_path / "root.pem"
    path.write_text(pki.root_pem())
    found = load_roots(path)
    assert [root.platform for root in found] == [p.name for p in PLATFORMS]
    assert {(root.root_class, root.sha256, root.source) for root in found} == {
        (RootClass.DEVELOPMENT, pki.root().sha256, str(path))
    }


def test_any_other_root_is_added() -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    der = chain(specs())[0][0]
    pem = x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
    two = parse_roots(pem + DevelopmentPki.create(NOW).root_pem().encode(), source="two")
    two = tuple(root for root in two if root.platform == "nitro")
    assert [root.root_class for root in two] == [RootClass.ADDED, RootClass.DEVELOPMENT]
    assert two[0].sha256 == hashlib.sha256(der).hexdigest()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nothing",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        bytes(1024 * 1024 + 1),
    ],
)
def test_no_roots(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_roots(data, source="x")


def test_no_more_than_a_file_of_roots_has() -> None:
    pem = _added()
    full = pem.ljust(1024 * 1024, b"\n")
    assert parse_roots(full, source="x") == parse_roots(pem, source="x")
    with pytest.raises(Malformed, match="is larger than"):
        parse_roots(full + b"\n", source="x")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        load_roots(tmp_path / "absent.pem")
    with pytest.raises(Unavailable):
        load_roots(tmp_path)


def test_by_digest() -> None:
    found = development_by_digest(["ab" * 32], source="policy")
    assert [root.platform for root in found] == [p.name for p in PLATFORMS]
    assert {root.root_class for root in found} == {RootClass.DEVELOPMENT}
    assert {root.sha256 for root in found} == {"ab" * 32}


def _added() -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    der = chain(specs())[0][0]
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


def test_a_root_for_one_platform(tmp_path: Path) -> None:
    path = tmp_path / "root.pem"
    path.write_bytes(_added())
    (one,) = load_roots(path, platform="nitro")
    assert one in load_roots(path)
    assert (one.platform, one.root_class, one.source) == ("nitro", RootClass.ADDED, str(path))
    with pytest.raises(Misuse, match="no platform") as caught:
        load_roots(path, platform="nitros")
    assert "nitrotpm" in caught.value.fix


def test_files_that_are_put_together_do_not_count_for_each_other() -> None:
    mine, other = _added(), DevelopmentPki.create(NOW).root_pem().encode()
    text = scoped(mine, "snp") + scoped(other, "") + scoped(mine, "nitro")
    found = parse_roots(text, source="x")
    added = [root.platform for root in found if root.root_class is RootClass.ADDED]
    assert added == ["snp", "nitro"]
    assert len(found) == 2 + len(PLATFORMS)
    # What stands before the first such line counts for all.
    assert len(parse_roots(mine + text, source="x")) == len(found) + len(PLATFORMS)
    windows = scoped(mine, "nitro").replace(b"\n", b"\r\n")
    assert [root.platform for root in parse_roots(windows, source="x")] == ["nitro"]


@pytest.mark.parametrize(
    "line", [b"# platform:", b"# platform: Nitro", b"# platform: nitro, snp", b"# platform:\xff"]
)
def test_a_line_that_narrows_to_nothing_known_is_not_passed_over(line: bytes) -> None:
    with pytest.raises(Malformed, match="no platform"):
        parse_roots(line + b"\n" + _added(), source="x")


def test_a_line_with_no_roots_after_it() -> None:
    for text in (scoped(b"", "nitro"), scoped(b"", "snp") + scoped(_added(), "nitro")):
        with pytest.raises(Malformed, match="no PEM certificates"):
            parse_roots(text, source="x")


def test_a_key_set_says_itself_whose_it_is() -> None:
    with pytest.raises(Misuse, match="whose it is"):
        scoped(b' {"keys": []}', "maa")
