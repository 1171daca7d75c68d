"""Each check of genuineness earns its place: a document that is wrong in one place is refused for it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.platforms.nitro.forge import (
    INSTANCE,
    LEAF,
    NONCE,
    NOW,
    PCRS,
    Spec,
    chain,
    codes,
    document,
    judge,
    payload,
    policy,
    root,
    sign,
    specs,
)

import troth
from troth.errors import Misuse
from troth.model.check import Outcome, Waiver
from troth.model.report import Verdict
from troth.model.roots import RootClass
from troth.policy.profiles import profile
from troth.wire import cbor

Change = Callable[[list[Spec]], None]
SECOND = timedelta(seconds=1)


def changed(index: int, **fields: Any) -> Change:
    def apply(wanted: list[Spec]) -> None:
        wanted[index] = replace(wanted[index], **fields)

    return apply


def test_the_right_document_is_accepted() -> None:
    evidence, trusted = document()
    report = judge(evidence, trusted)
    assert report.verdict is Verdict.ACCEPTED, report.checks
    assert judge(evidence, trusted, nonce=NONCE).verdict is Verdict.ACCEPTED


def algorithm_inside(der: bytes) -> bytes:
    """Another algorithm in the signed part than outside; the signature then fails as well."""
    name = bytes.fromhex("06082a8648ce3d040303")
    at = der.index(name)
    return der[: at + 9] + b"\x02" + der[at + 10 :]


BROKEN: list[tuple[str, Change]] = [
    *((f"expired-{i}", changed(i, end=NOW - SECOND)) for i in range(5)),
    *((f"not-yet-{i}", changed(i, begin=NOW + SECOND)) for i in range(5)),
]


@pytest.mark.parametrize("change", [c for _, c in BROKEN], ids=[n for n, _ in BROKEN])
def test_each_certificate_is_valid_at_the_instant(change: Change) -> None:
    wanted = specs()
    change(wanted)
    evidence, trusted = document(wanted)
    assert codes(judge(evidence, trusted)) == {"G103"}


def test_the_ends_of_validity_belong_to_it() -> None:
    wanted = specs()
    wanted[LEAF] = replace(wanted[LEAF], begin=NOW, end=NOW + SECOND)
    evidence, trusted = document(wanted)
    assert judge(evidence, trusted).verdict is Verdict.ACCEPTED
    assert judge(evidence, trusted, at=NOW + SECOND).verdict is Verdict.ACCEPTED
    assert codes(judge(evidence, trusted, at=NOW + 2 * SECOND)) == {"G103"}


CHAINS: list[tuple[str, Change]] = [
    ("region-allows-too-few", changed(1, path_length=1)),
    ("zonal-allows-none", changed(2, path_length=0)),
    ("root-allows-none", changed(0, path_length=0)),
    ("authority-without-constraints", changed(2, ca=None)),
    ("authority-that-is-none", changed(3, ca=False)),
    *(
        (f"constraints-not-critical-{i}", changed(i, constraints_critical=False))
        for i in range(LEAF)
    ),
    ("authority-may-not-sign", changed(1, sign_certificates=False, digital_signature=True)),
    ("authority-without-usage", changed(1, sign_certificates=None)),
    ("leaf-is-authority", changed(LEAF, ca=True)),
    ("leaf-says-nothing", changed(LEAF, ca=None)),
    ("leaf-may-not-sign", changed(LEAF, digital_signature=False)),
    ("leaf-without-usage", changed(LEAF, sign_certificates=None)),
    ("unknown-critical", changed(3, critical=True)),
    ("unknown-critical-in-leaf", changed(LEAF, critical=True)),
    ("another-issuer", changed(2, issuer="somebody")),
    ("link-with-sha256", changed(3, digest=hashes.SHA256())),
    ("authority-on-p256", changed(2, curve=ec.SECP256R1())),
    ("signature-broken", changed(3, mangle=lambda der: der[:-1] + bytes([der[-1] ^ 1]))),
    ("two-algorithms", changed(3, mangle=algorithm_inside)),
]


@pytest.mark.parametrize("change", [c for _, c in CHAINS], ids=[n for n, _ in CHAINS])
def test_a_broken_chain(change: Change) -> None:
    wanted = specs()
    change(wanted)
    evidence, trusted = document(wanted)
    report = judge(evidence, trusted)
    assert report.verdict is Verdict.REJECTED
    assert codes(report) == {"G102"}


def test_a_chain_of_a_root_alone_needs_a_leaf_that_it_signed() -> None:
    wanted = [specs()[0], specs()[LEAF]]
    certificates, key = chain(wanted)
    body = cbor.encode_in_order(payload(certificates))
    assert judge(sign(key, body), root(certificates[0])).verdict is Verdict.ACCEPTED
    alone = payload([certificates[0], certificates[0]])
    report = judge(sign(key, cbor.encode_in_order(alone)), root(certificates[0]))
    assert {"G102", "G104"} <= codes(report)


def test_root_not_trusted() -> None:
    evidence, _ = document()
    report = troth.appraise(evidence, policy=policy(), at=NOW)
    assert codes(report) == {"G101"}
    assert {"R103", "P102"} == codes(report, Outcome.UNDECIDED)


def test_another_root_of_the_same_name_is_not_the_root() -> None:
    evidence, _ = document()
    other = replace(specs()[0], end=NOW + timedelta(days=9))
    certificates, _ = chain([other, *specs()[1:]])
    assert "G101" in codes(judge(evidence, root(certificates[0])))


def test_development_under_production() -> None:
    evidence, trusted = document()
    strict = replace(profile("production-2026-11"), registers=policy().registers)
    for kind in (RootClass.DEVELOPMENT, RootClass.ADDED):
        named = replace(trusted, root_class=kind)
        assert codes(judge(evidence, named, policy=strict)) == {"P102"}
    vendor = replace(trusted, root_class=RootClass.VENDOR)
    with pytest.raises(Misuse, match="passed as a vendor's"):
        judge(evidence, vendor, policy=strict)


def test_a_policy_admits_a_development_root_by_its_digest() -> None:
    evidence, trusted = document()
    named = policy(development_roots=frozenset({trusted.sha256}))
    report = troth.appraise(evidence, policy=named, at=NOW)
    assert report.verdict is Verdict.ACCEPTED
    assert report.root_class is RootClass.DEVELOPMENT


def test_a_root_past_its_review_is_undecided() -> None:
    evidence, trusted = document()
    fresh = replace(trusted, review_by=NOW)
    assert judge(evidence, fresh).verdict is Verdict.ACCEPTED
    aged = replace(trusted, review_by=NOW - SECOND)
    report = judge(evidence, aged)
    assert report.verdict is Verdict.UNDECIDED
    assert codes(report, Outcome.UNDECIDED) == {"R103"}


def test_algorithm_and_signature() -> None:
    evidence, trusted = document(alg=-7)
    assert codes(judge(evidence, trusted)) == {"G105"}
    certificates, _ = chain(specs())
    other = ec.generate_private_key(ec.SECP384R1())
    body = cbor.encode_in_order(payload(certificates))
    assert codes(judge(sign(other, body), root(certificates[0]))) == {"G104"}
    good = sign(chain(specs())[1], body)
    short = cbor.decode(good, field="x")
    short[3] = short[3][:95]
    assert "G104" in codes(judge(cbor.encode_in_order(short), root(certificates[0])))


def test_the_leaf_on_another_curve() -> None:
    wanted = specs()
    wanted[LEAF] = replace(wanted[LEAF], curve=ec.SECP256R1())
    certificates, key = chain(wanted)
    body = cbor.encode_in_order(payload(certificates))
    for signer in (key, ec.generate_private_key(ec.SECP384R1())):
        report = judge(sign(signer, body), root(certificates[0]))
        assert codes(report) == {"G104"}


def test_the_instance_was_measured() -> None:
    for changes in (
        {"module_id": "i-0fedcba9876543210-enc0123456789abcdef"},
        {"module_id": INSTANCE},
        {"module_id": f"x{INSTANCE}-enc0123456789abcdef"},
        {"pcrs": {**PCRS, 3: bytes(48), 4: bytes(48)}},
        {"pcrs": {**PCRS}},
    ):
        evidence, trusted = document(**changes)
        assert codes(judge(evidence, trusted)) == {"G106"}, changes


def test_debug_is_refused_whatever_is_given_up() -> None:
    zero = {i: bytes(48) for i in range(3)}
    evidence, trusted = document(pcrs={**payload([b"x"])["pcrs"], **zero})
    assert {"P101", "M201"} == codes(judge(evidence, trusted))
    report = judge(
        evidence,
        trusted,
        policy=troth.Policy(name="none"),
        waive=frozenset({Waiver.MEASUREMENT, Waiver.FRESHNESS, Waiver.KEY}),
    )
    assert report.verdict is Verdict.REJECTED
    assert codes(report) == {"P101"}
    partly, trusted = document(pcrs={**payload([b"x"])["pcrs"], 0: bytes(48)})
    assert codes(judge(partly, trusted)) == {"M201"}


@settings(max_examples=200)
@given(index=st.integers(0, LEAF), data=st.binary(max_size=900))
def test_any_bytes_for_a_certificate(index: int, data: bytes) -> None:
    certificates, key = chain(specs())
    trusted = root(certificates[0])
    certificates[index] = data or b"\0"
    evidence = sign(key, cbor.encode_in_order(payload(certificates)))
    assert judge(evidence, trusted).verdict is Verdict.REJECTED


@settings(max_examples=300)
@given(index=st.integers(0, LEAF), bit=st.integers(0, 8 * 400), cut=st.booleans())
def test_any_change_in_a_certificate(index: int, bit: int, cut: bool) -> None:
    certificates, key = chain(specs())
    trusted = root(certificates[0])
    old = bytearray(certificates[index])
    if cut:
        del old[bit // 8 :]
    else:
        old[bit // 8 % len(old)] ^= 1 << bit % 8
    if bytes(old) == certificates[index] or not old:
        return
    certificates[index] = bytes(old)
    evidence = sign(key, cbor.encode_in_order(payload(certificates)))
    assert judge(evidence, trusted).verdict is Verdict.REJECTED


def test_an_unreadable_chain_leaves_what_hangs_on_it_open() -> None:
    certificates, key = chain(specs())
    trusted = root(certificates[0])
    certificates[2] = b"\x30\x00"
    report = judge(sign(key, cbor.encode_in_order(payload(certificates))), trusted)
    assert codes(report) == {"G102"}
    assert {"G103", "G104"} <= codes(report, Outcome.UNDECIDED)
