"""Services that attest themselves over the web, one module each: how they are asked, what they bind.

`SERVICES` is a frozen tuple in the order in which a host is asked. A module never decides: it says
which evidence was presented and what that must bind for this session and this nonce.
"""

from typing import Final

from troth.channel.services._asking import Asked, ask, read
from troth.channel.services._service import Found, Service

SERVICES: Final[tuple[Service, ...]] = ()

__all__ = ["SERVICES", "Asked", "Found", "Service", "ask", "read"]
