"""The agent's API from inside a real run: tags keep purposes apart, and bad requests get clear answers."""

import http.client
import json
import secrets
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.agent.conftest import Probe

import troth
from troth.model.check import Outcome
from troth.model.report import Verdict
from troth.verifier.binding import Tag, bind
from troth.verifier.receipt import Receipt

pytestmark = [pytest.mark.namespaces, pytest.mark.network]


def judged(probe: Probe, evidence: str, **more: Any) -> troth.Report:
    return troth.appraise(
        bytes.fromhex(evidence),
        policy=probe.policy,
        at=datetime.now(UTC),
        trust=probe.trust,
        **more,
    )


def failed(report: troth.Report) -> set[str]:
    return {c.code.id for c in report.checks if c.outcome is Outcome.FAILED}


def test_evidence_over_app_data(probe: Probe) -> None:
    nonce, data = secrets.token_bytes(32), b"what the app says"
    status, answer = probe.agent(
        "POST", "/v1/attest", {"nonce": nonce.hex(), "app_data": data.hex()}
    )
    assert status == 200
    assert answer["platform"] == "nitro"
    report = judged(probe, answer["evidence"], nonce=nonce, binding=bind(Tag.APP, data, nonce))
    assert report.verdict is Verdict.ACCEPTED
    assert report.presented is not None
    assert report.presented.public_key is None
    other = judged(
        probe, answer["evidence"], nonce=nonce, binding=bind(Tag.APP, data + b"!", nonce)
    )
    assert failed(other) == {"B301"}


def test_app_data_passes_for_no_other_purpose(probe: Probe) -> None:
    """A stranger has the app attest *his* key or exporter: no channel and no receipt accepts that."""
    nonce, key, exporter = secrets.token_bytes(32), b"a stranger's key", secrets.token_bytes(32)
    for data, binding in (
        (exporter + key + nonce, bind(Tag.CHANNEL, exporter, key, nonce)),
        (bind(Tag.CHANNEL, exporter, key, nonce), bind(Tag.CHANNEL, exporter, key, nonce)),
        (key + nonce, bind(Tag.IDENTITY, key, nonce)),
        (bind(Tag.IDENTITY, key, nonce), bind(Tag.IDENTITY, key, nonce)),
    ):
        body = {"nonce": nonce.hex(), "app_data": data.hex()}
        _, answer = probe.agent("POST", "/v1/attest", body)
        report = judged(probe, answer["evidence"], nonce=nonce, key=key, binding=binding)
        assert failed(report) == {"B201", "B301"}


def test_identity_and_receipts(probe: Probe) -> None:
    nonce, data = secrets.token_bytes(32), b"a statement"
    _, known = probe.agent("GET", "/v1/identity")
    key = bytes.fromhex(known["public_key"])
    _, answer = probe.agent("POST", "/v1/identity/attest", {"nonce": nonce.hex()})
    _, signed = probe.agent("POST", "/v1/sign", {"data": data.hex()})
    receipt = Receipt(name="r", data=data, signature=bytes.fromhex(signed["signature"]))
    binding = bind(Tag.IDENTITY, key, nonce)
    report = judged(
        probe, answer["evidence"], nonce=nonce, key=key, binding=binding, receipts=[receipt]
    )
    assert report.verdict is Verdict.ACCEPTED
    forged = Receipt(name="r", data=data + b"!", signature=receipt.signature)
    assert failed(judged(probe, answer["evidence"], receipts=[forged])) == {"B401"}


def test_info_random_and_free_data(probe: Probe) -> None:
    status, info = probe.agent("GET", "/v1/info")
    assert status == 200
    assert info["name"] == "probe"
    assert info["free"] == ["hint"]
    draws = {probe.agent("POST", "/v1/random", {"size": 300})[1]["random"] for _ in range(3)}
    assert len(draws) == 3
    assert all(len(draw) == 600 for draw in draws)
    assert probe.agent("GET", "/v1/free/hint") == (200, {"data": b"from the host".hex()})


BAD: list[tuple[int, str, str, Any]] = [
    (404, "GET", "/v1/nothing", None),
    (404, "GET", "/v1/free/other", None),
    (404, "GET", "/v1/free/../ready", None),
    (405, "POST", "/v1/info", {}),
    (405, "GET", "/v1/attest", None),
    (400, "POST", "/v1/attest", {"nonce": "00" * 32}),
    (400, "POST", "/v1/attest", {"nonce": "00" * 32, "app_data": "", "more": 1}),
    (400, "POST", "/v1/attest", {"nonce": "00" * 7, "app_data": ""}),
    (400, "POST", "/v1/attest", {"nonce": "00" * 513, "app_data": ""}),
    (400, "POST", "/v1/attest", {"nonce": "0" * 33, "app_data": ""}),
    (400, "POST", "/v1/attest", {"nonce": "AA" * 32, "app_data": ""}),
    (400, "POST", "/v1/attest", {"nonce": "00" * 32, "app_data": "00" * (64 * 1024 + 1)}),
    (400, "POST", "/v1/attest", ["nonce"]),
    (400, "POST", "/v1/sign", {"data": 5}),
    (400, "POST", "/v1/random", {"size": 0}),
    (400, "POST", "/v1/random", {"size": 4097}),
    (400, "POST", "/v1/random", {"size": True}),
    (400, "POST", "/v1/identity/attest", {"nonce": "zz" * 32}),
]


@pytest.mark.parametrize(("status", "method", "path", "body"), BAD)
def test_bad_requests(probe: Probe, status: int, method: str, path: str, body: Any) -> None:
    found, answer = probe.agent(method, path, body)
    assert found == status
    assert set(answer) == {"error", "fix"}
    assert answer["error"]


def test_the_port_speaks_attested_tls_and_nothing_else(probe: Probe) -> None:
    published = probe.run.published[0]
    plain = http.client.HTTPConnection(published.host, published.host_port, timeout=5)
    plain.request("GET", "/")
    with pytest.raises((http.client.HTTPException, OSError)):
        json.loads(plain.getresponse().read())
    assert probe.ask("interfaces") == ["lo"]  # and goes on serving those who do


def test_another_policy_refuses_this_run(probe: Probe) -> None:
    other = troth.Policy.for_image({"nitro": {f"pcr{i}": "ab" * 48 for i in range(3)}})
    with pytest.raises(troth.Rejected) as raised:
        troth.connect(probe.url, policy=other, trust=probe.trust)
    assert failed(raised.value.report) == {"M201"}
    with pytest.raises(troth.Rejected):
        troth.connect(probe.url, policy=probe.policy)  # the root was not passed by name
