"""Packages that were pinned one by one: all that they need must be among them."""

import pytest
from tests.image.made import INFO, wheel

from troth.errors import Malformed, Misuse
from troth.image import pins, wheel_needs
from troth.image.architecture import AMD64
from troth.image.lock import Wheel
from troth.image.pins import Pin

RULES = pins.environment("3.13.5", AMD64)


def made(*needs: str) -> bytes:
    lines = "".join(f"Requires-Dist: {line}\n" for line in needs)
    return wheel({f"{INFO}/METADATA": f"Metadata-Version: 2.1\nName: x\n{lines}\nText\n".encode()})


def check(packages: dict[str, tuple[str, bytes]], **extras: tuple[str, ...]) -> None:
    wheels = [
        Wheel(name=name, version=version, file=f"{name}.whl", size=1, sha256="aa" * 32)
        for name, (version, _) in packages.items()
    ]
    pinned = [
        Pin(name=w.name, version=w.version, sha256=(w.sha256,), extras=extras.get(w.name, ()))
        for w in wheels
    ]
    files = [data for _, data in packages.values()]
    wheel_needs.check(wheels, files, pinned, RULES, source="requirements.txt")


def test_all_that_is_needed_is_there() -> None:
    check({"a": ("1", made("B_b>=2", 'old; python_version < "3.13"')), "b-b": ("2.1", made())})


def test_one_is_absent() -> None:
    with pytest.raises(Misuse, match=r"a 1 needs b, which requirements\.txt does not pin"):
        check({"a": ("1", made("b"))})


def test_another_version_is_there() -> None:
    with pytest.raises(Misuse, match=r"a 1 needs b>=2, and requirements\.txt pins 1"):
        check({"a": ("1", made("b>=2")), "b": ("1", made())})


def test_extras_need_more() -> None:
    packages = {"a": ("1", made('b; extra == "more"')), "c": ("1", made("a[more]"))}
    check({"a": packages["a"]})
    with pytest.raises(Misuse, match="a 1 needs b"):
        check({"a": packages["a"]}, a=("more",))
    with pytest.raises(Misuse, match="a 1 needs b"):
        check(packages)


def test_extras_that_lead_on_are_followed_to_their_end_or_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Each asks for an extra of the one before it, and only the first one's needs what is not there.
    chain = {"p0": ("1", made('absent; extra == "x"'))}
    chain |= {f"p{n}": ("1", made(f'p{n - 1}[x]; extra == "x"')) for n in range(1, 9)}
    with pytest.raises(Misuse, match="p0 1 needs absent"):
        check(chain, p8=("x",))
    monkeypatch.setattr(wheel_needs, "_MOST_ROUNDS", 3)
    with pytest.raises(Malformed, match="extras ask for extras over 3 times"):
        check(chain, p8=("x",))


def test_a_wheel_that_says_nothing_clear() -> None:
    twice = wheel({f"{INFO}/METADATA": b"Name: x\n", "y-1.dist-info/METADATA": b"Name: x\n"})
    for data in (wheel({"a.py": b""}), made("=="), made("a; x =="), twice):
        with pytest.raises(Malformed, match=r"a\.whl"):
            check({"a": ("1", data)})
