"""`troth run --publish`: what is no pair of ports is refused by name."""

import pytest

from troth.cli.run import _ports
from troth.errors import Misuse


def test_pairs() -> None:
    assert _ports([]) is None
    assert _ports(["8080:0", "9:65535"]) == {8080: 0, 9: 65535}


@pytest.mark.parametrize(
    "item",
    ["", "8080", ":1", "8080:", "a:1", "8080:65536", "²:1", "1:²", "-1:1", " 1:1", "1:999999"],
)
def test_what_is_none(item: str) -> None:
    with pytest.raises(Misuse, match="is not IMAGE_PORT:HOST_PORT"):
        _ports([item])
