"""ACI's receipts: the published one, every bit of it, and receipts for something else."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from tests.channel.aci_made import REQUEST, RESPONSE, SESSION_ID, keyset_value, receipt

from troth.channel import keyset, receipts
from troth.channel.receipts import Exchange
from troth.errors import Malformed
from troth.model.check import Check, Outcome
from troth.model.report import Verdict, decide

KEYS = keyset.read(keyset_value())
EXCHANGE = Exchange(
    request=keyset.sha256(REQUEST),
    response=keyset.sha256(RESPONSE),
    model="demo-model",
    endpoint="/v1/chat/completions",
    direct=False,
    verified=True,
)
EVENTS: list[dict[str, Any]] = json.loads(receipt())["event_log"]


def judge(data: bytes, exchange: Exchange = EXCHANGE) -> Verdict:
    return decide(_checks(data, exchange), receipts.REQUIRED)


def _checks(data: bytes, exchange: Exchange = EXCHANGE) -> tuple[Check, ...]:
    return receipts.checks(receipts.read(data), KEYS, exchange)


def _failed(data: bytes, exchange: Exchange = EXCHANGE) -> set[str]:
    return {c.code.id for c in _checks(data, exchange) if c.outcome is not Outcome.PASSED}


def test_the_published_receipt_is_accepted() -> None:
    assert judge(receipt()) is Verdict.ACCEPTED


def test_what_is_signed_is_the_published_bytes() -> None:
    found = receipts.read(receipt())
    assert hashlib.sha256(found.signed).hexdigest() == (
        "1bd328e6880a5a12b3915af95ea32111310e04ab9e21ac3d71ce268e33b965c9"
    )
    assert found.signature.hex() == (
        "d5b005e093bde3b577faf270b7184b09e169cacb0ecb206b103bd2581f997db0"
        "3da616175454b063323a23ac1dc68f1ce506c2a6eba8aa0561d5e724f0b80c03"
    )


def test_no_bit_of_a_receipt_can_be_changed() -> None:
    data = json.dumps(json.loads(receipt()), separators=(",", ":")).encode()
    for place in range(len(data) * 8):
        changed = bytearray(data)
        changed[place // 8] ^= 1 << (place % 8)
        try:
            verdict = judge(bytes(changed))
        except Malformed:
            continue
        assert verdict is not Verdict.ACCEPTED, place


def test_every_truncation_is_refused() -> None:
    data = receipt()
    for size in range(len(data)):
        with pytest.raises(Malformed):
            receipts.read(data[:size])


def test_receipt_for_another_body() -> None:
    assert _failed(receipt(), replace(EXCHANGE, request=keyset.sha256(REQUEST + b" "))) == {"B413"}
    assert _failed(receipt(), replace(EXCHANGE, response=keyset.sha256(b"other"))) == {"B414"}


@pytest.mark.parametrize(
    "change", [{"model": "small-model"}, {"endpoint": "/v1/completions"}, {"method": "GET"}]
)
def test_receipt_for_another_model_or_endpoint(change: dict[str, str]) -> None:
    assert _failed(receipt(**change)) == {"B416"}
    assert judge(receipt(**change)) is Verdict.REJECTED


def test_a_null_model_is_no_model() -> None:
    assert _failed(receipt(model=None)) == {"B416"}
    assert judge(receipt(model=None, chat_id=None), replace(EXCHANGE, model="")) is (
        Verdict.ACCEPTED
    )


def test_a_receipt_by_a_key_outside_the_keyset() -> None:
    assert _failed(receipt(key_id="receipt-2")) == {"B411"}


def test_a_receipt_under_another_keyset() -> None:
    assert _failed(receipt(workload_keyset_digest="sha256:" + "0" * 64)) == {"B412"}


@pytest.mark.parametrize(
    "log",
    [
        [EVENTS[1], EVENTS[0], *EVENTS[2:]],
        [EVENTS[0], EVENTS[0], *EVENTS[1:]],
        [*EVENTS[:2], *EVENTS[1:]],
        EVENTS[:3],
        [EVENTS[0], EVENTS[3]],
        [EVENTS[0], EVENTS[3], EVENTS[1], EVENTS[2]],
        [{"type": "route.chosen"}, *EVENTS],
        [*EVENTS, EVENTS[3]],
    ],
)
def test_events_out_of_order(log: list[dict[str, Any]]) -> None:
    assert "B415" in _failed(receipt(event_log=log))


def test_an_event_of_the_services_own_is_passed_over() -> None:
    log = [EVENTS[0], {"type": "route.chosen", "why": ["cheap"]}, *EVENTS[1:]]
    assert judge(receipt(event_log=log)) is Verdict.ACCEPTED


def test_as_many_events_as_there_may_be() -> None:
    own = [{"type": "route.chosen"}] * 252
    assert judge(receipt(event_log=[EVENTS[0], *own, *EVENTS[1:]])) is Verdict.ACCEPTED
    assert _failed(receipt(event_log=EVENTS[:1])) == {"B414", "B415", "B417"}


def test_a_rewrite_is_shown_and_no_failure() -> None:
    log = [EVENTS[0], EVENTS[1] | {"body_hash": keyset.sha256(b"rewritten")}, *EVENTS[2:]]
    data = receipt(event_log=log)
    assert judge(data) is Verdict.ACCEPTED
    assert receipts.rewritten(receipts.read(data))
    assert any("rewrote" in check.why for check in _checks(data))


FAILED = {
    "type": "upstream.verified",
    "result": "failed",
    "required": False,
    "model_id": "demo-model",
    "reason": "no quote",
}


def _upstream(*events: dict[str, Any]) -> bytes:
    return receipt(event_log=[*EVENTS[:2], *events, EVENTS[3]])


def test_an_upstream_that_was_not_verified() -> None:
    assert judge(_upstream(FAILED)) is Verdict.REJECTED
    loose = replace(EXCHANGE, verified=False)
    assert judge(_upstream(FAILED), loose) is Verdict.UNDECIDED
    assert judge(_upstream(FAILED | {"required": True}), loose) is Verdict.REJECTED
    assert judge(_upstream(), loose) is Verdict.REJECTED
    assert judge(_upstream(EVENTS[2] | {"required": False})) is Verdict.REJECTED
    assert judge(_upstream(EVENTS[2] | {"required": False}), loose) is Verdict.ACCEPTED
    assert judge(_upstream(EVENTS[2], FAILED)) is Verdict.REJECTED
    assert judge(_upstream(EVENTS[2] | {"session_id": "short"})) is Verdict.REJECTED


def test_a_session_that_the_caller_does_not_accept() -> None:
    assert judge(receipt(), replace(EXCHANGE, sessions=frozenset({SESSION_ID}))) is Verdict.ACCEPTED
    assert judge(receipt(), replace(EXCHANGE, sessions=frozenset({"0" * 64}))) is Verdict.REJECTED


def test_a_service_that_runs_the_model_itself_has_no_upstream() -> None:
    direct = replace(EXCHANGE, direct=True, verified=False)
    assert judge(_upstream(), direct) is Verdict.ACCEPTED


def test_a_service_that_says_so_and_has_one_is_held_to_it() -> None:
    direct = replace(EXCHANGE, direct=True, verified=False)
    assert judge(_upstream(FAILED | {"required": True}), direct) is Verdict.REJECTED
    assert judge(_upstream(FAILED), direct) is Verdict.UNDECIDED
    assert judge(_upstream(FAILED), replace(direct, any_upstream=True)) is Verdict.ACCEPTED


def test_no_receipt_is_no_acceptance() -> None:
    assert decide(receipts.absent("answer", "gone"), receipts.REQUIRED) is Verdict.REJECTED


@pytest.mark.parametrize(
    "change",
    [
        {"api_version": "aci/2"},
        {"served_at": "now"},
        {"event_log": []},
        {"event_log": {}},
        {"event_log": [1]},
        {"event_log": [{"type": 1}]},
        {"event_log": [{"type": "request.received"}]},
        {"event_log": [{"type": "request.received", "body_hash": "00" * 32}]},
        {"event_log": [{"type": "x"}] * 257},
        {"receipt_id": None},
        {"more": 1},
    ],
)
def test_whatever_is_no_receipt_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        receipts.read(receipt(**change))


def test_hostile_json_is_refused() -> None:
    twice = receipt().replace(b'"method"', b'"model": "demo-model", "method"')
    for data in (twice, b"[" * 100_000, b"{" + b" " * receipts.MAX_BYTES, b"\xff", b"1e400", b""):
        with pytest.raises(Malformed):
            receipts.read(data)
    half = receipt().replace(b"demo-model", b"\\ud800", 1)
    deep = receipt(event_log=[*EVENTS, {"type": "x", "more": "HERE"}])
    deep = deep.replace(b'"HERE"', b"[" * 600 + b"]" * 600)
    for data in (half, deep):
        try:
            assert judge(data) is not Verdict.ACCEPTED
        except Malformed:
            pass
    upper = json.loads(receipt())
    upper["signature"] = upper["signature"].upper()
    with pytest.raises(Malformed):
        receipts.read(json.dumps(upper).encode())
