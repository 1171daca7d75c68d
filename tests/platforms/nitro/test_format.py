"""What is no attestation document: every departure from the form, each with our own error."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.nitro.forge import (
    NOW,
    PCRS,
    chain,
    document,
    judge,
    payload,
    policy,
    root,
    sign,
    specs,
)

import troth
from troth.errors import Malformed
from troth.model.report import Verdict
from troth.platforms.nitro import format as nitro
from troth.wire import cbor

CERTIFICATES, KEY = chain(specs())
BODY = payload(CERTIFICATES)


def signed(**changes: Any) -> bytes:
    return sign(KEY, cbor.encode_in_order(payload(CERTIFICATES, **changes)))


def envelope(**changes: Any) -> bytes:
    parts = cbor.decode(signed(), field="x")
    names = ("protected", "unprotected", "payload", "signature")
    return cbor.encode_in_order([changes.get(n, p) for n, p in zip(names, parts, strict=True)])


FIELDS: list[dict[str, Any]] = [
    {"module_id": ""},
    {"module_id": 5},
    {"module_id": "i-\u202e"},
    {"module_id": "i-\n"},
    {"digest": "SHA256"},
    {"timestamp": 0},
    {"timestamp": -1},
    {"timestamp": True},
    {"timestamp": "now"},
    {"timestamp": 253_402_300_799_001},
    {"pcrs": {}},
    {"pcrs": []},
    {"pcrs": {**PCRS, 32: bytes(48)}},
    {"pcrs": {**PCRS, -1: bytes(48)}},
    {"pcrs": {**PCRS, "3": bytes(48)}},
    {"pcrs": {0: bytes(48), 1: bytes(48)}},
    {"pcrs": {1: bytes(48), 2: bytes(48)}},
    {"pcrs": {**PCRS, 3: bytes(47)}},
    {"pcrs": {**PCRS, 3: bytes(32)}},
    {"pcrs": {**PCRS, 3: "text"}},
    {"certificate": b""},
    {"certificate": bytes(1025)},
    {"certificate": None},
    {"cabundle": []},
    {"cabundle": None},
    {"cabundle": [b""]},
    {"cabundle": [bytes(1025)]},
    {"cabundle": [CERTIFICATES[0]] * 17},
    {"public_key": b""},
    {"public_key": bytes(1025)},
    {"public_key": "text"},
    {"user_data": bytes(1025)},
    {"nonce": bytes(1025)},
    {"nonce": 5},
]


@pytest.mark.parametrize("changes", FIELDS)
def test_a_field_out_of_bounds(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        nitro.parse(signed(**changes))


def test_the_largest_fields_are_accepted() -> None:
    changes = {"public_key": bytes(1024), "user_data": bytes(1024), "nonce": bytes(1024)}
    evidence, trusted = document(**changes)
    assert judge(evidence, trusted).verdict is Verdict.ACCEPTED
    parsed = nitro.parse(signed(user_data=b"", nonce=b"", public_key=b"x"))
    assert (parsed.user_data, parsed.nonce, parsed.public_key) == (b"", b"", b"x")
    assert len(nitro.parse(signed(cabundle=[CERTIFICATES[0]] * 16)).cabundle) == 16
    assert nitro.parse(signed(timestamp=253_402_300_799_000)).timestamp_ms == 253_402_300_799_000
    assert len(nitro.parse(signed(pcrs={i: bytes(48) for i in range(32)})).pcrs) == 32


def test_missing_and_unknown_keys() -> None:
    whole = payload(CERTIFICATES)
    for key in whole:
        less = {k: v for k, v in whole.items() if k != key}
        with pytest.raises(Malformed):
            nitro.parse(sign(KEY, cbor.encode_in_order(less)))
    with pytest.raises(Malformed):
        nitro.parse(sign(KEY, cbor.encode_in_order(whole | {"extra": 1})))


def raw_map(whole: dict[str, Any], *, head: bytes, end: bytes = b"", twice: str = "") -> bytes:
    items = [*whole.items(), *([(twice, whole[twice])] if twice else [])]
    return (
        head + b"".join(cbor.encode_in_order(k) + cbor.encode_in_order(v) for k, v in items) + end
    )


def test_an_indefinite_payload_is_what_hardware_makes_since_2025() -> None:
    whole = payload(CERTIFICATES)
    body = raw_map(whole, head=b"\xbf", end=b"\xff")
    assert judge(sign(KEY, body), root(CERTIFICATES[0])).verdict is Verdict.ACCEPTED
    for bad in (
        raw_map(whole, head=b"\xbf"),
        raw_map(whole, head=b"\xbf", end=b"\xff\x00"),
        raw_map(whole, head=b"\xbf", end=b"\xff", twice="nonce"),
        raw_map(whole, head=b"\xaa", twice="nonce"),
        raw_map(whole, head=b"\xb8\x09"),
        raw_map(whole, head=b"\xbb" + (1 << 60).to_bytes(8, "big")),
        cbor.encode_in_order([whole]),
        cbor.encode_in_order(whole).replace(b"\x58\x20", b"\x59\x00\x20", 1),
        cbor.encode_in_order(whole)[:-1],
    ):
        with pytest.raises(Malformed):
            nitro.parse(sign(KEY, bad))
    # Only the outermost map may be indefinite.
    inner = cbor.encode_in_order(whole)
    start = inner.index(b"\x64pcrs") + 5
    count = inner[start] & 0x1F
    assert inner[start] >> 5 == 5
    assert count == 5
    at = start + 1 + 5 * 51
    indefinite = inner[:start] + b"\xbf" + inner[start + 1 : at] + b"\xff" + inner[at:]
    with pytest.raises(Malformed):
        nitro.parse(sign(KEY, indefinite))


ENVELOPES: list[dict[str, Any]] = [
    {"unprotected": {1: -35}},
    {"unprotected": []},
    {"unprotected": None},
    {"protected": cbor.encode({1: -35, 4: b"x"})},
    {"protected": cbor.encode({})},
    {"protected": cbor.encode({1: "ES384"})},
    {"protected": cbor.encode([1])},
    {"protected": b"\xa1\x01\x38\x22\x00"},
    {"protected": b"\xa1\x01\x39\x00\x22"},
    {"protected": "text"},
    {"payload": b""},
    {"payload": "text"},
    {"payload": bytes(16 * 1024 + 1)},
    {"signature": "text"},
]


@pytest.mark.parametrize("changes", ENVELOPES)
def test_an_envelope_that_is_not_exact(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        nitro.parse(envelope(**changes))


def test_tagged_trailing_and_other_shapes() -> None:
    data = signed()
    tagged = b"\xd2" + data
    assert nitro.parse(tagged).module_id == nitro.parse(data).module_id
    assert nitro.unwrap(tagged) == (tagged, "")
    for bad in (
        b"\xd3" + data,
        b"\xd2" + tagged,
        data + b"\x00",
        b"\x83" + data[1:],
        b"\x9f" + data[1:] + b"\xff",
    ):
        with pytest.raises(Malformed):
            nitro.parse(bad)
    with pytest.raises(Malformed):
        nitro.parse(bytes(20 * 1024 + 1))


def test_sixteen_kibibytes_of_zeros() -> None:
    with pytest.raises(Malformed):
        troth.verify(bytes(16 * 1024), policy=policy(), at=NOW)
    report = troth.appraise(bytes(16 * 1024), policy=policy(), at=NOW)
    assert report.verdict is Verdict.MALFORMED


def test_framing() -> None:
    data = signed()
    text = base64.b64encode(data)
    for wrapped in (text, text + b"\n", text + b"\r\n"):
        assert nitro.unwrap(wrapped) == (data, "base64 text")
    for wrapped in (text + b"\n\n", text + b" ", text[:-1] + b"!", b" ".join((text[:8], text[8:]))):
        with pytest.raises(Malformed):
            nitro.unwrap(wrapped)
    scale = b"\x00\x02" + (len(data) << 2 | 1).to_bytes(2, "little") + data
    assert nitro.unwrap(scale) == (data, "SCALE framing and 0 bytes behind")
    assert nitro.unwrap(scale + b"more") == (data, "SCALE framing and 4 bytes behind")
    with pytest.raises(Malformed):
        nitro.unwrap(scale[:-1])
    for at in range(4, 84, 4):  # wrapped text, as `base64` prints it
        with pytest.raises(Malformed):
            nitro.unwrap(text[:at] + b"\n" + text[at:])
    assert nitro.unwrap(b"\x00\x03" + scale[2:]) is None
    assert nitro.unwrap(b"") is None


def test_another_token_under_the_same_header_is_not_ours() -> None:
    """Arm's and other COSE tokens are ES384 as well; their claims have other names."""
    for claims in (
        {10: bytes(64), 44235: bytes(64)},  # Arm CCA: a realm token's challenge and personalisation
        {265: "tag:psacertified.org,2023:psa#tfm", 10: bytes(32)},
        {"iss": "module_id"},
        {},
        {"challenge": b"\x69module_id"},
    ):
        token = cbor.encode_in_order(
            [cbor.encode({1: -35}), {}, cbor.encode_in_order(claims), bytes(96)]
        )
        for data in (token, b"\xd2" + token, base64.b64encode(token)):
            assert nitro.unwrap(data) is None
            assert (
                nitro.unwrap(b"\x00\x02" + (len(data) << 2 | 1).to_bytes(2, "little") + data)
                is None
            )
        report = troth.appraise(token, policy=policy(), at=NOW)
        assert [check.code.id for check in report.checks] == ["F102"]
    assert nitro.unwrap(b"hESh") is None
    assert nitro.unwrap(b"hEShA") is None


@pytest.mark.parametrize("first", sorted(BODY))
def test_a_malformed_document_is_told_what_is_wrong_with_it(first: str) -> None:
    """Whichever key comes first, it is known for what it is, and its own reader answers."""
    body = {first: BODY[first]} | BODY
    del body[next(key for key in BODY if key != first)]
    for alg in (-35, -7):
        data = cbor.encode_in_order(
            [cbor.encode({1: alg}), None, cbor.encode_in_order(body), bytes(96)]
        )
        for wrapped in (data, b"\xd2" + data, base64.b64encode(data)):
            assert nitro.unwrap(wrapped) is not None
            report = troth.appraise(wrapped, policy=policy(), at=NOW)
            assert [check.code.id for check in report.checks] == ["F101"]
            with pytest.raises(Malformed, match="unprotected header"):
                troth.verify(wrapped, policy=policy(), at=NOW)


@given(data=st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    for call in (nitro.parse, nitro.unwrap, lambda d: list(nitro.fields(d))):
        try:
            call(data)
        except Malformed:
            pass


@given(
    value=st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**40), 2**40)
        | st.text(max_size=5)
        | st.binary(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.integers(0, 9) | st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=10,
    )
)
def test_any_payload(value: Any) -> None:
    with pytest.raises(Malformed):
        nitro.parse(sign(KEY, cbor.encode_in_order(value)))


def test_the_whole_document_is_bounded() -> None:
    """Each part within its own limit, and still too much."""
    size = len(envelope(signature=b""))
    most = nitro.MAX_DOCUMENT - size - 2
    assert nitro.parse(envelope(signature=bytes(most)))
    with pytest.raises(Malformed):
        nitro.parse(envelope(signature=bytes(most + 1)))


def test_the_payload_is_bounded() -> None:
    """Sixteen certificates at their limit are within theirs, and together too much."""
    body = cbor.encode_in_order(payload(CERTIFICATES, cabundle=[bytes(1024)] * 16))
    assert 16 * 1024 < len(body) < nitro.MAX_DOCUMENT - 200
    with pytest.raises(Malformed):
        nitro.parse(sign(KEY, body))


def test_a_field_that_is_absent_is_shown_as_absent() -> None:
    evidence, _ = document()
    parsed = nitro.parse(evidence)
    shown = dict(nitro.fields(evidence))
    for name in ("public_key", "user_data", "nonce"):
        value = getattr(parsed, name)
        assert shown[name] == ("absent" if value is None else value.hex())
    assert "absent" in shown.values()
