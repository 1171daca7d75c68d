"""The older attestation reports asked over loopback TLS: what is bound, what is not, and every attack."""

import copy
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

import troth
from troth.channel.services import phala
from troth.channel.services._asking import Asked, ask, read
from troth.channel.services.simulate._guest import Guest
from troth.channel.services.simulate._server import Reply, Server
from troth.channel.services.simulate.phala import Phala
from troth.errors import Malformed, Unavailable
from troth.model.channel import Binding
from troth.model.check import Outcome
from troth.model.report import Report, Verdict
from troth.model.statement import Status

NOW = datetime.now(UTC)
GUEST = Guest.create(NOW)
NONCE = bytes(range(32))


@pytest.fixture(name="service", scope="module")
def _service() -> Iterator[Phala]:
    with Phala(guest=GUEST) as service:
        yield service


def policy(channel: Binding = Binding.KEY) -> troth.Policy:
    held = troth.Policy.for_image({"tdx": dict(GUEST.registers)})
    return replace(held, channel=channel)


def asked(service: Phala | Server) -> Asked:
    return ask(service.url, [phala.SERVICE], seconds=20)


def judge(service: Phala, wanted: troth.Policy | None = None) -> Report:
    found = asked(service).found
    return troth.appraise(
        found.composite,
        policy=policy() if wanted is None else wanted,
        at=datetime.now(UTC),
        nonce=found.nonce,
        channel=found.binding,
        trust=GUEST.roots,
        collateral=GUEST.collateral,
    )


def failed(report: Report) -> set[str]:
    every = [report, *(part.report for part in report.parts)]
    return {c.code.id for one in every for c in one.checks if c.outcome is Outcome.FAILED}


def said(service: Phala) -> dict[str, Status]:
    return {s.name: s.status for s in asked(service).found.statements}


def test_report_data_is_identity_and_nonce() -> None:
    assert phala.report_data(b"\1" * 20, NONCE) == b"\1" * 20 + bytes(12) + NONCE
    assert phala.report_data(b"\1" * 32, NONCE) == b"\1" * 32 + NONCE
    with_tls = phala.report_data(b"\1" * 20, NONCE, fingerprint=b"\2" * 32)
    assert with_tls == hashlib.sha256(b"\1" * 20 + b"\2" * 32).digest() + NONCE


@pytest.mark.parametrize("fingerprint", ["spki", "certificate"])
def test_a_server_that_names_its_tls_key_is_accepted(fingerprint: str) -> None:
    with Phala(guest=GUEST, fingerprint=fingerprint) as service:
        found = asked(service).found
        assert found.binding is Binding.KEY
        assert found.keys["tls"] == service.spki
        assert found.keys["address"] == service.address("ecdsa")
        assert len(found.keys["e2ee"]) == 65
        assert judge(service).verdict is Verdict.ACCEPTED


def test_what_is_left_open_is_said(service: Phala) -> None:
    held = said(service)
    assert held["channel_bound"] is Status.ASSERTED
    assert held["composition_as_measured"] is Status.ASSERTED
    assert held["gpu_attested"] is Status.UNKNOWN
    assert held["key_custody"] is Status.UNKNOWN
    left = " ".join(asked(service).found.not_bound)
    for words in ("no time", "trusted caller", "after a restart", "another machine", "weights"):
        assert words in left


def test_a_transcript_says_the_same_again(service: Phala) -> None:
    first = asked(service)
    assert read(first.transcript, [phala.SERVICE]).found == first.found


def test_downgrade_of_the_binding_phala() -> None:
    """A server that leaves the fingerprint away binds answers alone."""
    with Phala(guest=GUEST, fingerprint="") as older:
        found = asked(older).found
        assert found.binding is Binding.ANSWER
        assert any("whoever ends TLS" in sentence for sentence in found.not_bound)
        assert failed(judge(older)) == {"B302"}
        assert judge(older, policy(Binding.ANSWER)).verdict is Verdict.ACCEPTED


class Lying(Phala):
    """Changes its report before it is sent."""

    def change(self, report: dict[str, Any]) -> None:
        raise NotImplementedError

    def report(self, nonce: bytes, algorithm: str, *, fingerprint: bool) -> dict[str, Any]:
        made = copy.deepcopy(super().report(nonce, algorithm, fingerprint=fingerprint))
        del made["all_attestations"]
        self.change(made)
        return made


def test_certificate_swapped_phala(service: Phala) -> None:
    """Relayed: the evidence names the key of another TLS end."""

    class Relay(Phala):
        def report(self, nonce: bytes, algorithm: str, *, fingerprint: bool) -> dict[str, Any]:
            return service.report(nonce, algorithm, fingerprint=fingerprint)

    with Relay(guest=GUEST) as relay:
        assert asked(relay).found.binding is Binding.ANSWER
        assert failed(judge(relay)) == {"B302"}

    class Boaster(Lying):
        def change(self, report: dict[str, Any]) -> None:
            held = service.entry(bytes.fromhex(report["request_nonce"]), "ecdsa", fingerprint=True)
            report["intel_quote"] = held["intel_quote"]
            report["signing_address"] = held["signing_address"]

    with Boaster(guest=GUEST) as boaster:
        assert judge(boaster).verdict is Verdict.REJECTED


def test_anothers_evidence_phala(service: Phala) -> None:
    class Thief(Lying):
        def change(self, report: dict[str, Any]) -> None:
            nonce = bytes.fromhex(report["request_nonce"])
            held = service.entry(nonce, "ecdsa", fingerprint=False)
            report["intel_quote"] = held["intel_quote"]

    with Thief(guest=GUEST) as thief:
        assert judge(thief).verdict is Verdict.REJECTED


def test_old_nonce_phala() -> None:
    class Old(Phala):
        def report(self, _: bytes, algorithm: str, *, fingerprint: bool) -> dict[str, Any]:
            return super().report(b"\x07" * 32, algorithm, fingerprint=fingerprint)

    with Old(guest=GUEST) as old:
        assert judge(old).verdict is Verdict.REJECTED


def test_key_swapped_phala() -> None:
    class Swapped(Lying):
        def change(self, report: dict[str, Any]) -> None:
            report["signing_address"] = "0x" + "01" * 20

    with Swapped(guest=GUEST) as swapped:
        assert judge(swapped).verdict is Verdict.REJECTED
        assert "e2ee" not in asked(swapped).found.keys  # the key is no longer the address's


def test_stripped_gpu_phala(service: Phala) -> None:
    """The report is as good without its GPUs, so the policy has to count them."""
    wanted = replace(policy(), parts={"nvidia": 1})
    assert "P107" in failed(judge(service, wanted))


def test_event_log_payload_changed_with_digests_kept_phala() -> None:
    class Changed(Lying):
        def change(self, report: dict[str, Any]) -> None:
            events = json.loads(report["event_log"])
            events[3]["event_payload"] = "02" * 20
            report["event_log"] = json.dumps(events)

    with Changed(guest=GUEST) as changed:
        assert judge(changed).verdict is not Verdict.ACCEPTED


def test_compose_changed_phala() -> None:
    with Phala(guest=replace(GUEST, composition="{}")) as liar, pytest.raises(Malformed):
        asked(liar)
    other = Guest.create(NOW, composition='{"name":"evil"}')
    with Phala(guest=replace(other, pki=GUEST.pki)) as evil:
        assert judge(evil).verdict is Verdict.REJECTED


class Several(Phala):
    """Another machine stands beside this one."""

    beside: Phala
    member = "all_attestations"

    def report(self, nonce: bytes, algorithm: str, *, fingerprint: bool) -> dict[str, Any]:
        made = super().report(nonce, algorithm, fingerprint=fingerprint)
        del made["all_attestations"]
        other = self.beside.entry(nonce, algorithm, fingerprint=False)
        if self.member == "model_attestations":
            return {"gateway_attestation": made, "model_attestations": [other]}
        return made | {"all_attestations": [made, other]}


@pytest.mark.parametrize("member", ["all_attestations", "model_attestations"])
def test_machines_beside_it_are_parts_that_a_policy_counts(service: Phala, member: str) -> None:
    with Several(guest=GUEST) as several:
        several.beside, several.member = service, member
        found = asked(several).found
        assert [part.name for part in found.composite.parts] == ["cpu", "machine-1-cpu"]
        assert found.keys["address-1"] == service.address("ecdsa")
        assert judge(several).verdict is not Verdict.ACCEPTED


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("signing_address", "0x00"),
        ("signing_address", None),
        ("signing_algo", "rsa"),
        ("intel_quote", "zz"),
        ("intel_quote", 7),
        ("nvidia_payload", "{}]"),
        ("nvidia_payload", {"evidence_list": [{}]}),
        ("tls_cert_fingerprint", "00"),
        ("event_log", "x" * (5 * 1024 * 1024)),
        ("all_attestations", {}),
        ("all_attestations", [1]),
        ("info", {"tcb_info": "{"}),
    ],
)
def test_hostile_reports_are_malformed(service: Phala, name: str, value: Any) -> None:
    report = service.report(NONCE, "ecdsa", fingerprint=True) | {name: value}
    _refused(json.dumps(report).encode())


def test_hostile_json_is_malformed(service: Phala) -> None:
    whole = json.dumps(service.report(NONCE, "ecdsa", fingerprint=True)).encode()
    _refused(whole[:-1])
    _refused(whole.replace(b'"signing_algo"', b'"signing_algo": "ecdsa", "signing_algo"', 1))
    _refused(b'{"intel_quote": ' + b"[" * 200_000)
    _refused(b'{"intel_quote": "' + b"0" * (17 * 1024 * 1024))
    many = [service.entry(bytes([i]) * 32, "ecdsa", fingerprint=False) for i in range(3)] * 30
    assert len(phala.machines_in(json.dumps({"all_attestations": many}).encode())) == 3


def _refused(body: bytes) -> None:
    with Server(lambda _: Reply(body=body)) as hostile, pytest.raises(Malformed):
        asked(hostile)


def test_a_host_of_another_kind_is_passed_by() -> None:
    for reply in (
        Reply(body=b"<html>"),
        Reply(body=b"{}"),
        Reply(status=401, body=b'{"intel_quote": ""}'),
        Reply(status=302, headers={"Location": "https://127.0.0.1/"}),
    ):
        with Server(lambda _, reply=reply: reply) as other, pytest.raises(Unavailable):
            asked(other)
