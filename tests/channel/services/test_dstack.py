"""dstack asked over loopback: each of its faces, each form of its certificate, and each way around them."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.channel.services.stage import NONCE, OLD, asked, found, judged, now, pinned, said, wrong

from troth.channel.services import _leaf, dstack
from troth.channel.services.dstack import GZIP_MAGIC, SERVICE
from troth.channel.services.simulate import dstack as simulated
from troth.channel.services.simulate._loopback import (
    NOT_FOUND,
    Loopback,
    Reply,
    Request,
    identity,
    new_key,
    spki_of,
)
from troth.channel.services.simulate.dstack_guest import DstackGuest, event
from troth.errors import Malformed, Unavailable
from troth.model.channel import Binding
from troth.model.check import Outcome, Waiver
from troth.model.report import Report, Verdict
from troth.model.statement import Status
from troth.platforms.snp.product import Product
from troth.platforms.snp.simulate import Processor
from troth.platforms.snp.simulate_pki import DevelopmentPki as AmdPki
from troth.platforms.tdx import dstack_config, dstack_keys

FORMS = ("quote", "packed", "v0", "v1")
STALE = {"R101": Outcome.UNDECIDED}
FRESH_GIVEN_UP = {"waive": frozenset({Waiver.FRESHNESS})}


@pytest.fixture(scope="module")
def guest() -> DstackGuest:
    return DstackGuest.create(now())


def judge(guest: DstackGuest, answer: dstack.Found, **given: Any) -> Report:
    channel = given.pop("allowed", Binding.KEY)
    policy = pinned("tdx", guest.registers, channel=channel)
    return judged(answer, policy=policy, trust=guest.roots, collateral=guest.collateral, **given)


@pytest.fixture
def site(guest: DstackGuest) -> Iterator[Loopback]:
    with simulated.serve(guest, now()) as server:
        yield server


@pytest.mark.parametrize("form", FORMS)
def test_a_certificate_is_all_there_but_freshness(guest: DstackGuest, form: str) -> None:
    with simulated.serve(guest, now(), form=form) as server:
        answer = asked(SERVICE, server)
    assert answer.binding is Binding.KEY and answer.nonce is None
    report = judge(guest, answer)
    assert (report.verdict, wrong(report)) == (Verdict.UNDECIDED, STALE)
    assert judge(guest, answer, **FRESH_GIVEN_UP).verdict is Verdict.ACCEPTABLE_WITH_WAIVERS
    assert said(answer)["app_id_as_measured"] is Status.ASSERTED
    assert any("freshness" in one for one in answer.not_bound)


@pytest.mark.parametrize("form", [0, 1, 2, 3])
def test_the_host_started_what_the_guest_measured(form: int) -> None:
    guest = DstackGuest.create(now(), form=form)
    with simulated.serve(guest, now(), form="v1") as server:
        status = said(asked(SERVICE, server))["host_started_this_app"]
    assert status is (Status.ASSERTED if form else Status.UNKNOWN)


@pytest.mark.parametrize("change", ["", "document", "app_id"])
def test_an_snp_guest_is_named_by_its_host_data(guest: DstackGuest, change: str) -> None:
    """It extends no register: the host starts it with a document, whose hash the processor reports."""
    pki = AmdPki.create(Product.MILAN, now())
    processor = Processor.create(pki, now())
    document = guest.document
    told = document.replace(b'"version":3', b'"version":3 ') if change == "document" else document
    started = dstack_config.host_data(document)

    def attested(data: bytes) -> bytes:
        report = processor.report(report_data=data, host_data=started)
        machine = {"report": list(report), "cert_chain": [], "mr_config": told.decode()}
        stack = {"report_data": list(data), "runtime_events": [], "config": "{}"}
        return simulated.packed(
            {
                "version": 1,
                "platform": {"kind": "sev-snp", "data": machine},
                "stack": {"kind": "dstack", "data": stack},
            }
        )

    key = new_key()
    bound = dstack_keys.report_data(b"ratls-cert", spki_of(key))
    app_id = b"\xee" * 20 if change == "app_id" else guest.app_id
    extensions = [
        ("1.3.6.1.4.1.62397.1.8", simulated.octets(attested(bound))),
        ("1.3.6.1.4.1.62397.1.3", simulated.octets(app_id)),
    ]
    with Loopback(
        lambda _: NOT_FOUND, identity=identity(now(), key=key, extensions=extensions)
    ) as server:
        answer = asked(SERVICE, server)
    assert said(answer) == {
        "host_started_this_app": Status.REFUTED if change == "document" else Status.ASSERTED,
        "app_id_as_measured": Status.REFUTED if change else Status.ASSERTED,
    }
    report = judged(
        answer,
        policy=pinned("snp", {"measurement": b"\x01" * 48, "host_data": started}),
        trust=[pki.root()],
    )
    assert report.platform == "snp" and "B501" not in wrong(report)


def test_the_host_started_another_application() -> None:
    other = DstackGuest.create(now(), composition=b"{}")
    guest = DstackGuest.create(now())
    guest = replace(guest, fields={"mrconfigid": other.registers["mrconfigid"]})
    with simulated.serve(guest, now()) as server:
        assert said(asked(SERVICE, server))["host_started_this_app"] is Status.REFUTED


def test_the_agent_carries_the_nonce(guest: DstackGuest) -> None:
    with simulated.agent(guest) as server:
        answer = asked(SERVICE, server)
    assert answer.nonce == NONCE and answer.binding is Binding.NONE
    assert judge(guest, answer, allowed=Binding.NONE).verdict is Verdict.ACCEPTED
    assert said(answer) == dict.fromkeys(
        ("app_id_as_measured", "composition_as_measured", "host_started_this_app"), Status.ASSERTED
    )


def test_the_dashboard_names_the_signing_key(guest: DstackGuest) -> None:
    with simulated.dashboard(guest, now()) as server:
        answer = asked(SERVICE, server)
    assert answer.keys == {"address": guest.key("vms", "signing").public}
    report = judge(guest, answer, allowed=Binding.NONE)
    assert wrong(report) == STALE
    assert answer.binding is Binding.NONE


def test_a_real_answer_of_a_dashboard(vectors: Path) -> None:
    """A guest of dstack 0.6 was asked so; its quote names the key that its answer says."""
    real = (vectors / "tdx" / "eventlog" / "dstack-tdx-lite-getquote.json").read_bytes()

    def answer(request: Request) -> Reply:
        asked_for_key = request.path.endswith(".GetAttestationForAppKey")
        return Reply(body=real) if asked_for_key else NOT_FOUND

    with Loopback(answer, identity=identity(now())) as server:
        found_ = asked(SERVICE, server)
    quote = bytes.fromhex(json.loads(real)["quote"])
    named = dstack_keys.signing_key_in(quote[48 + 520 : 48 + 584])
    assert named == ("secp256k1", found_.keys["address"])
    assert found_.composite.lead.user_data == quote[48 + 520 : 48 + 584]
    assert said(found_) == {
        "app_id_as_measured": Status.UNKNOWN,
        "composition_as_measured": Status.UNKNOWN,
        "host_started_this_app": Status.ASSERTED,
    }


def test_hosts_of_another_kind() -> None:
    moved = Reply(status=302, headers={"Location": "https://elsewhere.example/"})
    page = Reply(body=b"<html>hello</html>")
    for reply in (NOT_FOUND, page, moved, Reply(body=b"{}"), Reply(body=b'{"quote":"00"}')):
        with Loopback(lambda _, reply=reply: reply, identity=identity(now())) as server:
            assert found(SERVICE, server) is None
        with Loopback(lambda _, reply=reply: reply) as server:
            assert found(SERVICE, server) is None


# Attacks: what is shown is not what the quote binds.


def test_anothers_evidence_dstack(guest: DstackGuest) -> None:
    """A quote that the same software made elsewhere, put into a certificate of the attacker's."""
    with simulated.serve(guest, now()) as server:
        quoted = asked(SERVICE, server).keys["tls"]
    for form in FORMS:
        with simulated.serve(guest, now(), form=form, made={"quoted": quoted}) as server:
            report = judge(guest, asked(SERVICE, server), **FRESH_GIVEN_UP)
        assert (report.verdict, wrong(report)) == (Verdict.REJECTED, {"B501": Outcome.FAILED})


def test_key_swapped_dstack(site: Loopback, guest: DstackGuest) -> None:
    answer = asked(SERVICE, site)
    expected = dstack_keys.report_data(b"ratls-cert", b"another key")
    composite = replace(
        answer.composite, parts=(replace(answer.composite.lead, user_data=expected),)
    )
    report = judge(guest, replace(answer, composite=composite), **FRESH_GIVEN_UP)
    assert wrong(report) == {"B501": Outcome.FAILED}


def test_old_nonce_dstack(guest: DstackGuest) -> None:
    """An answer that was recorded to another's question."""
    kept = json.dumps(simulated.answer(guest, OLD)).encode()
    with Loopback(lambda _: Reply(body=kept)) as server:
        answer = asked(SERVICE, server)
    report = judge(guest, answer, allowed=Binding.NONE)
    assert report.verdict is Verdict.REJECTED and "B101" in wrong(report)


def test_downgrade_of_the_binding_dstack(guest: DstackGuest) -> None:
    """A host that shows its dashboard in place of a certificate with evidence."""
    with simulated.dashboard(guest, now()) as server:
        report = judge(guest, asked(SERVICE, server), **FRESH_GIVEN_UP)
    assert (report.verdict, wrong(report)) == (Verdict.REJECTED, {"B302": Outcome.FAILED})


@pytest.mark.parametrize("name", ["app-id", "compose-hash", "os-image-hash", "key-provider"])
@pytest.mark.parametrize("form", FORMS)
def test_event_log_payload_changed_with_digests_kept_dstack(
    guest: DstackGuest, form: str, name: str
) -> None:
    entries = [dict(entry) for entry in guest.entries]
    target = next(entry for entry in entries if entry["event"] == name)
    size = len(target["event_payload"]) // 2
    target["event_payload"] = "ee" * size
    with simulated.serve(guest, now(), form=form, made={"log": json.dumps(entries)}) as server:
        answer = asked(SERVICE, server)
    report = judge(guest, answer, **FRESH_GIVEN_UP)
    assert report.verdict is Verdict.REJECTED
    assert {"M301", "M302", "M305"} & wrong(report).keys()
    assert said(answer) == {"app_measured": Status.UNKNOWN}


@pytest.mark.parametrize("form", FORMS)
def test_event_log_left_away_dstack(guest: DstackGuest, form: str) -> None:
    with simulated.serve(guest, now(), form=form, made={"log": "[]"}) as server:
        answer = asked(SERVICE, server)
    assert said(answer) == {"app_measured": Status.UNKNOWN}
    policy = pinned("tdx", {k: v for k, v in guest.registers.items() if k != "rtmr3"})
    report = judged(
        answer, policy=policy, trust=guest.roots, collateral=guest.collateral, **FRESH_GIVEN_UP
    )
    assert report.verdict is not Verdict.ACCEPTABLE_WITH_WAIVERS


def test_compose_changed_dstack(guest: DstackGuest) -> None:
    """A guest that runs another composition, and a service that shows another than it measured."""
    other = DstackGuest.create(now(), composition=b'{"name":"other"}', pki=guest.pki)
    with simulated.agent(other) as server:
        report = judge(guest, asked(SERVICE, server), allowed=Binding.NONE)
    assert report.verdict is Verdict.REJECTED and "M201" in wrong(report)
    shown = json.loads(simulated.info(guest)["tcb_info"]) | {"app_compose": '{"name":"fine"}'}
    info = simulated.info(guest) | {"tcb_info": json.dumps(shown), "app_id": "ee" * 20}
    answers = {"/GetQuote": simulated.answer(guest, NONCE), "/Info": info}
    with Loopback(lambda r: Reply(body=json.dumps(answers[r.path]).encode())) as server:
        statements = said(asked(SERVICE, server))
    assert statements["composition_as_measured"] is Status.REFUTED
    assert statements["app_id_as_measured"] is Status.REFUTED


def test_application_cannot_measure_itself_anew_dstack(guest: DstackGuest) -> None:
    """Events behind `system-ready` are the application's, and change RTMR3 all the same."""
    more = (*guest.entries, event("compose-hash", bytes(32)))
    hostile = replace(guest, entries=more)
    with simulated.serve(hostile, now()) as server:
        answer = asked(SERVICE, server)
    assert judge(guest, answer, **FRESH_GIVEN_UP).verdict is Verdict.REJECTED
    assert said(answer)["app_id_as_measured"] is Status.ASSERTED


def test_app_id_of_the_certificate_is_not_believed_dstack(guest: DstackGuest) -> None:
    with simulated.serve(guest, now(), made={"app_id": b"\xee" * 20}) as server:
        assert said(asked(SERVICE, server))["app_id_as_measured"] is Status.REFUTED


def test_stream_cut_dstack(guest: DstackGuest) -> None:
    whole = json.dumps(simulated.answer(guest, NONCE)).encode()
    cut = Reply(body=whole[:-1], headers={"Content-Length": str(len(whole))}, last=True)
    with Loopback(lambda _: cut) as server, pytest.raises((Malformed, Unavailable)):
        found(SERVICE, server)


# Hostile answers.


def test_logs_that_explode_are_not_unpacked() -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    assert len(bomb) < 100_000
    with pytest.raises(Malformed, match="longer than"):
        dstack.unpacked(GZIP_MAGIC + bomb)


@pytest.mark.parametrize(
    "data",
    [
        GZIP_MAGIC,
        GZIP_MAGIC + b"no gzip",
        GZIP_MAGIC + gzip.compress(b"[]")[:-1],
        GZIP_MAGIC + gzip.compress(b"[]") + b"\0",
        GZIP_MAGIC + gzip.compress(b"[]") + gzip.compress(b"[]"),
    ],
    ids=("nothing", "no gzip", "cut", "a byte behind", "two"),
)
def test_packed_logs_have_one_form(data: bytes) -> None:
    with pytest.raises(Malformed):
        dstack.unpacked(data)


def test_a_log_that_is_not_packed_stays_as_it_is() -> None:
    assert dstack.unpacked(b"[]") == b"[]"
    assert dstack.unpacked(GZIP_MAGIC + gzip.compress(b"[]")) == b"[]"


def test_a_bomb_in_a_certificate(guest: DstackGuest) -> None:
    bomb = GZIP_MAGIC + gzip.compress(bytes(1024 * 1024))
    made = {"extensions": {dstack.EVENT_LOG: bomb}}
    with simulated.serve(guest, now(), made=made) as server, pytest.raises(Malformed):
        found(SERVICE, server)


@pytest.mark.parametrize(
    "value", [b"", b"\0", b"\0\1", b"\x81", b"\x05", b"\x83" + b"\xa1a" * 3, bytes(2000)]
)
def test_attestations_that_are_none(guest: DstackGuest, value: bytes) -> None:
    made = {"extensions": {dstack.ATTESTATION: value}}
    with simulated.serve(guest, now(), made=made) as server, pytest.raises(Malformed):
        found(SERVICE, server)


def test_a_quote_without_a_log_or_a_wrapping(guest: DstackGuest) -> None:
    arc = "1.3.6.1.4.1.62397.1.1"
    wrapped = (arc, simulated.octets(guest.quote(b"")))
    for extension in (wrapped, (arc, guest.quote(b"")), (arc, b""), (arc, wrapped[1] + b"\0")):
        shown = identity(now(), extensions=[extension])
        with pytest.raises(Malformed):
            dstack.in_certificate(shown.der)


@pytest.mark.parametrize(
    "text",
    [
        '{"quote":"","event_log":"[]","quote":"00"}',
        '{"quote":1,"event_log":"[]"}',
        '{"quote":"zz","event_log":"[]"}',
        '{"quote":"00","event_log":"{}","report_data":"00"}',
        '{"quote":"00","event_log":"' + "[" * 2000 + '"}',
    ],
)
def test_answers_that_are_nonsense(text: str) -> None:
    with Loopback(lambda _: Reply(body=text.encode()), identity=identity(now())) as server:
        try:
            assert found(SERVICE, server) is None
        except Malformed:
            pass


def test_an_answer_of_fifty_megabytes() -> None:
    huge = Reply(body=b"{" + b" " * (50 * 1024 * 1024))
    with Loopback(lambda _: huge) as server, pytest.raises(Malformed, match="longer than"):
        found(SERVICE, server)


def test_object_identifiers() -> None:
    assert _leaf.oid("1.3.6.1.4.1.62397.1.8").hex() == "2b0601040183e73d0108"
    assert _leaf.oid("2.5.29.17") == bytes.fromhex("551d11")


def test_a_certificate_without_extensions_carries_nothing() -> None:
    assert dstack.in_certificate(b"\x30\x00") is None
