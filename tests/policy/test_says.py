"""What tokens say in words: names, values, defaults, and what must not be left open."""

from typing import Any

import pytest
from tests.policy import made

from troth import Policy
from troth.errors import Misuse
from troth.model.check import Outcome
from troth.model.claims import Claims
from troth.model.codes.policy import P207
from troth.policy import says
from troth.policy.names import TEXTS
from troth.policy.requirements import KEYS, Requirements

ALL = sorted(TEXTS)


def claims(
    platform: str, numbers: dict[str, int] | None = None, **texts: tuple[str, ...]
) -> Claims:
    return Claims(
        platform=platform,
        registers={},
        identity=(),
        debug=False,
        timestamp=None,
        instance="",
        nonce=None,
        user_data=None,
        public_key=None,
        texts=texts,
        numbers=numbers or {},
    )


def outcomes(asked: dict[str, set[str]], found: Claims, **exact: int) -> dict[str, Outcome]:
    wanted = says.checked(asked)
    return {c.subject: c.outcome for c in says.checks(wanted, exact, found, source="a test")}


def test_an_answer_is_required_of_every_token() -> None:
    for platform in ALL:
        assert says.required(platform) == (P207,)


def test_the_longest_text() -> None:
    assert says.checked({"hwmodel": {"a" * 4096}})
    with pytest.raises(Misuse):
        says.checked({"hwmodel": {"a" * 4097}})


def test_tables_agree() -> None:
    assert {platform for platform, keys in KEYS.items() if "says" in keys} == set(TEXTS)
    for platform, words in says.DEFAULTS.items():
        assert set(words) <= TEXTS[platform]


@pytest.mark.parametrize(
    "bad",
    [
        {"hwmodel": set()},
        {"hwmodel": "GCP_INTEL_TDX"},
        {"hwmodel": {""}},
        {"hwmodel": {7}},
        {"hwmodel": {"a" * 5000}},
        {"surprise": {"a"}},
    ],
)
def test_words_that_mean_nothing(bad: dict[str, Any]) -> None:
    with pytest.raises(Misuse):
        Policy(name="a", requirements={"gcs": Requirements(says=bad)})
    with pytest.raises(Misuse):
        Policy(name="a", requirements={"tdx": Requirements(says={"hwmodel": frozenset({"a"})})})


@pytest.mark.parametrize(
    ("presented", "good"),
    [
        ((), False),
        (("a",), True),
        (("b",), True),
        (("a", "b"), True),
        (("a", "c"), False),
        (("A",), False),
        (("a ",), False),
    ],
)
def test_every_value_must_count(presented: tuple[str, ...], good: bool) -> None:
    found = outcomes({"hwmodel": {"a", "b"}}, claims("gcs", hwmodel=presented))
    assert (found["hwmodel"] is Outcome.PASSED) is good


@pytest.mark.parametrize("name", ["audience", "support_attributes", "service_accounts"])
def test_of_some_lists_one_value_is_enough(name: str) -> None:
    for presented, good in (((), False), (("a", "c"), True), (("c",), False)):
        found = outcomes({name: {"a"}}, claims("gcs", **{name: presented}))
        assert (found[name] is Outcome.PASSED) is good


@pytest.mark.parametrize("platform", ALL)
def test_defaults_hold_until_a_policy_says_otherwise(platform: str) -> None:
    for name, values in says.DEFAULTS[platform].items():
        good = claims(platform, **{name: tuple(values)[:1]})
        assert outcomes({}, good)[name] is Outcome.PASSED
        bad = claims(platform, **{name: ("something",)})
        assert outcomes({}, bad)[name] is Outcome.FAILED
        silent = claims(platform, **{name: ()})
        assert outcomes({}, silent)[name] is Outcome.FAILED
        assert outcomes({name: {"something"}}, bad)[name] is Outcome.PASSED


def test_what_must_be_said() -> None:
    for platform, names in {
        "maa": ("issuer",),
        "gcs": ("audience", "hwmodel"),
        "ita": (),
        "nras": (),
    }.items():
        found = outcomes({}, claims(platform))
        assert found == dict.fromkeys(names, Outcome.UNDECIDED)
        said = claims(platform, **dict.fromkeys(names, ("a",)))
        assert outcomes({}, said) == dict.fromkeys(names, Outcome.UNDECIDED)
        asked = {name: {"a"} for name in names}
        assert outcomes(asked, said) == dict.fromkeys(names, Outcome.PASSED)
        assert outcomes(asked, claims(platform)) == dict.fromkeys(names, Outcome.FAILED)


def test_versions_advisories_and_warnings_that_are_said_must_be_known() -> None:
    for platform, name in (
        ("ita", "advisories"),
        ("nras", "warnings"),
        ("nras", "driver_version"),
        ("nras", "vbios_version"),
        ("nras", "switch_bios_version"),
    ):
        found = claims(platform, **{name: ("a", "b")})
        assert outcomes({}, found)[name] is Outcome.UNDECIDED
        assert outcomes({name: {"a"}}, found)[name] is Outcome.FAILED
        assert outcomes({name: {"a", "b", "c"}}, found)[name] is Outcome.PASSED
        assert name not in outcomes({}, claims(platform))


def test_devices_are_counted_by_their_kind() -> None:
    found = claims("nras", numbers={"gpus": 8, "switches": 4})
    assert outcomes({}, found) == {"gpus": Outcome.UNDECIDED, "switches": Outcome.UNDECIDED}
    assert outcomes({}, found, gpus=8) == {"switches": Outcome.UNDECIDED}
    assert outcomes({}, found, gpus=8, switches=4) == {}


@pytest.mark.parametrize("platform", [*made.PLATFORMS, "nitro"])
def test_other_platforms_say_nothing(platform: str) -> None:
    assert says.required(platform) == ()
    assert outcomes({}, claims(platform, hwmodel=("a",))) == {}
    assert not says.identify({}, platform)


def test_words_alone_identify_only_what_nvidia_compared() -> None:
    both = {"driver_version": frozenset({"a"}), "vbios_version": frozenset({"b"})}
    assert says.identify(both, "nras")
    assert says.identify({"switch_bios_version": frozenset({"a"})}, "nras")
    for name in both:
        assert not says.identify({name: frozenset({"a"})}, "nras")
    for platform in ("maa", "gcs", "ita"):
        assert not says.identify(both, platform)


def test_what_a_pinned_policy_has_to_list() -> None:
    found = claims("gcs", {"oemid": 7}, audience=("a", "b"), hwmodel=("c",), swname=("d",))
    words = {"audience": frozenset({"a", "b"}), "hwmodel": frozenset({"c"})}
    assert says.needed(found) == (words, {})
    devices = claims("nras", {"gpus": 2}, driver_version=("a",), warnings=("w",), measres=("s",))
    assert says.needed(devices) == (
        {"driver_version": frozenset({"a"}), "warnings": frozenset({"w"})},
        {"gpus": 2},
    )
    assert says.needed(claims("tdx", {"gpus": 2}, advisories=("a",))) == ({}, {})
    assert says.needed(claims("gcs", hwmodel=())) == ({}, {})
