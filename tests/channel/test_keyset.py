"""ACI's keyset and statement: the published vectors, and whatever is no keyset."""

import copy
import hashlib
from typing import Any

import pytest
from tests.channel.aci_made import NONCE, keyset_value

from troth.channel import keyset
from troth.errors import Malformed
from troth.wire import json


def test_the_digest_of_the_published_keyset() -> None:
    found = keyset.read(keyset_value())
    assert found.digest == "sha256:53a5cd44b30dcc51999754c719f2628a041f174ecbf9662a6f8e898a10cd9371"


def test_the_order_in_which_a_service_writes_members_changes_nothing() -> None:
    turned = dict(reversed(keyset_value().items()))
    assert keyset.read(turned).digest == keyset.read(keyset_value()).digest


def test_the_statement_is_exact_bytes() -> None:
    digest = keyset.read(keyset_value()).digest
    assert keyset.statement(digest, NONCE) == (
        b'{"keyset_digest":"sha256:53a5cd44b30dcc51999754c719f2628a041f174ecbf9662a6f8e898a10cd9371",'
        b'"nonce":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",'
        b'"purpose":"aci.report_data.v1"}'
    )


@pytest.mark.parametrize(
    ("nonce", "expected"),
    [
        (NONCE, "df2174d28130852b413646a3786927b93e94c11d770268b65def8bdba45cb49e"),
        (None, "0633919ca3f00e97bafaa3304278eb22420cc3ff0d19f87dfca2d3f7508150bc"),
    ],
)
def test_the_published_report_data(nonce: bytes | None, expected: str) -> None:
    digest = keyset.read(keyset_value()).digest
    assert keyset.report_data(digest, nonce).hex() == expected + "00" * 32


def test_a_tls_key_counts_for_the_host_that_it_is_listed_for() -> None:
    value = keyset_value()
    value["tls_public_keys"][0]["spki_sha256"] = hashlib.sha256(b"spki").hexdigest()
    scoped = keyset.read(value)
    assert scoped.has_tls(b"spki", "API.example.com.")
    assert not scoped.has_tls(b"spki", "other.example.com")
    assert not scoped.has_tls(b"another", "api.example.com")
    del value["tls_public_keys"][0]["domain"]
    assert keyset.read(value).has_tls(b"spki", "other.example.com")


def test_a_key_is_chosen_by_its_algorithm() -> None:
    value = keyset_value()
    old = {"key_id": "old", "algo": "rot13", "public_key": "whatever"}
    value["e2ee_public_keys"].insert(0, old)
    value["receipt_signing_keys"].insert(0, old | {"public_key": "else"})
    found = keyset.read(value)
    assert found.e2ee_key() == found.e2ee[1]
    assert found.receipt_key("old") is None
    assert found.receipt_key("receipt-1") is not None


def test_secp256k1_is_taken_where_there_is_no_other() -> None:
    value = keyset_value()
    point = {"key_id": "k", "algo": keyset.SECP256K1, "public_key": "04" + "ab" * 64}
    value["e2ee_public_keys"].insert(0, point)
    assert keyset.read(value).e2ee_key() == keyset.read(value).e2ee[1]
    value["e2ee_public_keys"] = [point]
    found = keyset.read(value).e2ee_key()
    assert found is not None
    assert found.algo == keyset.SECP256K1
    value["e2ee_public_keys"] = []
    assert keyset.read(value).e2ee_key() is None


def test_as_much_as_there_may_be() -> None:
    value = keyset_value() | {"not_after": 0, "subject": "x" * 512}
    value["receipt_signing_keys"] = [
        {"key_id": str(n), "algo": "ed25519", "public_key": f"{n:064x}"} for n in range(64)
    ]
    assert len(keyset.read(value).receipts) == 64


def _changed(*path: Any, to: Any) -> dict[str, Any]:
    value = copy.deepcopy(keyset_value())
    *above, last = path
    holder: Any = value
    for step in above:
        holder = holder[step]
    holder[last] = to
    return value


def test_no_bit_of_a_keyset_can_be_changed_and_leave_its_digest() -> None:
    data = json.canonical(keyset_value())
    digest = keyset.read(keyset_value()).digest
    for place in range(len(data) * 8):
        changed = bytearray(data)
        changed[place // 8] ^= 1 << (place % 8)
        try:
            found = keyset.read(json.parse(bytes(changed), field="keyset"))
        except Malformed:
            continue
        assert found.digest != digest, place


KEY = keyset_value()["receipt_signing_keys"][0]


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        _changed("more", to=1),
        _changed("not_after", to=-1),
        _changed("not_after", to=True),
        _changed("not_after", to="1800000000"),
        _changed("subject", to=7),
        _changed("subject", to="x" * 1000),
        _changed("receipt_signing_keys", to={}),
        _changed("receipt_signing_keys", to=[1]),
        _changed("receipt_signing_keys", to=[KEY] * 65),
        _changed("receipt_signing_keys", to=[KEY, KEY]),
        _changed("receipt_signing_keys", to=[KEY, KEY | {"public_key": "00" * 32}]),
        _changed("subject", to="x" * 513),
        _changed("receipt_signing_keys", 0, "public_key", to=KEY["public_key"].upper()),
        _changed("receipt_signing_keys", 0, "public_key", to=KEY["public_key"][2:]),
        _changed("receipt_signing_keys", 0, "more", to=1),
        _changed("tls_public_keys", 0, "spki_sha256", to="C0" * 32),
        _changed("tls_public_keys", 0, "more", to=""),
        _changed("tls_public_keys", to=["c0" * 32]),
        # one key, two roles
        _changed("e2ee_public_keys", to=[KEY]),
    ],
)
def test_whatever_is_no_keyset_is_refused(value: Any) -> None:
    with pytest.raises(Malformed):
        keyset.read(value)


@pytest.mark.parametrize("value", [None, "", "00" * 32, "sha256:", "sha256:" + "0G" * 32])
def test_a_digest_has_one_form(value: Any) -> None:
    with pytest.raises(Malformed):
        keyset.digest_field(value, "digest")
