"""Expected events: what a policy may say, and when they stand for a register."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.policy.made import claims, policy, wrong

from troth.errors import Misuse
from troth.model.check import Check, Outcome
from troth.model.claims import Claims
from troth.policy import Policy, events
from troth.policy.requirements import Requirements

START = 'schema = "troth/policy/1"\n'
HASH = "0c" * 32
RTMR3 = "ee" * 48
NAMES = ("compose_hash", "key_provider")


def guest(**changes: Any) -> Claims:
    """Claims of a guest whose RTMR3 is set and explained by two events."""
    good: dict[str, Any] = {
        "registers": {"rtmr3": RTMR3},
        "identity": ("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3"),
        "events": {"compose_hash": HASH, "key_provider": "kms", "instance_id": "01" * 20},
        "covers": {"rtmr3": NAMES},
    }
    return claims("tdx", **(good | changes))


def read(text: str) -> Policy:
    return Policy.from_toml(START + text, source="mine")


def judged(asked: dict[str, set[str]], there: Claims, *, logged: bool = True) -> list[Check]:
    made = events.checked(asked)
    return list(events.checks(made, there, logged=logged, source="mine"))


PINS = {"compose_hash": {HASH}, "key_provider": {"kms"}}


def test_all_that_covers_a_register_stands_for_it() -> None:
    assert wrong(policy("tdx", events=PINS), guest()) == {}
    for name in PINS:
        less = {k: v for k, v in PINS.items() if k != name}
        assert wrong(policy("tdx", events=less), guest()) == {"M203": Outcome.UNDECIDED}
    assert wrong(policy("tdx"), guest()) == {"M203": Outcome.UNDECIDED}


@pytest.mark.parametrize("covers", [{}, {"rtmr3": ()}, {"rtmr2": NAMES}, {"rtmr3": (*NAMES, "x")}])
def test_nothing_else_does(covers: dict[str, tuple[str, ...]]) -> None:
    there = guest(covers=covers)
    assert "M203" in wrong(policy("tdx", events=PINS), there)


def test_a_register_that_is_no_code_needs_nothing() -> None:
    asked = events.checked(PINS)
    assert events.uncovered(asked, guest(), ("rtmr3", "mrtd")) == ("mrtd",)
    assert events.uncovered(asked, guest(), ()) == ()


def test_what_is_left_to_pin_is_said() -> None:
    one = events.checked({"compose_hash": {HASH}})
    assert events.instead(one, guest(), "rtmr3") == (
        "or pin events.key_provider: all that the log holds before the application"
    )
    assert events.instead(events.checked(PINS), guest(), "rtmr3") == ""
    assert events.instead(one, guest(), "mrtd") == ""


def test_each_event_is_checked() -> None:
    asked = {"compose_hash": {HASH, "0d" * 32}, "key_provider": {"none"}, "mr_kms": {"0e" * 32}}
    one, two, three = judged(asked, guest())
    assert (one.code.id, one.outcome, one.subject) == ("M304", "passed", "events.compose_hash")
    assert (one.presented, one.source) == (HASH, "mine")
    assert one.expected == f"{HASH} or {'0d' * 32}"
    assert (two.code.id, two.outcome, two.presented) == ("M304", "failed", "kms")
    assert (three.code.id, three.outcome, three.presented) == ("M304", "failed", "absent")
    assert three.why == "nothing that the registers vouch for says so"


def test_without_a_log_all_are_undecided() -> None:
    for check in judged(PINS, guest(), logged=False):
        assert (check.code.id, check.outcome) == ("M303", "undecided")
        assert check.why == "no event log was given"
        assert check.expected and check.source == "mine"
    assert wrong(policy("tdx", events=PINS), guest(events={}, covers={})) == {
        "M203": Outcome.UNDECIDED,
        "M303": Outcome.UNDECIDED,
    }


def test_the_question_is_required_where_it_is_asked() -> None:
    assert [code.id for code in events.required(events.checked(PINS))] == ["M304"]
    assert events.required({}) == ()


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (f'[tdx.events]\ncompose_hash = ["{HASH}"]', {"compose_hash": {HASH}}),
        (f'[tdx.events]\ncompose_hash = "{HASH.upper()}"', {"compose_hash": {HASH}}),
        ('[tdx]\nevents = { key_provider = ["KMS", ""] }', {"key_provider": {"KMS", ""}}),
        ('[tdx]\nevents.secure_boot = "on"', {"secure_boot": {"on"}}),
    ],
)
def test_documents(section: str, expected: dict[str, set[str]]) -> None:
    made = read(section)
    assert made.asks("tdx").events == expected
    assert Policy.from_toml(made.to_toml(), source="again") == made
    assert made.sha256 != read("").sha256


@pytest.mark.parametrize(
    "section",
    [
        "[tdx]\nevents = 1",
        '[tdx]\nevents = ["compose_hash"]',
        "[tdx.events]\ncompose_hash = []",
        "[tdx.events]\ncompose_hash = [1]",
        '[tdx.events]\ncompose_hash = ["0c"]',
        f'[tdx.events]\ncompose_hash = ["{"zz" * 32}"]',
        f'[tdx.events]\napp_id = ["{HASH}"]',
        '[tdx.events]\nsecure_boot = "yes"',
        '[tdx.events]\n"Compose" = ["x"]',
        '[tdx.events]\n"compose-hash" = ["x"]',
        f'[tdx.events]\n{"x" * 65} = ["x"]',
        f'[tdx.events]\nx = ["{"x" * 4097}"]',
        '[sgx.events]\nx = ["x"]',
        '[snp.events]\nx = ["x"]',
        '[nitro.events]\nx = ["x"]',
    ],
)
def test_documents_that_mean_nothing(section: str) -> None:
    with pytest.raises(Misuse):
        read(section)


@pytest.mark.parametrize("given", [{"x": "text"}, {"x": set()}, {"x": {1}}, {"": {"x"}}])
def test_values_that_mean_nothing(given: Any) -> None:
    with pytest.raises(Misuse):
        Requirements(events=given)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z0-9_]{1,12}", fullmatch=True).filter(
            lambda name: name not in events.SIZES and name != "secure_boot"
        ),
        st.frozensets(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), min_size=1),
        max_size=3,
    )
)
def test_any_text_reads_back(asked: dict[str, frozenset[str]]) -> None:
    made = Policy(name="x", requirements={"tdx": Requirements(events=asked)})
    assert Policy.from_toml(made.to_toml(), source="again") == made


def test_the_longest_text() -> None:
    assert events.checked({"x": {"y" * 4096}})["x"] == {"y" * 4096}
    with pytest.raises(Misuse, match="4096"):
        events.checked({"x": {"y" * 4097}})
