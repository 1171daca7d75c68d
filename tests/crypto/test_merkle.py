"""Merkle trees: published roots and proofs, and a slow implementation that shares nothing with ours."""

import base64
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.crypto import naive_merkle as naive

from troth.crypto import merkle
from troth.crypto.merkle import Frontier

# The entries that implementations of RFC 6962 have been tested with since the first, and their roots.
ENTRIES = tuple(
    bytes.fromhex(text)
    for text in (
        *("", "00", "10", "2021", "3031", "40414243"),
        *("5051525354555657", "606162636465666768696a6b6c6d6e6f"),
    )
)
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
# A witness's own tests: a log of five entries that has eight.
OLD_ROOT = bytes.fromhex("e35b268c1522014ef412d2a54fa94838862d453631617b0307e5c77dcbeefc11")
NEW_ROOT = base64.b64decode("V8K9aklZ4EPB+RMOk1/8VsJUdFZR77GDtZUQq84vSbo=")
MONKEYS = tuple(
    bytes.fromhex(text)
    for text in (
        "b9e1d62618f7fee8034e4c5010f727ab24d8e4705cb296c374bf2025a87a10d2",
        "aac66cd7a79ce4012d80762fe8eec3a77f22d1ca4145c3f4cee022e7efcd599d",
        "89d0f753f66a290c483b39cd5e9eafb12021293395fad3d4a2ad053cfbcfdc9e",
        "29e40bb79c966f4c6fe96aff6f30acfce5f3e8d84c02215175d6e018a5dee833",
    )
)


def digests(entries: tuple[bytes, ...] | list[bytes]) -> list[bytes]:
    return [merkle.leaf(entry) for entry in entries]


def made(size: int) -> list[bytes]:
    return [b"%d" % index for index in range(size)]


def parts(entries: list[bytes], wanted: list[tuple[int, int]]) -> list[bytes]:
    """The roots that a proof is made of, as a log takes them out of its perfect trees."""
    return [
        Frontier(
            end - start,
            [
                naive.tree(entries[index << height : (index + 1) << height])
                for height, index in merkle.perfect(start, end)
            ],
        ).root()
        for start, end in wanted
    ]


@pytest.mark.parametrize("size", range(len(ROOTS)))
def test_published_roots(size: int) -> None:
    assert merkle.root(digests(ENTRIES[:size])).hex() == ROOTS[size]
    frontier = Frontier.of(digests(ENTRIES[:size]))
    assert (frontier.size, frontier.root().hex()) == (size, ROOTS[size])


def test_a_published_proof_of_growth() -> None:
    assert merkle.consistent(5, OLD_ROOT, 8, NEW_ROOT, MONKEYS) == ""
    assert merkle.consistent(4, OLD_ROOT, 8, NEW_ROOT, MONKEYS) != ""
    assert merkle.consistent(5, OLD_ROOT, 8, NEW_ROOT, MONKEYS[::-1]) != ""


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=70))
def test_roots_are_the_slow_ones(entries: list[bytes]) -> None:
    assert merkle.root(digests(entries)) == naive.tree(entries)


@pytest.mark.parametrize("size", [*range(1, 20), 31, 32, 33, 64, 65, 100])
def test_every_proof_of_inclusion(size: int) -> None:
    entries = made(size)
    root = naive.tree(entries)
    for index in range(size):
        proof = naive.path(index, entries)
        assert parts(entries, merkle.path(index, size)) == proof
        digest = merkle.leaf(entries[index])
        assert merkle.included(digest, index, size, proof, root) == ""
        assert merkle.included(merkle.leaf(b"another"), index, size, proof, root) != ""
        assert merkle.included(digest, index, size, [*proof, root], root) != ""
        if proof:
            assert merkle.included(digest, index, size, proof[:-1], root) != ""
            assert merkle.included(digest, index, size, proof[1:], root) != ""


@pytest.mark.parametrize("size", [*range(20), 31, 32, 33, 64, 65])
def test_every_proof_of_growth(size: int) -> None:
    entries = made(size)
    root = naive.tree(entries)
    for old in range(size + 1):
        proof = naive.proof(old, entries)
        assert parts(entries, merkle.growth(old, size)) == proof
        before = naive.tree(entries[:old])
        assert merkle.consistent(old, before, size, root, proof) == ""
        assert merkle.consistent(old, merkle.leaf(b"x"), size, root, proof) != ""
        assert merkle.consistent(old, before, size, root, [*proof, root]) != ""
        if old:  # every tree grew from nothing
            assert merkle.consistent(old, before, size, merkle.leaf(b"x"), proof) != ""
        if proof:
            assert merkle.consistent(old, before, size, root, proof[:-1]) != ""
            assert merkle.consistent(old, before, size, root, proof[1:]) != ""
            assert merkle.consistent(old, before, size, root, []) == "the proof is too short"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_proof_shows_its_own_entry_at_its_own_place_and_nothing_else(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 80))
    entries = made(size)
    index = data.draw(st.integers(0, size - 1))
    claimed, of = data.draw(st.integers(-1, 90)), data.draw(st.integers(0, 90))
    proof, root = naive.path(index, entries), naive.tree(entries)
    right = merkle.included(merkle.leaf(entries[index]), claimed, of, proof, root) == ""
    if not right:
        return
    # The same way up is taken from another place of another size: that is how the standard has it, and why
    # the size is signed with the root. Within one size a place has its own way.
    assert claimed == index or of != size


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_one_bit_changes_the_answer(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 60))
    entries = made(size)
    old = data.draw(st.integers(1, size - 1))
    proof, root, before = naive.proof(old, entries), naive.tree(entries), naive.tree(entries[:old])
    words = [before, root, *proof]
    at, bit = data.draw(st.integers(0, len(words) - 1)), data.draw(st.integers(0, 255))
    words[at] = (int.from_bytes(words[at], "big") ^ 1 << bit).to_bytes(32, "big")
    assert merkle.consistent(old, words[0], size, words[1], words[2:]) != ""


def test_two_histories_have_no_proof_between_them() -> None:
    """Whatever digests of both are put together."""
    ours, theirs = made(7), [*made(3), b"another", *made(7)[4:]]
    known = {naive.tree(e[a:b]) for e in (ours, theirs) for a in range(7) for b in range(a + 1, 8)}
    for old in (4, 5, 6):
        before, after = naive.tree(ours[:old]), naive.tree(theirs)
        wanted = len(merkle.growth(old, 7))
        for proof in itertools.islice(itertools.permutations(sorted(known), wanted), 20_000):
            assert merkle.consistent(old, before, 7, after, proof) != ""


@pytest.mark.parametrize(
    ("index", "size"), [(-1, 5), (5, 5), (0, 0), (0, merkle.MOST_LEAVES + 1), (6, 5)]
)
def test_places_that_are_none(index: int, size: int) -> None:
    assert "has no entry" in merkle.included(merkle.EMPTY, index, size, [], merkle.EMPTY)


def test_sizes_that_are_none() -> None:
    for old, size in ((-1, 5), (6, 5), (0, merkle.MOST_LEAVES + 1)):
        why = merkle.consistent(old, merkle.EMPTY, size, merkle.EMPTY, [])
        assert "does not begin with" in why


def test_digests_that_are_none() -> None:
    digest = merkle.leaf(b"0")
    wrong = "a digest is not 32 bytes"
    assert merkle.included(digest, 0, 2, [digest[:-1]], digest) == wrong
    assert merkle.included(digest[:-1], 0, 1, [], digest) == wrong
    assert merkle.included(digest, 0, 1, [], digest + b"\x00") == wrong
    assert merkle.consistent(1, digest, 2, digest, [b""]) == wrong
    assert merkle.consistent(1, b"", 2, digest, [digest]) == wrong
    assert merkle.consistent(0, merkle.EMPTY, 2, b"", []) == wrong


def test_what_needs_no_proof() -> None:
    digest, other = merkle.leaf(b"0"), merkle.leaf(b"1")
    assert merkle.consistent(0, merkle.EMPTY, 9, digest, []) == ""
    assert merkle.consistent(0, merkle.EMPTY, merkle.MOST_LEAVES, digest, []) == ""
    assert merkle.consistent(0, digest, 9, digest, []) == "a tree without entries has another root"
    assert merkle.consistent(9, digest, 9, digest, []) == ""
    assert "different roots" in merkle.consistent(9, digest, 9, other, [])
    assert merkle.consistent(9, digest, 9, digest, [digest]) == "the proof is too long"
    assert merkle.consistent(0, merkle.EMPTY, 0, digest, []) != ""


def test_long_proofs_end() -> None:
    """Nothing is hashed once the proof is longer than any tree is high."""
    digest = merkle.leaf(b"0")
    many = [digest] * 100_000
    assert merkle.included(digest, 0, merkle.MOST_LEAVES, many, digest) == "the proof is too long"
    assert merkle.consistent(5, digest, 8, digest, many) == "the proof is too long"


def test_perfect_trees_of_a_part() -> None:
    assert list(merkle.perfect(0, 7)) == [(2, 0), (1, 2), (0, 6)]
    assert list(merkle.perfect(4, 7)) == [(1, 2), (0, 6)]
    assert list(merkle.perfect(0, 0)) == []
    for start, end in itertools.combinations(range(40), 2):
        covered = [
            place
            for height, index in merkle.perfect(start, end)
            for place in range(index << height, (index + 1) << height)
        ]
        assert covered == list(range(start, end))
