"""Signed notes: the vectors of Go's package, and every way in which a note is none."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tlog.made import AT, LOG, WITNESSES
from tests.tlog.made import note as noted

from troth.errors import Malformed, Misuse, TrothError
from troth.tlog import note
from troth.tlog.note import Kind, Note, VerifierKey, verifier_key
from troth.tlog.signer import SigningKey

# golang.org/x/mod/sumdb/note has these in its own tests.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
PETER_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6"
    "RyyBwJnAM=\n"
)
ENOCH_LINE = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1"
    "RvMc+QQ=\n"
)
BOTH = f"{TEXT}\n{PETER_LINE}{ENOCH_LINE}".encode()


def test_go_s_vectors_are_read_and_verify() -> None:
    peter, enoch = verifier_key(PETER), verifier_key(ENOCH)
    assert (str(peter), peter.name, peter.id.hex()) == (PETER, "PeterNeumann", "c74f20a3")
    read = note.parse(BOTH)
    assert (read.text, read.encode()) == (TEXT, BOTH)
    assert set(note.signers(read, [peter])) == {peter}
    assert set(note.signers(read, [peter, enoch])) == {peter, enoch}
    assert note.signers(read, []) == {}


def test_go_s_key_signs_as_go_does() -> None:
    key = SigningKey.read(PETER_SECRET)
    assert str(key.verifier) == PETER
    assert key.sign(TEXT).line() == PETER_LINE
    assert SigningKey.read(key.text()).verifier == key.verifier
    assert key.text() == PETER_SECRET + "\n"


@pytest.mark.parametrize(
    "whole", [PETER, ENOCH, str(WITNESSES[0].verifier)], ids=["peter", "enoch", "witness"]
)
def test_no_part_of_a_key_is_a_key(whole: str) -> None:
    for start in range(len(whole)):
        for end in range(start, len(whole) + 1):
            if (start, end) != (0, len(whole)):
                with pytest.raises(Misuse):
                    verifier_key(whole[start:end])
    for at in range(len(whole)):
        with pytest.raises(Misuse):
            verifier_key(whole[:at] + chr(ord(whole[at]) + 1) + whole[at + 1 :])


def test_no_part_of_a_secret_is_one() -> None:
    for at in range(len(PETER_SECRET)):
        changed = PETER_SECRET[:at] + chr(ord(PETER_SECRET[at]) + 1) + PETER_SECRET[at + 1 :]
        for text in (PETER_SECRET[:at], PETER_SECRET[at + 1 :], changed):
            with pytest.raises(Malformed) as caught:
                SigningKey.read(text)
            assert PETER_SECRET[40:60] not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no verifier key"),
        ("a b+00000000+AQ==", "is no verifier key"),
        ("a+00000000+AQ=", "is no verifier key"),
        ("a+00000000+", "is no verifier key"),
        ("a+00000000+AQ==", "kind 1 and 1 bytes"),
        # Long enough, with the id that it would have.
        ("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "kind 101"),
        (PETER.replace("c74f20a3", "c74f20a4"), "the key's id is c74f20a3, not c74f20a4"),
        (PETER.replace("PeterN", "petern"), "the key's id is"),
        (PETER.replace("PeterNeumann", "Peter\u00a0Neumann"), "is no verifier key"),
        (PETER + "\n" + PETER, "is no verifier key"),
    ],
)
def test_keys_that_are_none(text: str, says: str) -> None:
    with pytest.raises(Misuse, match=says):
        verifier_key(text, source="policy")


def test_a_key_of_the_wrong_length_says_so() -> None:
    raw = b"\x01" + bytes(33)
    text = f"a+{note.key_id('a', Kind.ED25519, raw[1:]).hex()}+{base64.b64encode(raw).decode()}"
    with pytest.raises(Misuse, match="a key of kind 1 and 34 bytes is not understood"):
        verifier_key(text)


def test_the_same_bytes_as_another_kind_are_another_key() -> None:
    key = WITNESSES[0].verifier
    plain = VerifierKey(name=key.name, kind=Kind.ED25519, public=key.public)
    assert plain.id != key.id
    text = "text\n"
    read = note.parse(noted(text, WITNESSES[0]))
    assert note.signers(read, [plain]) == {}
    assert note.wrong(text, read.signatures[0], plain) == "the signature names another key"


BAD = {
    "empty": b"",
    "no blank line": TEXT.encode() + PETER_LINE.encode(),
    "no signature": TEXT.encode() + b"\n",
    "no line end": BOTH[:-1],
    "no text": b"\n\n" + PETER_LINE.encode(),
    "only signatures": PETER_LINE.encode(),
    "not UTF-8": b"\xff" + BOTH,
    "a carriage return": BOTH.replace(b"\n", b"\r\n"),
    "a tab": b"\t" + BOTH,
    "a zero byte": BOTH.replace(b"think", b"thi\x00k"),
    "an escape": BOTH.replace(b"think", b"\x1b[2Jk"),
    "a blank line at the end": BOTH + b"\n",
    "a line of text below": BOTH + b"more\n",
    "another dash": BOTH.replace("—".encode(), b"-"),
    "two spaces": BOTH.replace("— ".encode(), "—  ".encode()),
    "no name": f"{TEXT}\n—  x08go/ZJkuA=\n".encode(),
    "a name with a plus": f"{TEXT}\n— a+b x08go/ZJkuA=\n".encode(),
    "no base64": f"{TEXT}\n— a x08go/ZJk*A=\n".encode(),
    "padding left out": f"{TEXT}\n— a x08go/ZJkuA\n".encode(),
    "bits behind the end": f"{TEXT}\n— a x08go/ZJkuB=\n".encode(),
    "four bytes": f"{TEXT}\n— a x08gow==\n".encode(),
    "something behind": f"{TEXT}\n— a x08go/ZJkuA= b\n".encode(),
    "the same line twice": f"{TEXT}\n{PETER_LINE}{PETER_LINE}".encode(),
    "101 lines": f"{TEXT}\n{''.join(f'— a{n} x08go/ZJkuA={chr(10)}' for n in range(101))}".encode(),
    "too long": b"a" * note.MOST_BYTES + BOTH,
    "a byte order mark in the signature": f"{TEXT}\n\ufeff{PETER_LINE}".encode(),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_what_is_no_note(data: bytes) -> None:
    with pytest.raises(Malformed, match="the note"):
        note.parse(data, field="the note")


def test_a_hundred_signatures_are_read() -> None:
    lines = "".join(f"— a{n} x08go/ZJkuA=\n" for n in range(100))
    assert len(note.parse(f"{TEXT}\n{lines}".encode()).signatures) == 100


def test_the_longest_note_and_the_shortest_signature_are_read() -> None:
    below = f"\n{PETER_LINE}— a x08goxI=\n".encode()
    text = b"a" * (note.MOST_BYTES - len(below) - 1) + b"\n"
    assert note.parse(text + below).signatures[1].data == b"\x12"
    with pytest.raises(Malformed, match="has 65537 bytes, at most 65536 are read"):
        note.parse(b"a" + text + below)


def test_the_last_blank_line_parts_text_and_signatures() -> None:
    """A text may have blank lines, and lines that look like signatures: they are text."""
    text = f"{TEXT}\n{PETER_LINE}"
    read = note.parse(noted(text, LOG))
    assert read.text == text
    assert note.signers(read, [verifier_key(PETER), LOG.verifier]).keys() == {LOG.verifier}


def test_a_wrong_signature_takes_its_key_out_and_an_unknown_one_does_nothing() -> None:
    peter = verifier_key(PETER)
    bad = PETER_LINE[:40] + "ABCD" + PETER_LINE[44:]
    read = note.parse(f"{TEXT}\n{PETER_LINE}{bad}{ENOCH_LINE}".encode())
    assert note.signers(read, [peter]) == {}
    assert note.wrong(TEXT, read.signatures[0], peter) == ""
    assert note.wrong(TEXT, read.signatures[1], peter) == "the signature does not verify"
    assert note.wrong(TEXT, read.signatures[2], peter) == "the signature names another key"
    assert note.wrong(TEXT + "\n", read.signatures[0], peter) != ""


def test_one_bit_of_a_note_changes_who_signed() -> None:
    peter = verifier_key(PETER)
    data = f"{TEXT}\n{PETER_LINE}".encode()
    for at in range(len(data)):
        for bit in (0, 3, 5):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            try:
                assert note.signers(note.parse(bytes(changed)), [peter]) == {}
            except Malformed:
                continue


@given(st.binary(max_size=400))
def test_noise_is_refused_in_our_words(data: bytes) -> None:
    for tried in (data, BOTH[:120] + data, BOTH + data, data + BOTH):
        try:
            note.parse(tried)
        except TrothError:
            continue


class TestCosignatures:
    def test_what_is_signed_is_the_standard_s_line_for_line(self) -> None:
        body = (
            "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
        )
        assert note.cosigned(body, 1679315147) == (
            b"cosignature/v1\n"
            b"time 1679315147\n"
            b"example.com/behind-the-sofa\n"
            b"20852163\n"
            b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
        )

    def test_the_example_of_the_standard_has_its_time(self) -> None:
        line = (
            "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2"
            "oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA=="
        )
        read = note.signature(line)
        assert (read.name, read.key_id.hex(), len(read.data)) == (
            "witness.example.com/w1",
            "8d66cf3f",
            72,
        )
        assert note.time_of(read) == datetime(2023, 3, 20, 12, 25, 47, tzinfo=UTC)
        assert read.line() == line + "\n"

    def test_the_time_is_signed(self) -> None:
        key = WITNESSES[0]
        signed = key.sign(TEXT, time=AT)
        assert note.wrong(TEXT, signed, key.verifier) == ""
        later = (AT + 1).to_bytes(8, "big") + signed.data[8:]
        changed = note.Signature(name=signed.name, key_id=signed.key_id, data=later)
        assert note.wrong(TEXT, changed, key.verifier) == "the signature does not verify"

    @pytest.mark.parametrize("size", [5, 64, 71, 73])
    def test_another_length_is_none(self, size: int) -> None:
        key = WITNESSES[0].verifier
        signed = note.Signature(name=key.name, key_id=key.id, data=bytes(size))
        assert note.wrong(TEXT, signed, key) == f"a cosignature is 72 bytes, not {size}"

    def test_one_witness_may_sign_at_several_times(self) -> None:
        key = WITNESSES[1].verifier
        read = note.parse(noted(TEXT, WITNESSES[1], times=(AT + 9, AT)))
        assert [note.time_of(s) for s in note.signers(read, [key])[key]] == [
            datetime.fromtimestamp(AT + 9, UTC),
            datetime.fromtimestamp(AT, UTC),
        ]

    @pytest.mark.parametrize("time", [2**63, 2**64 - 1, 253402300800])
    def test_a_time_past_all_calendars_is_none(self, time: int) -> None:
        assert note.time_of(WITNESSES[0].sign(TEXT, time=time)) is None


class TestSigningKeys:
    @pytest.mark.parametrize(
        "name", ["", "a b", "a+b", "a\nb", "a\u2003b", "a\x7fb", "a\udcff", "n" * 256]
    )
    def test_names_that_nothing_can_have(self, name: str) -> None:
        with pytest.raises(Misuse, match="is no name of a key") as caught:
            SigningKey.generate(name)
        assert caught.value.fix

    def test_a_time_belongs_to_witnesses_alone(self) -> None:
        with pytest.raises(Misuse, match="signs without a time"):
            LOG.sign(TEXT, time=AT)
        with pytest.raises(Misuse, match="signs with a time"):
            WITNESSES[0].sign(TEXT)

    def test_the_secret_is_not_in_what_is_shown(self) -> None:
        assert LOG.text().split("+", 4)[4].strip() not in repr(LOG)
        assert LOG.private.private_bytes_raw().hex() not in repr(LOG)

    def test_a_witness_s_key_is_read_again(self) -> None:
        assert SigningKey.read(WITNESSES[0].text()).verifier == WITNESSES[0].verifier


def test_encoding_and_reading_are_one() -> None:
    made = Note(text=TEXT, signatures=(LOG.sign(TEXT), WITNESSES[0].sign(TEXT, time=AT)))
    assert note.parse(made.encode()) == made
