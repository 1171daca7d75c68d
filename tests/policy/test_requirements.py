"""Requirements as values: strict, and one digest for one meaning."""

import hashlib
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from tests.policy import made
from tests.policy.made import PPID

from troth.errors import Misuse
from troth.policy import Policy
from troth.policy.requirements import DEFAULT, KEYS, Bits, Requirements

START = 'schema = "troth/policy/1"\n'


def test_each_requirement_is_in_the_digest() -> None:
    for platform, asked in made.EVERYTHING.items():
        assert set(asked) == set(KEYS[platform])
        digests = {Policy(name="a").sha256}
        for name, value in asked.items():
            one = Requirements(**{name: value})
            digests.add(Policy(name="a", requirements={platform: one}).sha256)
        changed = Requirements(**(asked | {"bits": {"xfam": Bits(mask=2, value=2)}}))
        if platform == "tdx":
            digests.add(Policy(name="a", requirements={platform: changed}).sha256)
        whole = Requirements(**asked)
        digests.add(Policy(name="a", requirements={platform: whole}).sha256)
        assert len(digests) == 2 + len(asked) + (platform == "tdx")


def test_what_says_nothing_is_nothing() -> None:
    """So that a policy of the first version keeps its digest, and one meaning has one."""
    plain = Policy(name="a")
    assert b"requirements" not in plain.canonical()
    silent = dict.fromkeys(KEYS, Requirements())
    assert Policy(name="a", requirements=silent) == plain
    assert Policy(name="a", requirements=silent).sha256 == plain.sha256
    said = START + 'name = "a"\n[tdx]\ntcb_status = ["UpToDate"]\nadvisories = {}\n'
    assert Policy.from_toml(said, source="test") == plain
    assert plain.asks("tdx") is DEFAULT
    assert plain.asks("nitro") is DEFAULT


def test_the_digest_of_requirements_never_changes() -> None:
    policy = Policy(name="fixed", requirements={"sgx": Requirements(**made.EVERYTHING["sgx"])})
    assert policy.canonical() == (
        b'{"development_roots":[],"expires":null,"max_age_s":null,"name":"fixed","registers":{},'
        b'"require_key":false,"requirements":{"sgx":{'
        b'"advisories":{"INTEL-SA-00615":"2027-01-01"},"bits":{"xfrm":["0x7","0x7"]},'
        b'"cached_keys":"refused","dynamic_platform":"refused","exact":{"isvprodid":7},'
        b'"machines":["' + PPID.encode() + b'"],"min_evaluation_number":18,'
        b'"min_tcb_date":"2025-01-01","minimum":{"isvsvn":3},"smt":"refused",'
        b'"tcb_status":["SWHardeningNeeded","UpToDate"]}},'
        b'"roots_allow":["added","development","vendor"],"schema":"troth/policy/1",'
        b'"unreviewed":false}'
    )
    assert policy.sha256 == hashlib.sha256(policy.canonical()).hexdigest()


IMPOSSIBLE: list[dict[str, Any]] = [
    {"tcb_status": frozenset()},
    {"tcb_status": "UpToDate"},
    {"tcb_status": None},
    {"tcb_status": {"Revoked"}},
    {"machines": frozenset()},
    {"machines": "ab" * 16},
    {"machines": {"AB" * 16}},
    {"machines": {b"\1" * 16}},
    {"vmpl": None},
    {"vmpl": {0.0}},
    {"vmpl": {True}},
    {"bits": {"xfrm": 7}},
    {"bits": {"xfrm": (7, 7)}},
    {"minimum": {"isvsvn": True}},
    {"exact": {"isvsvn": 1.5}},
    {"min_tcb_date": datetime(2026, 1, 1, tzinfo=UTC)},
    {"advisories": {"INTEL-SA-00615": datetime(2026, 1, 1, tzinfo=UTC)}},
    {"advisories": {"INTEL-SA-00615": None}},
    {"migration": True},
    {"sept_ve_disable": None},
]


@pytest.mark.parametrize("values", IMPOSSIBLE)
def test_no_requirement_that_means_nothing(values: dict[str, Any]) -> None:
    with pytest.raises(Misuse):
        Requirements(**values)


@pytest.mark.parametrize(
    ("mask", "value"), [(0, 0), (-1, 0), (2**64, 0), (1, 2), (1, -1), (True, 0), (1, True), (1, "")]
)
def test_no_mask_that_means_nothing(mask: Any, value: Any) -> None:
    with pytest.raises(Misuse):
        Bits(mask=mask, value=value)


def test_all_bits_may_be_looked_at() -> None:
    whole = 2**64 - 1
    assert Bits(mask=whole, value=whole).hold(whole)
    assert not Bits(mask=whole, value=whole).hold(whole - 1)


def test_a_platform_is_asked_only_what_it_knows() -> None:
    for platform, known in KEYS.items():
        for name in {item.name for item in fields(Requirements)} - set(known):
            other = next(p for p in KEYS if name in KEYS[p])
            wanted = Requirements(
                **{name: (made.EVERYTHING | made.TOKENS | made.OTHERS)[other][name]}
            )
            with pytest.raises(Misuse, match="has no meaning; known are"):
                Policy(name="a", requirements={platform: wanted})
    for platform in ("nitro", "cca"):
        with pytest.raises(Misuse, match="has no requirements"):
            Policy(name="a", requirements={platform: Requirements(smt="refused")})


def test_requirements_cannot_be_changed_afterwards() -> None:
    advisories = {"INTEL-SA-00615": date(2027, 1, 1)}
    wanted = Requirements(advisories=advisories)
    policy = Policy(name="a", requirements={"sgx": wanted})
    advisories["INTEL-SA-00657"] = date(2027, 1, 1)
    assert set(wanted.advisories) == {"INTEL-SA-00615"}
    with pytest.raises(TypeError):
        wanted.advisories["INTEL-SA-00657"] = date(2027, 1, 1)  # type: ignore[index]
    with pytest.raises(TypeError):
        policy.requirements["sgx"] = DEFAULT  # type: ignore[index]


def test_an_image_is_added_to_what_is_asked() -> None:
    asked = Policy(name="asked", requirements={"tdx": Requirements(migration="allowed")})
    both = asked.expecting({"tdx": {"mrtd": "AB" * 48}}, name="image")
    assert both.requirements == asked.requirements
    assert replace(both, name="x").requirements == asked.requirements
    assert both.registers["tdx"]["mrtd"] == frozenset({"ab" * 48})


@pytest.mark.parametrize("values", [{"tcb_status": "UpToDate"}, {"machines": PPID}, {"vmpl": 0}])
def test_one_value_is_no_list(values: dict[str, Any]) -> None:
    with pytest.raises(Misuse, match="should be a list"):
        Requirements(**values)
