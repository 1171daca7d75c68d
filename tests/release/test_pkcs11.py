"""Keys in a token: what a URI may say, and SoftHSM where it is installed."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import softhsm_module
from tests.platforms.nitro.signer import CURVES, NOW, Identity, identity, image
from tests.release.supplied import private_pem

from troth.crypto import public
from troth.errors import Misuse, Unavailable
from troth.platforms.nitro.measure import measure
from troth.release import dsse, pkcs11
from troth.release.pcr8 import sign
from troth.release.pkcs11 import from_uri

PCR0 = measure(image()).pcr0
PIN = "123456"
EDWARDS = ed25519.Ed25519PrivateKey.generate()


def test_what_a_uri_says() -> None:
    key = from_uri(
        "pkcs11:token=my%20release;serial=0123;object=nitro;id=%01%ff;type=private"
        "?module-path=/lib/x.so&pin-source=file:/run/pin"
    )
    assert key.module == "/lib/x.so"
    assert key.token == {"token_label": "my release", "token_serial": b"0123"}
    assert key.key == {"label": "nitro", "id": b"\x01\xff"}
    assert key.pin_file == Path("/run/pin")
    assert from_uri("pkcs11:token=t;id=%01?module-path=m").pin_file is None


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("", "begins with pkcs11:"),
        ("pkcs11:", "begins with pkcs11:"),
        ("file:token=t;object=o?module-path=m", "begins with pkcs11:"),
        ("pkcs11:token=t;object=o", "no module"),
        ("pkcs11:token=t?module-path=m", "no key"),
        ("pkcs11:object=o?module-path=m", "no token"),
        ("pkcs11:token=t;object=o;type=cert?module-path=m", "private"),
        ("pkcs11:token=t;token=u;object=o?module-path=m", "twice"),
        ("pkcs11:token=t;slot-id=1;object=o?module-path=m", "slot-id"),
        ("pkcs11:token=t;object=o?module-name=m", "module-name"),
        ("pkcs11:token=t;object=o?module-path=m&pin-value=1234", "seen by everybody"),
        ("pkcs11:token=t;object=%ff?module-path=m", "not UTF-8"),
        ("pkcs11:token=t;object=a b?module-path=m", "name=value"),
        ("pkcs11:token;object=o?module-path=m", "name=value"),
        ("pkcs11:token=%zz;object=o?module-path=m", "name=value"),
    ],
)
def test_uris_that_are_refused(uri: str, words: str) -> None:
    with pytest.raises(Misuse, match=words) as caught:
        from_uri(uri)
    assert caught.value.fix


@given(st.text(max_size=60))
def test_any_text_is_a_uri_or_misuse(text: str) -> None:
    for uri in (text, f"pkcs11:token=t;object=o?module-path=m&{text}", f"pkcs11:{text}"):
        try:
            from_uri(uri)
        except Misuse:
            continue


def test_pins_in_files(tmp_path: Path) -> None:
    path = tmp_path / "pin"
    for text, said in ((b"1" * 256, "1" * 256), (b"12\r\n", "12"), (b" 1\n\n", " 1\n")):
        path.write_bytes(text)
        assert pkcs11._pin(path) == said
    for text in (b"", b"\n", b"1" * 257, b"\xff"):
        path.write_bytes(text)
        with pytest.raises(Misuse):
            pkcs11._pin(path)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(Unavailable, match="python-pkcs11") as caught:
        sign(PCR0, pem=identity().pem, key=from_uri("pkcs11:token=t;id=%01?module-path=m"), at=NOW)
    assert "troth[pkcs11]" in caught.value.fix


def test_a_module_that_is_none(tmp_path: Path) -> None:
    pytest.importorskip("pkcs11")
    (tmp_path / "junk.so").write_bytes(b"junk")
    for name in ("absent.so", "junk.so"):
        key = from_uri(f"pkcs11:token=t;id=%01?module-path={tmp_path / name}")
        with pytest.raises(Unavailable, match="does not load"):
            sign(PCR0, pem=identity().pem, key=key, at=NOW)


@dataclass(frozen=True)
class Token:
    """A token of SoftHSM's, with one key of each curve."""

    identities: dict[str, Identity]
    pin: Path

    def uri(self, name: str, *, pin: Path | None = None) -> str:
        source = f"&pin-source=file:{pin or self.pin}"
        return f"pkcs11:token=release;object={name}?module-path={softhsm_module()}{source}"


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Token]:
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "conf"))

        def softhsm(*argv: str) -> None:
            subprocess.run(["softhsm2-util", *argv], check=True, capture_output=True, timeout=60)

        softhsm(
            "--init-token", "--free", "--label", "release", "--pin", PIN, "--so-pin", "12345678"
        )
        made = {}
        for number, (name, curve) in enumerate(CURVES.items()):
            made[name] = identity(ec.generate_private_key(curve))
            (folder / name).write_bytes(made[name].key_pem())
            softhsm(
                *("--import", str(folder / name), "--token", "release", "--label", name),
                *("--id", f"0{number}", "--pin", PIN),
            )
        (folder / "ed").write_bytes(private_pem(EDWARDS))
        softhsm(
            *("--import", str(folder / "ed"), "--token", "release", "--label", "ed"),
            *("--id", "0e", "--pin", PIN),
        )
        pin = folder / "pin"
        pin.write_text(f"{PIN}\n")
        yield Token(made, pin)


@pytest.mark.softhsm
def test_a_token_signs(token: Token) -> None:
    for name, by in token.identities.items():
        assert sign(PCR0, pem=by.pem, key=from_uri(token.uri(name)), at=NOW)


@pytest.mark.softhsm
def test_a_token_signs_statements(token: Token) -> None:
    """On P-256 and P-384, and with Ed25519, which signs the bytes themselves."""
    keys = {name: token.identities[name].private for name in ("ES256", "ES384")} | {"ed": EDWARDS}
    for name, key in keys.items():
        by = public.of(key.public_key())
        made = dsse.sign(b"x", payload_type="text/plain", keys=[(by, from_uri(token.uri(name)))])
        assert dsse.problems(made, [by]) == ()
    with pytest.raises((Misuse, Unavailable)):  # a key on a curve does not sign as Edwards' does
        dsse.sign(b"x", payload_type="t", keys=[(by, from_uri(token.uri("ES256")))])


@pytest.mark.softhsm
def test_another_key_of_the_token(token: Token) -> None:
    by = token.identities["ES384"]
    with pytest.raises(Misuse, match="no signature"):
        sign(PCR0, pem=by.pem, key=from_uri(token.uri("ES256")), at=NOW)


@pytest.mark.softhsm
def test_tokens_that_refuse(token: Token, tmp_path: Path) -> None:
    by = token.identities["ES384"]
    wrong, empty = tmp_path / "wrong", tmp_path / "empty"
    wrong.write_text("654321\n")
    empty.write_text("\n")
    good = token.uri("ES384")
    for uri, kind, words in (
        (good.replace("token=release", "token=other"), Misuse, "no such token"),
        (good.replace("object=ES384", "object=other"), Misuse, "no such private key"),
        (good.partition("&")[0], Misuse, "no such private key"),
        (token.uri("ES384", pin=wrong), Misuse, "refuses the PIN"),
        (token.uri("ES384", pin=empty), Misuse, "holds no PIN"),
        (token.uri("ES384", pin=tmp_path / "absent"), Unavailable, "cannot be read"),
    ):
        with pytest.raises(kind, match=words) as caught:
            sign(PCR0, pem=by.pem, key=from_uri(uri), at=NOW)
        assert caught.value.fix


@pytest.mark.softhsm
def test_a_key_that_was_made_for_something_else(token: Token) -> None:
    import pkcs11 as library
    from pkcs11.util.ec import encode_named_curve_parameters

    unsigning = {library.Attribute.SIGN: False}
    with (
        library.lib(str(softhsm_module()))
        .get_token(token_label="release")
        .open(user_pin=PIN, rw=True) as session
    ):
        curve = {library.Attribute.EC_PARAMS: encode_named_curve_parameters("secp384r1")}
        session.create_domain_parameters(library.KeyType.EC, curve, local=True).generate_keypair(
            store=True,
            label="other",
            private_template=unsigning,
            mechanism=library.Mechanism.EC_KEY_PAIR_GEN,
        )
    with pytest.raises(Misuse, match="for something else") as caught:
        sign(PCR0, pem=token.identities["ES384"].pem, key=from_uri(token.uri("other")), at=NOW)
    assert caught.value.fix
