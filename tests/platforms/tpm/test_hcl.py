"""The paravisor's report: its form, byte by byte, and the claims inside."""

import json
from typing import Any

import pytest
from tests.platforms.tpm import made

from troth.errors import Malformed
from troth.platforms.tpm import hcl
from troth.platforms.tpm.simulate import hcl_report

RUNTIME = made.booted().runtime()
GOOD = hcl_report(bytes(range(256)) * 4 + bytes(160), RUNTIME, hcl.Kind.SNP)
END = 32 + 1184 + 20 + len(RUNTIME)


def with_claims(value: Any) -> bytes:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return hcl_report(bytes(1184), text, hcl.Kind.SNP)


def test_a_report_says_what_was_put_in() -> None:
    found = hcl.read(GOOD)
    assert (found.version, found.kind, found.runtime) == (2, hcl.Kind.SNP, RUNTIME)
    assert found.ak == made.key().ak
    assert found.presented == found.hardware[0x50:0x90]
    assert found.configuration["secure-boot"] is True
    assert found.user_data == bytes(64)


def test_every_truncation() -> None:
    for size in range(END):
        with pytest.raises(Malformed):
            hcl.read(GOOD[:size])
    assert hcl.read(GOOD[:END]).runtime == RUNTIME  # the zeros behind it are the NV memory's


def test_the_largest_report_and_one_byte_more() -> None:
    for size, sound in ((hcl.MAX_REPORT, True), (hcl.MAX_REPORT + 1, False)):
        data = hcl_report(bytes(1184), RUNTIME, hcl.Kind.SNP, size=size)
        if sound:
            assert hcl.read(data).runtime == RUNTIME
        else:
            with pytest.raises(Malformed, match="larger"):
                hcl.read(data)


def test_every_bit_of_the_head_is_fixed_or_says_something() -> None:
    good = hcl.read(GOOD)
    for byte in (*range(32), *range(1216, 1236)):
        for bit in range(8):
            changed = bytearray(GOOD)
            changed[byte] ^= 1 << bit
            try:
                found = hcl.read(bytes(changed))
            except Malformed:
                continue
            said = (found.version, found.kind, found.report_data)
            assert said != (good.version, good.kind, good.report_data)


@pytest.mark.parametrize(
    "data",
    [
        GOOD + b"\1",
        GOOD[:-1] + b"\1",
        bytes(5000),
        GOOD[:4] + b"\3" + GOOD[5:],
    ],
)
def test_what_is_no_report(data: bytes) -> None:
    with pytest.raises(Malformed):
        hcl.read(data)


KEY = json.loads(RUNTIME)["keys"][0]


@pytest.mark.parametrize(
    "claims",
    [
        b"",
        b"[]",
        b'{"keys": [], "keys": []}',
        {},
        {"keys": {}},
        {"keys": []},
        {"keys": [KEY, KEY]},
        {"keys": [KEY] + [{}] * 8},
        {"keys": [KEY | {"kty": "EC"}]},
        {"keys": [KEY | {"n": KEY["n"] + "="}]},
        {"keys": [KEY | {"n": "AA" + KEY["n"]}]},
        {"keys": [KEY | {"n": 5}]},
        {"keys": [KEY | {"n": "A"}]},
        {"keys": [KEY | {"e": "AQAAAAE"}]},
        {"keys": [KEY | {"e": ""}]},
        {"keys": [KEY | {"n": "+" + KEY["n"][1:]}]},
        {"keys": [KEY], "user-data": "00"},
        {"keys": [KEY], "user-data": 5},
        {"keys": [KEY], "user-data": "zz" * 64},
        {"keys": [KEY], "vm-configuration": []},
    ],
)
def test_claims_out_of_form(claims: Any) -> None:
    with pytest.raises(Malformed):
        hcl.read(with_claims(claims))


def test_other_keys_and_claims_are_left_alone() -> None:
    other = {"kid": "HCLEkPub", "kty": "EC"}
    found = hcl.read(with_claims({"keys": [other, KEY], "new": {"deep": [1]}}))
    assert found.ak == made.key().ak
    assert (found.user_data, found.configuration) == (None, {})
    assert hcl.read(with_claims({"keys": [other] * 7 + [KEY]})).ak == made.key().ak
    for exponent in ("Aw", "gAAAAQ"):  # of one byte and of four
        assert hcl.read(with_claims({"keys": [KEY | {"e": exponent}]})).ak != made.key().ak
    with pytest.raises(Malformed):
        _ = hcl.read(hcl_report(bytes(1184), RUNTIME, hcl.Kind.VBS)).presented


def test_a_td_report_is_padded_with_zeros() -> None:
    found = hcl.read(hcl_report(bytes(1024), RUNTIME, hcl.Kind.TDX))
    assert len(found.hardware) == 1024
    with pytest.raises(Malformed):
        hcl.read(hcl_report(bytes(1024) + b"\1", RUNTIME, hcl.Kind.TDX))
