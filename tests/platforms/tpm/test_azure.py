"""A confidential VM of Azure: hardware, paravisor and quote together, and each way of mixing machines."""

import json
from typing import Any

import pytest
from tests.platforms.snp import made as snp
from tests.platforms.tpm import machine as azures
from tests.platforms.tpm import made
from tests.platforms.tpm.machine import judged, machine, policy, processor
from tests.platforms.tpm.made import NONCE

import troth
from troth.errors import Malformed
from troth.model.check import Outcome
from troth.model.report import Report, Verdict
from troth.model.roots import RootClass
from troth.platforms import assemble
from troth.platforms.tpm import azure, hcl
from troth.platforms.tpm.simulate import hcl_report
from troth.wire import tpm


def failing(report: Report) -> set[str]:
    """Codes that failed, in any part."""
    return {
        check.code.id
        for one in (report, *(joined.report for joined in report.parts))
        for check in one.checks
        if check.outcome is Outcome.FAILED
    }


def test_the_whole_machine_is_accepted() -> None:
    good = machine()
    report = judged(good.evidence(), event_log=good.tpm.log())
    assert report.verdict is Verdict.ACCEPTED, failing(report)
    assert [(joined.name, joined.report.platform) for joined in report.parts] == [("vtpm", "tpm")]
    assert report.parts[0].report.root_class is RootClass.DEVELOPMENT


def test_it_is_found_among_containers() -> None:
    found = assemble(machine().evidence())
    assert found is not None
    assert [part.name for part in found.parts] == ["cpu", "vtpm"]
    assert assemble(b"{}") is None


def test_an_old_nonce() -> None:
    report = judged(machine().evidence(b"an older question"))
    assert report.verdict is Verdict.REJECTED
    assert "B101" in failing(report)


def test_another_machines_quote_with_this_report() -> None:
    good, other = machine(), machine(number=1)
    value = json.loads(good.evidence())
    value["tpm_quote"] = json.loads(other.evidence())["tpm_quote"]
    report = judged(json.dumps(value).encode())
    assert report.verdict is Verdict.REJECTED
    assert "G201" in failing(report)


def test_another_machines_claims_with_this_report() -> None:
    """The paravisor's claims of an attacker's TPM around a true report of the victim's machine."""
    good, other = machine(), machine(number=1)
    report = judged(other.evidence(hardware=good.report))
    assert report.verdict is Verdict.REJECTED
    assert "B301" in failing(report) or "B501" in failing(report)


def test_the_claims_in_another_spelling() -> None:
    good = machine()
    value = json.loads(good.runtime)
    spelled = json.dumps(value, indent=1).encode()
    assert json.loads(spelled) == value
    report = judged(good.evidence(runtime=spelled))
    assert report.verdict is Verdict.REJECTED


def test_another_operating_system() -> None:
    report = judged(machine(kernel=b"another kernel").evidence())
    assert report.verdict is Verdict.REJECTED
    assert failing(report) == {"M201"}


def test_a_stripped_vtpm() -> None:
    found = azure.read(machine().evidence())
    assert found is not None
    lead = found.composite().lead
    report = troth.appraise(
        lead.evidence,
        policy=policy(machine()),
        at=snp.AT,
        nonce=NONCE,
        trust=[processor().pki.root()],
    )
    assert report.verdict is not Verdict.ACCEPTED
    assert "P107" in failing(report)


def test_the_quote_alone_is_open() -> None:
    found = azure.read(machine().evidence())
    assert found is not None
    report = troth.appraise(found.quote, policy=policy(machine(), parts={}), at=snp.AT, nonce=NONCE)
    assert report.verdict is Verdict.UNDECIDED


def test_a_policy_that_wants_a_clouds_certificate() -> None:
    good = machine()
    asked = policy(good).requirements["tpm"]
    wanted = {
        **policy(good).requirements,
        "tpm": type(asked)(ak=frozenset({"azure"})),
    }
    report = judged(good.evidence(), pinned=policy(good, requirements=wanted))
    assert failing(report) == {"P212"}


def test_a_log_of_another_boot() -> None:
    good = machine()
    other = made.booted(line="init=/bin/sh")
    report = judged(good.evidence(), event_log=other.log())
    assert report.verdict is Verdict.REJECTED
    assert "M301" in failing(report)


@pytest.mark.slow
def test_every_single_bit_of_the_evidence() -> None:
    """Of what lies in the HCL report and the quote; the JSON around them is hashed by nothing.

    The zeros behind the claims must be zeros. The quote's bits are flipped in `test_bitflips`, and those
    of SNP's own report behind REPORT_DATA in its platform.
    """
    good = machine()
    value = json.loads(good.evidence())
    report = hcl_report(good.report, good.runtime, hcl.Kind.SNP)
    pinned = policy(good)
    for bit in range(8 * len(report)):  # the report's own bits are flipped in its platform
        if _is_snps(bit // 8):
            continue
        value["hcl_report"] = azures_text(snp.flipped(report, bit))
        assert refused(json.dumps(value).encode(), pinned), bit


def _is_snps(byte: int) -> bool:
    return 32 + 0x90 <= byte < 32 + 1184


def azures_text(data: bytes) -> str:
    import base64

    return base64.urlsafe_b64encode(data).decode()


def refused(data: bytes, pinned: troth.Policy) -> bool:
    try:
        report = judged(data, pinned=pinned)
    except Malformed:
        return True
    return report.verdict is not Verdict.ACCEPTED


CHANGES: dict[str, dict[str, Any]] = {
    "no report": {"hcl_report": ""},
    "a report that is a list": {"hcl_report": [1, 2]},
    "another version": {"version": 2},
    "true for a version": {"version": True},
    "a quote that is text": {"tpm_quote": "ff"},
    "a member too many in the quote": {"tpm_quote": {"more": ""}},
    "no VCEK": {"vcek": None},
}


@pytest.mark.parametrize("name", CHANGES)
def test_evidence_out_of_form(name: str) -> None:
    value = json.loads(machine().evidence())
    for key, change in CHANGES[name].items():
        value[key] = value[key] | change if isinstance(change, dict) else change
    with pytest.raises(Malformed):
        azure.read(json.dumps(value).encode())


def test_registers_out_of_form() -> None:
    for change in (["ff"] * 23, ["FF" * 32] * 24, [1] * 24, "ff", ["f"] * 24):
        value = json.loads(machine().evidence())
        value["tpm_quote"]["pcrs"] = change
        with pytest.raises(Malformed):
            azure.read(json.dumps(value).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"version": 1}', b'{"quote": 1, "quote": 2}'])
def test_what_is_none_of_azures(data: bytes) -> None:
    assert azure.read(data) is None


def test_reports_of_hardware_that_nobody_reads_here() -> None:
    good = machine()
    for kind in (hcl.Kind.VBS, hcl.Kind.TVM, hcl.Kind.CCA, hcl.Kind.TDX):
        value = json.loads(good.evidence())
        value["hcl_report"] = azures_text(hcl_report(bytes(1184), good.runtime, kind))
        with pytest.raises(Malformed):
            azure.read(json.dumps(value).encode())


def test_a_td_whose_report_is_over_other_claims() -> None:
    good = machine()
    report = bytearray(1024)
    report[128:192] = hcl.report_data(good.runtime)
    data = good.tpm.azure(
        NONCE, hardware=bytes(report), runtime=good.runtime, td_quote=b"a quote of the TD"
    )
    found = azure.read(data)
    assert found is not None
    assert found.hardware == b"a quote of the TD"
    assert found.composite().lead.user_data == hcl.report_data(good.runtime)
    long = good.tpm.azure(
        NONCE, hardware=bytes(report), runtime=good.runtime, td_quote=bytes((1 << 16) + 1)
    )
    with pytest.raises(Malformed, match="td_quote: is larger than"):
        azure.read(long)
    report[128] ^= 1
    data = good.tpm.azure(
        NONCE, hardware=bytes(report), runtime=good.runtime, td_quote=b"a quote of the TD"
    )
    with pytest.raises(Malformed):
        azure.read(data)


def test_old_evidence_has_lists_of_numbers() -> None:
    good = machine()
    new = json.loads(good.evidence())
    message = bytes.fromhex(new["tpm_quote"]["message"])
    signature = bytes.fromhex(new["tpm_quote"]["signature"])
    old = {
        "report": list(hcl_report(good.report, good.runtime, hcl.Kind.SNP)),
        "quote": {
            "message": list(message),
            "signature": list(signature),
            "pcrs": [list(value) for value in good.tpm.registers[tpm.SHA256]],
        },
        "vcek": snp.to_pem(azures.processor().endorsement).decode(),
    }
    found, same = azure.read(json.dumps(old).encode()), azure.read(json.dumps(new).encode())
    assert found is not None
    assert same is not None
    assert (found.hardware, found.hcl) == (same.hardware, same.hcl)
    for wrong, words in (
        ({"report": [256]}, "report"),
        ({"report": [True]}, "report"),
        ({"vcek": ""}, "vcek"),
        ({"vcek": 7}, "vcek: is no text"),
        ({"vcek": old["vcek"] * 2}, "vcek: holds 2 certificates"),
    ):
        with pytest.raises(Malformed, match=words):
            azure.read(json.dumps(old | wrong).encode())
