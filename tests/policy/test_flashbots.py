"""Flashbots' measurements become policies: one for each entry, and none that takes any guest."""

import json
from typing import Any

import pytest

from troth.errors import Malformed, Misuse
from troth.policy import flashbots

A, B = "aa" * 48, "bb" * 48


def entry(**changed: Any) -> dict[str, Any]:
    made = {
        "measurement_id": "release-1",
        "attestation_type": "dcap-tdx",
        "measurements": {
            "0": {"expected_any": [A, B]},
            "1": {"expected_any": [A]},
            "4": {"expected_any": [B.upper()]},
        },
    }
    return {key: value for key, value in (made | changed).items() if value is not ...}


def read(*entries: Any) -> tuple[Any, ...]:
    return flashbots.policies(json.dumps(list(entries)).encode())


def test_an_entry() -> None:
    (policy,) = read(entry())
    assert policy.name == "release-1"
    assert policy.registers == {
        "tdx": {"mrtd": {A, B}, "rtmr0": {A}, "rtmr3": {B}},
    }


def test_entries_do_not_mix() -> None:
    first, second = read(
        entry(), entry(measurement_id="release-2", measurements={"0": {"expected_any": [B]}})
    )
    assert first.registers["tdx"]["mrtd"] == {A, B}
    assert second.registers == {"tdx": {"mrtd": {B}}}


@pytest.mark.parametrize("measurements", [..., {}, None])
def test_an_entry_that_takes_any_guest_is_refused(measurements: Any) -> None:
    with pytest.raises(Misuse, match="would take any guest"):
        read(entry(measurements=measurements))


@pytest.mark.parametrize("kind", ["none", "azure-tdx", "", "any"])
def test_kinds_without_a_policy(kind: str) -> None:
    with pytest.raises(Misuse, match="no policy"):
        read(entry(attestation_type=kind))


@pytest.mark.parametrize(
    "changed",
    [
        {"measurements": {"5": {"expected_any": [A]}}},
        {"measurements": {"mrtd": {"expected_any": [A]}}},
        {"measurements": {"0": {"expected_any": []}}},
        {"measurements": {"0": {"expected_any": [1]}}},
        {"measurements": {"0": {"expected_any": ["zz"]}}},
        {"measurements": {"0": {"expected": A}}},
        {"measurements": {"0": {}}},
        {"measurements": {"0": A}},
        {"measurements": [A]},
        {"measurement_id": ""},
        {"measurement_id": 1},
        {"measurement_id": ...},
        {"attestation_type": ...},
        {"attestation_type": 1},
        {"more": 1},
    ],
)
def test_entries_of_another_form(changed: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        read(entry(**changed))


@pytest.mark.parametrize(
    "changed", [{"0": {"expected_any": [A[:-2]]}}, {"0": {"expected_any": ["00" * 48]}}]
)
def test_values_that_no_policy_holds(changed: dict[str, Any]) -> None:
    with pytest.raises(Misuse):
        read(entry(measurements=changed))


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"[1]", b'[{"a":1,"a":1}]', b"[" * 5000])
def test_lists_that_are_none(data: bytes) -> None:
    with pytest.raises(Malformed):
        flashbots.policies(data)


def test_a_name_twice() -> None:
    with pytest.raises(Malformed, match="twice"):
        read(entry(), entry())
