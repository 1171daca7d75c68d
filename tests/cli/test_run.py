"""What `troth run` takes: every ground there is, pairs of ports, and whatever else by name."""

from typing import get_args, get_type_hints

import pytest

from troth.cli import _kernel
from troth.cli.run import _ports, run
from troth.cli.up import up
from troth.errors import Misuse
from troth.image.recipe import KERNELS
from troth.runtime import grounds


def test_each_ground_and_each_kernel_can_be_named() -> None:
    grounds_of = {f: get_args(get_type_hints(f)["on"]) for f in (run, up)}
    assert grounds_of[run] == tuple(grounds.KINDS)
    assert set(grounds_of[up]) == set(grounds.KINDS) - {"nitro"}
    assert get_args(_kernel.Name) == tuple(KERNELS)


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
