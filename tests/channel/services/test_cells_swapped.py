"""Keys, certificates and nonces put in the place of others, by somebody who has a good enclave to ask."""

import re
from datetime import timedelta
from typing import Any

import pytest
from tests.channel import cells
from tests.channel.services.stage import NONCE, OLD, asked, found, judged, now, pinned, wrong

from troth.channel import services
from troth.channel.services import (
    Found,
    contrast,
    dstack,
    evervault,
    flashbots,
    oyster,
    ratls,
)
from troth.channel.services.simulate import contrast as contrast_made
from troth.channel.services.simulate import dstack as dstack_made
from troth.channel.services.simulate import evervault as evervault_made
from troth.channel.services.simulate import flashbots as flashbots_made
from troth.channel.services.simulate import oyster as oyster_made
from troth.channel.services.simulate import ratls as ratls_made
from troth.channel.services.simulate._loopback import (
    NOT_FOUND,
    Identity,
    Loopback,
    Reply,
    identity,
    new_key,
)
from troth.channel.services.simulate._nitro import PCRS, Enclave
from troth.channel.services.simulate.dstack_guest import DstackGuest
from troth.errors import Unavailable
from troth.model.channel import Binding
from troth.model.check import Outcome, Waiver
from troth.model.report import Report, Verdict
from troth.platforms.dcap.simulate import DevelopmentPki
from troth.platforms.dcap.simulate_bodies import digest

PKI = DevelopmentPki.create(now())
QUOTE = ratls_made.quoting(PKI, tdx=True)
TD = {name: digest(name) for name in ("mrtd", "rtmr0", "rtmr1", "rtmr2")}
NITRO = {f"pcr{index}": value for index, value in PCRS.items()}
STALE = frozenset({Waiver.FRESHNESS})
KEY_NAMED = "whoever gets hold of that key can stand in"


def judge(answer: Found, **given: Any) -> Report:
    policy = pinned("tdx", TD, channel=given.pop("channel", answer.binding))
    return judged(answer, policy=policy, trust=PKI.roots(), collateral=PKI.collateral(), **given)


# Contrast: the certificate is made for one nonce and one key.

_OFFERED = re.compile(rb"atls:v1:nonce:([0-9a-f]{64})")


def relaying(good: Loopback, mine: Identity) -> Loopback:
    """A host that passes the very nonce on to a good enclave, and shows its report under a key of its own."""

    def choose(hello: bytes) -> Identity:
        offered = _OFFERED.search(hello)
        if offered is None:
            return mine
        answer = asked(contrast.SERVICE, good, bytes.fromhex(offered[1].decode()))
        report = answer.composite.lead.evidence
        assert isinstance(report, bytes)
        shown = [(contrast_made.TDX, report)]
        return identity(now(), key=mine.key, extensions=shown, protocols=(b"h2",))

    return Loopback(lambda _: NOT_FOUND, identity=choose)


def test_key_swapped_contrast() -> None:
    with contrast_made.serve(QUOTE, now()) as good, relaying(good, identity(now())) as relay:
        assert judge(asked(contrast.SERVICE, good)).verdict is Verdict.ACCEPTED
        report = judge(asked(contrast.SERVICE, relay))
    assert report.verdict is Verdict.REJECTED and wrong(report)["B501"] is Outcome.FAILED


def test_certificate_swapped_contrast() -> None:
    """Over the same key it is the same to the protocol, and that is said; over another it is refused."""
    key = new_key()
    spki = identity(now(), key=key).spki
    shown = [(contrast_made.TDX, QUOTE(contrast.user_data(spki, NONCE)))]
    one, two = (identity(now(), key=key, extensions=shown, protocols=(b"h2",)) for _ in range(2))
    assert one.der != two.der
    for held in (one, two):
        with Loopback(lambda _: NOT_FOUND, identity=held) as server:
            answer = asked(contrast.SERVICE, server)
        assert judge(answer).verdict is Verdict.ACCEPTED
        assert any(KEY_NAMED in sentence for sentence in answer.not_bound)
    other = identity(now(), extensions=shown, protocols=(b"h2",))
    with Loopback(lambda _: NOT_FOUND, identity=other) as server:
        assert wrong(judge(asked(contrast.SERVICE, server)))["B501"] is Outcome.FAILED


# RA-TLS and dstack: claims, or REPORTDATA, name the key and nothing else of the certificate.


def test_certificate_swapped_ratls() -> None:
    key = new_key()
    claims = ratls.claims_for(identity(now(), key=key).spki)
    shown = [(ratls_made.GRAMINE, QUOTE(ratls.user_data(claims)))]
    for _ in range(2):
        with ratls_made.serve(identity(now(), key=key, extensions=shown)) as server:
            answer = asked(ratls.SERVICE, server)
        assert judge(answer, waive=STALE).verdict is Verdict.ACCEPTABLE_WITH_WAIVERS
        assert any("names the key and no session" in sentence for sentence in answer.not_bound)
    with ratls_made.serve(identity(now(), extensions=shown)) as server:
        assert wrong(judge(asked(ratls.SERVICE, server)))["B501"] is Outcome.FAILED
    with ratls_made.serve(identity(now(), key=key)) as server:  # the key alone, without evidence
        assert found(ratls.SERVICE, server) is None


def test_certificate_swapped_dstack() -> None:
    guest = DstackGuest.create(now())
    good = dstack_made.certificate(guest, now())
    carried = [
        (extension.oid.dotted_string, extension.value.public_bytes())
        for extension in good.certificate.extensions
        if extension.oid.dotted_string.startswith("1.3.6.1.4.1.62397.")
    ]

    def verdict(key: Any) -> dict[str, Outcome]:
        shown = identity(now(), key=key, extensions=carried)
        with Loopback(lambda _: NOT_FOUND, identity=shown) as server:
            answer = asked(dstack.SERVICE, server)
        assert any("the key may sit on any machine" in one for one in answer.not_bound)
        policy = pinned("tdx", guest.registers)
        given = {"trust": guest.roots, "collateral": guest.collateral, "waive": STALE}
        return wrong(judged(answer, policy=policy, **given))

    assert not verdict(good.key)
    assert verdict(new_key()) == {"B501": Outcome.FAILED}


# Oyster: no TLS at all; whatever certificate stands in front vouches for nothing.


def test_certificate_swapped_oyster() -> None:
    enclave = Enclave.create(now())
    document = enclave.document(public_key=b"\x04" * 64)
    for shown in (identity(now()), identity(now())):
        with Loopback(lambda _: Reply(body=document), identity=shown) as server:
            answer = asked(oyster.SERVICE, server)
        assert (answer.binding, set(answer.keys)) == (Binding.NONE, {"address"})
        assert any("nothing ties the way to this host" in one for one in answer.not_bound)
        for wanted in (Binding.ANSWER, Binding.KEY, Binding.SESSION):
            policy = pinned("nitro", NITRO, channel=wanted)
            report = judged(answer, policy=policy, trust=[enclave.root])
            assert wrong(report) == {"B302": Outcome.FAILED}
    with oyster_made.serve(enclave, b"\x04" * 64) as plain:
        assert asked(oyster.SERVICE, plain).binding is Binding.NONE


# Flashbots: the message is over the key and this session's exporter.


def test_certificate_swapped_flashbots() -> None:
    """Another over the same key is still this session's; the message for another key is refused."""
    shown = identity(now(), protocols=(flashbots.ALPN,))
    other = identity(now(), key=shown.key, protocols=(flashbots.ALPN,))
    assert shown.der != other.der
    with flashbots_made.serve(QUOTE, now(), shown=other) as server:
        assert judge(asked(flashbots.SERVICE, server)).verdict is Verdict.ACCEPTED
    with flashbots_made.serve(QUOTE, now(), shown=shown) as good:
        message = asked(flashbots.SERVICE, good).raw["message"]
    third = identity(now(), protocols=(flashbots.ALPN,))
    with flashbots_made.serve(QUOTE, now(), shown=third, message=message) as server:
        assert wrong(judge(asked(flashbots.SERVICE, server)))["B501"] is Outcome.FAILED


def test_old_nonce_flashbots() -> None:
    """There is none. What was said in an earlier session, under the same key, is refused in the next."""
    shown = identity(now(), protocols=(flashbots.ALPN,))
    with flashbots_made.serve(QUOTE, now(), shown=shown) as server:
        first, again = (asked(flashbots.SERVICE, server, nonce) for nonce in (OLD, OLD))
    assert (first.nonce, again.nonce) == (None, None)
    assert first.composite.lead.user_data != again.composite.lead.user_data
    assert any("no nonce" in sentence for sentence in first.not_bound)
    for answer in (first, again):
        assert judge(answer).verdict is Verdict.ACCEPTED
    kept = first.raw["message"]
    with flashbots_made.serve(QUOTE, now(), shown=shown, message=kept) as server:
        report = judge(asked(flashbots.SERVICE, server, OLD))
    assert report.verdict is Verdict.REJECTED and wrong(report)["B501"] is Outcome.FAILED


def test_downgrade_of_the_binding_flashbots() -> None:
    """A server that does not take the protocol is none of this kind, and nothing weaker stands in."""
    with flashbots_made.serve(QUOTE, now(), shown=identity(now())) as server:
        assert found(flashbots.SERVICE, server) is None
        with pytest.raises(Unavailable):
            services.ask(server.url, services.SERVICES, only="flashbots", dialler=server.dial)


# Evervault: a fresh certificate, by name, beside the one that the site uses.


def test_key_swapped_evervault() -> None:
    """A fresh certificate over a key that the site itself does not use vouches for nothing."""
    enclave = Enclave.create(now())
    plain = evervault_made.shown(enclave, now())

    def choose(hello: bytes) -> Identity:
        fresh = b".attest." in hello
        return evervault_made.shown(enclave, now(), nonce=NONCE) if fresh else plain

    with Loopback(lambda _: NOT_FOUND, identity=choose) as server:
        answer = asked(evervault.SERVICE, server)
    assert answer.nonce is None and answer.keys == {"tls": plain.spki}
    stolen = evervault_made.shown(enclave, now(), document=enclave.document(user_data=plain.spki))
    with Loopback(lambda _: NOT_FOUND, identity=stolen) as server:
        answer = asked(evervault.SERVICE, server)
    report = judged(answer, policy=pinned("nitro", NITRO), trust=[enclave.root])
    assert report.verdict is Verdict.REJECTED and wrong(report)["B501"] is Outcome.FAILED


def test_certificate_swapped_evervault() -> None:
    """Over the same key it is the same, as the key alone is named: said. Over another it is refused."""
    enclave = Enclave.create(now())
    key = new_key()
    document = enclave.document(user_data=identity(now(), key=key).spki)
    names = [f"{document.hex()}.localhost"]

    def answer(held: Any) -> Found:
        shown = identity(now(), key=held, names=names)
        with Loopback(lambda _: NOT_FOUND, identity=shown) as server:
            return asked(evervault.SERVICE, server)

    for _ in range(2):
        same = answer(key)
        assert (
            judged(same, policy=pinned("nitro", NITRO), trust=[enclave.root]).verdict
            is Verdict.ACCEPTED
        )
        assert any(KEY_NAMED in sentence for sentence in same.not_bound)
    other = judged(answer(new_key()), policy=pinned("nitro", NITRO), trust=[enclave.root])
    assert other.verdict is Verdict.REJECTED and wrong(other) == {"B501": Outcome.FAILED}


def test_downgrade_of_the_binding_evervault() -> None:
    """A host that shows the document it kept, and not a fresh one: said, and bounded by the policy's age."""
    enclave = Enclave.create(now())
    with evervault_made.serve(enclave, now()) as fresh:
        good = asked(evervault.SERVICE, fresh)
    with evervault_made.serve(enclave, now(), fresh=False) as lazy:
        kept = asked(evervault.SERVICE, lazy)
    assert (good.nonce, kept.nonce) == (NONCE, None)
    stale = cells.BY_TEST["test_downgrade_of_the_binding_evervault"].not_bound
    assert stale in kept.not_bound and stale not in good.not_bound
    policy = pinned("nitro", NITRO)
    late = judged(kept, policy=policy, trust=[enclave.root], at=now() + timedelta(hours=1))
    assert wrong(late) == {"R101": Outcome.FAILED}
    session = pinned("nitro", NITRO, channel=Binding.SESSION)
    for answer in (good, kept):
        report = judged(answer, policy=session, trust=[enclave.root])
        assert wrong(report) == {"B302": Outcome.FAILED}


# Binding loosened.


def test_downgrade_of_the_binding_contrast() -> None:
    """A server that does not take the nonce is none of this kind; one that does binds a key, no session."""
    with contrast_made.serve(QUOTE, now()) as server:
        report = judge(asked(contrast.SERVICE, server), channel=Binding.SESSION)
        assert wrong(report) == {"B302": Outcome.FAILED}
    with Loopback(lambda _: NOT_FOUND, identity=identity(now())) as plain:
        assert found(contrast.SERVICE, plain) is None
        with pytest.raises(Unavailable):
            services.ask(plain.url, services.SERVICES, only="contrast", dialler=plain.dial)
