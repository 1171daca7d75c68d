"""Every single bit of one accepted quote of each kind: none may be accepted.

Nothing is left out: the key's certificates are in the evidence, the root is pinned whole (or must have
signed itself), and the public area is named by the quote.
"""

from dataclasses import replace

import pytest
from tests.platforms.snp.made import flipped
from tests.platforms.tpm import made
from tests.platforms.tpm.made import AT, NONCE

import troth
from troth.errors import TrothError
from troth.model.collateral import Collateral
from troth.platforms.tpm.simulate import SimulatedTpm
from troth.wire import tpm


def quote(kind: str) -> tuple[bytes, tuple[troth.model.roots.Root, ...]]:
    """Evidence of a kind, and the roots that count."""
    scheme = {"rsassa": tpm.RSASSA, "rsapss": tpm.RSAPSS, "ecdsa": tpm.ECDSA}[
        kind.split(maxsplit=1)[0]
    ]
    machine: SimulatedTpm = made.booted(scheme)
    if kind.endswith("named"):
        return machine.evidence(NONCE, public=False), (made.trusted_ak(machine),)
    cloud = kind.split()[1]
    chain: tuple[bytes, ...] = (made.certificate(cloud, scheme),)
    if kind == WHOLE:
        chain += made.pki(cloud).chain
    return machine.evidence(NONCE, certificates=chain), (made.pki(cloud).trusted(),)


WHOLE = "rsassa azure"  # the one with all of its authorities in the evidence
NAMED = ("rsassa named", "ecdsa named")
CERTIFIED = (WHOLE, "rsapss google", "ecdsa azure")


def held(data: bytes) -> Collateral:
    """The authorities, where the evidence does not bring them."""
    if data.count(b"virtual TPM root") > 1:
        return Collateral()
    return made.pki("google").collateral() + made.pki("azure").collateral()


def accepted(data: bytes, roots: tuple[troth.model.roots.Root, ...], policy: troth.Policy) -> bool:
    try:
        troth.verify(data, policy=policy, at=AT, nonce=NONCE, trust=roots, collateral=held(data))
    except TrothError:
        return False
    return True


def survivors(kind: str, *, start: int = 0, key_alone: bool = False) -> list[int]:
    data, roots = quote(kind)
    if key_alone:  # a root of which only the key is pinned
        roots = tuple(replace(root, sha256="00" * 32) for root in roots)
    policy = made.policy(data)
    assert accepted(data, roots, policy)
    bits = range(8 * start, 8 * len(data))
    return [bit for bit in bits if accepted(flipped(data, bit), roots, policy)]


@pytest.mark.parametrize("kind", NAMED)
def test_no_single_bit_may_be_another(kind: str) -> None:
    assert survivors(kind) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", CERTIFIED)
def test_no_single_bit_may_be_another_with_certificates(kind: str) -> None:
    assert survivors(kind) == []


def test_no_bit_of_a_root_whose_key_is_pinned() -> None:
    data, _ = quote(WHOLE)
    assert survivors(WHOLE, start=data.find(made.pki().chain[1]), key_alone=True) == []


@pytest.mark.parametrize("kind", NAMED + CERTIFIED)
def test_no_truncation_and_no_byte_more(kind: str) -> None:
    data, roots = quote(kind)
    policy = made.policy(data)
    assert not any(accepted(data[:size], roots, policy) for size in range(len(data)))
    assert not accepted(data + b"\0", roots, policy)
