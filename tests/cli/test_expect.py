"""Flags to expectations: each is the caller's own, and a doubtful one is refused."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from troth.cli import _expect, _image
from troth.errors import Malformed, Misuse, TrothError, Unavailable
from troth.platforms.nitro.measure import measure
from troth.platforms.nitro.simulate import DevelopmentPki
from troth.wire import eif

A, B = "ab" * 48, "cd" * 48
METADATA = json.dumps({"ImageName": "x", "ImageVersion": "1"}).encode()


def image() -> eif.Eif:
    kinds = (eif.Kind.KERNEL, eif.Kind.COMMAND_LINE, eif.Kind.METADATA, eif.Kind.RAMDISK)
    data = (b"kernel", b"quiet", METADATA, b"ramdisk!")
    return eif.Eif(
        sections=tuple(
            eif.Section(kind=kind, pieces=(piece,)) for kind, piece in zip(kinds, data, strict=True)
        )
    )


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app.eif"
    path.write_bytes(eif.pack(image()))
    return path


def measured_by(path: Path) -> Mapping[str, object]:
    """What `--image` makes of it, of Nitro alone."""
    measured = _image.expected(path)
    assert set(measured) == {"nitro"}
    return measured["nitro"]


def test_an_image_is_measured_from_its_bytes(app: Path) -> None:
    assert measured_by(app) == dict(measure(image()).hex())
    policy = _expect.policy(None, image=app)
    assert policy.name == "app.eif"
    assert set(policy.registers["nitro"]) == {"pcr0", "pcr1", "pcr2"}


def test_the_file_beside_an_image_is_never_believed(app: Path) -> None:
    beside = app.with_suffix(".measurements.json")
    measured = dict(measure(image()).hex())
    beside.write_text(json.dumps({"nitro": measured}))
    assert measured_by(app) == measured
    beside.write_text(json.dumps({"nitro": {**measured, "pcr0": A}}))
    with pytest.raises(Misuse, match="stale"):
        measured_by(app)


def test_an_image_larger_than_any_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.eif"
    with path.open("wb") as file:
        file.write(eif.MAGIC)
        file.truncate(_image.MAX_IMAGE + 1)
    with pytest.raises(Malformed, match="larger than 4 GiB") as caught:
        measured_by(path)
    assert caught.value.field == str(path)
    assert caught.value.fix


def test_a_stream_ends_at_the_limit_or_where_it_is_no_image(
    app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def piped(data: bytes) -> Mapping[str, object]:
        read, write = os.pipe()
        os.write(write, data)
        os.close(write)
        try:
            return measured_by(Path(f"/dev/fd/{read}"))
        finally:
            os.close(read)

    data = app.read_bytes()
    assert piped(data) == dict(measure(image()).hex())
    with pytest.raises(Malformed, match=r"eif\.magic"):
        measured_by(Path("/dev/zero"))
    monkeypatch.setattr(_image, "MAX_IMAGE", len(data))
    assert piped(data) == dict(measure(image()).hex())
    with pytest.raises(Malformed, match="is larger"):
        piped(data + b"\0")


def test_what_is_no_image_is_malformed(tmp_path: Path, app: Path) -> None:
    for data in (b"", b"junk", app.read_bytes()[:-1], app.read_bytes() + b"\0"):
        other = tmp_path / "other.eif"
        other.write_bytes(data)
        with pytest.raises(Malformed):
            measured_by(other)
    with pytest.raises(Unavailable):
        measured_by(tmp_path)


def test_expectations_add_up_and_never_take_away(app: Path) -> None:
    measured = measured_by(app)
    both = _expect.policy("production-2026-11", image=app, measurement=[f"pcr8={A.upper()}"])
    assert both.registers["nitro"] == {
        **{name: frozenset({value}) for name, value in measured.items()},
        "pcr8": frozenset({A}),
    }
    assert both.roots_allow == _expect.named_policy("production-2026-11").roots_allow
    with pytest.raises(Misuse, match="pcr0"):
        _expect.policy(None, image=app, measurement=[f"pcr0={A}"])


def test_a_register_says_its_platform() -> None:
    wanted = {
        "nitro": {"pcr0": A},
        "sgx": {"mrenclave": A[:64], "configid": "00" * 64},
        "tdx": {"mrtd": A, "rtmr3": "00" * 48},
        "snp": {"measurement": A, "host_data": B[:64]},
    }
    flags = [f"{name}={value}" for values in wanted.values() for name, value in values.items()]
    expected = {p: {n: frozenset({v}) for n, v in found.items()} for p, found in wanted.items()}
    assert _expect.policy(None, measurement=flags).registers == expected
    base = "production-2026-11"
    assert _expect.policy(base, measurement=flags[1:3]).registers == {"sgx": expected["sgx"]}
    for item in (f"mrenclave={A}", f"mrtd={A[:64]}", "mrtd=" + "00" * 48):
        with pytest.raises(Misuse):
            _expect.policy(None, measurement=[item])


def test_without_flags_nothing_is_expected() -> None:
    assert not _expect.policy(None).registers


@pytest.mark.parametrize(
    "items",
    [["pcr0"], ["pcr0="], [f"pcr32={A}"], [f"mrtz={A}"], ["pcr0=zz"], [f"pcr0={A}", f"pcr0={B}"]],
)
def test_doubtful_measurements_are_refused(items: list[str]) -> None:
    with pytest.raises(Misuse):
        _expect.policy(None, measurement=items)


def test_a_nonce_is_hex_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "n").write_bytes(b"0" * 16)
    assert _expect.nonce(None) is None
    assert _expect.nonce("01" * 8) == b"\x01" * 8
    assert _expect.nonce(f"@{tmp_path / 'n'}") == b"0" * 16
    for bad in ("", "0", "xyz", "00 00"):
        with pytest.raises(Misuse):
            _expect.nonce(bad)
    with pytest.raises(Unavailable):
        _expect.nonce("@/no/such/file")


def test_a_key_is_hex_or_a_file_in_any_usual_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    spki = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "key.der").write_bytes(spki)
    assert _expect.key(None) is None
    for text in (spki.hex(), str(tmp_path / "key.pem"), f"@{tmp_path / 'key.der'}"):
        assert _expect.key(text) == spki
    root = DevelopmentPki.create(datetime.now(UTC)).root_pem()
    (tmp_path / "cert.pem").write_text(root)
    certified = x509.load_pem_x509_certificate(root.encode()).public_key()
    assert _expect.key(str(tmp_path / "cert.pem")) == certified.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (tmp_path / "private.pem").write_bytes(private)
    with pytest.raises(Malformed, match="private\\.pem"):
        _expect.key(str(tmp_path / "private.pem"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "abcd").write_bytes(spki)
    with pytest.raises(Misuse, match="both"):
        _expect.key("abcd")
    assert _expect.key("@abcd") == spki
    with pytest.raises(Misuse):
        _expect.key("neither")


def test_an_instant_has_a_zone() -> None:
    at, as_of = _expect.instant("2026-11-23T04:10:00+01:00")
    assert (at, as_of) == (datetime(2026, 11, 23, 3, 10, tzinfo=UTC), True)
    for text in (None, "now"):
        at, as_of = _expect.instant(text)
        assert abs(datetime.now(UTC) - at).total_seconds() < 60
        assert not as_of
    edges = ("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00")
    for bad in ("2026-11-23", "2026-11-23T03:10:00", "yesterday", "", *edges):
        with pytest.raises(Misuse):
            _expect.instant(bad)


def test_roots_are_named_by_file(tmp_path: Path) -> None:
    pem = DevelopmentPki.create(datetime.now(UTC)).root_pem()
    (tmp_path / "root.pem").write_text(pem)
    found, text = _expect.roots([str(tmp_path / "root.pem"), str(tmp_path / "root.pem")])
    assert {root.root_class for root in found} == {"development"}
    assert text == 2 * pem.encode()
    (tmp_path / "junk.pem").write_bytes(b"junk")
    for path in (tmp_path / "junk.pem", tmp_path / "absent.pem"):
        with pytest.raises(TrothError):
            _expect.roots([str(path)])


@pytest.mark.parametrize("text", ["00" * 32, "@zeros"])
def test_a_nonce_of_zeros_is_none(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An enclave that binds nothing shows zeros, and would seem to answer."""
    monkeypatch.chdir(tmp_path)
    Path("zeros").write_bytes(bytes(32))
    with pytest.raises(Misuse, match="all zero"):
        _expect.nonce(text)
