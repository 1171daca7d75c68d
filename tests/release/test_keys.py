"""Keys in files and behind commands, and each way in which they can be the wrong ones."""

import os
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from tests.platforms.nitro.signer import NOW, identity, image

from troth.errors import Malformed, Misuse, Unavailable
from troth.platforms.nitro.measure import measure
from troth.platforms.nitro.signature import ES384
from troth.release import keys
from troth.release.pcr8 import sign

BY = identity()
PCR0 = measure(image()).pcr0


def python(code: str) -> keys.CommandKey:
    return keys.CommandKey(argv=(sys.executable, "-I", "-c", code))


def test_a_key_in_a_file() -> None:
    assert sign(PCR0, pem=BY.pem, key=keys.from_pem(BY.key_pem()), at=NOW)
    older = BY.private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    assert sign(PCR0, pem=BY.pem, key=keys.from_pem(older), at=NOW)


def test_an_encrypted_key() -> None:
    pem = BY.key_pem(b"open sesame")
    assert sign(PCR0, pem=BY.pem, key=keys.from_pem(pem, passphrase=b"open sesame"), at=NOW)
    with pytest.raises(Misuse, match="is encrypted") as caught:
        keys.from_pem(pem)
    assert "--passphrase-file" in caught.value.fix
    with pytest.raises(Misuse, match="cannot be opened"):
        keys.from_pem(pem, passphrase=b"open barley")
    with pytest.raises(Misuse, match="is not encrypted"):
        keys.from_pem(BY.key_pem(), passphrase=b"open sesame")


@pytest.mark.parametrize("pem", [b"", b"junk", BY.pem, BY.key_pem()[:-40]])
def test_what_is_no_private_key(pem: bytes) -> None:
    with pytest.raises(Malformed, match="signing key") as caught:
        keys.from_pem(pem)
    assert caught.value.fix


def test_other_kinds_of_keys() -> None:
    for private in (rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()):
        pem = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        with pytest.raises(Misuse, match="elliptic curve") as caught:
            keys.from_pem(pem)
        assert "secp384r1" in caught.value.fix


def test_a_command_gets_the_bytes_or_their_digest(tmp_path: Path) -> None:
    import hashlib

    seen = tmp_path / "seen"
    echo = (
        f"import sys; open({str(seen)!r}, 'wb').write(sys.stdin.buffer.read()); print('x', end='')"
    )
    command = python(echo)
    assert command.sign(b"to be signed", ES384) == b"x"
    assert seen.read_bytes() == b"to be signed"
    digested = keys.CommandKey(argv=command.argv, given="digest")
    digested.sign(b"to be signed", ES384)
    assert seen.read_bytes() == hashlib.sha384(b"to be signed").digest()


def test_commands_that_fail() -> None:
    with pytest.raises(Unavailable, match="ended with 3") as caught:
        python("import sys; sys.exit(3)").sign(b"", ES384)
    assert caught.value.fix
    with pytest.raises(Unavailable, match="does not start"):
        keys.CommandKey(argv=("/nonexistent/program",)).sign(b"", ES384)
    assert python("print('x' * 1024, end='')").sign(b"", ES384) == b"x" * 1024
    with pytest.raises(Unavailable, match="1025 bytes, which is no signature"):
        python("print('x' * 1025, end='')").sign(b"", ES384)


def test_a_command_that_reads_nothing() -> None:
    assert python("print('x', end='')").sign(bytes(1 << 20), ES384) == b"x"


def test_a_command_that_does_not_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(keys, "_SECONDS", 1)
    pid = tmp_path / "pid"
    code = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    with pytest.raises(Unavailable, match="not answered"):
        python(code).sign(b"", ES384)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_words_of_a_command() -> None:
    assert keys.split("sign --with 'my key'") == ("sign", "--with", "my key")
    for bad in ("", "  ", "''", "sign 'open"):
        with pytest.raises(Misuse) as caught:
            keys.split(bad)
        assert caught.value.fix
