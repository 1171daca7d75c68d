"""[release] in a policy: each thing is said, nobody is two, and other policies keep their digest."""

import pickle
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.tlog.governed import ANNA, BERT, LOG, OWNERS, STRANGER, WITNESSES, key, terms

from troth.errors import Misuse
from troth.policy import Policy
from troth.policy.profiles import PROFILES
from troth.tlog.note import Kind
from troth.tlog.terms import Terms

START = 'schema = "troth/policy/1"\n'
SAID: dict[str, Any] = {
    "logged": True,
    "app": "auction",
    "log": str(LOG.verifier),
    "witnesses": [str(w.verifier) for w in WITNESSES],
    "witness_threshold": 2,
    "owners": [str(o.verifier) for o in OWNERS],
    "owner_threshold": 2,
    "notice": "72h",
    "max_checkpoint_age": "24h",
}


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def read(**changes: Any) -> Terms:
    said = {k: v for k, v in (SAID | changes).items() if v is not None}
    lines = "".join(f"{name} = {_toml(value)}\n" for name, value in said.items())
    found = Policy.from_toml(f"{START}[release]\n{lines}", source="test").release
    assert found is not None
    return found


def test_it_reads_back() -> None:
    assert read() == terms()
    policy = Policy(name="a", release=terms(notice=timedelta(0)))
    again = Policy.from_toml(policy.to_toml(), source="test")
    assert (again, again.sha256) == (policy, policy.sha256)
    assert pickle.loads(pickle.dumps(policy)) == policy  # noqa: S301 - made here


def test_the_order_of_keys_says_nothing() -> None:
    turned = {name: list(reversed(SAID[name])) for name in ("owners", "witnesses")}
    assert read(**turned) == read()


def test_a_policy_without_it_says_nothing_of_it() -> None:
    for policy in PROFILES.values():
        assert b"release" not in policy.canonical()
        assert "release" not in policy.to_toml()


def test_each_part_is_in_the_digest() -> None:
    others: list[dict[str, Any]] = [
        {"app": "shop"},
        {"log": STRANGER.verifier},
        {"witnesses": tuple(w.verifier for w in WITNESSES[:2])},
        {"witness_threshold": 3},
        {"owners": tuple(o.verifier for o in OWNERS[:2])},
        {"owner_threshold": 3},
        {"notice": timedelta(0)},
        {"max_checkpoint_age": timedelta(hours=1)},
    ]
    base = Policy(name="a")
    digests = {base.sha256, replace(base, release=terms()).sha256}
    digests |= {replace(base, release=terms(**other)).sha256 for other in others}
    assert len(digests) == 2 + len(others)


@pytest.mark.parametrize("name", SAID)
def test_nothing_has_a_default(name: str) -> None:
    with pytest.raises(Misuse, match=name):
        read(**{name: None})


RENAMED = replace(BERT.verifier, name="another.example")
AS_WITNESS = replace(ANNA.verifier, kind=Kind.COSIGNATURE)


@pytest.mark.parametrize(
    "changes",
    [
        {"logged": False},
        {"logged": "yes"},
        {"also": 1},
        {"app": ""},
        {"app": "an app"},
        {"app": 7},
        {"log": "example.com/log"},
        {"log": str(WITNESSES[0].verifier)},
        {"log": str(LOG.verifier).replace("+", "+0", 1)},
        {"witnesses": []},
        {"witnesses": [str(LOG.verifier)]},
        {"witnesses": SAID["witnesses"][:1]},
        {"witnesses": [*SAID["witnesses"], SAID["witnesses"][0]]},
        {
            "witnesses": [
                *SAID["witnesses"],
                str(replace(WITNESSES[0].verifier, name="another.example")),
            ]
        },
        {"witnesses": [*SAID["witnesses"], str(replace(LOG.verifier, kind=Kind.COSIGNATURE))]},
        {"witnesses": [*SAID["witnesses"], str(AS_WITNESS)]},
        {"witnesses": [str(key(f"w{n}", Kind.COSIGNATURE).verifier) for n in range(33)]},
        {"witness_threshold": 0},
        {"witness_threshold": 1},
        {"witness_threshold": 4},
        {"witness_threshold": True},
        {"witness_threshold": "2"},
        {"owners": []},
        {"owners": [*SAID["owners"], SAID["owners"][0]]},
        {"owners": [*SAID["owners"], str(RENAMED)]},
        {"owners": [*SAID["owners"], str(LOG.verifier)]},
        {"owners": [str(WITNESSES[0].verifier)]},
        {"owners": SAID["owners"][0]},
        {"owner_threshold": 0},
        {"owner_threshold": 1},
        {"owner_threshold": 4},
        {"owner_threshold": True},
        {"notice": 72},
        {"notice": "72"},
        {"notice": "-1h"},
        {"notice": "999999999999d"},
        {"notice": "40000d"},
        {"max_checkpoint_age": "0s"},
        {"max_checkpoint_age": "1w"},
    ],
)
def test_what_nobody_can_mean(changes: dict[str, Any]) -> None:
    with pytest.raises(Misuse):
        read(**changes)


def test_one_owner_may_decide_where_there_is_one() -> None:
    assert read(owners=SAID["owners"][:1], owner_threshold=1).owner_threshold == 1


@pytest.mark.parametrize("text", ["release = 1\n", "release = []\n", "[release]\n"])
def test_a_section_of_another_kind(text: str) -> None:
    with pytest.raises(Misuse):
        Policy.from_toml(START + text, source="test")
