"""How a guest was started, which version, on which machine: claims against a policy."""

from dataclasses import replace
from typing import Any

import pytest
from tests.policy import made
from tests.policy.made import A48, SEPT_VE_DISABLE, claims, policy, wrong

from troth.model.check import Outcome
from troth.policy import Policy
from troth.policy.names import NUMBERS, REGISTERS, platform_of
from troth.policy.requirements import Bits

FAILED, UNDECIDED = Outcome.FAILED, Outcome.UNDECIDED
P201, P202, P206 = {"P201": FAILED}, {"P202": FAILED}, {"P206": FAILED}
P203, P204, P205 = {"P203": FAILED}, {"P204": FAILED}, {"P205": FAILED}
MIGRATABLE = 1 << 29
MIGRATE_MA = 1 << 18


@pytest.mark.parametrize("platform", made.PLATFORMS)
def test_everything_asked_for_and_met(platform: str) -> None:
    assert wrong(policy(platform, **made.EVERYTHING[platform]), claims(platform)) == {}


BITS = [
    (Bits(mask=0xF0, value=0x50), 0x50, {}),
    (Bits(mask=0xF0, value=0x50), 0xFFFF_FFFF_FFFF_FF5F, {}),
    (Bits(mask=0xF0, value=0x50), 0x40, P201),
    (Bits(mask=0xF0, value=0x50), 0x70, P201),
    (Bits(mask=0xF0, value=0x00), 0x0F, {}),
    (Bits(mask=0xF0, value=0x00), 0x80, P201),
    (Bits(mask=1 << 63, value=1 << 63), 1 << 63, {}),
    (Bits(mask=1 << 63, value=1 << 63), (1 << 63) - 1, P201),
    (Bits(mask=0x01, value=0x00), None, P201),
]


@pytest.mark.parametrize(
    ("platform", "name"),
    [("sgx", "attributes"), ("sgx", "xfrm"), ("tdx", "xfam"), ("snp", "platform_info")],
)
@pytest.mark.parametrize(("bits", "number", "outcome"), BITS)
def test_bits_under_a_mask(
    platform: str, name: str, bits: Bits, number: int | None, outcome: dict[str, Outcome]
) -> None:
    there = claims(platform, numbers={name: number})
    assert wrong(policy(platform, bits={name: bits}), there) == outcome


def test_every_mask_counts() -> None:
    asked = policy("sgx", bits={"xfrm": Bits(mask=1, value=1), "attributes": Bits(mask=2, value=0)})
    assert wrong(asked, claims("sgx")) == {}
    assert wrong(asked, claims("sgx", numbers={"attributes": 0x7})) == P201
    assert wrong(asked, claims("sgx", numbers={"xfrm": 0x6})) == P201
    (check,) = (
        c for c in made.found(asked, claims("sgx", numbers={"xfrm": 0x6})) if c.outcome is FAILED
    )
    assert (check.subject, check.presented) == ("xfrm", "0x6")
    assert check.expected == "0x1 under the mask 0x1"


@pytest.mark.parametrize(
    ("attributes", "required", "optional"),
    [
        (SEPT_VE_DISABLE, {}, {}),
        (SEPT_VE_DISABLE | 1 << 30, {}, {}),
        (0, P201, {}),
        (~SEPT_VE_DISABLE & ~MIGRATABLE & (2**64 - 1), P201, {}),
        (None, {"P201": FAILED, "P204": FAILED}, P204),
    ],
)
def test_virtualization_exceptions_from_the_secure_page_table(
    attributes: int | None, required: dict[str, Outcome], optional: dict[str, Outcome]
) -> None:
    there = claims("tdx", numbers={"td_attributes": attributes})
    assert wrong(policy("tdx"), there) == required
    assert wrong(policy("tdx", sept_ve_disable="optional"), there) == optional


@pytest.mark.parametrize("platform", ["sgx", "tdx"])
@pytest.mark.parametrize("flag", ["dynamic_platform", "cached_keys", "smt"])
def test_what_a_machine_may_be(platform: str, flag: str) -> None:
    for number, outcome in ((0, {}), (1, P201), (None, {"P201": UNDECIDED})):
        there = claims(platform, numbers={flag: number})
        assert wrong(policy(platform), there) == {}, "allowed unless the policy refuses it"
        assert wrong(policy(platform, **{flag: "allowed"}), there) == {}
        assert wrong(policy(platform, **{flag: "refused"}), there) == outcome


@pytest.mark.parametrize(
    ("platform", "name"),
    [("sgx", "isvsvn"), ("sgx", "configsvn"), ("tdx", "module_minor"), ("snp", "guest_svn")],
)
def test_minimum_and_exact_numbers(platform: str, name: str) -> None:
    least, only = policy(platform, minimum={name: 5}), policy(platform, exact={name: 5})
    for number, low, differs in ((4, P202, P206), (5, {}, {}), (6, {}, P206), (None, P202, P206)):
        there = claims(platform, numbers={name: number})
        assert wrong(least, there) == low
        assert wrong(only, there) == differs
    for zero in ({"minimum": {name: 0}}, {"exact": {name: 0}}):
        assert wrong(policy(platform, **zero), claims(platform, numbers={name: 0})) == {}
        absent = claims(platform, numbers={name: None})
        assert wrong(policy(platform, **zero), absent) in (P202, P206)


@pytest.mark.parametrize("platform", made.PLATFORMS)
def test_machines(platform: str) -> None:
    mine = claims(platform).instance
    other = "0d" * (len(mine) // 2)
    assert wrong(policy(platform, machines={mine}), claims(platform)) == {}
    assert wrong(policy(platform, machines={mine, other}), claims(platform)) == {}
    assert wrong(policy(platform, machines={mine}), claims(platform, instance=mine.upper())) == {}
    assert wrong(policy(platform, machines={other}), claims(platform)) == P203
    for nobody in ("", "00" * (len(mine) // 2), mine[:-2]):
        assert wrong(policy(platform, machines={mine}), claims(platform, instance=nobody)) == P203


def test_a_td_that_may_be_migrated() -> None:
    there = claims("tdx", numbers={"td_attributes": SEPT_VE_DISABLE | MIGRATABLE})
    assert wrong(policy("tdx"), there) == P204
    assert wrong(policy("tdx", migration="allowed"), there) == {}
    for flags in (SEPT_VE_DISABLE | 1 << 28, SEPT_VE_DISABLE | 1 << 30):
        assert wrong(policy("tdx"), claims("tdx", numbers={"td_attributes": flags})) == {}


@pytest.mark.parametrize("register", made.SERVICE_TDS)
def test_a_td_with_a_service_td(register: str) -> None:
    """It is named by its measurement or not at all; `allowed` is not a name."""
    service = "dd" * 48
    identity = (*made.IDENTITY["tdx"], register)
    there = claims("tdx", registers={register: service}, identity=identity)
    unpinned = {"P204": FAILED, "M203": UNDECIDED}
    assert wrong(policy("tdx"), there) == unpinned
    assert wrong(policy("tdx", migration="allowed"), there) == {"M203": UNDECIDED}
    image = dict.fromkeys(made.IDENTITY["tdx"], A48)
    assert wrong(policy("tdx", registers=image | {register: service}), there) == {}
    other = policy("tdx", registers=image | {register: "ee" * 48})
    assert wrong(other, there) == {"M201": FAILED}
    zero = policy("tdx", registers=image | {register: "00" * 48})
    assert wrong(zero, claims("tdx")) == {}
    assert wrong(zero, there) == {"M201": FAILED}
    # One that is pinned takes nothing from the attribute.
    moving = replace(there, numbers=there.numbers | {"td_attributes": 3 << 28})
    assert wrong(policy("tdx", registers=image | {register: service}), moving) == P204


@pytest.mark.parametrize(
    ("flags", "agent", "outcome"),
    [
        (0x30000, "ff" * 32, {}),
        (0x30000 | MIGRATE_MA, "ff" * 32, {}),  # it could have an agent, and has none
        (0x30000 | MIGRATE_MA, "cc" * 32, P204),
        (0x30000 | MIGRATE_MA, "00" * 32, P204),
        (0x30000, "cc" * 32, {}),
        (None, "ff" * 32, P204),
    ],
)
def test_a_guest_with_a_migration_agent(
    flags: int | None, agent: str, outcome: dict[str, Outcome]
) -> None:
    there = claims("snp", numbers={"policy": flags}, registers={"report_id_ma": agent})
    assert wrong(policy("snp"), there) == outcome
    assert wrong(policy("snp", migration="allowed"), there) == {}


def test_an_agent_that_the_report_does_not_name() -> None:
    there = claims("snp", numbers={"policy": 0x30000 | MIGRATE_MA})
    silent = replace(
        there, registers={n: v for n, v in there.registers.items() if n != "report_id_ma"}
    )
    assert wrong(policy("snp"), silent) == P204


@pytest.mark.parametrize(
    ("level", "default", "named"),
    [
        (0, {}, P205),
        (1, P205, {}),
        (2, P205, P205),
        (3, P205, {}),
        (4, P205, P205),
        (0xFFFF_FFFF, P205, P205),  # the host asked
        (None, P205, P205),
    ],
)
def test_privilege_levels(
    level: int | None, default: dict[str, Outcome], named: dict[str, Outcome]
) -> None:
    there = claims("snp", numbers={"vmpl": level})
    assert wrong(policy("snp"), there) == default
    assert wrong(policy("snp", vmpl={1, 3}), there) == named


ALTERNATIVE: dict[str, Any] = {"exact": {"isvprodid": 7}, "minimum": {"isvsvn": 3}}
SIGNER = {"mrsigner": "bb" * 32}


@pytest.mark.parametrize(
    ("registers", "asked", "outcome"),
    [
        (SIGNER, ALTERNATIVE, {}),
        (SIGNER, {}, {"M203": UNDECIDED}),
        (SIGNER, {"exact": {"isvprodid": 7}}, {"M203": UNDECIDED}),
        (SIGNER, {"minimum": {"isvsvn": 3}}, {"M203": UNDECIDED}),
        (SIGNER, {"minimum": {"isvsvn": 3, "isvprodid": 7}}, {"M203": UNDECIDED}),
        (SIGNER, {"exact": {"isvsvn": 3, "isvprodid": 7}}, {}),
        (SIGNER, {"exact": {"isvsvn": 3}}, {"M203": UNDECIDED}),
        ({"isvfamilyid": "00" * 16}, ALTERNATIVE, {"M203": UNDECIDED}),
        ({"mrsigner": "be" * 32}, ALTERNATIVE, {"M201": FAILED}),
        (SIGNER, ALTERNATIVE | {"exact": {"isvprodid": 8}}, P206),
        (SIGNER, ALTERNATIVE | {"minimum": {"isvsvn": 4}}, P202),
        (SIGNER | {"mrenclave": "aa" * 32}, {}, {}),
        (SIGNER | {"mrenclave": "ab" * 32}, ALTERNATIVE, {"M201": FAILED}),
    ],
)
def test_a_signer_stands_for_the_code_only_with_product_and_version(
    registers: dict[str, str], asked: dict[str, Any], outcome: dict[str, Outcome]
) -> None:
    assert wrong(policy("sgx", registers=registers, **asked), claims("sgx")) == outcome


def test_a_signer_does_not_stand_for_the_configuration() -> None:
    there = claims(
        "sgx",
        registers={"configid": "0e" * 64},
        identity=("mrenclave", "configid"),
        alternative=("mrsigner", "configid"),
    )
    left = {"M203": UNDECIDED}
    assert wrong(policy("sgx", registers=SIGNER, **ALTERNATIVE), there) == left
    whole = SIGNER | {"configid": "0e" * 64}
    assert wrong(policy("sgx", registers=whole, **ALTERNATIVE), there) == {}


def test_no_other_platform_has_a_signer_for_an_identity() -> None:
    image = dict.fromkeys(made.IDENTITY["tdx"][1:], A48)
    assert wrong(policy("tdx", registers=image), claims("tdx")) == {"M203": UNDECIDED}


def test_a_policy_that_asks_and_expects_nothing() -> None:
    for platform in made.PLATFORMS:
        empty = Policy(name="empty")
        assert wrong(empty, claims(platform)) == {"M101": UNDECIDED}


def test_names_of_registers_and_numbers() -> None:
    """A register's name says its platform, on the command line."""
    others = (names for platform, names in REGISTERS.items() if "tpm" not in platform)
    every = [name for registers in others for name in registers]
    assert len(every) == len(set(every))
    assert set(REGISTERS["tpm"]) <= set(REGISTERS["nitro"])  # whose they are there
    for platform in made.PLATFORMS:
        assert set(made.REGISTERS[platform]) == set(REGISTERS[platform])
        assert set(made.NUMBERS[platform]) <= NUMBERS[platform]
        for name, value in made.REGISTERS[platform].items():
            assert platform_of(name) == platform
            assert len(value) // 2 in REGISTERS[platform][name]
    assert platform_of("pcr31") == "nitro"
    assert platform_of("pcr32") is None
