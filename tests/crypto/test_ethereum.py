"""Keys recovered from Ethereum's signatures: known answers, one encoding only, and whatever is none."""

import coincurve
import pytest

from troth.crypto import ethereum

KEY = coincurve.PrivateKey((1).to_bytes(32, "big"))
DIGEST = ethereum.personal_digest(b"hello")
SIGNED = KEY.sign_recoverable(DIGEST, hasher=None)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def _with(*, s: int | None = None, v: int | None = None) -> bytes:
    middle = SIGNED[32:64] if s is None else s.to_bytes(32, "big")
    return SIGNED[:32] + middle + bytes([SIGNED[64] if v is None else v])


def test_known_answers() -> None:
    assert ethereum.keccak256(b"").hex() == (
        "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    )
    point = KEY.public_key.format(compressed=False)
    assert ethereum.address(point).hex() == "7e5f4552091a69125d5dfcb7b8c2659029395bdf"
    assert ethereum.recover(DIGEST, SIGNED) == point
    assert ethereum.personal_signer(b"hello", SIGNED) == ethereum.address(point)
    assert ethereum.personal_signer(b"hallo", SIGNED) != ethereum.address(point)


def test_a_message_is_prefixed_with_its_length_in_bytes() -> None:
    said = b"\x19Ethereum Signed Message:\n12" + b"x" * 12
    assert ethereum.personal_digest(b"x" * 12) == ethereum.keccak256(said)


@pytest.mark.parametrize("v", [0, 1])
def test_wallets_add_27(v: int) -> None:
    assert ethereum.recover(DIGEST, _with(v=v)) == ethereum.recover(DIGEST, _with(v=v + 27))
    assert ethereum.recover(DIGEST, _with(v=v)) is not None


@pytest.mark.parametrize("v", [4, 26, 31, 255])
def test_other_recovery_ids_are_none(v: int) -> None:
    assert ethereum.recover(DIGEST, _with(v=v)) is None


def test_recovery_ids_whose_x_is_past_the_order_recover_nothing_here() -> None:
    assert ethereum.recover(DIGEST, _with(v=2)) is None
    assert ethereum.recover(DIGEST, _with(v=30)) is None


def test_recovery_ids_whose_x_is_past_the_order_recover_what_there_is() -> None:
    """Only for a tiny r; nobody has ever made such a signature by chance."""
    made = [r.to_bytes(32, "big") + SIGNED[32:64] for r in range(1, 20)]
    past = [tail for tail in made if ethereum.recover(DIGEST, tail + b"\2") is not None]
    assert past
    for tail in past:
        for v in (2, 3):
            found = ethereum.recover(DIGEST, tail + bytes([v]))
            assert found is not None
            assert found == ethereum.recover(DIGEST, tail + bytes([v + 27]))


def test_s_is_the_smaller_of_its_two_forms() -> None:
    half = ORDER // 2
    assert ethereum.recover(DIGEST, _with(s=half)) is not None
    assert ethereum.recover(DIGEST, _with(s=half + 1)) is None
    other = ORDER - int.from_bytes(SIGNED[32:64], "big")
    assert ethereum.recover(DIGEST, _with(s=other, v=SIGNED[64] ^ 1)) is None


def test_sizes() -> None:
    assert ethereum.recover(DIGEST, SIGNED[:-1]) is None
    assert ethereum.recover(DIGEST, SIGNED + b"\0") is None
    assert ethereum.recover(DIGEST[:-1], SIGNED) is None
    assert ethereum.recover(DIGEST + b"\0", SIGNED) is None
    assert ethereum.recover(DIGEST, bytes(65)) is None
    assert ethereum.personal_signer(b"hello", bytes(65)) is None
