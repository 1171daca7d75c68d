"""Keys of dstack: the project's fixed values, chains of signatures, and what a signature cannot be moved to."""

import coincurve
import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.channel.services.simulate.dstack_guest import DstackGuest, public_of, sign
from troth.errors import Malformed
from troth.platforms.tdx import dstack_keys

APP = bytes(range(20))
ROOT = b"\x11" * 32
APPLICATION = b"\x12" * 32
KEY = public_of(b"\x13" * 32)


def chain(purpose: str = "wallet", app_id: bytes = APP) -> list[bytes]:
    return [
        sign(APPLICATION, dstack_keys.purpose_digest(purpose, KEY)),
        sign(ROOT, dstack_keys.issued_digest(app_id, public_of(APPLICATION))),
    ]


def signers(**changed: object) -> dstack_keys.Signers:
    asked = {"purpose": "wallet", "public_key": KEY, "app_id": APP, "signatures": chain()}
    return dstack_keys.signers(**(asked | changed))  # type: ignore[arg-type]


def test_the_projects_own_value() -> None:
    found = dstack_keys.derive(b"\1" * 32, b"wallet/eth")
    assert found.hex() == "e2075f9b165f596a5c70ef3ba2160fca1aac5fc234e23b27f6ecc4d0d6f028af"


def test_contexts_have_no_lengths() -> None:
    assert dstack_keys.derive(ROOT, b"ab", b"c") == dstack_keys.derive(ROOT, b"a", b"bc")
    assert dstack_keys.derive(ROOT, b"ab") != dstack_keys.derive(ROOT, b"abc")


def test_the_signers_of_a_chain() -> None:
    assert signers() == dstack_keys.Signers(
        application=public_of(APPLICATION), root=public_of(ROOT)
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"purpose": "walle"},
        {"public_key": public_of(b"\x14" * 32)},
        {"signatures": chain("other")},
        {"app_id": bytes(20)},
        {"signatures": chain(app_id=bytes(20))},
        {"signatures": chain()[::-1]},
    ],
)
def test_a_chain_of_something_else_has_other_signers(changed: dict[str, object]) -> None:
    assert signers(**changed).root != public_of(ROOT)


def test_a_wallets_way_to_write_a_signature_is_another() -> None:
    first, second = chain()
    moved = first[:64] + bytes([first[64] + 27])
    assert signers(signatures=[moved, second]) == dstack_keys.Signers(application=None, root=None)
    assert signers(signatures=[first, second[:64] + b"\x1b"]).root is None


def test_high_s_is_refused() -> None:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    first, second = chain()
    high = (order - int.from_bytes(first[32:64], "big")).to_bytes(32, "big")
    assert signers(signatures=[first[:32] + high + bytes([first[64] ^ 1]), second]).root is None


@pytest.mark.parametrize(
    "changed",
    [
        {"signatures": []},
        {"signatures": [bytes(65)]},
        {"signatures": [*chain(), bytes(65)]},
        {"app_id": b""},
        {"app_id": bytes(21)},
    ],
)
def test_chains_of_another_form(changed: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        signers(**changed)


@given(st.lists(st.binary(max_size=80), min_size=2, max_size=2))
def test_any_bytes_are_a_chain_of_nobody_we_know(signatures: list[bytes]) -> None:
    assert signers(signatures=signatures).root != public_of(ROOT)


def test_every_bit_of_a_chain_counts() -> None:
    good = chain()
    for place in range(2):
        for bit in range(8 * 65):
            data = bytearray(good[place])
            data[bit // 8] ^= 1 << bit % 8
            moved = [*good]
            moved[place] = bytes(data)
            found = signers(signatures=moved)
            assert (found.application, found.root) != (public_of(APPLICATION), public_of(ROOT))


def test_report_data_of_certificates() -> None:
    import hashlib

    assert (
        dstack_keys.report_data(b"ratls-cert", b"key") == hashlib.sha512(b"ratls-cert:key").digest()
    )


def test_the_signing_key_in_report_data() -> None:
    for algorithm, key in (("secp256k1", KEY), ("ed25519", b"\x07" * 32)):
        data = dstack_keys.signing_key_data(algorithm, key)
        assert len(data) == 64 and dstack_keys.signing_key_in(data) == (algorithm, key)
    assert dstack_keys.signing_key_data("secp256k1", KEY).startswith(b"dip1::secp256k1c-pk:")
    for wrong in (bytes(64), b"dip1::ed25519-pk:".ljust(64, b"\0"), data[:-1] + b"\1", b"dip1::ed"):
        assert dstack_keys.signing_key_in(wrong) is None
    for bad in (("secp256k1", b""), ("ed25519", KEY), ("rsa", KEY)):
        with pytest.raises(Malformed):
            dstack_keys.signing_key_data(*bad)


def test_who_signed_an_environment_key() -> None:
    public, moment = bytes(range(32)), 1_700_000_000
    from troth.crypto.ethereum import keccak256

    digest = keccak256(b"dstack-env-encrypt-pubkey:" + APP + moment.to_bytes(8, "big") + public)
    asked = {
        "public_key": public,
        "app_id": APP,
        "signature": sign(ROOT, digest),
        "timestamp": moment,
    }
    assert dstack_keys.environment_signer(**asked) == public_of(ROOT)  # type: ignore[arg-type]
    for changed in ({"timestamp": moment + 1}, {"public_key": bytes(32)}, {"app_id": bytes(20)}):
        assert dstack_keys.environment_signer(**(asked | changed)) != public_of(ROOT)  # type: ignore[arg-type]
    assert dstack_keys.environment_signer(**(asked | {"signature": b""})) is None  # type: ignore[arg-type]
    for changed in ({"public_key": b""}, {"app_id": b""}, {"timestamp": -1}, {"timestamp": 2**64}):
        with pytest.raises(Malformed):
            dstack_keys.environment_signer(**(asked | changed))  # type: ignore[arg-type]


def test_a_guests_keys_follow_from_its_root() -> None:
    from datetime import UTC, datetime

    now = datetime(2026, 11, 26, tzinfo=UTC)
    guest = DstackGuest.create(now, root=ROOT)
    for algorithm in ("secp256k1", "ed25519"):
        held = guest.key("wallet/eth", "wallet", algorithm)
        found = dstack_keys.signers(
            purpose="wallet", public_key=held.public, app_id=guest.app_id, signatures=held.chain
        )
        assert found.root == public_of(ROOT)
        assert held.secret == guest.key("wallet/eth", "other").secret
    signature, key = guest.signed("secp256k1", b"hello")
    again = coincurve.PublicKey(key.public)
    der = coincurve.ecdsa.cdata_to_der(coincurve.ecdsa.deserialize_compact(signature))
    assert again.verify(der, b"hello")
