"""Proofs in files: an entry is in a log, or the file says nothing."""

import base64
import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.tlog.made import LOG, WITNESSES, entries, log, note

from troth.errors import Malformed, Misuse
from troth.tlog import proof
from troth.tlog.checkpoint import Checkpoint, NotSigned
from troth.tlog.proof import NotIncluded, Proof
from troth.tlog.signer import SigningKey

SIZE = 300
HASHES = tuple(hashlib.sha256(text).digest() for text in (b"hash1", b"hash2"))
LINES = tuple(base64.b64encode(digest).decode() for digest in HASHES)


@pytest.fixture(scope="module")
def proofs(tmp_path_factory: pytest.TempPathFactory) -> list[Proof]:
    """One for each entry of a log that two witnesses saw."""
    reader, state = log(tmp_path_factory.mktemp("log") / "log", SIZE)
    whole = note(state.text(), LOG, *WITNESSES[:2])
    return [proof.make(reader, index, whole, state) for index in range(SIZE)]


def test_every_entry_is_proved_and_no_other(proofs: list[Proof]) -> None:
    for index, made in enumerate(proofs):
        read = proof.parse(made.encode())
        assert read == made
        proved = proof.check(
            read,
            b"entry %d" % index,
            log=LOG.verifier,
            witnesses=[witness.verifier for witness in WITNESSES],
        )
        assert (proved.index, proved.signed.checkpoint.size) == (index, SIZE)
        assert len(proved.signed.times) == 2
        with pytest.raises(NotIncluded, match="does not show that the entry is in"):
            proof.check(read, b"entry %d" % (index + 1), log=LOG.verifier)


def test_the_form_is_the_standard_s() -> None:
    """As the tests of transparency-dev's formats have it."""
    made = Proof(index=10, hashes=HASHES[:1], checkpoint=b"checkpoint data\n", extra=b"extra")
    text = f"c2sp.org/tlog-proof@v1\nextra ZXh0cmE=\nindex 10\n{LINES[0]}\n\ncheckpoint data\n"
    assert made.encode() == text.encode()
    assert proof.parse(text.encode()) == made
    none = Proof(index=0, hashes=(), checkpoint=b"checkpoint\n")
    assert none.encode() == b"c2sp.org/tlog-proof@v1\nindex 0\n\ncheckpoint\n"
    assert proof.parse(none.encode()) == none
    empty = Proof(index=0, hashes=(), checkpoint=b"checkpoint\n", extra=b"")
    assert proof.parse(empty.encode()) == empty


FIRST = "c2sp.org/tlog-proof@v1\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no proof"),
        ("c2sp.org/tlog-proof@v2\nindex 0\n\nc\n", "is no proof"),
        (" " + FIRST + "index 0\n\nc\n", "is no proof"),
        (FIRST + "index 0\n", "is no proof"),
        (FIRST + "\nc\n", "does not say which entry it is of"),
        (FIRST + "index\n\nc\n", "proof.index"),
        (FIRST + "index 00\n\nc\n", "proof.index"),
        (FIRST + "index -1\n\nc\n", "proof.index"),
        (FIRST + "index 1 \n\nc\n", "proof.index"),
        (FIRST + f"index {'9' * 30}\n\nc\n", "proof.index"),
        (FIRST + f"index {'9' * 6000}\n\nc\n", "proof.index"),
        (FIRST + "index 0\nextra AAAA\n\nc\n", "proof.hashes: is not base64"),
        (FIRST + "extra AAAA\nextra AAAA\nindex 0\n\nc\n", "proof.index"),
        (FIRST + "extra AA\nindex 0\n\nc\n", "proof.extra: is not base64"),
        (FIRST + "extra A A=\nindex 0\n\nc\n", "proof.extra: is not base64"),
        (FIRST + f"index 0\n{LINES[0]}=\n\nc\n", "proof.hashes: is not"),
        (FIRST + f"index 0\n{LINES[0]}\r\n\nc\n", "proof.hashes: is not base64"),
        (FIRST + f"index 0\n{LINES[0]} \n\nc\n", "proof.hashes: is not base64"),
        (FIRST + "index 0\nAAAA\n\nc\n", "a digest is not 32 bytes"),
        (FIRST + "index 0\n" + f"{LINES[0]}\n" * 63 + "\nc\n", "more than 62 digests"),
        (FIRST + "index ٣\n\nc\n", "is not ASCII"),
        (FIRST + "index 0\n\n" + "c" * 200_000, "more than 131072 bytes"),
    ],
)
def test_what_is_no_proof(text: str, says: str) -> None:
    with pytest.raises(Malformed, match=says) as caught:
        proof.parse(text.encode())
    assert len(str(caught.value)) < 200


def test_the_longest_is_read() -> None:
    head = FIRST + "index 0\n" + f"{LINES[0]}\n" * 62 + "\n"
    text = head + "c" * (proof.MOST_BYTES - len(head))
    assert len(proof.parse(text.encode()).hashes) == 62
    with pytest.raises(Malformed, match="more than 131072 bytes"):
        proof.parse(text.encode() + b"c")


def test_whose_log_it_is_counts(proofs: list[Proof]) -> None:
    for name in ("example.com/log", "example.com/other"):
        with pytest.raises(NotSigned, match=r"did not sign it|is of the log"):
            proof.check(proofs[3], b"entry 3", log=SigningKey.generate(name).verifier)
    bare = Proof(index=3, hashes=proofs[3].hashes, checkpoint=b"no note")
    with pytest.raises(Malformed, match=r"proof\.checkpoint: is no signed note"):
        proof.check(bare, b"entry 3", log=LOG.verifier)


def test_an_entry_that_looks_like_a_node_of_the_tree_is_none(proofs: list[Proof]) -> None:
    """Leaves and nodes are hashed apart."""
    made = proofs[0]
    node = b"\x01" + hashlib.sha256(b"\x00entry 0").digest() + made.hashes[0]
    higher = Proof(index=0, hashes=made.hashes[1:], checkpoint=made.checkpoint)
    for entry in (node, node[1:]):
        with pytest.raises(NotIncluded):
            proof.check(higher, entry, log=LOG.verifier)


@pytest.mark.parametrize("index", [-1, SIZE])
def test_no_proof_of_what_is_not_there(index: int, tmp_path: Path) -> None:
    reader, state = log(tmp_path / "log", SIZE)
    with pytest.raises(Misuse, match=f"a log of {SIZE} has no entry {index}"):
        proof.make(reader, index, b"", state)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_bit_flipped_anywhere_proves_nothing_new(
    data: st.DataObject, proofs: list[Proof]
) -> None:
    index = data.draw(st.integers(0, SIZE - 1))
    whole = bytearray(proofs[index].encode())
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        proved = proof.check(proof.parse(bytes(whole)), entries(SIZE)[index], log=LOG.verifier)
    except Malformed:
        return
    # A line of a witness, which nobody asked about.
    assert proved.index == index
    assert isinstance(proved.signed.checkpoint, Checkpoint)
    assert proved.signed.checkpoint.size == SIZE


@given(st.binary(max_size=300))
def test_noise_is_refused_in_our_words(data: bytes) -> None:
    for tried in (data, FIRST.encode() + data, FIRST.encode() + b"index 1\n" + data):
        try:
            proof.check(proof.parse(tried), data, log=LOG.verifier)
        except Malformed:
            continue
        pytest.fail("noise is no proof")
