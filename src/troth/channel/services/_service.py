"""What an attested service is to us: how to ask it, and what its answer binds and leaves open."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from troth.channel.web import Web
from troth.model.channel import Binding
from troth.model.collateral import NONE, Collateral
from troth.model.composite import Composite
from troth.model.statement import Statement

UNSIGNED: Final = (
    "answers are not signed: that they are the enclave's is shown to you alone, by the channel"
)
"""What most protocols leave open about what the application says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a service presented to one question, taken apart. Nothing of it is believed.

    Attributes:
        service: name of the protocol, such as `tinfoil-v3`.
        composite: evidence; `user_data` and `nonce` of its parts are what this protocol must have had
            bound for *this* TLS key and *this* nonce, so that a match is a binding.
        binding: how firmly what is sent is tied to that evidence; see `troth.model.channel`.
        keys: keys that the evidence binds if it is accepted: role (`tls`, `hpke`, `e2ee`, `receipt`,
            `address`) to the bytes that the protocol has.
        nonce: what was asked with, or None where the protocol takes none.
        not_bound: what this protocol leaves open, one sentence each, for the report.
        statements: what the service says of itself beside the evidence, each with who says it.
        collateral: endorsements that came with it.
        raw: the answers as they came, by path, for bundles.
    """

    service: str
    composite: Composite
    binding: Binding
    keys: Mapping[str, bytes] = field(default_factory=dict)
    nonce: bytes | None = None
    not_bound: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()
    collateral: Collateral = NONE
    raw: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A protocol by which services attest themselves over the web.

    Attributes:
        name: on the command line.
        title: for people.
        ask: (an open connection, a nonce of 32 bytes) to what was presented; None if this host does
            not speak the protocol at all. Raises `Malformed` where it does and says nonsense.
        not_bound: what the protocol leaves open even when all goes well.
    """

    name: str
    title: str
    ask: Callable[[Web, bytes], Found | None]
    not_bound: tuple[str, ...]
