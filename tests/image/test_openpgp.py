"""Keyrings: the pinned fingerprints are those of the files, and a changed file is refused."""

import contextlib
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed, Misuse
from troth.image import keys
from troth.image.openpgp import fingerprints

FOLDER = Path(keys.__file__).parent
FILES = sorted(FOLDER.glob("*.gpg"))
DATA = FILES[0].read_bytes()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg, the other opinion, is absent")
def test_the_fingerprints_are_those_that_gpg_finds(path: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    words = ("gpg", "--homedir", str(tmp_path), "--with-colons", "--with-subkey-fingerprint")
    done = subprocess.run(
        [*words, "--show-keys", str(path)], capture_output=True, text=True, check=True
    )
    lines = [line.split(":") for line in done.stdout.splitlines()]
    theirs = tuple(line[9].lower() for line in lines if line[0] == "fpr")
    assert fingerprints(path.read_bytes(), field="k") == theirs


def test_every_file_is_pinned_and_every_pin_has_its_file() -> None:
    named = {name for suite in keys.SUITES.values() for name, _ in suite.keyrings}
    assert named == {path.name for path in FILES}
    for suite in keys.SUITES.values():
        assert keys.keyring(suite)


def test_a_changed_key_a_strange_key_and_one_key_less_are_refused(tmp_path: Path) -> None:
    trixie = keys.suite("trixie")
    first, second, _ = (name for name, _ in trixie.keyrings)
    original = (FOLDER / first).read_bytes()
    flipped = bytearray(original)
    flipped[40] ^= 1
    for changed in (bytes(flipped), (FOLDER / second).read_bytes(), original + DATA, b""):
        shutil.copytree(FOLDER, tmp_path / "keys", dirs_exist_ok=True)
        (tmp_path / "keys" / first).write_bytes(changed)
        with pytest.raises(Malformed):
            keys.keyring(trixie, folder=tmp_path / "keys")


def test_an_unknown_suite_is_misuse() -> None:
    with pytest.raises(Misuse, match="trixie"):
        keys.suite("sid")


@given(st.integers(1, len(DATA) - 1))
def test_a_part_is_no_more_than_the_whole(size: int) -> None:
    try:
        found = fingerprints(DATA[:size], field="k")
    except Malformed:
        return
    assert found == fingerprints(DATA, field="k")[: len(found)]


@given(st.binary(max_size=300))
def test_junk_is_keys_or_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert all(len(found) == 40 for found in fingerprints(data, field="k"))


@pytest.mark.parametrize(
    "data",
    [
        b"\x00",
        b"\x99",  # no length
        b"\x99\xff\xff\x04",  # longer than there is
        b"\x9b",  # of no length
        b"\xc6\xe1\x04",  # partial
        b"\xc6\xff\xff\xff\xff\xff\x04",  # 4 GiB
        b"\xc6\x01\x03",  # version 3
        b"\xc6\x00",  # empty
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----",
    ],
)
def test_what_no_keyring_has(data: bytes) -> None:
    with pytest.raises(Malformed):
        fingerprints(data, field="k")
