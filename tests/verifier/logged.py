"""Quotes with event logs under a development PKI, and policies that pin what the logs say."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from tests.platforms.dcap.rows import Row, accepting, look, manifest
from tests.platforms.tdx.make_dstack import HASH, Entry, boot, replayed, system

import troth
from troth.model.check import Outcome
from troth.model.report import Report
from troth.platforms.dcap.simulate import DevelopmentPki
from troth.policy.requirements import Requirements

NOW = datetime(2026, 11, 23, 3, 10, tzinfo=UTC)
BOOT = ("mrtd", "rtmr0", "rtmr1", "rtmr2")
PINNED = {
    "compose_hash": HASH.hex(),
    "os_image_hash": "02" * 32,
    "key_provider": "kms",
    "key_provider_id": "3059",
    "storage_fs": "zfs",
}
FIRMWARE = [boot(0), boot(1), boot(2)]


@cache
def pki() -> DevelopmentPki:
    return DevelopmentPki.create(NOW)


def text(*entries: Entry) -> bytes:
    return json.dumps(entries).encode()


def quote(*entries: Entry, **fields: bytes) -> bytes:
    registers = replayed(*entries).registers
    return pki().quote(fields={**registers, "reportdata": bytes(range(64)), **fields})


def policy(
    evidence: bytes, events: Mapping[str, Any], *, registers: tuple[str, ...] = BOOT
) -> troth.Policy:
    claims = judge(evidence, troth.Policy(name="look")).presented
    assert claims is not None
    return troth.Policy(
        name="mine",
        registers={"tdx": {name: frozenset({claims.registers[name]}) for name in registers}},
        requirements={
            "tdx": Requirements(
                events={k: [v] if isinstance(v, str) else v for k, v in events.items()}
            )
        },
    )


def judge(
    evidence: bytes, policy: troth.Policy, event_log: bytes | None = None, **more: Any
) -> Report:
    return troth.appraise(
        evidence,
        policy=policy,
        at=NOW,
        nonce=bytes(range(64)),
        trust=pki().roots(),
        collateral=pki().collateral(),
        event_log=event_log,
        **more,
    )


def wrong(report: Report) -> list[str]:
    return sorted({c.code.id for c in report.checks if c.outcome is not Outcome.PASSED})


LOG = [*FIRMWARE, *system()]


def real(vectors: Path, file: str) -> Row:
    return next(r for r in manifest(vectors, "tdx") if r.file.startswith(file))


def with_events(row: Row, log: bytes | None, *, but: tuple[str, ...] = ()) -> troth.Policy:
    """What this row's quote is, with what its log says in RTMR3's place."""
    report = look(row, event_log=log)
    assert report.presented is not None
    wanted = accepting(row, report)
    registers = {k: v for k, v in wanted.registers["tdx"].items() if k not in but}
    events = {
        name: frozenset({report.presented.events[name]})
        for name in report.presented.covers.get("rtmr3", ())
    }
    asked = replace(wanted.requirements["tdx"], events=events)
    return replace(wanted, registers={"tdx": registers}, requirements={"tdx": asked})
