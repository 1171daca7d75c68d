"""A document in the common words: registers, mode, time, and what identifies code."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.nitro.forge import NONCE, NOW, PCRS, chain, document, payload, specs

from troth.model.claims import Source
from troth.platforms.nitro.claims import claims
from troth.platforms.nitro.format import Document, parse

ZERO = bytes(48)
SET = b"\x07" * 48
PARSED = parse(document(public_key=b"key", user_data=b"data")[0])
VALUES = st.sampled_from([ZERO, SET])


def with_pcrs(pcrs: dict[int, bytes]) -> Document:
    return replace(PARSED, pcrs=pcrs)


def test_what_is_said_is_passed_on() -> None:
    said = claims(PARSED)
    assert said.platform == "nitro"
    assert said.source is Source.HARDWARE
    assert said.timestamp == NOW
    assert said.instance == payload(chain(specs())[0])["module_id"]
    assert (said.nonce, said.user_data, said.public_key) == (NONCE, b"data", b"key")
    assert said.registers == {f"pcr{i}": v.hex() for i, v in PARSED.pcrs.items()}
    assert said.measurement("pcr1") == PCRS[1].hex()
    with pytest.raises(KeyError):
        said.measurement("pcr16")
    with pytest.raises(TypeError):
        said.registers["pcr0"] = "00"  # type: ignore[index]


@given(ms=st.integers(1, 253_402_300_799_000))
def test_the_time_is_exact(ms: int) -> None:
    said = claims(replace(PARSED, timestamp_ms=ms)).timestamp
    assert said is not None
    assert (said - datetime(1970, 1, 1, tzinfo=UTC)) == timedelta(milliseconds=ms)


@given(image=st.tuples(VALUES, VALUES, VALUES), role=VALUES)
def test_debug_is_an_image_of_zeros(image: tuple[bytes, ...], role: bytes) -> None:
    said = claims(with_pcrs({**dict(enumerate(image)), 3: role, 4: SET}))
    assert said.debug == (set(image) == {ZERO})


@given(pcrs=st.dictionaries(st.integers(3, 31), VALUES))
def test_what_identifies_code(pcrs: dict[int, bytes]) -> None:
    """The image always; what an application locked always; any other register if it is set."""
    said = claims(with_pcrs({**PCRS, **pcrs}))
    locked = {i for i in pcrs if i >= 16}
    surprising = {i for i, v in pcrs.items() if v != ZERO and i < 16} - {3, 4, 8}
    expected = sorted({0, 1, 2} | locked | surprising)
    assert said.identity == tuple(f"pcr{i}" for i in expected)
    assert set(said.identity) <= set(said.registers)
