"""A TPM's bank and key: what policies may say, and what it means."""

from dataclasses import replace

import pytest

from troth.errors import Misuse
from troth.model.check import Outcome
from troth.model.claims import Claims
from troth.model.codes.policy import P211, P212
from troth.model.tcb import Finding, Tcb
from troth.policy import Policy, vtpm
from troth.policy.names import platform_of
from troth.policy.requirements import Requirements

CLAIMS = Claims(
    platform="tpm",
    registers={"pcr0": "11" * 32},
    identity=("pcr0",),
    debug=False,
    timestamp=None,
    instance="00" * 32,
    nonce=None,
    user_data=None,
    public_key=None,
    numbers={"bank": 0x000B, "safe": 1},
)


def vouched(by: str) -> Claims:
    finding = Finding(part=by, status="", date=None)
    tcb = Tcb(status="", date=None, advisories=(), evaluation_number=None, findings=(finding,))
    return replace(CLAIMS, tcb=tcb)


def found(claims: Claims, **asked: object) -> dict[str, Outcome]:
    wanted = Requirements(**asked)  # type: ignore[arg-type]
    checks = vtpm.checks(wanted, claims, source="a policy")
    return {check.code.id: check.outcome for check in checks}


@pytest.mark.parametrize(("number", "name"), [(0x0B, "sha256"), (0x0C, "sha384"), (0x0D, "sha512")])
def test_banks(number: int, name: str) -> None:
    claims = replace(CLAIMS, numbers={"bank": number})
    assert found(claims) == {"P211": Outcome.PASSED}
    assert found(claims, bank={name}) == {"P211": Outcome.PASSED}
    others = {"sha256", "sha384", "sha512"} - {name}
    assert found(claims, bank=others) == {"P211": Outcome.FAILED}


def test_sha1_never_counts() -> None:
    assert found(replace(CLAIMS, numbers={"bank": 0x04})) == {"P211": Outcome.FAILED}
    with pytest.raises(Misuse, match="no policy can admit sha1"):
        Requirements(bank=frozenset({"sha1"}))
    with pytest.raises(Misuse, match="unknown 'sha1'"):
        Requirements(ak=frozenset({"sha1"}))


def test_who_may_vouch_for_the_key() -> None:
    for by in ("azure", "google", "bound"):
        assert found(vouched(by), ak={by})["P212"] is Outcome.PASSED
        assert found(vouched(by), ak={"azure", "google", "bound"} - {by})["P212"] is Outcome.FAILED
    assert found(vouched("another authority"), ak={"azure"})["P212"] is Outcome.FAILED
    assert found(CLAIMS, ak={"bound"})["P212"] is Outcome.UNDECIDED


def test_what_must_be_answered() -> None:
    assert vtpm.required(Requirements(), "tpm") == (P211,)
    assert vtpm.required(Requirements(ak=frozenset({"bound"})), "tpm") == (P211, P212)
    assert vtpm.required(Requirements(ak=frozenset({"bound"})), "nitro") == ()
    assert list(vtpm.checks(Requirements(), replace(CLAIMS, platform="nitro"), source="")) == []


@pytest.mark.parametrize("asked", [{"ak": {"aws"}}, {"bank": {"md5"}}, {"ak": set()}, {"ak": {1}}])
def test_words_that_mean_nothing(asked: dict[str, set[object]]) -> None:
    with pytest.raises(Misuse):
        Requirements(**asked)  # type: ignore[arg-type]


def test_a_section_goes_there_and_back() -> None:
    text = f"""
schema = "troth/policy/1"
name = "machine"
[tpm]
pcr4 = ["{"11" * 32}"]
pcr11 = ["{"00" * 32}"]
bank = "SHA256"
ak = ["bound", "azure"]
exact = {{ safe = 1 }}
minimum = {{ firmware_version_1 = 538314001 }}
events.secure_boot = "on"
"""
    policy = Policy.from_toml(text, source="a test")
    asked = policy.asks("tpm")
    assert (asked.bank, asked.ak) == (frozenset({"sha256"}), frozenset({"bound", "azure"}))
    assert Policy.from_toml(policy.to_toml(), source="again").canonical() == policy.canonical()


def test_registers_of_the_same_name_are_nitros_on_a_command_line() -> None:
    assert platform_of("pcr0") == "nitro"
    assert platform_of("mrtd") == "tdx"
