"""The event logs and answers of dstack's guest agent."""

import json
from collections.abc import Iterable

from tests.platforms.tdx.make_dstack import boot, runtime, system

from fuzz.simulated import quote_cases
from fuzz.target import Target, attempt
from fuzz.targets.tcb_info import WORDS
from fuzz.vectors import vectors
from troth.platforms.tdx import dstack, events


def _run(data: bytes) -> None:
    attempt(dstack.read_answer, data)
    for version in (1, 2):
        replayed = dstack.replay(data, version=version)
        list(events.lines(replayed))
        rtmr3 = replayed.registers["rtmr3"].hex()
        attempt(lambda _: dstack.identity(replayed, rtmr3=rtmr3), data)  # noqa: B023 - called at once


def _seeds() -> Iterable[bytes]:
    log = [boot(), *system()]
    yield json.dumps(log).encode()
    yield json.dumps([runtime("app-id", b"1")]).encode()
    answer = {"quote": quote_cases()[0].evidence.hex(), "event_log": json.dumps(log)}
    yield json.dumps(answer).encode()
    for data in vectors("tdx/eventlog/dstack-*.json"):
        yield data
        value = json.loads(data)
        if isinstance(value, dict) and isinstance(value.get("event_log"), str):
            yield value["event_log"].encode()


TARGET = Target(
    run=_run,
    seeds=_seeds,
    longest=48 * 1024,
    words=(*WORDS, b'"event":', b'"digest":""', b'"event_payload":', b"134217729", b"boot-mr-done"),
)
