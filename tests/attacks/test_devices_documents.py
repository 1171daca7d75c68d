"""Documents with reference values that are small and take long."""

import time

import pytest
from tests.platforms.nvidia.made import START

from troth.errors import Malformed
from troth.platforms.nvidia import rim
from troth.platforms.nvidia.simulate_pki import DevelopmentPki

SECONDS = 5


def test_an_element_of_very_many_attributes_takes_no_time() -> None:
    """They are sorted one by one before they are hashed: a megabyte of them took most of a minute."""
    pytest.importorskip("signxml", reason="pip install 'troth[gpu]'")
    from troth.platforms.nvidia import simulate

    values = {1: tuple(bytes((n,)) * 48 for n in range(255))}
    good = simulate.rim(DevelopmentPki.create(START), "GH100", "550.90.07", values)
    assert not rim.read(good).trouble
    many = b" ".join(b'a%x=""' % n for n in range(80_000))
    began = time.monotonic()
    with pytest.raises(Malformed, match="attributes"):
        rim.read(good.replace(b"<Meta ", b"<Meta " + many + b" ", 1))
    assert time.monotonic() - began < SECONDS
