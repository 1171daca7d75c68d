"""Reading what apt says, and trusting no mirror that the pinned keys did not sign."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed, Misuse, Unavailable
from troth.image.apt import Mirrors, apt, parse_failures, parse_uris
from troth.image.fetched import Why
from troth.image.keys import suite

MIRRORS = Mirrors.beside("http://packages.example/debian")
SHA = "ab" * 32
LINE = (
    "'http://packages.example/debian/pool/main/z/zlib/zlib1g_1.3%2breally1-1_amd64.deb' "
    f"zlib1g_1%3a1.3+really1-1_amd64.deb 88720 SHA256:{SHA}"
)


def test_a_line_of_apts() -> None:
    deb = parse_uris(LINE, MIRRORS)["zlib1g"]
    assert (deb.version, deb.archive) == ("1:1.3+really1-1", "debian")
    assert deb.path == "pool/main/z/zlib/zlib1g_1.3+really1-1_amd64.deb"
    assert (deb.size, deb.sha256, deb.base) == (88720, SHA, False)
    line = LINE.replace("example/debian/", "example/debian-security/")
    assert parse_uris(line, MIRRORS)["zlib1g"].archive == "security"


def test_a_mirror_on_disk() -> None:
    mirrors = Mirrors.beside("file:///srv/debian/")
    line = LINE.replace("http://packages.example/debian/", "file:/srv/debian/")
    assert parse_uris(line, mirrors)["zlib1g"].path.startswith("pool/main/z/")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "E: no",
        LINE.replace("SHA256:", "MD5Sum:"),
        LINE.replace(SHA, SHA[1:]),
        LINE.replace(SHA, SHA.upper()),
        LINE.replace("88720", "-1"),
        LINE.replace("'", ""),
        LINE + " more",
        LINE.replace("packages.example", "elsewhere.example"),
        LINE.replace("http://", "https://"),
        LINE.replace("zlib1g_1%3a1.3+really1-1_amd64.deb", "zlib1g.deb"),
        LINE.replace("zlib1g_1%3a1.3+really1-1_amd64.deb", "a_b_c_d.deb"),
    ],
)
def test_a_line_that_is_no_package_is_refused(line: str) -> None:
    with pytest.raises(Malformed, match="apt's list of packages"):
        parse_uris(f"{line}\n", MIRRORS)


def test_a_package_named_twice_is_refused() -> None:
    with pytest.raises(Malformed, match="twice"):
        parse_uris(f"{LINE}\n{LINE}\n", MIRRORS)


@given(st.text())
def test_any_text_is_a_list_or_malformed(text: str) -> None:
    try:
        found = parse_uris(text, MIRRORS)
    except Malformed:
        return
    assert found == {}


def test_why_something_did_not_come() -> None:
    found = parse_failures(
        "W: be warned\n"
        "E: Failed to fetch http://h.example/debian/a%2bb.deb  404  Not Found [IP: ::1 80]\n"
        "E: Failed to fetch file:/srv/debian/b.deb  File not found - /srv/debian/b.deb (2: No such)\n"
        "E: Failed to fetch http://h.example/c.deb  Hash Sum mismatch\n   Hashes of expected file:\n"
        "E: Failed to fetch http://h.example/d.deb  Could not resolve 'h.example'\n"
        "E: Failed to fetch http://h.example/e.deb  503  Service Unavailable\n"
        "E: Download Failed\n"
    )
    assert {uri.rpartition("/")[2]: trouble.why for uri, trouble in found.items()} == {
        "a+b.deb": Why.GONE,
        "b.deb": Why.GONE,
        "c.deb": Why.ALTERED,
        "d.deb": Why.UNREACHABLE,
        "e.deb": Why.UNREACHABLE,
    }


def test_the_security_archive_is_beside() -> None:
    mirrors = Mirrors.beside("http://h.example/snapshot/debian/20260101T000000Z")
    assert mirrors.security == "http://h.example/snapshot/debian-security/20260101T000000Z/"
    assert mirrors.of("debian").endswith("Z/")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "foo",
        "ftp://h.example/debian",
        "http://h.example/x",
        "http://[/debian",
        "http://h.example/debian\ndeb [trusted=yes] http://evil.example/",
        "http://h.example/debian x",
    ],
)
def test_an_address_of_no_archive_is_misuse(address: str) -> None:
    with pytest.raises(Misuse, match="no address of a Debian archive"):
        Mirrors.beside(address)


@pytest.mark.network
def test_apt_resolves_under_the_pinned_keys(tmp_path: Path) -> None:
    with apt(suite("trixie"), Mirrors.of_machine(), lists=tmp_path / "lists") as tool:
        tool.update()
        assert "libc6" in tool.resolve(["python3.13"])
        for name in ("no-such-package", "dash-", "awk"):
            with pytest.raises(Misuse, match=name) as caught:
                tool.resolve([name])
            assert "troth.toml" in caught.value.fix


def _mirror(folder: Path, release: str, *, signed: bytes | None) -> Mirrors:
    """An archive on disk with one empty list, said to be of this release."""
    for archive, name in (
        ("debian", release),
        ("debian", f"{release}-updates"),
        ("debian-security", f"{release}-security"),
    ):
        place = folder / archive / "dists" / name
        (place / "main" / "binary-amd64").mkdir(parents=True)
        (place / "main" / "binary-amd64" / "Packages").touch()
        empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        text = (
            f"Suite: {name}\nCodename: {name}\nDate: Thu, 01 Jan 2026 00:00:00 UTC\n"
            f"Architectures: amd64\nComponents: main\n"
            f"SHA256:\n {empty} 0 main/binary-amd64/Packages\n"
        ).encode()
        (place / "Release").write_bytes(text)
        if signed is not None:
            (place / "InRelease").write_bytes(
                b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" + text + signed
            )
    return Mirrors.beside(f"file://{folder}/debian/")


@pytest.mark.network
@pytest.mark.parametrize(
    "signed",
    [
        None,
        b"",
        b"-----BEGIN PGP SIGNATURE-----\n\niHUEARYKAB0WIQ==\n=AAAA\n-----END PGP SIGNATURE-----\n",
    ],
    ids=["unsigned", "cut", "by nobody"],
)
def test_a_mirror_that_our_keys_did_not_sign_is_refused(
    tmp_path: Path, signed: bytes | None
) -> None:
    mirrors = _mirror(tmp_path, "trixie", signed=signed)
    with (
        apt(suite("trixie"), mirrors, lists=tmp_path / "lists") as tool,
        pytest.raises(Unavailable, match="can't fetch the lists") as caught,
    ):
        tool.update()
    assert "No such file" not in str(caught.value)


@pytest.mark.network
def test_a_changed_inrelease_is_refused(tmp_path: Path) -> None:
    """The real, signed file of the real mirror, with one letter of it changed."""
    real = Mirrors.of_machine()
    with apt(suite("trixie"), real, lists=tmp_path / "lists") as tool:
        tool.update()
    seen = sorted((tmp_path / "lists").glob("*InRelease"))
    assert len(seen) == 3
    for path in seen:
        release = path.name.removesuffix("_InRelease").rpartition("_")[2]
        archive = "debian-security" if release.endswith("-security") else "debian"
        place = tmp_path / archive / "dists" / release
        place.mkdir(parents=True)
        data = path.read_bytes()
        (place / "InRelease").write_bytes(data.replace(b"Origin: Debian", b"Origin: Debiam", 1))
        assert b"Debiam" in (place / "InRelease").read_bytes()
    mirrors = Mirrors.beside(f"file://{tmp_path}/debian/")
    with (
        apt(suite("trixie"), mirrors, lists=tmp_path / "other") as tool,
        pytest.raises(Unavailable, match=r"(?i)sign|gpg|BAD"),
    ):
        tool.update()
