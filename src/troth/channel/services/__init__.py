"""Services that attest themselves over the web, one module each: how they are asked, what they bind.

`SERVICES` is a frozen tuple in the order in which a host is asked. A module never decides: it says
which evidence was presented and what that must bind for this session and this nonce.
"""

from typing import Final

from troth.channel.services import (
    aci,
    contrast,
    dstack,
    evervault,
    flashbots,
    nitriding,
    oyster,
    phala,
    ratls,
    tinfoil,
)
from troth.channel.services._asking import Asked, ask, read
from troth.channel.services._service import Found, Service

# What a certificate or one question of its own shows comes first; those that shake hands for a protocol
# of theirs come last, since other servers may think ill of it.
SERVICES: Final[tuple[Service, ...]] = (
    aci.SERVICE,
    phala.SERVICE,
    tinfoil.SERVICE,
    nitriding.SERVICE,
    evervault.SERVICE,
    ratls.SERVICE,
    dstack.SERVICE,
    oyster.SERVICE,
    contrast.SERVICE,
    flashbots.SERVICE,
)

__all__ = ["SERVICES", "Asked", "Found", "Service", "ask", "read"]
