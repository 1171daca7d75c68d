"""What real quotes and reports say has its name here, and a policy pinned from them can be written."""

from pathlib import Path

import pytest

from troth.model.claims import Claims
from troth.platforms import detect
from troth.policy import Policy
from troth.policy.names import MACHINE_BYTES, NUMBERS, REGISTERS
from troth.policy.requirements import Requirements

# Quotes that hold no PCK certificate name no machine; chips that mask their id name none either.
FEWEST_WITH_A_MACHINE = {"sgx": 6, "tdx": 10, "snp": 10}


@pytest.fixture(scope="module", params=MACHINE_BYTES)
def claims(request: pytest.FixtureRequest, vectors: Path) -> list[Claims]:
    """Of every real piece of evidence of one platform that is well-formed."""
    name = request.param
    files = [*(vectors / name).glob("*.quote.bin"), *(vectors / name).glob("*.report.bin")]
    made = []
    for path in sorted(path for path in files if not path.name.startswith("neg-")):
        found = detect(path.read_bytes())
        assert found is not None, path.name
        platform, bare, _ = found
        if platform.name == name:
            made.append(platform.claims(platform.parse(bare)))
    return made


def test_every_name_is_known(claims: list[Claims]) -> None:
    for said in claims:
        assert set(said.numbers) <= NUMBERS[said.platform]
        assert set(said.registers) <= set(REGISTERS[said.platform])
        for register, value in said.registers.items():
            assert len(value) // 2 in REGISTERS[said.platform][register]


def test_a_policy_can_be_pinned(claims: list[Claims]) -> None:
    with_machine = 0
    for said in claims:
        with_machine += bool(said.instance)
        policy = Policy(
            name="pinned",
            registers={said.platform: {n: frozenset({said.registers[n]}) for n in said.identity}},
            requirements={
                said.platform: Requirements(
                    machines=frozenset({said.instance}) if said.instance else None,
                    exact={n: v for n, v in said.numbers.items() if v < 2**53},
                )
            },
        )
        assert Policy.from_toml(policy.to_toml(), source="again") == policy
    assert with_machine >= FEWEST_WITH_A_MACHINE[claims[0].platform]
