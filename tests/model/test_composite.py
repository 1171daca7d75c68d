"""Parts that lean on each other: a key's voucher is vouched for by somebody else in the end."""

import pytest

from troth.errors import Misuse
from troth.model.composite import Composite, Part


def part(name: str, voucher: str = "") -> Part:
    return Part(
        name=name,
        evidence=b"",
        says="",
        user_data=bytes(64),
        key="ab" * 32 if voucher else "",
        key_in=voucher,
    )


@pytest.mark.parametrize("names", ["ab", "abc", "abcdefgh"])
def test_a_circle_of_vouchers_vouches_for_nothing(names: str) -> None:
    circle = tuple(part(name, names[i - 1]) for i, name in enumerate(names))
    for parts in (circle, (part("lead"), *circle), (*circle, part("led", names[0]))):
        with pytest.raises(Misuse, match="vouches for itself through others"):
            Composite(parts=parts)
    chain = tuple(part(name, names[i - 1] if i else "") for i, name in enumerate(names))
    assert len(Composite(parts=chain).parts) == len(names)
