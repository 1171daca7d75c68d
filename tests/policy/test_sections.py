"""Sections of a document that say what is asked of a platform: each key once right, and often wrong."""

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.policy.made import CHIP, PPID

from troth.errors import Misuse
from troth.policy import Policy
from troth.policy.names import MACHINE_BYTES, NUMBERS, PARTS, REGISTERS, TEXTS
from troth.policy.requirements import KEYS, STATUSES, Bits, Requirements
from troth.policy.sections import write

START = 'schema = "troth/policy/1"\n'
DAYS = st.dates(date(1, 1, 1), date(9999, 12, 31))
WHOLE = st.integers(0, 2**53 - 1)
BITS = st.builds(
    lambda mask, value: Bits(mask=mask, value=value & mask),
    mask=st.integers(1, 2**64 - 1),
    value=st.integers(0, 2**64 - 1),
)
LEAVE = st.sampled_from(["allowed", "refused"])


def _numbers(platform: str) -> dict[str, st.SearchStrategy[Any]]:
    names = st.sampled_from(sorted(NUMBERS[platform]))
    versions = st.dictionaries(names, WHOLE, max_size=3)
    if platform == "snp":
        parts = st.dictionaries(st.sampled_from(PARTS), WHOLE).map(lambda p: p and p | {"snp": 24})
        minimum = st.builds(lambda a, b: a | b, versions, parts)
    else:
        minimum = versions
    size = MACHINE_BYTES.get(platform, 16)
    machine = st.binary(min_size=size, max_size=size).filter(any).map(bytes.hex)
    return {
        "bits": st.dictionaries(names, BITS, max_size=3),
        "minimum": minimum,
        "exact": st.dictionaries(names, WHOLE, max_size=3),
        "machines": st.none() | st.frozensets(machine, min_size=1, max_size=3),
        "says": _says(platform),
    }


def _says(platform: str) -> st.SearchStrategy[dict[str, frozenset[str]]]:
    if platform not in TEXTS:
        return st.just({})
    names = st.sampled_from(sorted(TEXTS[platform]))
    texts = st.frozensets(st.text(min_size=1, max_size=20), min_size=1, max_size=2)
    return st.dictionaries(names, texts, max_size=3)


FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "tcb_status": st.frozensets(st.sampled_from(STATUSES), min_size=1),
    "advisories": st.dictionaries(
        st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True), DAYS, max_size=3
    ),
    "min_tcb_date": st.none() | DAYS,
    "min_evaluation_number": st.none() | WHOLE,
    "migration": LEAVE,
    "sept_ve_disable": st.sampled_from(["required", "optional"]),
    "dynamic_platform": LEAVE,
    "cached_keys": LEAVE,
    "smt": LEAVE,
    "vmpl": st.frozensets(st.integers(0, 3), min_size=1),
    "events": st.fixed_dictionaries(
        {},
        optional={
            "app_id": st.frozensets(
                st.binary(min_size=20, max_size=20).map(bytes.hex), min_size=1, max_size=2
            ),
            "key_provider": st.frozensets(st.text(max_size=20), min_size=1, max_size=2),
        },
    ),
}


def requirements(platform: str) -> st.SearchStrategy[Requirements]:
    known = FIELDS | _numbers(platform)
    return st.builds(
        Requirements, **{name: known[name] for name in KEYS[platform] if name in known}
    )


def values(platform: str) -> st.SearchStrategy[dict[str, frozenset[str]]]:
    register = st.sampled_from(sorted(REGISTERS[platform]))
    return register.flatmap(
        lambda name: st.fixed_dictionaries(
            {
                name: st.frozensets(
                    st.binary(min_size=(size := REGISTERS[platform][name][0]), max_size=size)
                    .filter(any)
                    .map(bytes.hex),
                    min_size=1,
                    max_size=2,
                )
            }
        )
    )


POLICIES = st.builds(
    Policy,
    name=st.text(max_size=8),
    registers=st.fixed_dictionaries({}, optional={p: values(p) for p in REGISTERS if REGISTERS[p]}),
    requirements=st.fixed_dictionaries({}, optional={p: requirements(p) for p in KEYS}),
)


@given(policy=POLICIES)
def test_the_document_of_a_policy_reads_back(policy: Policy) -> None:
    again = Policy.from_toml(policy.to_toml(), source="test")
    assert again == policy
    assert again.sha256 == policy.sha256


def test_the_example_of_each_platform() -> None:
    text = f"""schema = "troth/policy/1"
name = "auction"

[sgx]
mrsigner = ["{"ab" * 32}"]
tcb_status = ["UpToDate", "SWHardeningNeeded"]
min_tcb_date = 2025-01-01
min_evaluation_number = 18
machines = ["{PPID.upper()}"]
dynamic_platform = "refused"

[sgx.advisories]
INTEL-SA-00615 = 2027-01-01

[sgx.bits]
xfrm = {{ mask = "0x7", value = "0x07" }}

[sgx.minimum]
isvsvn = 3

[sgx.exact]
isvprodid = 7

[snp]
measurement = "{"ab" * 48}"
machines = ["{CHIP}"]
vmpl = [0, 1]
minimum = {{ snp = 24, microcode = 72 }}
"""
    policy = Policy.from_toml(text, source="test")
    assert policy.registers["sgx"] == {"mrsigner": frozenset({"ab" * 32})}
    assert policy.requirements == {
        "sgx": Requirements(
            tcb_status=frozenset({"UpToDate", "SWHardeningNeeded"}),
            advisories={"INTEL-SA-00615": date(2027, 1, 1)},
            min_tcb_date=date(2025, 1, 1),
            min_evaluation_number=18,
            bits={"xfrm": Bits(mask=7, value=7)},
            minimum={"isvsvn": 3},
            exact={"isvprodid": 7},
            machines=frozenset({PPID}),
            dynamic_platform="refused",
        ),
        "snp": Requirements(
            minimum={"snp": 24, "microcode": 72},
            machines=frozenset({CHIP}),
            vmpl=frozenset({0, 1}),
        ),
    }
    assert Policy.from_toml(policy.to_toml(), source="again") == policy


def test_what_is_written_is_easy_to_read() -> None:
    wanted = Requirements(
        tcb_status=frozenset({"UpToDate", "OutOfDate"}),
        advisories={"INTEL-SA-00615": date(2027, 1, 1), "a.b": date(33, 1, 1)},
        min_tcb_date=date(2025, 1, 1),
        bits={"xfam": Bits(mask=0xFF, value=0x10)},
        migration="allowed",
    )
    assert write(wanted) == [
        'tcb_status = ["OutOfDate", "UpToDate"]',
        'advisories = { INTEL-SA-00615 = 2027-01-01, "a.b" = 0033-01-01 }',
        "min_tcb_date = 2025-01-01",
        'bits = { xfam = { mask = "0xff", value = "0x10" } }',
        'migration = "allowed"',
    ]
    assert write(Requirements(vmpl=frozenset({2, 0}))) == ["vmpl = [0, 2]"]
    assert write(Requirements()) == []


@pytest.mark.parametrize("platform", KEYS)
def test_the_example_in_the_reference(platform: str) -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "policy.md"
    examples = re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    (example,) = (text for text in examples if text.startswith(f"[{platform}]"))
    sizes = {name: size for name, (size, *_) in REGISTERS[platform].items()}
    sizes["machines"] = MACHINE_BYTES.get(platform, 0)
    text = re.sub(
        r'^(\w+) = \["…"\]',
        lambda match: f'{match[1]} = ["{"ab" * sizes[match[1]]}"]',
        example,
        flags=re.MULTILINE,
    )
    policy = Policy.from_toml(START + text, source="the reference")
    assert set(policy.requirements) == {platform}
    assert set(policy.registers) == ({platform} if "…" in example else set())


BAD = [
    ("sgx", "surprise = 1", "surprise"),
    ("sgx", 'migration = "refused"', "mrenclave"),
    ("sgx", "vmpl = [0]", "vmpl"),
    ("sgx", 'sept_ve_disable = "optional"', "sept_ve_disable"),
    ("snp", 'tcb_status = ["UpToDate"]', "tcb_status"),
    ("snp", "min_evaluation_number = 1", "known are"),
    ("tdx", 'pcr0 = "ab"', "mrtd"),
    ("tdx", 'mrenclave = "ab"', "rtmr3"),
    ("tdx", "tcb_status = []", "empty"),
    ("tdx", 'tcb_status = "UpToDate"', "list of strings"),
    ("tdx", "tcb_status = [1]", "list of strings"),
    ("tdx", 'tcb_status = ["uptodate"]', "known are UpToDate"),
    ("tdx", 'tcb_status = ["UpToDate", "Revoked"]', "no policy can admit Revoked"),
    ("tdx", 'tcb_status = ["TcbNotSupported"]', "no policy can admit TcbNotSupported"),
    ("tdx", "advisories = []", "table"),
    ("tdx", 'advisories = ["INTEL-SA-00615"]', "table"),
    ("tdx", 'advisories = { INTEL-SA-00615 = "2027-01-01" }', "day like"),
    ("tdx", "advisories = { INTEL-SA-00615 = 2027-01-01T00:00:00Z }", "day like"),
    ("tdx", "advisories = { INTEL-SA-00615 = true }", "day like"),
    ("tdx", 'advisories = { "a b" = 2027-01-01 }', "no name of an advisory"),
    ("tdx", 'advisories = { "" = 2027-01-01 }', "no name of an advisory"),
    ("tdx", 'min_tcb_date = "2025-01-01"', "day like"),
    ("tdx", "min_tcb_date = 2025-01-01T00:00:00", "day like"),
    ("tdx", "min_evaluation_number = -1", "whole number"),
    ("tdx", "min_evaluation_number = true", "whole number"),
    ("tdx", 'min_evaluation_number = "18"', "whole number"),
    ("tdx", "min_evaluation_number = 18.0", "whole number"),
    ("tdx", f"min_evaluation_number = {2**53}", "whole number"),
    ("tdx", "bits = 1", "table"),
    ("tdx", "bits = { xfam = 1 }", "mask and value"),
    ("tdx", 'bits = { xfam = { mask = "0x1" } }', "xfam.value"),
    ("tdx", 'bits = { xfam = { value = "0x1" } }', "xfam.mask"),
    ("tdx", "bits = { xfam = { mask = 1, value = 1 } }", "in hex"),
    ("tdx", 'bits = { xfam = { mask = "1", value = "1" } }', "in hex"),
    ("tdx", 'bits = { xfam = { mask = "0x-1", value = "0x0" } }', "in hex"),
    ("tdx", f'bits = {{ xfam = {{ mask = "0x1{"0" * 16}", value = "0x0" }} }}', "in hex"),
    ("tdx", 'bits = { xfam = { mask = "0x0", value = "0x0" } }', "a mask is"),
    ("tdx", 'bits = { xfam = { mask = "0x1", value = "0x2" } }', "does not cover"),
    ("tdx", 'bits = { xfam = { mask = "0x1", value = "0x3" } }', "does not cover"),
    ("tdx", 'bits = { xfam = { mask = "0x1", value = "0x1", or = 1 } }', "mask, value"),
    ("tdx", 'bits = { xfrm = { mask = "0x1", value = "0x1" } }', "td_attributes"),
    ("tdx", "minimum = 3", "table"),
    ("tdx", "minimum = { isvsvn = 3 }", "known are"),
    ("tdx", "minimum = { snp = 3 }", "known are"),
    ("sgx", "minimum = { isvsvn = -1 }", "whole number"),
    ("sgx", "minimum = { isvsvn = true }", "whole number"),
    ("sgx", 'minimum = { isvsvn = "3" }', "whole number"),
    ("sgx", "minimum = { isvsvn = [3] }", "whole number"),
    ("sgx", "exact = { isvprodid = -1 }", "whole number"),
    ("sgx", f"exact = {{ attributes = {2**53} }}", "whole number"),
    ("sgx", "exact = { guest_svn = 1 }", "isvprodid"),
    ("snp", "exact = { snp = 24 }", "reported_snp"),
    ("snp", "minimum = { microcode = 72 }", "and not snp"),
    ("snp", "minimum = { isvsvn = 3 }", "guest_svn"),
    ("sgx", "machines = []", "empty"),
    ("sgx", f'machines = "{PPID}"', "list of strings"),
    ("sgx", f'machines = ["{PPID}00"]', "16 bytes"),
    ("sgx", f'machines = ["{CHIP}"]', "16 bytes"),
    ("snp", f'machines = ["{PPID}"]', "64 bytes"),
    ("sgx", f'machines = ["{PPID[:-1]}"]', "in hex"),
    ("sgx", f'machines = ["{"zz" * 16}"]', "in hex"),
    ("sgx", f'machines = ["{"00" * 16}"]', "masked"),
    ("sgx", 'machines = [""]', "masked"),
    ("tdx", "migration = true", "allowed or refused"),
    ("tdx", 'migration = "Allowed"', "allowed or refused"),
    ("tdx", 'sept_ve_disable = "refused"', "required or optional"),
    ("sgx", 'dynamic_platform = "optional"', "allowed or refused"),
    ("sgx", "cached_keys = 1", "allowed or refused"),
    ("sgx", "smt = []", "allowed or refused"),
    ("snp", "vmpl = []", "empty"),
    ("snp", "vmpl = 0", "list of whole"),
    ("snp", "vmpl = [true]", "list of whole"),
    ("snp", 'vmpl = ["0"]', "list of whole"),
    ("snp", "vmpl = [-1]", "0 to 3"),
    ("snp", "vmpl = [4]", "0 to 3"),
    ("snp", "vmpl = [0xFFFFFFFF]", "0 to 3"),
]


@pytest.mark.parametrize(("platform", "line", "says"), BAD)
def test_what_no_section_says(platform: str, line: str, says: str) -> None:
    with pytest.raises(Misuse, match=says) as caught:
        Policy.from_toml(f"{START}[{platform}]\n{line}\n", source="p.toml")
    assert "p.toml" in str(caught.value) or platform in str(caught.value)


@pytest.mark.parametrize("platform", KEYS)
def test_sections_that_are_no_tables_or_empty(platform: str) -> None:
    for text in (f"[{platform}]\n", f"{platform} = 1\n", f"[[{platform}]]\nmachines = []\n"):
        with pytest.raises(Misuse):
            Policy.from_toml(START + text, source="p.toml")


REGISTER_CASES = [
    ("sgx", "mrenclave", 32, False),
    ("sgx", "mrsigner", 32, False),
    ("sgx", "configid", 64, True),
    ("sgx", "isvextprodid", 16, True),
    ("sgx", "isvfamilyid", 16, True),
    ("tdx", "mrtd", 48, False),
    ("tdx", "rtmr0", 48, True),
    ("tdx", "rtmr3", 48, True),
    ("tdx", "mrconfigid", 48, True),
    ("tdx", "mrservicetd", 48, True),
    ("tdx", "mrsignerseam", 48, True),
    ("snp", "measurement", 48, False),
    ("snp", "host_data", 32, True),
    ("snp", "id_key_digest", 48, True),
    ("snp", "family_id", 16, True),
    ("snp", "report_id_ma", 32, True),
    ("nitro", "pcr0", 48, False),
    ("nitro", "pcr31", 48, False),
]


@pytest.mark.parametrize(("platform", "register", "size", "zero"), REGISTER_CASES)
def test_values_of_registers(platform: str, register: str, size: int, zero: bool) -> None:
    def pinned(value: str) -> Policy:
        text = f'{START}[{platform}]\n{register} = "{value}"\n'
        policy = Policy.from_toml(text, source="p.toml")
        assert policy == Policy.for_image({platform: {register: value}}, name=policy.name)
        return policy

    assert pinned("AB" * size).registers[platform][register] == frozenset({"ab" * size})
    for wrong in ("ab" * (size - 1), "ab" * (size + 1), "ab" * size + "a", "zz" * size, ""):
        with pytest.raises(Misuse):
            pinned(wrong)
    if zero:
        assert pinned("00" * size)
    else:
        with pytest.raises(Misuse, match="all zero"):
            pinned("00" * size)


def test_no_register_that_a_platform_has_not() -> None:
    for platform, register in (("sgx", "mrtd"), ("tdx", "rtmr4"), ("nitro", "pcr32")):
        with pytest.raises(Misuse, match="known are"):
            Policy(name="a", registers={platform: {register: frozenset({"ab" * 48})}})


def test_limits_of_a_document_are_said() -> None:
    with pytest.raises(Misuse, match="characters"):
        Policy.from_toml("#" * (16 * 1024 * 1024 + 1), source="long")
    with pytest.raises(Misuse, match="64 parts"):
        Policy.from_toml(".".join("a" * 80) + " = 1\n", source="deep")
