"""What a policy says of NVIDIA's devices, and what comes of it."""

import dataclasses
from typing import Any

import pytest
from tests.policy import made

from troth.errors import Misuse
from troth.model.check import Outcome
from troth.model.claims import Claims
from troth.model.tcb import Finding, Tcb
from troth.policy import Policy, device
from troth.policy.requirements import Requirements

DRIVER, VBIOS = "580.159.03", "96.00.9F.00.01"
GOOD = Tcb(status="good", date=None, advisories=(), evaluation_number=None, findings=())
HELD = Tcb(
    status="certificateHold",
    date=None,
    advisories=(),
    evaluation_number=None,
    findings=(Finding(part="GH100 A01 GSP BROM", status="certificateHold", date=None),),
)
REGISTER = "5a" * 48


def claims(**changes: Any) -> Claims:
    words = {"driver_version": DRIVER, "vbios_version": VBIOS, "arch": "hopper", "mode": "spt"}
    words |= changes.pop("words", {})
    good: dict[str, Any] = {
        "platform": "nvidia",
        "registers": {"measurements": REGISTER},
        "identity": ("measurements",),
        "debug": False,
        "timestamp": None,
        "instance": "7",
        "nonce": made.NONCE,
        "user_data": None,
        "public_key": None,
        "tcb": GOOD,
        "numbers": {"opaque_version": 1, "nvdec0": 0},
        "texts": {name: (word,) for name, word in words.items() if word},
        "covers": {"measurements": ("driver_version", "vbios_version")},
    }
    return Claims(**(good | changes))


def policy(**asked: Any) -> Policy:
    named = {"driver_version": {DRIVER}, "vbios_version": {VBIOS}} | asked
    given = {name: value for name, value in named.items() if value is not None}
    return Policy(name="made", requirements={"nvidia": Requirements(**given)})


def test_versions_alone_say_what_runs() -> None:
    assert made.wrong(policy(), claims()) == {}
    everything = Policy(name="all", requirements={"nvidia": Requirements(**made.OTHERS["nvidia"])})
    assert made.wrong(everything, claims()) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("driver_version", "580.159.04"),
        ("driver_version", ""),
        ("vbios_version", "96.00.9F.00.02"),
        ("vbios_version", ""),
    ],
)
def test_another_version(name: str, value: str) -> None:
    assert made.wrong(policy(), claims(words={name: value})) == {"P301": Outcome.FAILED}


@pytest.mark.parametrize(("name", "word"), [("arch", "blackwell"), ("mode", "ppcie"), ("mode", "")])
def test_another_architecture_or_mode(name: str, word: str) -> None:
    asked = {"arch": {"hopper"}, "mode": {"spt", "mpt"}}
    assert made.wrong(policy(**asked), claims()) == {}
    assert made.wrong(policy(**asked), claims(words={name: word})) == {"P301": Outcome.FAILED}


def test_several_words_all_count() -> None:
    both = claims(texts={"driver_version": (DRIVER, "1.2"), "vbios_version": (VBIOS,)})
    assert made.wrong(policy(), both) == {"P301": Outcome.FAILED}


@pytest.mark.parametrize(
    "left", [("driver_version",), ("vbios_version",), ("driver_version", "vbios_version")]
)
def test_half_a_name_is_none(left: tuple[str, ...]) -> None:
    found = made.wrong(policy(**dict.fromkeys(left)), claims())
    assert found == {"M101": Outcome.UNDECIDED}


def test_a_switch_has_no_driver() -> None:
    switch = claims(words={"driver_version": ""}, covers={"measurements": ("vbios_version",)})
    assert made.wrong(policy(driver_version=None), switch) == {}
    assert made.wrong(policy(), switch) == {"P301": Outcome.FAILED}


def test_the_register_may_be_pinned_instead() -> None:
    pinned = Policy(name="made", registers={"nvidia": {"measurements": frozenset({REGISTER})}})
    assert made.wrong(pinned, claims()) == {}
    other = Policy(name="made", registers={"nvidia": {"measurements": frozenset({"11" * 48})}})
    assert made.wrong(other, claims()) == {"M201": Outcome.FAILED}
    with pytest.raises(Misuse, match="all zero"):
        Policy(name="made", registers={"nvidia": {"measurements": frozenset({"00" * 48})}})


def test_what_covers_nothing_stands_for_nothing() -> None:
    assert made.wrong(policy(), claims(covers={})) == {"M101": Outcome.UNDECIDED}


def test_holds() -> None:
    assert made.wrong(policy(), claims(tcb=HELD)) == {"R205": Outcome.FAILED}
    assert made.wrong(policy(hold="allowed"), claims(tcb=HELD)) == {}
    assert made.wrong(policy(hold="allowed"), claims(tcb=None)) == {"R205": Outcome.UNDECIDED}
    for hold, expected in (("refused", "none on hold"), ("allowed", "a hold is allowed")):
        asked = policy() if hold == "refused" else policy(hold=hold)
        (check,) = (c for c in made.found(asked, claims(tcb=HELD)) if c.code.id == "R205")
        assert (check.presented, check.expected) == ("on hold: GH100 A01 GSP BROM", expected)


def test_a_hold_that_no_part_names_is_one() -> None:
    other = (Finding(part="GH100", status="good", date=None),)
    for findings, status, wanted in (
        (other, "certificateHold", {"R205": Outcome.FAILED}),
        (HELD.findings, "good", {"R205": Outcome.FAILED}),
        (other, "good", {}),
    ):
        tcb = dataclasses.replace(GOOD, status=status, findings=findings)
        assert made.wrong(policy(), claims(tcb=tcb)) == wanted


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ({}, "or name driver_version and vbios_version"),
        ({"driver_version": DRIVER}, "or name vbios_version"),
        ({"driver_version": DRIVER, "vbios_version": VBIOS}, ""),
    ],
)
def test_what_could_be_named_instead_of_a_register(named: dict[str, str], why: str) -> None:
    asked = Requirements(**{name: frozenset({value}) for name, value in named.items()})  # type: ignore[arg-type]
    assert device.instead(asked, claims(), "measurements") == why
    assert device.instead(asked, claims(), "another") == ""


def test_the_policy_of_another_platform() -> None:
    tdx = made.policy("tdx")
    assert "P106" in made.wrong(tdx, claims())
    # And that of devices takes no machine that it does not name.
    assert "P106" in made.wrong(policy(), made.claims("tdx"))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("driver_version", {"latest"}),
        ("driver_version", {"580"}),
        ("driver_version", {"580.159.03\n"}),
        ("vbios_version", {"96.00.9f.00.01"}),
        ("vbios_version", {"96.00"}),
        ("arch", {"volta"}),
        ("mode", {"SPT"}),
        ("mode", {7}),
        ("mode", set()),
        ("hold", "maybe"),
    ],
)
def test_words_that_mean_nothing(name: str, values: Any) -> None:
    with pytest.raises(Misuse):
        Requirements(**{name: values})


def test_a_document_reads_back() -> None:
    text = 'schema = "troth/policy/1"\n[nvidia]\ndriver_version = "580.159.03"\n'
    text += (
        'vbios_version = ["96.00.9f.00.01"]\narch = "Hopper"\nmode = ["SPT"]\nhold = "allowed"\n'
    )
    read = Policy.from_toml(text, source="a test")
    asked = read.asks("nvidia")
    assert asked.vbios_version == {VBIOS}
    assert (asked.arch, asked.mode, asked.hold) == ({"hopper"}, {"spt"}, "allowed")
    assert Policy.from_toml(read.to_toml(), source="again") == read
    for line in ('machines = ["11"]', 'tcb_status = ["UpToDate"]', "driver_version = 580"):
        with pytest.raises(Misuse):
            Policy.from_toml(f'schema = "troth/policy/1"\n[nvidia]\n{line}\n', source="a test")


def test_what_is_missing_is_said() -> None:
    registers = {"nvidia": {"measurements": frozenset({REGISTER})}}
    half = Policy(
        name="half",
        registers={"tdx": {"mrtd": frozenset({"11" * 48})}, **registers},
        requirements={"nvidia": Requirements(driver_version=frozenset({DRIVER}))},
    )
    assert made.wrong(half, claims()) == {}
