"""Numbers that the library reads and nothing can print."""

import pytest

from troth.errors import TrothError
from troth.policy import Policy
from troth.wire import toml

LONG = "0x" + "f" * 5000


@pytest.mark.parametrize("number", [LONG, "0o" + "7" * 6000, "0b" + "1" * 65, "-1" + "0" * 20])
@pytest.mark.parametrize("form", ["a = {}", "a = [1, [{}]]", "[b.c]\na = {{ d = {} }}"])
def test_numbers_of_more_than_64_bits(form: str, number: str) -> None:
    with pytest.raises(ValueError, match="too long a number"):
        toml.loads(form.format(number))


def test_what_is_read() -> None:
    text = "a = 0xffff_ffff_ffff_ffff\nb = [-9223372036854775808, true, 1.5]\n"
    assert toml.loads(text) == {"a": 2**64 - 1, "b": [-(2**63), True, 1.5]}


@pytest.mark.parametrize(
    "line",
    ["witness_threshold = {}", "owner_threshold = {}", "app = {}", "notice = {}", "logged = {}"],
)
def test_a_strangers_policy_is_refused_in_our_words(line: str) -> None:
    """A bundle brings its maker's policy."""
    from tests.tlog.governed import terms

    whole = Policy(name="t", release=terms()).to_toml()
    key = line.partition(" ")[0]
    lines = [line.format(LONG) if row.startswith(f"{key} ") else row for row in whole.split("\n")]
    for text in ("\n".join(lines), f"{whole}\n[parts]\ntdx = {LONG}\n"):
        with pytest.raises(TrothError):
            Policy.from_toml(text, source="x")
