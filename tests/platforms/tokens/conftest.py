"""One simulated service of each kind, made once: RSA keys take their time."""

import pytest
from tests.platforms.tokens.made import START

from troth.platforms.tokens.simulate import NAMES, Service


@pytest.fixture(scope="session")
def services() -> dict[str, Service]:
    return {name: Service.create(name, START) for name in NAMES}
