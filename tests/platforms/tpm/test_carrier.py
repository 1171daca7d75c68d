"""Others' carriers of quotes, where a form is refused before anything of a TPM's is looked at."""

import pytest

from troth.errors import Malformed
from troth.platforms.tpm import carrier


def test_a_register_twice_and_one_too_many() -> None:
    one = b"\x08\x04\x12\x01\xaa"
    assert carrier._entries((one,)) == {4: b"\xaa"}
    for entries in ((one, one), (b"\x08\x18\x12\x01\xaa",)):
        with pytest.raises(Malformed, match="has the index"):
            carrier._entries(entries)


@pytest.mark.parametrize("count", [0, 23, 25, 1 << 63])
def test_a_quote_of_other_than_all_registers(count: int) -> None:
    """Registers follow until the end: a reader that took the count's word would read what is there."""
    head = b"".join(len(part).to_bytes(8, "little") + part for part in (bytes(256), bytes(64)))
    data = head + count.to_bytes(8, "little") + bytes(32 * min(count, 25))
    with pytest.raises(Malformed, match=f"registers.*are {count}, should be 24"):
        carrier.bincode(data, ak=b"")


@pytest.mark.parametrize(("place", "size"), [(0, 513), (0, 1 << 63), (1, 4097)])
def test_a_quote_with_lengths_that_no_tpm_has(place: int, size: int) -> None:
    parts = [bytes(256), bytes(64)]
    parts[place] = bytes(min(size, 5000))
    sizes = [size if at == place else len(part) for at, part in enumerate(parts)]
    data = b"".join(n.to_bytes(8, "little") + p for n, p in zip(sizes, parts, strict=True))
    with pytest.raises(Malformed, match=f"size.*is {size}, at most"):
        carrier.bincode(data + (24).to_bytes(8, "little") + bytes(32 * 24), ak=b"")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("AB==", "is not canonical base64"),
        ("A===", "is not base64"),
        ("AAA", "is not base64"),
        ("AAAA\n", "is not base64"),
        (7, "is no text"),
    ],
)
def test_base64_has_one_form(text: object, words: str) -> None:
    assert carrier.base64_in({"x": "AA=="}, "x") == b"\0"
    with pytest.raises(Malformed, match=words):
        carrier.base64_in({"x": text}, "x")
