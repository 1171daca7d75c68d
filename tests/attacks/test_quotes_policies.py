"""Attacks by amount: a policy in a bundle, which a stranger wrote, is read or refused at once."""

import time

import pytest

from troth.errors import Misuse
from troth.policy import Policy

HEAD = 'schema = "troth/policy/1"\n'


@pytest.mark.parametrize("part", ["a", '"\u2028"', '"a" ', r'"\\"', r'"\""', "'\"'"])
@pytest.mark.parametrize("form", ["{} = 1", "[{}]", "a = {{ {} = 1 }}"])
def test_a_key_of_many_parts_is_refused_at_once(part: str, form: str) -> None:
    text = HEAD + form.format(".".join([part] * 30_000))
    begin = time.process_time()
    with pytest.raises(Misuse, match="parts"):
        Policy.from_toml(text, source="policy")
    assert time.process_time() - begin < 1


def test_a_policy_that_is_larger_than_any() -> None:
    with pytest.raises(Misuse, match="larger than"):
        Policy.from_toml(HEAD + "#" * (16 << 20), source="policy")


@pytest.mark.parametrize("piece", [".", "1.2.3 ", "\\\\."])
def test_dots_elsewhere_do_no_harm(piece: str) -> None:
    text = HEAD + f'name = "{90 * piece}"\n' + 50 * "# ...\n"
    policy = Policy.from_toml(text, source="policy")
    assert policy.name.count(".") >= 90
    assert Policy.from_toml(policy.to_toml(), source="policy") == policy


@pytest.mark.parametrize("piece", ["a", "a ", '"', '""', "'", "a.", '"a" . ', ". ", "a\t", '"a'])
def test_looking_for_such_a_key_takes_no_time_itself(piece: str) -> None:
    begin = time.process_time()
    with pytest.raises(Misuse):
        Policy.from_toml(HEAD + 300_000 * piece, source="policy")
    assert time.process_time() - begin < 2
