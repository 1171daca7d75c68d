"""Debian versions: held against dpkg itself, for thousands of pairs."""

import random
import shutil
import subprocess
from itertools import pairwise

import pytest

from troth.errors import Malformed
from troth.release.debian_version import DebianVersion

PAIRS = 2000
ENDS = ("", "~", "0", "1", ".", "a", "+", "00", "~~", "-1", "-0")


def _version(rng: random.Random) -> str:
    text = rng.choice("0123456789") + "".join(rng.choices("0019a~+.bZ~.-", k=rng.randint(0, 8)))
    if rng.random() < 0.4:
        text += "-" + "".join(rng.choices("01~+.aZ", k=rng.randint(1, 5)))
    return f"{rng.randint(0, 2)}:{text}" if rng.random() < 0.2 else text


def _pair(rng: random.Random) -> tuple[str, str]:
    first = _version(rng)
    if rng.random() < 0.5:
        return first, _version(rng)
    return first, first[: rng.randint(1, len(first))] + rng.choice(ENDS)


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is absent")
def test_thousands_of_pairs_as_dpkg_compares_them() -> None:
    rng = random.Random(740)
    pairs = []
    while len(pairs) < PAIRS:
        first, second = _pair(rng)
        try:
            pairs.append((first, second, DebianVersion(first), DebianVersion(second)))
        except Malformed:
            continue
    script = "".join(
        f"if dpkg --compare-versions '{a}' lt '{b}'; then echo lt; "
        f"elif dpkg --compare-versions '{a}' eq '{b}'; then echo eq; else echo gt; fi\n"
        for a, b, _, _ in pairs
    )
    done = subprocess.run(["sh"], input=script, capture_output=True, text=True, check=True)
    for (a, b, one, other), said in zip(pairs, done.stdout.split(), strict=True):
        ours = "lt" if one < other else "eq" if one == other else "gt"
        assert ours == said, (a, b)
    assert len(set(done.stdout.split())) == 3
    assert not done.stderr


def test_order() -> None:
    texts = ["0~~", "0~", "0", "0+a", "1.0~rc1-1", "1.0-1~bpo1", "1.0-1", "1.0-1+b1", "1:0.1"]
    found = [DebianVersion(text) for text in texts]
    assert sorted(found, reverse=True)[::-1] == found
    assert all(one < other for one, other in pairwise(found))
    assert DebianVersion("1.0") == DebianVersion("0:1.0-0") != DebianVersion("1.0-1")
    assert hash(DebianVersion("1.0")) == hash(DebianVersion("1.0-0"))


@pytest.mark.parametrize(
    "text", ["", "a", "-1", "1-", "1:", ":1", "1 ", "1_0", "é", "1:2:3", "x:1", "1" * 1001, "1\n"]
)
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(Malformed):
        DebianVersion(text)
