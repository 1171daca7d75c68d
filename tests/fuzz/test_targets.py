"""Every target of `make fuzz` still runs, on its seeds and some mutants of them; a long run is for `make fuzz`."""

import random
import traceback
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from fuzz.judged import P256, P384
from fuzz.simulated import nitro_case, quote_cases, report_cases
from fuzz.target import Broken
from fuzz.targets import NAMES, load

from fuzz import judged, own
from troth.errors import Malformed
from troth.model.report import Verdict
from troth.platforms.dcap import quote
from troth.platforms.nitro import format as nitro

MUTANTS = 200


@pytest.mark.parametrize("name", NAMES)
def test_no_target_finds_anything_in_a_few_mutants(name: str) -> None:
    target = load(name)
    assert target.begin(), "a target without seeds tries nothing"
    run = own.fuzz(target, None, executions=MUTANTS, draw=random.Random(1))
    assert run.error is None, "".join(traceback.format_exception(run.error))
    assert run.executions == MUTANTS + len(target.begin())


def _other_form(data: bytes, raw: bytes, order: int) -> bytes:
    half = len(raw) // 2
    s = order - int.from_bytes(raw[half:], "big")
    changed = data.replace(raw, raw[:half] + s.to_bytes(half, "big"))
    assert changed != data
    return changed


def test_the_other_form_of_a_signature_is_no_finding() -> None:
    evidence = nitro_case().evidence
    raw = nitro.parse(evidence).sign1.signature
    load("appraise_nitro").run(_other_form(evidence, raw, P384))
    evidence = quote_cases()[0].evidence
    raw = quote.parse(evidence).signature
    load("appraise_quote").run(_other_form(evidence, raw, P256))


@pytest.mark.parametrize(
    ("name", "evidence", "at"),
    [
        ("appraise_nitro", lambda: nitro_case().evidence, -1),
        ("appraise_nitro", lambda: nitro_case().evidence, 200),
        ("appraise_quote", lambda: quote_cases()[-1].evidence, 100),
        ("appraise_quote", lambda: quote_cases()[-1].evidence, 1500),
        ("appraise_snp", lambda: report_cases()[0].evidence, 0x2A0),
        ("appraise_snp", lambda: report_cases()[0].evidence, 0x60),
    ],
)
def test_accepting_anything_else_is_a_finding(
    name: str, evidence: Callable[[], bytes], at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a verifier that overlooks every failure, which is what a target is there to notice."""
    target = load(name)
    changed = bytearray(evidence())
    target.run(bytes(changed))
    changed[at] ^= 1
    target.run(bytes(changed))
    yes = SimpleNamespace(verdict=Verdict.ACCEPTED)
    monkeypatch.setattr(judged, "appraise", lambda *_, **__: yes)
    with pytest.raises((Broken, Malformed)):
        target.run(bytes(changed))
