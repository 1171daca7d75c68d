"""Development authorities and one device of each architecture, made once."""

import importlib.util

import pytest
from tests.platforms.nvidia.made import ANSWERED, START

from troth.model.collateral import Collateral
from troth.platforms.nvidia.device import BLACKWELL, HOPPER, LS10
from troth.platforms.nvidia.simulate import Device, collateral
from troth.platforms.nvidia.simulate_pki import DevelopmentPki


@pytest.fixture(scope="session")
def xml() -> None:
    """The libraries of the extra `gpu`, which read RIM documents."""
    for name in ("lxml", "signxml"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed (pip install 'troth[gpu]')")


@pytest.fixture(scope="session")
def pki() -> DevelopmentPki:
    return DevelopmentPki.create(START)


@pytest.fixture(scope="session")
def hopper(pki: DevelopmentPki) -> Device:
    return Device.create(pki, HOPPER, START)


@pytest.fixture(scope="session")
def blackwell(pki: DevelopmentPki) -> Device:
    return Device.create(pki, BLACKWELL, START)


@pytest.fixture(scope="session")
def switch(pki: DevelopmentPki) -> Device:
    return Device.create(pki, LS10, START)


@pytest.fixture(scope="session")
def devices(hopper: Device, blackwell: Device, switch: Device) -> dict[str, Device]:
    return {HOPPER: hopper, BLACKWELL: blackwell, LS10: switch}


@pytest.fixture(scope="session")
def held(devices: dict[str, Device], xml: None) -> Collateral:
    """All that a verifier needs for the three devices, in one object."""
    assert xml is None  # asked for, so that this is skipped without the libraries
    return collateral(devices.values(), ANSWERED)
