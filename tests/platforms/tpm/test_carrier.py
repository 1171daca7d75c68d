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
