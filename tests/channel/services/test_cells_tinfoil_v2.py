"""Tinfoil's version 2: a document that is made once, without a nonce, devices, a log or receipts."""

from collections.abc import Iterator

import pytest
from tests.channel.services.cutting import cutting
from tests.channel.services.tinfoil_made import NONCE, ask, failing, judged, of_image, quote

from troth.channel import dial, ehbp
from troth.channel.services import tinfoil
from troth.channel.services.simulate.tinfoil import Enclave
from troth.channel.web import Web, open_tls
from troth.errors import Malformed, Unavailable
from troth.model.channel import Binding
from troth.model.check import Outcome, Waiver
from troth.model.report import Verdict
from troth.wire import json

STALE = frozenset({Waiver.FRESHNESS})
CHAT = json.canonical({"model": "m", "messages": [{"role": "user", "content": "x"}]})


@pytest.fixture(name="enclave", scope="module")
def _enclave() -> Iterator[Enclave]:
    with Enclave(quote, platform="tdx", version=2) as enclave:
        yield enclave


def test_stripped_gpu_tinfoil_v2(enclave: Enclave) -> None:
    """There is no place for devices: a policy that counts one is not met, whatever is waived."""
    found = ask(enclave.url)
    report = judged(found, of_image(parts={"nvidia": 1}), waive=STALE)
    assert failing(report) == {"P107"}
    assert any("no evidence of a GPU" in sentence for sentence in found.not_bound)


def test_gpu_of_another_machine_tinfoil_v2() -> None:
    """Put beside the document, it is no part of it: the document is refused."""
    device = {"id": "gpu0", "kind": "gpu", "vendor": "nvidia", "format": "f", "evidence": {}}

    def beside(_: bytes | None, true: bytes) -> bytes:
        value = json.parse(true, field="")
        return json.canonical(value | {"device_evidence": [device]})

    with Enclave(quote, platform="tdx", version=2, present=beside) as liar:
        try:
            found = ask(liar.url)
        except Malformed:
            found = None
    assert found is None or [part.name for part in found.composite.parts] == ["cpu"]
    with Enclave(quote, platform="tdx", version=2) as bare:
        report = judged(ask(bare.url), of_image(parts={"nvidia": 1}), waive=STALE)
    assert failing(report) == {"P107"}


def test_receipt_for_another_body_tinfoil_v2(enclave: Enclave) -> None:
    """Answers are not signed; bodies sealed to the document's key are for whoever holds it alone."""
    found = ask(enclave.url)
    assert "receipt" not in found.keys and found.keys["hpke"] == enclave.receiver.key
    assert any("answers are not signed" in sentence for sentence in found.not_bound)
    report = judged(found, of_image(channel=Binding.SESSION), waive=STALE)
    assert failing(report) == {"B302"}


@pytest.mark.parametrize("after", [0, 90, 700, 3000])
def test_stream_cut_tinfoil_v2(enclave: Enclave, after: int) -> None:
    target = dial.parse(enclave.url)
    refused = pytest.raises((Unavailable, Malformed))
    with (
        cutting(target.dialler(), after=after) as way,
        refused,
        Web(enclave.url, seconds=5, dialler=way.dial) as web,
    ):
        tinfoil.ask(web, NONCE)


@pytest.mark.parametrize("pieces", [1, 2])
def test_stream_cut_tinfoil_v2_within_a_sealed_answer(pieces: int) -> None:
    body = json.canonical(json.parse(CHAT, field="") | {"stream": True})
    with Enclave(quote, platform="tdx", version=2, cut=pieces) as enclave:
        target = dial.parse(enclave.url)
        session = open_tls(target.dialler(), name=target.authority, seconds=10)
        client = ehbp.Client(session, target.authority, enclave.receiver.key)
        answer = client.open("POST", "/v1/chat/completions", body=[body])
        with pytest.raises((Malformed, Unavailable)):
            list(answer.pieces)


def test_downgrade_of_the_binding_tinfoil_v2(enclave: Enclave) -> None:
    """Whoever shows it in place of version 3 gives freshness up, and the policy's binding stands."""
    report = judged(ask(enclave.url))
    assert report.verdict is Verdict.UNDECIDED
    undecided = {c.code.id for c in report.checks if c.outcome is Outcome.UNDECIDED}
    assert undecided == {"R101"}
    assert failing(judged(ask(enclave.url), of_image(channel=Binding.SESSION))) == {"B302"}


def test_event_log_payload_changed_with_digests_kept_tinfoil_v2(enclave: Enclave) -> None:
    found = ask(enclave.url)
    assert all(part.event_log is None for part in found.composite.parts)
    assert any("no event log" in sentence for sentence in found.not_bound)


def test_compose_changed_tinfoil_v2() -> None:
    other = Enclave(lambda data: quote(data, rtmr2=b"\x22" * 48), platform="tdx", version=2)
    with other:
        report = judged(ask(other.url), waive=STALE)
    assert report.verdict is Verdict.REJECTED
    assert failing(report) == {"M201"}
