"""Evidence in parts: one release for all that it names, and no part in the machine's place."""

from dataclasses import replace
from typing import Any

from tests.platforms.nitro.forge import NONCE, document
from tests.policy.made import IDENTITY, REGISTERS, claims
from tests.tlog.governed import NOW, OWNERS, PCRS, active, collateral, release, signed, terms
from tests.verifier.releases import judge, wrong

import troth
from troth.model.check import Outcome
from troth.model.composite import Composite, Part
from troth.model.report import Report, Verdict
from troth.platforms.nitro.simulate_pki import DevelopmentPki
from troth.platforms.nitrotpm.simulate import SimulatedNitroTpm
from troth.policy import Policy
from troth.policy.requirements import Requirements
from troth.tlog.statement import Release
from troth.verifier.released import settled

SNP = {"measurement": REGISTERS["snp"]["measurement"]}
TDX = {name: REGISTERS["tdx"][name] for name in IDENTITY["tdx"]}
TPM = {f"pcr{index}": f"0{index}" * 48 for index in (4, 7)}
OTHER = {"measurement": "77" * 48}


def part(platform: str, **registers: str) -> Report:
    """A report on a part, as it is before anybody asked the log."""
    made = claims(platform)
    said = replace(made, registers={**made.registers, **registers})
    whole = judge(active())
    return replace(whole, platform=platform, presented=said, checks=(), required=(), governed=None)


def asked(
    *parts: Report, says: Release, policy: Policy | None = None, more: tuple[bytes, ...] = ()
) -> dict[str, list[tuple[str, Outcome]]]:
    chosen = policy or Policy(name="test", release=terms())
    log = collateral(active(*more, says=says).pack())
    found = settled(parts, policy=chosen, collateral=log, at=NOW)
    names = [f"{one.platform}{'' if n == 0 else f'-{n}'}" for n, one in enumerate(found)]
    return {
        name: [(c.code.id, c.outcome) for c in one.checks]
        for name, one in zip(names, found, strict=True)
    }


def failing(found: dict[str, list[tuple[str, Outcome]]]) -> set[str]:
    return {
        code for checks in found.values() for code, outcome in checks if outcome != Outcome.PASSED
    }


def test_one_release_names_both() -> None:
    both = release({"snp": SNP, "tdx": TDX})
    found = asked(part("snp"), part("tdx"), says=both)
    assert failing(found) == set()
    assert ("M501", Outcome.PASSED) in found["tdx-1"]
    assert [code for code, _ in found["tdx-1"]].count("M201") == 4
    alternatives = asked(part("snp"), says=both)
    assert failing(alternatives) == set()


def test_two_releases_name_one_each() -> None:
    """A new machine beside an old one: each alone is released, and the pair never was."""
    one = release({"snp": SNP, "tdx": TDX | {"mrtd": "55" * 48}})
    other = release({"snp": OTHER, "tdx": TDX}, version="2")
    found = asked(part("snp"), part("tdx"), says=one, more=(signed(other),))
    assert failing(found) == {"M501"}


def test_what_a_release_does_not_name_the_policy_pins() -> None:
    machine = release({"snp": SNP})
    open_end = asked(part("snp"), part("tdx"), says=machine)
    assert failing(open_end) == {"M101"}
    pinned = Policy(
        name="test",
        release=terms(),
        registers={"tdx": {name: frozenset({value}) for name, value in TDX.items()}},
        parts={"tdx": 1},
    )
    assert failing(asked(part("snp"), part("tdx"), says=machine, policy=pinned)) == set()
    half = replace(pinned, registers={"tdx": {"mrtd": frozenset({TDX["mrtd"]})}})
    assert failing(asked(part("snp"), part("tdx"), says=machine, policy=half)) == {"M203"}


def test_a_part_in_the_machines_place() -> None:
    """The release names both, and the policy counts a part: two of these are no machine with a part."""
    policy = Policy(name="test", release=terms(), parts={"tdx": 1})
    both = release({"snp": SNP, "tdx": TDX})
    assert failing(asked(part("snp"), part("tdx"), says=both, policy=policy)) == set()
    twice = asked(part("tdx"), part("tdx"), says=both, policy=policy)
    assert failing(twice) == {"P107"}


def with_a_tpm(says: Release, policy: Policy, *, logged: bool = True) -> Report:
    """An enclave with a TPM beside it, whose evidence is real in form and judged from its bytes."""
    enclave, root = document(nonce=NONCE)
    pki = DevelopmentPki.create(NOW)
    tpm = SimulatedNitroTpm(
        pki=pki,
        pcrs={int(name[3:]): bytes.fromhex(value) for name, value in TPM.items()},
        instance="i-0123456789abcdef0",
        clock=lambda: NOW,
    )
    parts = (
        Part(name="machine", evidence=enclave, says="carries your nonce"),
        Part(name="tpm", evidence=tpm.attest(nonce=NONCE), says="carries your nonce"),
    )
    logs = (active(says=says).pack(),) if logged else ()
    return troth.appraise(
        Composite(parts=parts),
        policy=policy,
        at=NOW,
        nonce=NONCE,
        trust=[root, replace(pki.root(), platform="nitrotpm")],
        collateral=collateral(*logs),
    )


def test_the_policy_pins_the_part_and_a_release_names_the_machine() -> None:
    """From bytes to a verdict: the policy says nothing of the machine's platform, so the release must."""
    pins = {name: frozenset({value}) for name, value in TPM.items()}
    asks = Policy(name="test", registers={"nitrotpm": pins}, release=terms(), parts={"nitrotpm": 1})
    assert wrong(with_a_tpm(release(), asks)) == (Verdict.ACCEPTED, set())
    for says in (release({"nitro": PCRS | {"pcr0": "77" * 48}}), release({"tdx": TDX})):
        assert wrong(with_a_tpm(says, asks)) == (Verdict.REJECTED, {"M501"})
    # One that names the part alone says nothing of what the machine is.
    part_alone = release({"nitrotpm": TPM})
    report = with_a_tpm(part_alone, asks)
    assert report.verdict is not Verdict.ACCEPTED
    assert "P106" not in {c.code.id for c in report.checks}
    bare = with_a_tpm(release(), asks, logged=False)
    assert wrong(bare) == (Verdict.UNDECIDED, {"M502"})
    assert "P106" not in {c.code.id for c in bare.checks if c.outcome is Outcome.PASSED}
    own = replace(
        asks, registers={"nitrotpm": pins, "snp": {"measurement": frozenset({"01" * 48})}}
    )
    assert wrong(with_a_tpm(release(), own)) == (Verdict.REJECTED, {"P106", "P107"})


def test_a_release_of_nothing_that_was_presented() -> None:
    nitro = release()
    assert failing(asked(part("snp"), part("tdx"), says=nitro)) == {"M501"}


def test_nothing_is_named_by_no_register_at_all() -> None:
    made = part("snp")
    assert made.presented is not None
    nothing = replace(made, presented=replace(made.presented, identity=(), registers={}))
    assert failing(asked(nothing, says=release({"snp": SNP}))) == {"M501"}


def test_a_signer_does_not_stand_for_the_code() -> None:
    """As a policy may say of SGX for itself: a release names the code."""
    sgx = REGISTERS["sgx"]
    numbers: dict[str, Any] = {"exact": {"isvprodid": 7}, "minimum": {"isvsvn": 1}}
    policy = Policy(name="t", release=terms(), requirements={"sgx": Requirements(**numbers)})
    by_signer = release({"sgx": {"mrsigner": sgx["mrsigner"]}})
    assert failing(asked(part("sgx"), says=by_signer, policy=policy)) == {"M501"}
    by_code = release({"sgx": {"mrenclave": sgx["mrenclave"]}})
    assert failing(asked(part("sgx"), says=by_code, policy=policy)) == set()


def test_a_step_that_is_left_out_is_never_acceptance() -> None:
    """Without the question to the log at the end a policy that asks it stays undecided."""
    from troth.policy import appraise

    codes = appraise.required(Policy(name="t", release=terms()), appraise.Expectation(), "nitro")
    assert "M501" in {code.id for code in codes}
    report = judge(active())
    assert {"M501", "M503", "M504", "M505"} <= {code.id for code in report.required}
    for gone in ("M501", "M503", "M504", "M505", "M201"):
        left = replace(report, checks=tuple(c for c in report.checks if c.code.id != gone))
        assert left.verdict is troth.Verdict.UNDECIDED


def test_bytes_that_are_no_evidence_are_malformed_all_the_same() -> None:
    report = troth.appraise(
        b"junk",
        policy=Policy(name="t", release=terms(owners=tuple(o.verifier for o in OWNERS))),
        at=NOW,
        collateral=collateral(active().pack()),
    )
    assert report.verdict is troth.Verdict.MALFORMED
    assert wrong(report)[1] == {"F102"}
