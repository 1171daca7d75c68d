"""Bindings: one hash for one purpose and one list of fields, and no two that read alike."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.verifier.binding import Tag, bind

FIELDS = st.lists(st.binary(max_size=12), max_size=4)


def test_the_form_is_fixed() -> None:
    """Spelled out once more from its description: enclaves that run today bind so."""
    said = b"troth-binding/1\x00\x0btroth/app/1"
    said += b"\0\0\0\0\0\0\0\x04data" + b"\0\0\0\0\0\0\0\x05nonce"
    assert bind(Tag.APP, b"data", b"nonce") == hashlib.sha512(said).digest()
    assert len(bind(Tag.CHANNEL)) == 64


def test_tags_are_as_published() -> None:
    assert [str(tag) for tag in Tag] == ["troth/channel/1", "troth/identity/1", "troth/app/1"]


@given(fields=FIELDS)
def test_each_purpose_has_its_own(fields: list[bytes]) -> None:
    assert len({bind(tag, *fields) for tag in Tag}) == len(Tag)


@given(one=FIELDS, other=FIELDS)
def test_other_fields_are_another_binding(one: list[bytes], other: list[bytes]) -> None:
    assert (bind(Tag.APP, *one) == bind(Tag.APP, *other)) == (one == other)


@pytest.mark.parametrize("whole", [b"exporterkey", bytes(20)])
def test_no_byte_moves_from_one_field_to_the_next(whole: bytes) -> None:
    made = [bind(Tag.CHANNEL, whole[:i], whole[i:]) for i in range(len(whole) + 1)]
    assert len(set(made)) == len(made)
    assert bind(Tag.CHANNEL, whole) not in made
