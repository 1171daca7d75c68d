"""The test server, for each test anew."""

from collections.abc import Iterator

import pytest
from tests.trust.server import Site, running


@pytest.fixture
def site() -> Iterator[Site]:
    with running() as found:
        yield found
