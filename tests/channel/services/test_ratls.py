"""RA-TLS certificates of several makers: what binds the key, what is made up again, and what binds nothing."""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.channel.services.stage import asked, found, judged, now, pinned, wrong

from troth.channel.services import Found, _leaf, ratls
from troth.channel.services.ratls import SERVICE
from troth.channel.services.simulate import ratls as simulated
from troth.channel.services.simulate._loopback import NOT_FOUND, Loopback, identity
from troth.errors import Malformed
from troth.model.channel import Binding
from troth.model.check import Outcome, Waiver
from troth.model.report import Report, Verdict
from troth.platforms.dcap.simulate import DevelopmentPki
from troth.platforms.dcap.simulate_bodies import ENCLAVE_DEFAULTS, digest
from troth.wire import cbor

PKI = DevelopmentPki.create(now())
TD = {name: digest(name) for name in ("mrtd", "rtmr0", "rtmr1", "rtmr2")}
ENCLAVE = {"mrenclave": ENCLAVE_DEFAULTS["mrenclave"]}
BOUND = ("tagged", "gramine", "both")
STALE = {"R101": Outcome.UNDECIDED}


def judge(answer: Found, *, tdx: bool, channel: Binding = Binding.KEY, **given: Any) -> Report:
    platform, registers = ("tdx", TD) if tdx else ("sgx", ENCLAVE)
    policy = pinned(platform, registers, channel=channel)
    return judged(answer, policy=policy, trust=PKI.roots(), collateral=PKI.collateral(), **given)


def shown(*, tdx: bool = True, **made: Any) -> Found:
    certificate = simulated.shown(simulated.quoting(PKI, tdx=tdx), now(), **made)
    with simulated.serve(certificate) as server:
        return asked(SERVICE, server)


def test_the_claims_byte_by_byte() -> None:
    key = hashlib.sha256(b"key").digest()
    inner = b"\x82\x01\x58\x20" + key
    expected = b"\xa1\x6bpubkey-hash\x58\x24" + inner
    assert ratls.claims_for(b"key") == expected
    assert ratls.user_data(expected) == hashlib.sha256(expected).digest() + bytes(32)
    assert ratls.names(expected, b"key") and not ratls.names(expected, b"other")


def test_the_header_too_many() -> None:
    assert _leaf.oid(simulated.GRAMINE) == ratls.GRAMINE
    assert ratls.GRAMINE.hex() == "06092a864886f84d8a3906"


@pytest.mark.parametrize("form", BOUND)
@pytest.mark.parametrize("tdx", [True, False])
def test_a_key_that_is_bound(form: str, *, tdx: bool) -> None:
    answer = shown(tdx=tdx, form=form)
    assert answer.binding is Binding.KEY and set(answer.keys) == {"tls"}
    assert wrong(judge(answer, tdx=tdx)) == STALE
    waived = judge(answer, tdx=tdx, waive=frozenset({Waiver.FRESHNESS}))
    assert waived.verdict is Verdict.ACCEPTABLE_WITH_WAIVERS


@pytest.mark.parametrize(("form", "tdx"), [("intel-tdx", True), ("intel-sgx", False)])
def test_intels_arc_binds_nothing_that_is_known(form: str, *, tdx: bool) -> None:
    answer = shown(tdx=tdx, form=form)
    assert answer.binding is Binding.NONE and not answer.keys
    assert any("maker's own" in one for one in answer.not_bound)
    assert wrong(judge(answer, tdx=tdx))["B302"] is Outcome.FAILED


def test_hosts_of_another_kind() -> None:
    with Loopback(lambda _: NOT_FOUND, identity=identity(now())) as server:
        assert found(SERVICE, server) is None
    with Loopback(lambda _: NOT_FOUND) as server:
        assert found(SERVICE, server) is None


@pytest.mark.parametrize("form", BOUND)
def test_anothers_evidence_ratls(form: str) -> None:
    """A quote, with its claims, out of a good enclave's certificate."""
    report = judge(shown(form=form, quoted=identity(now()).spki), tdx=True)
    assert report.verdict is Verdict.REJECTED and wrong(report)["B501"] is Outcome.FAILED


@pytest.mark.parametrize("form", ["tagged", "both"])
def test_key_swapped_ratls(form: str) -> None:
    """Claims that name this key beside a quote over claims that name another."""
    good = identity(now()).spki
    certificate = simulated.shown(
        simulated.quoting(PKI, tdx=True),
        now(),
        form=form,
        data=ratls.user_data(ratls.claims_for(good)),
    )
    with simulated.serve(certificate) as server:
        report = judge(asked(SERVICE, server), tdx=True)
    assert report.verdict is Verdict.REJECTED and "B501" in wrong(report)


def test_old_nonce_ratls() -> None:
    assert any("no freshness" in one for one in SERVICE.not_bound)
    assert shown().nonce is None
    assert wrong(judge(shown(), tdx=True)) == STALE


def test_downgrade_of_the_binding_ratls() -> None:
    """Intel's arc in place of claims, or a policy that asks for the session."""
    assert "B302" in wrong(judge(shown(form="intel-tdx"), tdx=True))
    assert "B302" in wrong(judge(shown(), tdx=True, channel=Binding.SESSION))


def test_stream_cut_ratls() -> None:
    """The evidence stands in the certificate, which TLS takes whole or not at all; a cut quote is none."""
    quote = simulated.quoting(PKI, tdx=True)
    answer = shown()
    key = answer.composite.lead.user_data or b""
    cut = quote(key)[:-50]
    certificate = identity(now(), extensions=[(simulated.GRAMINE, cut)])
    with simulated.serve(certificate) as server:
        assert judge(asked(SERVICE, server), tdx=True).verdict is Verdict.MALFORMED


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x80",
        cbor.encode([b"quote", ratls.claims_for(b"")]),
        b"\xd9\xea\x61" + cbor.encode([b"quote", ratls.claims_for(b"")]),
        b"\xd9\xea\x60" + cbor.encode([b"quote"]),
        b"\xd9\xea\x60" + cbor.encode(["quote", b""]),
        b"\xd9\xea\x60" + cbor.encode({}),
        b"\xd9\xea\x60" + cbor.encode([b"quote", b""]),
        b"\xd9\xea\x60" + cbor.encode([b"quote", cbor.encode({})]),
        b"\xd9\xea\x60" + cbor.encode([b"quote", cbor.encode({"pubkey-hash": 1})]),
        b"\xd9\xea\x60"
        + cbor.encode([b"quote", cbor.encode({"pubkey-hash": cbor.encode([7, bytes(48)])})]),
        b"\xd9\xea\x60" + cbor.encode([b"", ratls.claims_for(b"")]),
        b"\xd9\xea\x60" + cbor.encode([b"quote", ratls.claims_for(b"")]) + b"\0",
    ],
)
def test_tagged_evidence_of_another_form(value: bytes) -> None:
    certificate = identity(now(), extensions=[(simulated.TAGGED, value)])
    with simulated.serve(certificate) as server, pytest.raises(Malformed):
        found(SERVICE, server)


@given(st.binary(max_size=100))
def test_any_bytes_of_claims(data: bytes) -> None:
    for read in (lambda: ratls.tagged(data), lambda: ratls.names(data, b"")):
        try:
            read()
        except Malformed:
            pass
