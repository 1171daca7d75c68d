"""Encrypted bodies: the project's own vectors, both ends together, and everything on the way hostile."""

import secrets
from collections.abc import Iterable, Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from troth.channel import ehbp
from troth.crypto import hpke
from troth.errors import Malformed, Misuse, Unavailable

SERVER = ehbp.Receiver(X25519PrivateKey.from_private_bytes(bytes(range(32))))
# Published with the protocol (test-vectors/derive.json and conformance/crypto.json).
SECRET, ENC, NONCE = (bytes(range(at, at + 32)) for at in (0x00, 0x20, 0x40))
DERIVED = (
    "40ec528847cd4e928449f2ed1a70a7d1e8ee317d5e900424fc1dd5b0475b97f7",
    "f8b0ce9466f27aa6243c65f9",
)
ANSWERS = {
    "one frame": (
        "0000002647e74d9a561b60ff42ac7ffbb4caf6b6d5ad0bb7621e41840d2ab7de7208ff7a59d0a2a482cc",
        b"hello from test vector",
    ),
    "three frames": (
        """0000001340ec44d12c444bc9dd4c9065bd70601249f609 00000013d45408abbff98ad579cf340d35c575d0
        2107a6 0000001525273c814b6670b2645cd60de697580e3a02597bb1""",
        b"onetwothree",
    ),
    "an empty frame between": (
        """000000164de747994b5e42a3c41f9291aeb038109dc559e7941f 00000000 00000015c14513df240e6ffece
        a81fb7716b56f480908b890d""",
        b"beforeafter",
    ),
}


def opened(data: bytes, *, step: int = 0) -> bytes:
    aead, base = ehbp.answer_keys(SECRET, ENC, NONCE)
    pieces = [data[at : at + step] for at in range(0, len(data), step)] if step else [data]
    unseal = lambda at, sealed: hpke.opened(aead, hpke.nth_nonce(base, at), sealed)  # noqa: E731
    return b"".join(ehbp._opened(pieces, unseal))


def asked(*pieces: bytes, server: ehbp.Receiver = SERVER) -> tuple[ehbp.Exchange, ehbp.Received]:
    exchange = ehbp.Exchange(SERVER.key)
    received = server.request(exchange.headers.items(), list(exchange.seal(pieces)))
    assert received is not None
    return exchange, received


def answer(
    exchange: ehbp.Exchange,
    received: ehbp.Received,
    pieces: Iterable[bytes],
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> tuple[bool, Iterator[bytes]]:
    said = received.headers if headers is None else headers
    return exchange.answer(status, said.items(), pieces)


def test_the_protocol_s_own_keys() -> None:
    key, base = ehbp.answer_secrets(SECRET, ENC, NONCE)
    assert (key.hex(), base.hex()) == DERIVED


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("step", [0, 1, 3, 25])
def test_the_protocol_s_own_answers(name: str, step: int) -> None:
    data, plain = ANSWERS[name]
    assert opened(bytes.fromhex(data), step=step) == plain


def test_many_empty_frames_are_none() -> None:
    data, plain = ANSWERS["one frame"]
    assert opened(bytes(4 * 4096) + bytes.fromhex(data), step=7) == plain


@pytest.mark.parametrize("name", ANSWERS)
def test_any_bit_of_an_answer_counts(name: str) -> None:
    data, plain = ANSWERS[name]
    whole = bytes.fromhex(data)
    for bit in range(8 * len(whole)):
        broken = bytearray(whole)
        broken[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Malformed):
            assert opened(bytes(broken)) != plain


def test_what_came_before_a_broken_frame_was_authentic_and_no_more_is_given() -> None:
    data = bytes.fromhex(ANSWERS["three frames"][0])
    aead, base = ehbp.answer_keys(SECRET, ENC, NONCE)
    pieces = ehbp._opened(
        [data[:-1] + b"\0"], lambda at, x: hpke.opened(aead, hpke.nth_nonce(base, at), x)
    )
    assert (next(pieces), next(pieces)) == (b"one", b"two")
    with pytest.raises(Malformed):
        next(pieces)


def test_stream_cut_ehbp() -> None:
    """What the protocol cannot show is in its words on what it leaves open."""
    data = bytes.fromhex(ANSWERS["three frames"][0])
    whole = {0: b"", 23: b"one", 46: b"onetwo", len(data): b"onetwothree"}
    for size in range(len(data) + 1):
        if size in whole:
            assert opened(data[:size]) == whole[size]
        else:
            with pytest.raises(Malformed, match="within a frame"):
                opened(data[:size])
    assert any("cut between two frames looks whole" in words for words in ehbp.NOT_BOUND)


def test_a_frame_larger_than_may_be_is_refused_at_its_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(Malformed, match="at most"):
        opened(b"\xff\xff\xff\xff")
    data, plain = ANSWERS["one frame"]
    monkeypatch.setattr(ehbp, "MAX_FRAME", len(bytes.fromhex(data)) - 4)
    assert opened(bytes.fromhex(data)) == plain
    monkeypatch.setattr(ehbp, "MAX_FRAME", len(bytes.fromhex(data)) - 5)
    with pytest.raises(Malformed, match="at most"):
        opened(bytes.fromhex(data))


@given(
    request=st.lists(st.binary(max_size=300), min_size=1, max_size=5),
    response=st.lists(st.binary(max_size=300), max_size=5),
)
def test_both_ends_understand_each_other(request: list[bytes], response: list[bytes]) -> None:
    exchange, received = asked(*request) if any(request) else (None, None)
    if exchange is None or received is None:
        return
    assert b"".join(received.pieces) == b"".join(request)
    sealed, pieces = answer(exchange, received, [received.seal(piece) for piece in response])
    assert sealed
    assert b"".join(pieces) == b"".join(response)


def test_a_long_body_goes_in_frames_of_one_context() -> None:
    body = secrets.token_bytes(3 * ehbp.PIECE + 1)
    exchange = ehbp.Exchange(SERVER.key)
    frames = list(exchange.seal([body]))
    assert [len(frame) for frame in frames] == [4 + 16 + ehbp.PIECE] * 3 + [4 + 16 + 1]
    received = SERVER.request(exchange.headers.items(), frames)
    assert received is not None
    assert b"".join(received.pieces) == body


def test_anothers_evidence_ehbp_sealed_to_another_key_is_refused_before_anything_is_done() -> None:
    with pytest.raises(ehbp.KeyMismatch):
        asked(b"secret", server=ehbp.Receiver(X25519PrivateKey.generate()))


def test_key_swapped_ehbp() -> None:
    """A key encapsulated by somebody else opens nothing that was sealed before."""
    exchange = ehbp.Exchange(SERVER.key)
    frames = list(exchange.seal([b"secret"]))
    with pytest.raises(ehbp.KeyMismatch):
        SERVER.request(ehbp.Exchange(SERVER.key).headers.items(), frames)


def test_receipt_for_another_body_ehbp() -> None:
    """An answer opens under the keys of its own request alone."""
    exchange, _ = asked(b"one")
    _, other = asked(b"two")
    _, pieces = answer(exchange, other, [other.seal(b"for two")])
    with pytest.raises(Malformed):
        list(pieces)


def test_frames_out_of_order_are_refused() -> None:
    exchange, received = asked(b"x")
    one, two = received.seal(b"one"), received.seal(b"two")
    _, pieces = answer(exchange, received, [two, one])
    with pytest.raises(Malformed):
        list(pieces)


def test_a_success_without_a_nonce_is_refused() -> None:
    exchange, received = asked(b"x")
    for status in (200, 201, 204, 299):
        with pytest.raises(Malformed, match="absent"):
            answer(exchange, received, [b"plain"], status=status, headers={})


@pytest.mark.parametrize("status", [199, 300, 429, 500])
def test_an_error_without_a_nonce_is_marked_as_not_sealed(status: int) -> None:
    exchange, received = asked(b"x")
    sealed, pieces = answer(exchange, received, [b"go", b" away"], status=status, headers={})
    assert not sealed
    assert b"".join(pieces) == b"go away"


def test_the_longest_error_is_read() -> None:
    exchange, received = asked(b"x")
    longest = bytes(64 * 1024)
    _, pieces = answer(exchange, received, [longest], status=500, headers={})
    assert b"".join(pieces) == longest
    with pytest.raises(Malformed, match="longer"):
        answer(exchange, received, [longest, b"x"], status=500, headers={})


def test_an_error_with_a_nonce_is_opened() -> None:
    exchange, received = asked(b"x")
    sealed, pieces = answer(exchange, received, [received.seal(b"no")], status=400)
    assert sealed
    assert b"".join(pieces) == b"no"


def test_an_endless_error_is_refused() -> None:
    exchange, received = asked(b"x")
    with pytest.raises(Malformed, match="longer"):
        answer(exchange, received, (bytes(1024) for _ in range(10**9)), status=500, headers={})


@pytest.mark.parametrize(
    "nonce",
    ["", "00", "00" * 31, "00" * 33, "0x" + "00" * 31, "AB" * 32, "zz" * 32, "00" * 32 + ","],
)
def test_a_nonce_in_another_form_is_refused(nonce: str) -> None:
    exchange, received = asked(b"x")
    with pytest.raises(Malformed):
        answer(exchange, received, [], headers={ehbp.NONCE: nonce})


def test_two_nonces_are_refused() -> None:
    exchange, received = asked(b"x")
    nonce = received.headers[ehbp.NONCE]
    with pytest.raises(Malformed, match="twice"):
        exchange.answer(200, [(ehbp.NONCE, nonce), (ehbp.NONCE.lower(), nonce)], [])


def test_a_server_that_says_its_key_is_another_is_believed_in_that_alone() -> None:
    exchange, received = asked(b"x")
    said = {"Content-Type": "application/problem+json; charset=utf-8"}
    with pytest.raises(ehbp.KeyMismatch, match="another key") as caught:
        answer(exchange, received, [ehbp.write_problem()], status=422, headers=said)
    assert isinstance(caught.value, Unavailable)
    assert "verify the service again" in caught.value.fix


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (400, "application/problem+json", ehbp.write_problem()),
        (422, "application/json", ehbp.write_problem()),
        (422, "application/problem+json", b'{"type":"about:blank"}'),
        (422, "application/problem+json", b"[1]"),
        (422, "application/problem+json", b"{"),
        (422, "application/problem+json", b'{"type":"a","type":"b"}'),
    ],
)
def test_other_errors_are_no_word_on_the_key(status: int, kind: str, body: bytes) -> None:
    exchange, received = asked(b"x")
    sealed, pieces = answer(
        exchange, received, [body], status=status, headers={"Content-Type": kind}
    )
    assert not sealed
    assert b"".join(pieces) == body


def test_a_request_that_is_not_sealed_is_told_apart() -> None:
    assert SERVER.request([("Accept", "*/*")], []) is None


@pytest.mark.parametrize("value", ["", "00", "00" * 32, "GG" * 32])
def test_an_encapsulated_key_that_is_none(value: str) -> None:
    with pytest.raises(Malformed):
        SERVER.request([(ehbp.ENCAPSULATED, value)], [])


def test_keys_are_read_bare_and_with_the_length_of_the_rfc() -> None:
    bare = ehbp.write_keys(SERVER.key)
    assert bare[:3].hex() == "000020"
    assert bare[35:].hex() == "000400010002"
    assert ehbp.read_keys(bare) == SERVER.key
    assert ehbp.read_keys(len(bare).to_bytes(2, "big") + bare) == SERVER.key


def test_every_truncation_of_a_key_configuration_is_refused() -> None:
    bare = ehbp.write_keys(SERVER.key)
    for whole in (bare, len(bare).to_bytes(2, "big") + bare):
        for size in range(len(whole)):
            with pytest.raises(Malformed):
                ehbp.read_keys(whole[:size])


@pytest.mark.parametrize("at", [1, 2, 35, 36, 37, 38, 39, 40])
def test_another_suite_is_refused(at: int) -> None:
    data = bytearray(ehbp.write_keys(SERVER.key))
    data[at] ^= 1
    with pytest.raises(Malformed):
        ehbp.read_keys(bytes(data))


def test_bytes_behind_a_key_configuration_are_refused() -> None:
    bare = ehbp.write_keys(SERVER.key)
    for junk in (b"\0", bare):
        with pytest.raises(Malformed):
            ehbp.read_keys(bare + junk)


@given(data=st.binary(max_size=120))
def test_any_bytes_are_a_key_configuration_or_refused(data: bytes) -> None:
    try:
        key = ehbp.read_keys(data)
    except Malformed:
        return
    assert len(key) == 32


class Wire:
    """A stream to nobody, which keeps what it is given and says what it was told to."""

    def __init__(self, reply: bytes = b"") -> None:
        self.sent, self._reply = b"", reply

    def write(self, data: bytes) -> None:
        self.sent += data

    def read(self, size: int) -> bytes:
        part, self._reply = self._reply[:size], self._reply[size:]
        return part

    def end(self) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize("body", [(), (b"",), (b"", b"")])
def test_no_byte_leaves_for_a_request_without_a_body(body: tuple[bytes, ...]) -> None:
    wire = Wire()
    with pytest.raises(Misuse, match="in the clear"):
        ehbp.Client(wire, "host", SERVER.key).open("POST", "/", body=body)
    assert wire.sent == b""


@pytest.mark.parametrize(
    "name", ["Content-Length", "transfer-encoding", "Host", ehbp.ENCAPSULATED.upper(), ehbp.NONCE]
)
def test_no_byte_leaves_with_a_header_of_the_protocol_s_own(name: str) -> None:
    wire = Wire()
    with pytest.raises(Misuse, match="own"):
        ehbp.Client(wire, "host", SERVER.key).open("POST", "/", body=[b"x"], headers={name: "1"})
    assert wire.sent == b""


def test_no_byte_leaves_for_a_key_that_is_none() -> None:
    wire = Wire()
    with pytest.raises(Malformed):
        ehbp.Client(wire, "host", bytes(32)).request("POST", "/", body=b"secret")
    assert wire.sent == b""


def test_nothing_of_a_body_is_on_the_wire_in_the_clear() -> None:
    wire = Wire(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain")
    with pytest.raises(Malformed, match="absent"):
        ehbp.Client(wire, "host", SERVER.key).request("POST", "/v1/x", body=b"the secret words")
    head, _, rest = wire.sent.partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head.lower()
    assert b"content-length" not in head.lower()
    assert b"the secret words" not in wire.sent
    assert rest.endswith(b"0\r\n\r\n")
