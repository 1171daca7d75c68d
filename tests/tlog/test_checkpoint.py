"""Checkpoints: what a log says of itself, and who else saw it when."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tlog.made import AT, LOG, WITNESSES, note

from troth.crypto import merkle
from troth.errors import Malformed, Misuse
from troth.tlog import checkpoint
from troth.tlog.checkpoint import Checkpoint, NotSigned, opened
from troth.tlog.note import Kind, Note, VerifierKey, verifier_key
from troth.tlog.signer import SigningKey

ROOT = merkle.leaf(b"0")
ROOT64 = base64.b64encode(ROOT).decode()
MADE = Checkpoint(origin="example.com/log", size=7, root=ROOT)
VKEYS = [witness.verifier for witness in WITNESSES]

# A public witness's own tests have this log and these two states of it.
MONKEYS = "monkeys+db4d9f7e+AULaJMvTtDLHPUcUrjdDad9vDlh/PTfC2VV60JUtCfWT"
FIRST = (
    "monkeys\n5\n41smjBUiAU70EtKlT6lIOIYtRTYxYXsDB+XHfcvu/BE=\n\n— monkeys 202fftzGl3LVoqjXfwCFZZXs8I+5G2"
    "2+Ek2K0AOyBuSJ/8/CZawNF+6fNlTKOCd622pbzJNkkJFWuw9DbicZCkEx9AY=\n"
)
NEXT = (
    "monkeys\n8\nV8K9aklZ4EPB+RMOk1/8VsJUdFZR77GDtZUQq84vSbo=\n\n— monkeys 202ffoUEboiQYpHzICeaFmoy3RNviHTp"
    "AxYrq/eO4QQVQMvu9UebKBMX2MJC76NLthZaKsnKbCA8GxrjePZhvDCH7Ag=\n"
)


def test_another_project_s_checkpoints_are_read() -> None:
    key = verifier_key(MONKEYS)
    first, later = (opened(text.encode(), log=key).checkpoint for text in (FIRST, NEXT))
    assert (first.origin, first.size, later.size) == ("monkeys", 5, 8)
    assert first.root.hex().startswith("e35b268c")
    with pytest.raises(NotSigned, match="did not sign it"):
        opened(FIRST.replace("\n5\n", "\n6\n").encode(), log=key)


def test_text_and_reading_are_one() -> None:
    assert MADE.text() == f"example.com/log\n7\n{ROOT64}\n"
    assert checkpoint.parse(MADE.text()) == MADE
    more = f"example.com/log\n7\n{ROOT64}\nmore\nand more\n"
    assert checkpoint.parse(more).extensions == ("more", "and more")
    assert checkpoint.parse(more).text() == more


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "three lines or more"),
        ("\n", "three lines or more"),
        ("example.com/log\n7\n", "three lines or more"),
        (f"\n7\n{ROOT64}\n", "none empty"),
        (f"example.com/log\n7\n{ROOT64}\n\nmore\n", "none empty"),
        (f"example.com/log\n\n{ROOT64}\n", "none empty"),
        (f"example.com/log\n07\n{ROOT64}\n", "'07' is no size"),
        (f"example.com/log\n-1\n{ROOT64}\n", "'-1' is no size"),
        (f"example.com/log\n+1\n{ROOT64}\n", "is no size"),
        (f"example.com/log\n 1\n{ROOT64}\n", "is no size"),
        (f"example.com/log\n1.0\n{ROOT64}\n", "is no size"),
        (f"example.com/log\n٣\n{ROOT64}\n", "is no size"),
        (f"example.com/log\n{'9' * 5000}\n{ROOT64}\n", "is no size"),
        (f"example.com/log\n{merkle.MOST_LEAVES + 1}\n{ROOT64}\n", "is no size"),
        ("example.com/log\n7\nAAAA\n", "the root has 3 bytes, should have 32"),
        (f"example.com/log\n7\n{ROOT64[:-1]}\n", "is not base64"),
        (f"example.com/log\n7\n{ROOT64} \n", "is no root"),
        (f"example.com/log\n7\n{ROOT64}\r\n", "is no root"),
        (f"example.com/log\n7\n{ROOT64[:-2]}9=\n", "canonical"),
        (f"example.com/log\n7\n{'A' * 5000}\n", "is no root"),
        (f"example.com/log\n0\n{ROOT64}\n", "a log without entries has another root"),
    ],
)
def test_what_is_no_checkpoint(text: str, says: str) -> None:
    with pytest.raises(Malformed, match=says) as caught:
        checkpoint.parse(text, field="checkpoint")
    assert len(str(caught.value)) < 200


def test_the_empty_log_and_the_largest_are_read() -> None:
    empty = Checkpoint(origin="a", size=0, root=merkle.EMPTY)
    assert checkpoint.parse(empty.text()) == empty
    largest = Checkpoint(origin="a", size=merkle.MOST_LEAVES, root=ROOT)
    assert checkpoint.parse(largest.text()) == largest


def test_who_saw_it_and_when() -> None:
    data = note(MADE.text(), LOG, WITNESSES[0], WITNESSES[1], times=(AT + 60, AT))
    signed = opened(data, log=LOG.verifier, witnesses=VKEYS)
    assert signed.checkpoint == MADE
    assert signed.note.encode() == data
    first, second = (datetime.fromtimestamp(AT + s, UTC) for s in (0, 60))
    assert signed.times == {VKEYS[0]: (first, second), VKEYS[1]: (first, second)}
    assert opened(data, log=LOG.verifier).times == {}


def test_a_log_of_another_name_or_key_did_not_sign() -> None:
    data = note(MADE.text(), LOG)
    with pytest.raises(NotSigned, match=r"is of the log 'example.com/log', not of 'other'"):
        opened(data, log=SigningKey.generate("other").verifier)
    with pytest.raises(NotSigned, match="did not sign it with the key"):
        opened(data, log=SigningKey.generate(LOG.verifier.name).verifier)


def test_a_witness_does_not_sign_for_the_log() -> None:
    name = LOG.verifier.name
    witness = SigningKey.generate(name, Kind.COSIGNATURE)
    data = note(MADE.text(), witness)
    with pytest.raises(NotSigned):
        opened(data, log=witness.verifier)
    with pytest.raises(NotSigned):
        opened(data, log=LOG.verifier, witnesses=[witness.verifier])


def test_a_log_does_not_sign_for_a_witness() -> None:
    """The log's own key, said to be a witness, does not count; nor does its plain signature."""
    data = note(MADE.text(), LOG)
    twin = VerifierKey(name=LOG.verifier.name, kind=Kind.COSIGNATURE, public=LOG.verifier.public)
    assert opened(data, log=LOG.verifier, witnesses=[LOG.verifier, twin]).times == {}


def test_a_signature_twice_wrong_or_of_another_text_is_none() -> None:
    other = Checkpoint(origin="example.com/log", size=8, root=ROOT)
    wrong = WITNESSES[0].sign(other.text(), time=AT)
    right = WITNESSES[0].sign(MADE.text(), time=AT)
    mine = LOG.sign(MADE.text())
    for signatures, counted in (((mine, wrong), 0), ((mine, right, wrong), 0), ((mine, right), 1)):
        data = Note(text=MADE.text(), signatures=signatures).encode()
        assert len(opened(data, log=LOG.verifier, witnesses=VKEYS).times) == counted
    for signatures in ((LOG.sign(other.text()), right), (mine, LOG.sign(other.text()))):
        data = Note(text=MADE.text(), signatures=signatures).encode()
        with pytest.raises(NotSigned):
            opened(data, log=LOG.verifier)


def test_a_time_past_all_calendars_takes_its_witness_out() -> None:
    data = note(MADE.text(), LOG, WITNESSES[0], times=(AT, 2**63))
    assert opened(data, log=LOG.verifier, witnesses=VKEYS).times == {}


def test_one_key_under_two_names_is_not_two_witnesses() -> None:
    """What a witness signs does not have its name in it."""
    key = WITNESSES[0].verifier
    alias = VerifierKey(name="another", kind=key.kind, public=key.public)
    with pytest.raises(Misuse, match="two witnesses have the same public key"):
        opened(note(MADE.text(), LOG), log=LOG.verifier, witnesses=[key, alias])
    # The same key named twice is one witness.
    data = note(MADE.text(), LOG, WITNESSES[0])
    assert len(opened(data, log=LOG.verifier, witnesses=[key, key]).times) == 1


@given(st.data())
def test_a_bit_flipped_anywhere_is_noticed(data: st.DataObject) -> None:
    whole = bytearray(note(MADE.text(), LOG, WITNESSES[0]))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        signed = opened(bytes(whole), log=LOG.verifier, witnesses=VKEYS)
    except Malformed:
        return
    assert signed.checkpoint == MADE
    assert signed.times == {}
