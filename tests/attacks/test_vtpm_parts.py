"""Evidence of a confidential VM whose hardware is a TPM that the cloud runs, and no hardware at all."""

from tests.platforms.tpm import made
from tests.platforms.tpm.made import AT, NONCE

import troth
from troth.model.report import Verdict
from troth.platforms.tpm import azure, hcl

TD = {"tdx": {"mrtd": frozenset({"ab" * 48})}}


def test_a_quote_of_a_clouds_tpm_in_the_place_of_the_tds() -> None:
    """Any field of 64 bytes that the verifier compares will do, and a TPM's quote has one.

    The host of a machine that is not confidential writes its TPM's registers. So it makes two TPMs with
    the right registers: one that its cloud certifies, over claims that name the other's key; and that
    one, which carries the nonce. The policy's section for TDs was then asked of nothing.
    """
    certified, named = made.booted(number=0), made.booted(number=1)
    claims = named.runtime()
    report_data = hcl.report_data(claims)
    pki = made.pki("azure")
    certificates = [pki.certify(certified.ak, at=AT), *pki.chain]
    data = named.azure(
        NONCE,
        hardware=bytes(128) + report_data + bytes(832),  # a TDREPORT, as far as it is looked at
        runtime=claims,
        td_quote=certified.evidence(report_data, public=False, certificates=certificates),
    )
    pinned = made.policy(named.evidence(NONCE)).registers
    for registers in (TD | pinned, pinned):
        report = troth.appraise(
            data,
            policy=troth.Policy(name="a TD with its vTPM", registers=registers, parts={"tpm": 1}),
            at=AT,
            nonce=NONCE,
            trust=[pki.trusted()],
        )
        assert report.verdict is Verdict.REJECTED
        assert {c.subject for c in report.checks if c.code.id == "P107"} == {"parts", "cpu"}


def test_each_part_of_such_a_machine_says_what_it_must_be() -> None:
    from tests.platforms.tpm.machine import machine

    found = azure.composite(machine().evidence())
    assert found is not None
    assert [part.platform for part in found.parts] == ["snp", "tpm"]
