"""Reports on tokens: all that they say is in the JSON, and what is hostile in them harms no page."""

import json
from importlib import resources
from typing import Any

import jsonschema
import pytest
from tests.platforms.tokens.made import KINDS, START, Kind, evidence, judged

from troth.platforms.tokens.simulate import NAMES, Service
from troth.render.html import report_html
from troth.render.json import report_json
from troth.render.text import report_text

SCHEMA = json.loads(
    resources.files("troth.render").joinpath("schema/report-v1.json").read_text("utf-8")
)
HOSTILE = "\x1b[31m\u202e<script>alert(1)</script>"


@pytest.fixture(scope="module")
def services() -> dict[str, Service]:
    return {name: Service.create(name, START) for name in NAMES}


def plain(kind: Kind, service: Service, **changes: Any) -> dict[str, Any]:
    report = judged(evidence(kind, service, **changes), kind, service)
    found: dict[str, Any] = json.loads(report_json(report))
    jsonschema.validate(found, SCHEMA)
    assert "<script>alert" not in report_html(report)
    for page in (report_html(report), report_text(report)):
        assert "\x1b[31m" not in page and "\u202e" not in page
    return found


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_json_has_what_tokens_say(services: dict[str, Service], kind: Kind) -> None:
    claims = plain(kind, services[kind.service])["claims"]
    assert claims["texts"]
    assert claims["source"] in ("provider", "verifier")


@pytest.mark.parametrize(
    "changes",
    [
        {"hwmodel": HOSTILE},
        {"aud": [HOSTILE] * 99},
        {"submods": {}},
        {"eat_nonce": HOSTILE},
        {"oemid": -1},
        {"oemid": 2**53},
        {"sub": HOSTILE, "submods": {"gce": {"instance_id": HOSTILE}}},
        {"swversion": [HOSTILE, 7, True, None]},
    ],
    ids=range(8),
)
def test_what_is_hostile_stays_text(services: dict[str, Service], changes: dict[str, Any]) -> None:
    plain(KINDS["gcs"], services["gcs"], **changes)


def test_registers_that_are_not_there(services: dict[str, Service]) -> None:
    found = plain(KINDS["maa-snp"], services["maa"], **{"x-ms-sevsnpvm-hostdata": HOSTILE})
    assert found["presented"]["registers"]["x_ms_sevsnpvm_hostdata"] == ""
    plain(KINDS["maa-snp"], services["maa"], **{"x-ms-attestation-type": HOSTILE})
    plain(KINDS["maa-snp"], services["maa"], **{"x-ms-policy-hash": "A" * 5000})
    plain(KINDS["maa-sgx"], services["maa"], **{"x-ms-sgx-ehd": "A" * 9000, "x-ms-sgx-svn": -5})
