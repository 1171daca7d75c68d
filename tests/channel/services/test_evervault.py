"""Evervault: documents among the names of certificates, made for a nonce or kept; each way around them."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.channel.services.stage import NONCE, OLD, asked, found, judged, now, pinned, wrong

from troth.channel.services import Found, evervault
from troth.channel.services.evervault import SERVICE
from troth.channel.services.simulate import evervault as simulated
from troth.channel.services.simulate._loopback import NOT_FOUND, Loopback, Reply, identity
from troth.channel.services.simulate._nitro import PCRS, Enclave
from troth.errors import Malformed
from troth.model.channel import Binding
from troth.model.check import Outcome
from troth.model.report import Report, Verdict

REGISTERS = {f"pcr{i}": value for i, value in PCRS.items()}


@pytest.fixture(scope="module")
def enclave() -> Enclave:
    return Enclave.create(now())


@pytest.fixture
def server(enclave: Enclave) -> Iterator[Loopback]:
    with simulated.serve(enclave, now()) as made:
        yield made


def judge(enclave: Enclave, answer: Found, **given: Any) -> Report:
    policy = pinned("nitro", REGISTERS, channel=given.pop("channel", Binding.KEY))
    return judged(answer, policy=policy, trust=[enclave.root], **given)


def test_a_certificate_is_made_for_the_nonce(enclave: Enclave, server: Loopback) -> None:
    answer = asked(SERVICE, server)
    assert answer.nonce == NONCE and answer.binding is Binding.KEY
    assert judge(enclave, answer).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("in_names", [True, False])
def test_a_document_that_is_kept(enclave: Enclave, *, in_names: bool) -> None:
    with simulated.serve(enclave, now(), fresh=False, in_names=in_names) as server:
        answer = asked(SERVICE, server)
    assert answer.nonce is None and any("no freshness" in one for one in answer.not_bound)
    assert judge(enclave, answer).verdict is Verdict.ACCEPTED
    later = judge(enclave, answer, at=now().replace(year=now().year + 1))
    assert wrong(later)["R101"] is Outcome.FAILED


def test_the_name_in_the_handshake() -> None:
    assert evervault.server_name(b"\xff" * 3, "a.example") == "____.attest.a.example"


def test_hosts_of_another_kind() -> None:
    documents = (b"{}", b"hello", b'{"attestation_doc":1,"more":2}', b'{"a":1,"a":1}')
    for reply in (NOT_FOUND, Reply(status=302), *(Reply(body=data) for data in documents)):
        with Loopback(lambda _, reply=reply: reply, identity=identity(now())) as server:
            assert found(SERVICE, server) is None
    with Loopback(lambda _: NOT_FOUND) as server:
        assert found(SERVICE, server) is None


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("in_names", [True, False])
def test_anothers_evidence_evervault(enclave: Enclave, *, fresh: bool, in_names: bool) -> None:
    quoted = identity(now()).spki
    with simulated.serve(enclave, now(), quoted=quoted, fresh=fresh, in_names=in_names) as server:
        report = judge(enclave, asked(SERVICE, server))
    assert (report.verdict, wrong(report)) == (Verdict.REJECTED, {"B501": Outcome.FAILED})


def test_old_nonce_evervault(enclave: Enclave) -> None:
    with simulated.serve(enclave, now(), old_nonce=OLD) as server:
        report = judge(enclave, asked(SERVICE, server))
    assert (report.verdict, wrong(report)) == (Verdict.REJECTED, {"B101": Outcome.FAILED})


def test_stream_cut_evervault(enclave: Enclave) -> None:
    document = enclave.document(user_data=identity(now()).spki)
    cut = simulated.shown(enclave, now(), document=document[:-1])
    with Loopback(lambda _: NOT_FOUND, identity=cut) as server, pytest.raises(Malformed):
        found(SERVICE, server)


def test_names_that_are_no_document() -> None:
    long = "0g" * 100
    for names in ((f"{long}.localhost",), (f"{'00' * 99}.localhost", f"{'11' * 99}.localhost")):
        shown = identity(now(), names=names)
        with pytest.raises(Malformed):
            evervault.in_certificate(shown.der, "localhost")
    for names in ((f"{'00' * 99}.elsewhere",), ("www.localhost",), (f"a.{'00' * 99}.localhost",)):
        shown = identity(now(), names=names)
        assert evervault.in_certificate(shown.der, "localhost") is None


@pytest.mark.parametrize("value", [1, None, "é", "zz!", base64.b64encode(b"x").decode() + "\n\n"])
def test_kept_documents_that_are_none(value: object) -> None:
    body = json.dumps({"attestation_doc": value}).encode()
    with (
        Loopback(lambda _: Reply(body=body), identity=identity(now())) as server,
        pytest.raises(Malformed),
    ):
        found(SERVICE, server)
