"""Every simulated service set up right, with what its verifier needs: roots, endorsements, expectations."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from troth.channel.services.simulate import (
    contrast,
    dstack,
    evervault,
    flashbots,
    nitriding,
    oyster,
    ratls,
)
from troth.channel.services.simulate._guest import Guest
from troth.channel.services.simulate._nitro import Enclave
from troth.channel.services.simulate.dstack_guest import DstackGuest
from troth.channel.services.simulate.tinfoil import Enclave as TinfoilEnclave
from troth.model.channel import Binding
from troth.model.collateral import NONE, Collateral
from troth.platforms.dcap.simulate import DevelopmentPki
from troth.platforms.dcap.simulate_bodies import digest
from troth.platforms.nitro.simulate import DevelopmentPki as NitroPki
from troth.policy import Policy

Open = Callable[[], AbstractContextManager[Any]]
"""Starts the server; what it gives has its address as `url`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A service and its verifier's side.

    Attributes:
        serve: starts it.
        platform: of its evidence.
        registers: what a policy for it pins, in hex.
        channel: how firmly the protocol binds.
        roots: PEM.
        collateral: endorsements; empty where the platform has none.
        address: of the key that the running server signs answers with, where it is a wallet's.
    """

    serve: Open
    platform: str
    registers: Mapping[str, str]
    channel: Binding
    roots: bytes
    collateral: Collateral
    address: Callable[[Any], str] | None = None

    @property
    def policy(self) -> Policy:
        """What it should be, and the binding that it has."""
        values = {name: frozenset({value}) for name, value in self.registers.items()}
        return Policy(name="service", registers={self.platform: values}, channel=self.channel)


def _aci(now: datetime) -> Stage:
    from troth.channel.services.simulate.aci import Aci

    guest = Guest.create(now)
    return _on_tdx(lambda: Aci(guest=guest), guest.pki, guest.registers)


def _phala(now: datetime) -> Stage:
    from troth.channel.services.simulate.phala import Phala  # needs libsecp256k1

    guest = Guest.create(now)
    stage = _on_tdx(lambda: Phala(guest=guest), guest.pki, guest.registers)
    return replace(stage, address=lambda server: f"0x{server.address('ecdsa').hex()}")


def _tinfoil(now: datetime, version: int) -> Stage:
    pki = DevelopmentPki.create(now)
    quote = ratls.quoting(pki, tdx=True)
    return _on_tdx(lambda: TinfoilEnclave(quote, platform="tdx", version=version), pki)


def _dstack(now: datetime) -> Stage:
    guest = DstackGuest.create(now)
    registers = {name: value.hex() for name, value in guest.registers.items()}
    return _on_tdx(lambda: dstack.serve(guest, now), guest.pki, registers)


def _ratls(now: datetime) -> Stage:
    pki = DevelopmentPki.create(now)
    return _on_tdx(lambda: ratls.serve(ratls.shown(ratls.quoting(pki, tdx=True), now)), pki)


def _contrast(now: datetime) -> Stage:
    pki = DevelopmentPki.create(now)
    return _on_tdx(lambda: contrast.serve(ratls.quoting(pki, tdx=True), now), pki)


def _flashbots(now: datetime) -> Stage:
    pki = DevelopmentPki.create(now)
    quote = ratls.quoting(pki, tdx=True)
    return _on_tdx(lambda: flashbots.serve(quote, now), pki, channel=Binding.SESSION)


def _on_tdx(
    serve: Open,
    pki: DevelopmentPki,
    registers: Mapping[str, str] | None = None,
    channel: Binding = Binding.KEY,
) -> Stage:
    booted = {name: digest(name).hex() for name in ("mrtd", "rtmr0", "rtmr1", "rtmr2")}
    return Stage(
        serve=serve,
        platform="tdx",
        registers=booted if registers is None else registers,
        channel=channel,
        roots=pki.roots_pem(),
        collateral=pki.collateral(),
    )


def _on_nitro(
    serve: Callable[[Enclave], AbstractContextManager[Any]],
    now: datetime,
    channel: Binding = Binding.KEY,
) -> Stage:
    pki = NitroPki.create(now)
    enclave = Enclave.create(now, pki=pki)
    return Stage(
        serve=lambda: serve(enclave),
        platform="nitro",
        registers={f"pcr{index}": value.hex() for index, value in enclave.pcrs.items()},
        channel=channel,
        roots=pki.root_pem().encode("ascii"),
        collateral=NONE,
    )


STAGES: Final[Mapping[str, Callable[[datetime], Stage]]] = {
    "aci": _aci,
    "phala": _phala,
    "tinfoil-v2": lambda now: _tinfoil(now, 2),
    "tinfoil-v3": lambda now: _tinfoil(now, 3),
    "nitriding": lambda now: _on_nitro(lambda one: nitriding.serve(one, now), now),
    "evervault": lambda now: _on_nitro(lambda one: evervault.serve(one, now), now),
    "ratls": _ratls,
    "dstack": _dstack,
    "oyster": lambda now: _on_nitro(lambda one: oyster.serve(one, bytes(64)), now, Binding.NONE),
    "contrast": _contrast,
    "flashbots": _flashbots,
}
"""Name on the command line to what sets it up at an instant."""
