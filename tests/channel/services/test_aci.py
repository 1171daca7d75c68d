"""ACI asked over loopback TLS: what is found, what is not bound, and every attack of the matrix."""

import copy
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.channel.aci_made import SESSION_ID, session_value
from tests.channel.services.custody import chain

import troth
from troth.channel import keyset
from troth.channel.services import _aci_sessions, aci
from troth.channel.services._asking import Asked, ask, read
from troth.channel.services.simulate._guest import Guest
from troth.channel.services.simulate._server import Reply, Server
from troth.channel.services.simulate.aci import Aci
from troth.errors import Malformed, Unavailable
from troth.model.channel import Binding
from troth.model.check import Outcome
from troth.model.claims import Source
from troth.model.report import Report, Verdict
from troth.model.statement import Status

NOW = datetime.now(UTC)
GUEST = Guest.create(NOW)


@pytest.fixture(name="service", scope="module")
def _service() -> Iterator[Aci]:
    with Aci(guest=GUEST) as service:
        yield service


def policy(guest: Guest = GUEST, channel: Binding = Binding.KEY) -> troth.Policy:
    held = troth.Policy.for_image({"tdx": dict(guest.registers)})
    return replace(held, channel=channel)


def asked(service: Aci | Server) -> Asked:
    return ask(service.url, [aci.SERVICE], seconds=20)


def judge(service: Aci, *, guest: Guest = GUEST, wanted: troth.Policy | None = None) -> Report:
    found = asked(service).found
    return troth.appraise(
        found.composite,
        policy=policy() if wanted is None else wanted,
        at=datetime.now(UTC),
        nonce=found.nonce,
        channel=found.binding,
        trust=guest.roots,
        collateral=guest.collateral,
    )


def failed(report: Report) -> set[str]:
    return {c.code.id for c in report.checks if c.outcome is Outcome.FAILED}


def said(service: Aci) -> dict[str, Status]:
    return {s.name: s.status for s in asked(service).found.statements}


def test_a_service_is_accepted_by_a_policy_that_takes_keys(service: Aci) -> None:
    report = judge(service)
    assert report.verdict is Verdict.ACCEPTED, [c for c in report.checks if c.outcome != "passed"]
    found = asked(service).found
    assert found.binding is Binding.KEY
    assert found.keys["tls"] == service.spki
    assert found.keys["receipt"] == service.signer.public_key().public_bytes_raw()
    assert len(found.keys["e2ee"]) == 32
    body = found.raw[aci.PATH]
    assert aci.keyset_in(body).digest == service.digest
    assert aci.e2ee_versions(body) == ("2",)
    assert aci.is_direct(body)


def test_what_is_said_has_its_source(service: Aci) -> None:
    held = {s.name: s for s in asked(service).found.statements}
    assert held["channel_bound"].source is Source.VERIFIER
    assert held["composition_as_measured"].status is Status.ASSERTED
    assert held["source_provenance"].source is Source.OPERATOR
    assert held["key_custody"].status is Status.UNKNOWN
    assert held["model_weights_provenance"].status is Status.UNKNOWN
    assert held["gpu_attested"].source is None


def test_a_transcript_says_the_same_again(service: Aci) -> None:
    first = asked(service)
    again = read(first.transcript, [aci.SERVICE])
    assert again.found == first.found


def test_a_policy_takes_sessions_alone_unless_it_says_otherwise(service: Aci) -> None:
    report = judge(service, wanted=troth.Policy.for_image({"tdx": dict(GUEST.registers)}))
    assert report.verdict is Verdict.REJECTED
    assert failed(report) == {"B302"}


def test_anothers_evidence_aci(service: Aci) -> None:
    """A machine elsewhere has its report shown here, for this very nonce."""

    class Relay(Aci):
        def report(self, nonce: bytes | None) -> dict[str, Any]:
            return service.report(nonce)

    with Relay(guest=GUEST) as relay:
        found = asked(relay).found
        assert found.binding is Binding.ANSWER
        assert "tls" not in found.keys
        assert failed(judge(relay)) == {"B302"}


def test_anothers_evidence_with_own_keyset_aci(service: Aci) -> None:
    class Thief(Aci):
        def report(self, nonce: bytes | None) -> dict[str, Any]:
            made = super().report(nonce)
            made["attestation"]["evidence"] = service.report(nonce)["attestation"]["evidence"]
            return made

    with Thief(guest=GUEST) as thief:
        assert judge(thief).verdict is Verdict.REJECTED


def test_old_nonce_aci() -> None:
    class Old(Aci):
        def report(self, _: bytes | None) -> dict[str, Any]:
            return super().report(b"\x07" * 32)

    with Old(guest=GUEST) as old:
        report = judge(old)
        assert report.verdict is Verdict.REJECTED
        assert "B501" in failed(report) or "B301" in failed(report)


def test_no_nonce_aci() -> None:
    class Cached(Aci):
        def report(self, _: bytes | None) -> dict[str, Any]:
            return super().report(None)

    with Cached(guest=GUEST) as cached:
        assert judge(cached).verdict is Verdict.REJECTED


def test_stripped_gpu_aci(service: Aci) -> None:
    """The protocol has no evidence of GPUs: said, and a policy that counts some is not met."""
    assert said(service)["gpu_attested"] is Status.UNKNOWN
    wanted = replace(policy(), parts={"nvidia": 1})
    assert judge(service, wanted=wanted).verdict is not Verdict.ACCEPTED


def test_gpu_of_another_machine_aci(service: Aci) -> None:
    """There is no place for its evidence, so a policy that wants one is not met, whoever has a GPU."""
    assert any("which weights" in sentence for sentence in asked(service).found.not_bound)
    assert said(service)["gpu_attested"] is Status.UNKNOWN
    assert failed(judge(service, wanted=replace(policy(), parts={"nvidia": 1}))) == {"P107"}


def test_key_swapped_aci() -> None:
    """Another receipt key in the keyset that the quote is not over."""
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()

    class Swapped(Aci):
        def report(self, nonce: bytes | None) -> dict[str, Any]:
            made = copy.deepcopy(super().report(nonce))
            held = made["attestation"]["workload_keyset"]
            held["receipt_signing_keys"][0]["public_key"] = other
            made["workload_keyset_digest"] = keyset.read(held).digest
            return made

    with Swapped(guest=GUEST) as swapped:
        assert judge(swapped).verdict is Verdict.REJECTED

    class Careless(Swapped):
        def report(self, nonce: bytes | None) -> dict[str, Any]:
            return super().report(nonce) | {"workload_keyset_digest": self.digest}

    with Careless(guest=GUEST) as careless, pytest.raises(Malformed):
        asked(careless)


def test_certificate_swapped_aci() -> None:
    with Aci(guest=GUEST, tls=False) as elsewhere:
        found = asked(elsewhere).found
        assert found.binding is Binding.ANSWER
        assert any("TLS ends before" in sentence for sentence in found.not_bound)
        assert failed(judge(elsewhere)) == {"B302"}
        loose = judge(elsewhere, wanted=policy(channel=Binding.ANSWER))
        assert loose.verdict is Verdict.ACCEPTED


def test_downgrade_of_the_binding_aci() -> None:
    """A keyset that lists no TLS key at all never counts as one that lists this."""
    with Aci(guest=GUEST, tls=False, suite=None) as bare:
        assert failed(judge(bare)) == {"B302"}
        assert asked(bare).found.keys.keys() == {"receipt"}


def test_a_keyset_that_has_ended_aci() -> None:
    with Aci(guest=GUEST, life=-1) as ended:
        assert asked(ended).found.binding is Binding.NONE
        assert said(ended)["keyset_current"] is Status.REFUTED
        assert failed(judge(ended, wanted=policy(channel=Binding.ANSWER))) == {"B302"}


def test_a_keyset_that_ends_in_years_is_said() -> None:
    with Aci(guest=GUEST, life=400 * 24 * 3600) as far, Aci(guest=GUEST) as near:
        assert any("more than a year" in sentence for sentence in asked(far).found.not_bound)
        assert not any("more than a year" in s for s in asked(near).found.not_bound)


@pytest.mark.parametrize("direct", [True, False])
def test_what_a_service_says_of_itself_is_its_own_word(direct: bool) -> None:
    class Named(Aci):
        def make_keyset(self, tls: list[dict[str, str]], not_after: int) -> dict[str, Any]:
            return super().make_keyset(tls, not_after) | {"subject": "dstack-app://x"}

    with Named(guest=GUEST, direct=direct) as named:
        held = {s.name: s for s in asked(named).found.statements}
        assert held["serving"].source is Source.PROVIDER
        assert ("runs its models itself" in held["serving"].why) is direct
        assert held["subject"].source is Source.PROVIDER
        assert held["subject"].why == "dstack-app://x"


def test_a_report_that_contradicts_itself_aci() -> None:
    class Odd(Aci):
        def report(self, nonce: bytes | None) -> dict[str, Any]:
            made = super().report(nonce)
            made["attestation"]["report_data"] = "00" * 32
            return made

    with Odd(guest=GUEST) as odd:
        assert said(odd)["report_consistent"] is Status.REFUTED
        assert judge(odd).verdict is Verdict.REJECTED


def test_event_log_payload_changed_with_digests_kept_aci() -> None:
    def changed(log: str) -> str:
        events = json.loads(log)
        events[3]["event_payload"] = "02" * 20
        return json.dumps(events)

    with Aci(guest=replace(GUEST, log=changed(GUEST.log))) as liar:
        report = judge(liar)
        assert report.verdict is not Verdict.ACCEPTED


def test_compose_changed_aci() -> None:
    with Aci(guest=replace(GUEST, composition="{}")) as liar, pytest.raises(Malformed):
        asked(liar)
    other = Guest.create(NOW, composition='{"name":"evil"}')
    with Aci(guest=replace(other, pki=GUEST.pki)) as evil:
        assert judge(evil).verdict is Verdict.REJECTED


def test_a_log_that_is_left_away_shows_nothing() -> None:
    with Aci(guest=replace(GUEST, log="")) as silent:
        assert said(silent)["composition_as_measured"] is Status.UNKNOWN


def test_what_a_gateway_says_of_its_upstream() -> None:
    with Aci(guest=GUEST, direct=False) as gateway:
        held = [s for s in asked(gateway).found.statements if "upstream" in s.why]
        by_name = {s.name: s for s in held}
        assert by_name["upstream_tee_attested"].source is Source.PROVIDER
        assert "as the gateway says" in by_name["upstream_tee_attested"].why
        assert "hardware is its source there" in by_name["upstream_tee_attested"].why
        assert by_name["upstream_tcb_up_to_date"].status is Status.REFUTED
        assert by_name["upstream_gpu_attested"].status is Status.UNKNOWN
        assert by_name["upstream_model_weights_provenance"].source is None
        assert judge(gateway).verdict is Verdict.ACCEPTED


def test_a_session_that_is_another_than_its_name() -> None:
    class Liar(Aci):
        @property
        def session_id(self) -> str:
            return "0" * 64

    with Liar(guest=GUEST, direct=False) as liar, pytest.raises(Malformed):
        asked(liar)


def test_the_published_session() -> None:
    session = _aci_sessions.read(json.dumps(session_value(), indent=2).encode())
    assert session.session_id == SESSION_ID
    assert session.evidence == b"example-evidence"
    assert session.channel == ("d1" * 32,)
    statuses = {s.name: (s.status, s.source) for s in session.statements}
    assert statuses["tee_attested"] == (Status.ASSERTED, Source.HARDWARE)
    assert statuses["os_known_good"] == (Status.UNKNOWN, None)


@pytest.mark.parametrize(
    "change",
    [
        {"api_version": "aci/2"},
        {"upstream_name": None},
        {"expires_at": "never"},
        {"evidence": None},
        {"evidence": {"digest": keyset.sha256(b"x"), "data": "data:;base64,eQ=="}},
        {"evidence": {"digest": keyset.sha256(b"x"), "data": "data:;base64,?"}},
        {"evidence": {"digest": keyset.sha256(b"x"), "data": "https://example.com/x"}},
    ],
)
def test_whatever_is_no_session_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        _aci_sessions.read(json.dumps(session_value() | change).encode())


def test_claims_in_other_words_are_unknown() -> None:
    value = session_value()
    value["claims"] = {
        "tee_attested": {"status": "asserted", "source": "me"},
        "gpu_attested": {"status": "very", "source": "hardware_proven"},
        "os_known_good": 7,
    }
    session = _aci_sessions.read(json.dumps(value).encode())
    assert {s.status for s in session.statements} == {Status.UNKNOWN}


def _body(service: Aci) -> dict[str, Any]:
    return copy.deepcopy(service.report(bytes(32)))


def _with(service: Aci, *path: str, to: Any) -> bytes:
    value = _body(service)
    holder: Any = value
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = to
    return json.dumps(value).encode()


EVIDENCE = ("attestation", "evidence")


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("api_version",), "aci/2"),
        (("attestation",), None),
        (("attestation", "evidence"), []),
        (("attestation", "workload_keyset"), {}),
        (("attestation", "tee_type"), "sgx"),
        (("workload_keyset_digest",), "sha256:" + "0" * 64),
        ((*EVIDENCE, "quote"), "zz"),
        ((*EVIDENCE, "quote"), None),
        ((*EVIDENCE, "event_log"), {}),
        ((*EVIDENCE, "app_compose"), 7),
    ],
)
def test_hostile_reports_are_malformed(service: Aci, path: tuple[str, ...], to: Any) -> None:
    _refused(_with(service, *path, to=to))


def test_hostile_json_is_malformed(service: Aci) -> None:
    whole = json.dumps(_body(service)).encode()
    _refused(whole.replace(b'"api_version"', b'"api_version": "aci/1", "api_version"', 1))
    _refused(b'{"api_version": ' + b"[" * 200_000)
    _refused(whole[:-1])
    _refused(whole + b" " * (5 * 1024 * 1024))


def _refused(body: bytes) -> None:
    with Server(lambda _: Reply(body=body)) as hostile, pytest.raises(Malformed):
        asked(hostile)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"error": {}}'])
def test_a_host_of_another_kind_is_passed_by(body: bytes) -> None:
    for reply in (Reply(body=body), Reply(status=404, body=body)):
        with Server(lambda _, reply=reply: reply) as other, pytest.raises(Unavailable):
            asked(other)
    moved = Reply(status=302, headers={"Location": "https://127.0.0.1/"})
    with Server(lambda _: moved) as other, pytest.raises(Unavailable):
        asked(other)


def test_custody_names_the_root_that_gives_the_keys() -> None:
    app_id = hashlib.sha256(GUEST.composition.encode()).digest()[:20]
    made, root = chain(app_id)

    class Kept(Aci):
        def report(self, nonce: bytes | None) -> dict[str, Any]:
            value = super().report(nonce)
            value["attestation"]["evidence"]["key_custody"] = made
            return value

    with Kept(guest=GUEST) as kept:
        held = {s.name: s for s in asked(kept).found.statements}["key_custody"]
        assert held.status is Status.ASSERTED
        assert root.hex() in held.why
