"""OCSP answers, and whether a changed one still counts for the certificate that it was about."""

from collections.abc import Iterable
from itertools import pairwise

from fuzz.simulated import NOW, device_cases, devices
from fuzz.target import Target, must
from troth.crypto import issued
from troth.model.collateral import Kind
from troth.platforms.nvidia import ocsp


def _run(data: bytes) -> None:
    answer = ocsp.read(data)
    for device in devices():
        chain = [issued.read(member.der) for member in device.chain]
        for certificate, issuer in pairwise(chain):
            counts = not ocsp.trouble(data, issuer.der, NOW)
            if counts and answer.is_about(certificate, issuer):
                must(answer.status is ocsp.Status.GOOD, "a status that nobody signed")


def _seeds() -> Iterable[bytes]:
    items = device_cases()[0].collateral.items
    yield from (item.data for item in items if item.kind is Kind.NVIDIA_OCSP)


TARGET = Target(run=_run, seeds=_seeds, words=(b"\x80\0", b"\x82\0", b"\x0a\1\0"))
