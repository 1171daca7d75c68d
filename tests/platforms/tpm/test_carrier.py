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
