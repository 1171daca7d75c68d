import struct

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.channel.frames import (
    MAX_ANSWER,
    MAX_QUESTION,
    Answer,
    Question,
    read_answer,
    read_question,
)
from troth.errors import Malformed, Unavailable

NONCE = bytes(range(32))


def taker(data: bytes):
    """Gives exactly so many bytes, as a session does."""
    place = 0

    def take(size: int) -> bytes:
        nonlocal place
        if place + size > len(data):
            raise Unavailable("ended")
        place += size
        return data[place - size : place]

    return take


def framed(value: object, *, canonical: bool = True) -> bytes:
    body = cbor2.dumps(value, canonical=canonical)
    return struct.pack(">I", len(body)) + body


def test_the_bytes_of_a_question() -> None:
    assert Question(nonce=NONCE).encode().hex() == (
        "0000002c" + "a2" + "6176" + "01" + "656e6f6e6365" + "5820" + NONCE.hex()
    )


def test_the_bytes_of_an_answer() -> None:
    assert Answer(platform="nitro", evidence=b"ev").encode().hex() == (
        "0000001fa3617601" + "6865766964656e6365426576" + "68706c6174666f726d656e6974726f"
    )


@given(st.binary(min_size=32, max_size=32))
def test_question_both_ways(nonce: bytes) -> None:
    assert read_question(taker(Question(nonce=nonce).encode())).nonce == nonce


@given(st.text(min_size=1, max_size=32), st.binary(min_size=1, max_size=5000))
def test_answer_both_ways(platform: str, evidence: bytes) -> None:
    answer = Answer(platform=platform, evidence=evidence)
    assert read_answer(taker(answer.encode())) == answer


@given(st.binary(max_size=200))
def test_junk_is_our_error(data: bytes) -> None:
    for read in (read_question, read_answer):
        with pytest.raises((Malformed, Unavailable)):
            read(taker(data))


def test_every_truncation_and_every_bit_of_a_question_is_seen() -> None:
    whole = Question(nonce=NONCE).encode()
    for size in range(len(whole)):
        with pytest.raises(Unavailable):
            read_question(taker(whole[:size]))
    for bit in range(8 * (len(whole) - len(NONCE))):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises((Malformed, Unavailable)):
            read_question(taker(bytes(changed)))


@pytest.mark.parametrize(
    "value",
    [
        {"v": 2, "nonce": NONCE},
        {"v": True, "nonce": NONCE},
        {"v": 1},
        {"v": 1, "nonce": NONCE, "more": 1},
        {"v": 1, "nonce": NONCE[:31]},
        {"v": 1, "nonce": NONCE + b"0"},
        {"v": 1, "nonce": NONCE.hex()},
        {"v": 1, "nonce": None},
        [1, NONCE],
        1,
    ],
)
def test_another_question_is_refused(value: object) -> None:
    with pytest.raises(Malformed):
        read_question(taker(framed(value)))


@pytest.mark.parametrize(
    "value",
    [
        {"v": 1, "platform": "", "evidence": b"e"},
        {"v": 1, "platform": "n" * 33, "evidence": b"e"},
        {"v": 1, "platform": b"nitro", "evidence": b"e"},
        {"v": 1, "platform": "nitro", "evidence": b""},
        {"v": 1, "platform": "nitro", "evidence": "e"},
        {"v": 1, "platform": "nitro"},
        {"v": 1, "platform": "nitro", "evidence": b"e", "verdict": "accepted"},
    ],
)
def test_another_answer_is_refused(value: object) -> None:
    with pytest.raises(Malformed):
        read_answer(taker(framed(value)))


def test_one_encoding_only() -> None:
    with pytest.raises(Malformed, match="canonical"):
        read_question(taker(framed({"nonce": NONCE, "v": 1}, canonical=False)))
    doubled = b"\xa2\x61v\x01\x61v\x01"
    with pytest.raises(Malformed, match="duplicate"):
        read_question(taker(struct.pack(">I", len(doubled)) + doubled))
    body = Question(nonce=NONCE).encode()[4:] + b"\x00"
    with pytest.raises(Malformed, match="follow"):
        read_question(taker(struct.pack(">I", len(body)) + body))


@pytest.mark.parametrize(
    ("read", "limit"), [(read_question, MAX_QUESTION), (read_answer, MAX_ANSWER)]
)
def test_length_is_bounded_before_anything_is_read(read, limit: int) -> None:
    for size in (0, limit + 1, 0xFFFFFFFF):
        asked: list[int] = []

        def take(count: int, size: int = size, asked: list[int] = asked) -> bytes:
            asked.append(count)
            return struct.pack(">I", size)

        with pytest.raises(Malformed):
            read(take)
        assert asked == [4]
