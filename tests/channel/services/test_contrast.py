"""Contrast's attested TLS: a certificate for the nonce, and each way around it."""

from typing import Any

import pytest
from tests.channel.services.stage import NONCE, OLD, asked, found, judged, now, pinned, wrong

from troth.channel.services import Found, contrast
from troth.channel.services.contrast import SERVICE
from troth.channel.services.simulate import contrast as simulated
from troth.channel.services.simulate import ratls as quotes
from troth.channel.services.simulate._loopback import NOT_FOUND, Loopback, identity
from troth.model.channel import Binding
from troth.model.check import Outcome
from troth.model.report import Report, Verdict
from troth.platforms.dcap.simulate import DevelopmentPki
from troth.platforms.dcap.simulate_bodies import digest
from troth.platforms.snp.product import Product
from troth.platforms.snp.simulate import Processor
from troth.platforms.snp.simulate_pki import DevelopmentPki as AmdPki

PKI = DevelopmentPki.create(now())
TD = {name: digest(name) for name in ("mrtd", "rtmr0", "rtmr1", "rtmr2")}
QUOTE = quotes.quoting(PKI, tdx=True)


def judge(answer: Found, channel: Binding = Binding.KEY, **given: Any) -> Report:
    policy = pinned("tdx", TD, channel=channel)
    return judged(answer, policy=policy, trust=PKI.roots(), collateral=PKI.collateral(), **given)


def test_what_carries_the_nonce() -> None:
    assert contrast.protocol(b"\x0a\xff") == b"atls:v1:nonce:0aff"


def test_a_td_is_accepted() -> None:
    with simulated.serve(QUOTE, now()) as server:
        answer = asked(SERVICE, server)
    assert answer.binding is Binding.KEY
    assert judge(answer).verdict is Verdict.ACCEPTED


def test_an_snp_guest_waits_for_its_processors_certificate() -> None:
    pki = AmdPki.create(Product.MILAN, now())
    processor = Processor.create(pki, now())
    with simulated.serve(
        lambda data: processor.report(report_data=data), now(), oid=simulated.SNP
    ) as server:
        answer = asked(SERVICE, server)
    measured = {"measurement": b"\x01" * 48}
    report = judged(answer, policy=pinned("snp", measured), trust=[pki.root()])
    assert report.platform == "snp" and report.verdict is not Verdict.ACCEPTED
    assert "B501" not in wrong(report)
    assert any("certificate has to be had elsewhere" in one for one in answer.not_bound)


def test_hosts_of_another_kind() -> None:
    with Loopback(lambda _: NOT_FOUND, identity=identity(now())) as server:
        assert found(SERVICE, server) is None
    with Loopback(lambda _: NOT_FOUND) as server:
        assert found(SERVICE, server) is None


def test_anothers_evidence_contrast() -> None:
    with simulated.serve(QUOTE, now(), quoted=identity(now()).spki) as server:
        report = judge(asked(SERVICE, server))
    assert report.verdict is Verdict.REJECTED and wrong(report)["B501"] is Outcome.FAILED


def test_old_nonce_contrast() -> None:
    with simulated.serve(QUOTE, now(), old_nonce=OLD) as server:
        report = judge(asked(SERVICE, server))
    assert report.verdict is Verdict.REJECTED and wrong(report)["B501"] is Outcome.FAILED
    with simulated.serve(QUOTE, now(), old_nonce=NONCE) as server:
        assert judge(asked(SERVICE, server)).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("size", [0, 1, 500])
def test_stream_cut_contrast(size: int) -> None:
    with simulated.serve(lambda data: QUOTE(data)[:size], now()) as server:
        report = judge(asked(SERVICE, server))
    assert report.verdict is Verdict.MALFORMED
