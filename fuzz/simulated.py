"""What the simulators make, once in a process: the seeds that every machine has."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa

from troth.model.collateral import Collateral
from troth.model.roots import Root
from troth.platforms import detect
from troth.platforms.dcap.simulate import DevelopmentPki as Intel
from troth.platforms.dcap.simulate import QuoteKind
from troth.platforms.nitro.simulate import DevelopmentPki as Aws
from troth.platforms.nitro.simulate import SimulatedNsm
from troth.platforms.nvidia.simulate import Device
from troth.platforms.nvidia.simulate import collateral as values
from troth.platforms.nvidia.simulate_pki import DevelopmentPki as Nvidia
from troth.platforms.snp.product import Product
from troth.platforms.snp.simulate import DevelopmentPki as Amd
from troth.platforms.snp.simulate import Keys, Processor, extended
from troth.policy import Policy
from troth.wire import cbor

NOW = datetime(2026, 11, 23, 3, 10, tzinfo=UTC)
NONCE = bytes(range(64))
IMAGE = {0: b"\x01" * 48, 1: b"\x02" * 48, 2: b"\x03" * 48}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Evidence with the question to which it is a good answer."""

    evidence: bytes
    roots: tuple[Root, ...]
    collateral: Collateral
    nonce: bytes


@cache
def nitro_case() -> Case:
    """A Nitro document."""
    pki = Aws.create(NOW - timedelta(hours=1))
    module = SimulatedNsm(pki, IMAGE, "i-0123456789abcdef0", lambda: NOW)
    request = {"Attestation": {"public_key": b"key", "user_data": b"data", "nonce": NONCE}}
    reply = cbor.decode(module.request(cbor.encode(request)), field="reply")
    return Case(
        evidence=reply["Attestation"]["document"],
        roots=(pki.root(),),
        collateral=Collateral(items=()),
        nonce=NONCE,
    )


@cache
def intel() -> Intel:
    """Whoever plays Intel."""
    return Intel.create(NOW)


@cache
def quote_cases() -> tuple[Case, ...]:
    """A quote of each kind."""
    pki = intel()
    return tuple(
        Case(
            evidence=pki.quote(kind, fields={"reportdata": NONCE}),
            roots=pki.roots(),
            collateral=pki.collateral(),
            nonce=NONCE,
        )
        for kind in QuoteKind
    )


@cache
def _amd_keys() -> Keys:
    # One key for all three: making one takes a second, and no property here is about them.
    key = rsa.generate_private_key(public_exponent=65537, key_size=4096)
    return Keys(ark=key, ask=key, asvk=key)


@cache
def processor(product: Product, csp: str = "") -> Processor:
    """A secure processor whose key its own authorities endorse."""
    start = NOW - timedelta(days=100)
    pki = Amd.create(product, start, keys=_amd_keys())
    return Processor.create(pki, start, csp=csp)


@cache
def report_cases() -> tuple[Case, ...]:
    """SNP reports of several products and versions, with and without the host's table behind them."""
    made = ((Product.MILAN, 2), (Product.GENOA, 3), (Product.TURIN, 5))
    return tuple(case for product, version in made for case in _reports(product, version))


def _reports(product: Product, version: int) -> tuple[Case, Case]:
    chip = processor(product)
    report = chip.report(report_data=NONCE, measurement=b"\x5a" * 48, version=version)
    alone = Case(
        evidence=report,
        roots=(chip.pki.root(),),
        collateral=chip.collateral(NOW - timedelta(days=3)),
        nonce=NONCE,
    )
    return alone, replace(alone, evidence=extended(report, chip.table()))


@cache
def devices() -> tuple[Device, ...]:
    """A GPU of each architecture, and a switch."""
    start = NOW - timedelta(days=100)
    pki = Nvidia.create(start)
    return tuple(Device.create(pki, name, start) for name in ("hopper", "blackwell", "ls10"))


@cache
def device_cases() -> tuple[Case, ...]:
    """A report of each device with its certificates."""
    held = values(devices(), NOW - timedelta(hours=1))
    return tuple(
        Case(
            evidence=device.evidence(NONCE[:32]),
            roots=device.pki.roots(),
            collateral=held,
            nonce=NONCE[:32],
        )
        for device in devices()
    )


def pinned(evidence: bytes) -> Policy:
    """The policy that names what this evidence measures."""
    found = detect(evidence)
    assert found is not None  # noqa: S101 - it is a simulator's
    platform, bare, _ = found
    claims = platform.claims(platform.parse(bare), None)
    registers = {name: frozenset({claims.registers[name]}) for name in claims.identity}
    return Policy(name="pinned", registers={platform.name: registers})
