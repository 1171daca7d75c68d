"""Certificates of devices that read well and hold what breaks others: no key, a number below zero."""

import base64

import pytest
from tests.platforms.nvidia.made import ANSWERED, NONCE, START, failing, judged
from tests.wire.der import children, der, rebuilt

from troth.errors import Malformed
from troth.model.report import Verdict
from troth.platforms.nvidia.collateral import requests
from troth.platforms.nvidia.device import HOPPER
from troth.platforms.nvidia.format import parse
from troth.platforms.nvidia.simulate import Device, collateral
from troth.platforms.nvidia.simulate_pki import DevelopmentPki
from troth.wire import x509

# Places of a certificate's fields behind version: number and key.
_SERIAL, _KEY = 1, 6


@pytest.fixture(scope="module")
def device() -> Device:
    pytest.importorskip("signxml", reason="pip install 'troth[gpu]'")
    return Device.create(DevelopmentPki.create(START), HOPPER, START)


def with_field(device: Device, place: int, field: int, value: bytes) -> bytes:
    """The device's evidence with one certificate's field changed, under its old signature."""
    ders = [member.der for member in device.chain]
    tbs, *rest = children(ders[place])
    fields = children(tbs)
    fields[field] = value
    ders[place] = rebuilt(0x30, [rebuilt(0x30, fields), *rest])
    assert x509.read(ders[place])
    lines = [base64.encodebytes(one) for one in ders]
    pem = [b"-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n" % one for one in lines]
    return device.report(NONCE) + b"".join(pem)


def test_an_authority_without_a_key_is_refused_and_is_no_error_of_ours(device: Device) -> None:
    """An OCSP answer about what it issued names its key by a hash, which is then of nothing."""
    evidence = with_field(device, 2, _KEY, b"\x30\0")
    report = judged(device, collateral([device], ANSWERED), evidence=evidence)
    assert report.verdict is Verdict.REJECTED
    assert "G102" in failing(report)
    with pytest.raises(Malformed):
        requests(parse(evidence))


@pytest.mark.parametrize("place", [0, 1, 2, 3, 4])
def test_a_certificate_whose_number_is_negative(device: Device, place: int) -> None:
    evidence = with_field(device, place, _SERIAL, der(0x02, b"\x80\1"))
    report = judged(device, collateral([device], ANSWERED), evidence=evidence)
    assert report.verdict is Verdict.REJECTED
    if place in (0, 4):  # the device's own, and the root: nobody is asked about either
        assert len(requests(parse(evidence))) == 5
    else:
        with pytest.raises(Malformed, match="is negative"):
            requests(parse(evidence))
