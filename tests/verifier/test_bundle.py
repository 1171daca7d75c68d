"""Bundles: one encoding, and what is judged can't bring its own judge."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

import troth
from troth.errors import Malformed, Misuse
from troth.model.report import Verdict
from troth.platforms.nitro.simulate import DevelopmentPki, SimulatedNsm, new_instance
from troth.trust import parse_roots
from troth.verifier.binding import SIGNING_DOMAIN, Tag, bind
from troth.verifier.bundle import (
    MAX_BYTES,
    Bundle,
    Maker,
    appraise_stored,
    looks_like,
    pack,
    replay,
    unpack,
)
from troth.verifier.receipt import Receipt
from troth.wire import cbor

NOW = datetime(2026, 11, 23, 3, 10, tzinfo=UTC)
NONCE = bytes(range(32))
STATEMENT = b'{"price":170,"winner":"grace"}'


class Enclave:
    """A simulated enclave with an identity key, as the agent sets it up."""

    def __init__(self) -> None:
        self.pki = DevelopmentPki.create(NOW)
        self.pcrs = {0: b"\x01" * 48, 1: b"\x02" * 48, 2: b"\x03" * 48}
        self.nsm = SimulatedNsm(self.pki, self.pcrs, new_instance(), lambda: NOW)
        self.key = Ed25519PrivateKey.generate()
        self.spki = self.key.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        self.trust = parse_roots(self.pki.root_pem().encode(), source="test")
        self.policy = troth.Policy.for_image(
            {"nitro": {f"pcr{i}": v.hex() for i, v in self.pcrs.items()}}, name="test"
        )

    def attest(self, tag: Tag, *fields: bytes, key: bytes | None) -> bytes:
        request = {"user_data": bind(tag, *fields), "nonce": NONCE, "public_key": key}
        reply = cbor.decode(
            self.nsm.request(cbor.encode_in_order({"Attestation": request})), field="reply"
        )
        return reply["Attestation"]["document"]

    def receipt(self, data: bytes = STATEMENT) -> Receipt:
        return Receipt(name="outcome", data=data, signature=self.key.sign(SIGNING_DOMAIN + data))


@pytest.fixture(scope="module")
def enclave() -> Enclave:
    return Enclave()


@pytest.fixture(scope="module")
def bundle(enclave: Enclave) -> Bundle:
    return Bundle(
        evidence=enclave.attest(Tag.IDENTITY, enclave.spki, NONCE, key=enclave.spki),
        receipts=(enclave.receipt(),),
        maker=Maker(
            policy=enclave.policy.to_toml(),
            roots=enclave.pki.root_pem().encode(),
            at=NOW,
            nonce=NONCE,
            key=enclave.spki,
            binding=None,
            report=b"{}",
        ),
    )


def stored(enclave: Enclave, bundle: Bundle, now: datetime) -> troth.Report:
    return appraise_stored(bundle, name="b", policy=enclave.policy, now=now, trust=enclave.trust)


def test_pack_and_unpack_are_inverse(bundle: Bundle) -> None:
    data = pack(bundle)
    assert looks_like(data)
    assert unpack(data) == bundle
    assert pack(unpack(data)) == data


def test_a_map_of_nothing_is_no_bundle() -> None:
    for value in ({}, {"schema": "troth/bundle/3"}, {"schema": 1}, {"schema": "troth/bundle/1"}):
        with pytest.raises(Malformed, match="is not a bundle"):
            unpack(cbor.encode(value))


def test_fresh_receipt_is_accepted(enclave: Enclave, bundle: Bundle) -> None:
    report = stored(enclave, bundle, NOW)
    assert report.verdict is Verdict.ACCEPTED
    assert "B401" in {code.id for code in report.required}


def test_later_without_an_instant_it_is_undecided(enclave: Enclave, bundle: Bundle) -> None:
    for later in (timedelta(minutes=6), timedelta(hours=5), timedelta(days=4000)):
        report = stored(enclave, bundle, NOW + later)
        assert report.verdict is Verdict.UNDECIDED
        assert [c.code.id for c in report.checks if c.outcome != "passed"] == ["R104"]


def test_later_with_an_instant_it_is_accepted_as_of(enclave: Enclave, bundle: Bundle) -> None:
    verified = troth.verify(
        bundle.evidence,
        policy=enclave.policy,
        at=NOW,
        trust=enclave.trust,
        receipts=bundle.receipts,
        as_of=True,
    )
    assert verified.report.as_of


def test_replay_is_never_acceptance(bundle: Bundle) -> None:
    report = replay(bundle, name="b")
    assert report.verdict is Verdict.UNDECIDED
    assert [c.code.id for c in report.checks if c.outcome != "passed"] == ["P104"]
    with pytest.raises(Misuse):
        replay(replace(bundle, maker=None), name="b")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nonce", b""),
        ("nonce", b"1234567"),
        ("nonce", bytes(1025)),
        ("key", b""),
        ("binding", bytes(63)),
        ("at", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))),
        ("policy", "name = "),
        ("policy", "schema = 'troth/policy/2'"),
        ("policy", "schema = 'troth/policy/1'\n[nitro]\npcr0 = []"),
        ("roots", b"no certificate"),
    ],
)
def test_what_no_maker_can_have_used_is_the_files_fault(
    bundle: Bundle, field: str, value: Any
) -> None:
    assert bundle.maker is not None
    wrong = unpack(pack(replace(bundle, maker=replace(bundle.maker, **{field: value}))))
    with pytest.raises(Malformed) as caught:
        replay(wrong, name="b")
    assert field in caught.value.field


def test_a_bundle_without_its_maker_cannot_be_replayed(bundle: Bundle) -> None:
    with pytest.raises(Misuse, match="does not say"):
        replay(replace(bundle, maker=None), name="b")


def test_a_bundle_does_not_bring_its_judge(bundle: Bundle) -> None:
    """Its policy and its root accept it; judged without them it is not accepted."""
    report = appraise_stored(bundle, name="b", policy=troth.Policy(name="mine"), now=NOW)
    assert report.verdict is Verdict.REJECTED
    assert {"G101"} <= {c.code.id for c in report.checks if c.outcome == "failed"}


def test_receipts_that_do_not_count(enclave: Enclave, bundle: Bundle) -> None:
    good = bundle.receipts[0]
    other = Ed25519PrivateKey.generate().sign(SIGNING_DOMAIN + STATEMENT)
    for receipt in (
        replace(good, data=STATEMENT + b" "),
        replace(good, signature=other),
        replace(good, signature=good.signature[:-1]),
        replace(good, signature=enclave.key.sign(STATEMENT)),  # without the domain
    ):
        report = stored(enclave, replace(bundle, receipts=(good, receipt)), NOW)
        assert report.verdict is Verdict.REJECTED
        assert [c.code.id for c in report.checks if c.outcome == "failed"] == ["B401"]


@pytest.mark.parametrize("tag", [Tag.APP, Tag.CHANNEL])
def test_a_key_under_another_tag_signs_no_receipt(
    enclave: Enclave, bundle: Bundle, tag: Tag
) -> None:
    evidence = enclave.attest(tag, enclave.spki, NONCE, key=enclave.spki)
    report = stored(enclave, replace(bundle, evidence=evidence), NOW)
    assert [c.code.id for c in report.checks if c.outcome == "failed"] == ["B401"]


def test_evidence_without_a_key_signs_no_receipt(enclave: Enclave, bundle: Bundle) -> None:
    evidence = enclave.attest(Tag.IDENTITY, enclave.spki, NONCE, key=None)
    report = stored(enclave, replace(bundle, evidence=evidence), NOW)
    assert [c.code.id for c in report.checks if c.outcome == "failed"] == ["B401"]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_changed_bundle_is_malformed_or_not_accepted(
    enclave: Enclave, bundle: Bundle, data: st.DataObject
) -> None:
    packed = bytearray(pack(replace(bundle, maker=None)))
    bit = data.draw(st.integers(0, len(packed) * 8 - 1))
    packed[bit // 8] ^= 1 << (bit % 8)
    try:
        changed = unpack(bytes(packed))
    except Malformed:
        return
    report = stored(enclave, changed, NOW)
    renamed = replace(changed, receipts=(replace(changed.receipts[0], name="outcome"),))
    assert report.verdict is not Verdict.ACCEPTED or renamed == replace(bundle, maker=None)


def test_malformed_bundles(bundle: Bundle) -> None:
    good = cbor.decode(pack(bundle), field="b")
    packed = pack(bundle)
    for size in range(0, len(packed), 97):
        with pytest.raises(Malformed):
            unpack(packed[:size])
    with pytest.raises(Malformed):
        unpack(packed + b"\x00")
    for key, value in (
        ("schema", "troth/bundle/2"),
        ("evidence", "text"),
        ("receipts", []),
        ("receipts", {"a": [b""]}),
        ("receipts", {"a": ["", ""]}),
        ("maker", {}),
        ("maker", good["maker"] | {"at": "2026-11-23T03:10:00"}),
        ("maker", good["maker"] | {"at": "soon"}),
        ("maker", good["maker"] | {"nonce": "text"}),
    ):
        with pytest.raises(Malformed):
            unpack(cbor.encode(good | {key: value}))
    with pytest.raises(Malformed):
        unpack(cbor.encode(good | {"extra": 1}))
    with pytest.raises(Misuse):
        pack(replace(bundle, receipts=bundle.receipts * 2))


def test_the_largest_bundle(bundle: Bundle) -> None:
    size = len(pack(replace(bundle, evidence=bytes(MAX_BYTES - 70_000)))) - (MAX_BYTES - 70_000)
    most = replace(bundle, evidence=bytes(MAX_BYTES - size))
    assert len(pack(most)) == MAX_BYTES
    assert unpack(pack(most)).evidence == most.evidence
    with pytest.raises(Malformed):
        unpack(pack(replace(most, evidence=most.evidence + b"\0")))


def test_a_key_of_another_kind_signs_no_receipt(enclave: Enclave, bundle: Bundle) -> None:
    """The same 32 bytes under the name of X25519, and a key that is longer."""
    for key in (
        bytes.fromhex("302a300506032b656e032100") + enclave.spki[12:],
        enclave.spki + b"\0",
    ):
        evidence = enclave.attest(Tag.IDENTITY, key, NONCE, key=key)
        report = stored(enclave, replace(bundle, evidence=evidence), NOW)
        assert [c.code.id for c in report.checks if c.outcome == "failed"] == ["B401"]


def test_another_order_of_the_same_bundle_is_refused(bundle: Bundle) -> None:
    value = cbor.decode(pack(bundle), field="b")
    other = cbor.encode_in_order(dict(sorted(value.items(), reverse=True)))
    assert cbor.decode(other, field="b") == value
    with pytest.raises(Malformed):
        unpack(other)


def test_the_instant_is_called_a_claim_only_where_it_is_one(
    enclave: Enclave, bundle: Bundle
) -> None:
    limit = timedelta(minutes=5)
    for later in (timedelta(0), limit):
        fresh = stored(enclave, bundle, NOW + later)
        assert (fresh.verdict, fresh.as_of, fresh.at) == (Verdict.ACCEPTED, False, NOW + later)
    old = stored(enclave, bundle, NOW + limit + timedelta(seconds=1))
    assert (old.verdict, old.as_of, old.at) == (Verdict.UNDECIDED, True, NOW)
