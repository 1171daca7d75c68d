"""Which protocol does this host speak, and what did it present? The first that answers counts."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from troth.channel.services._service import Found, Service
from troth.channel.transcript import Recorded, Transcript, of
from troth.channel.web import SECONDS, Dialler, Web
from troth.errors import Malformed, Misuse, Unavailable

NONCE_SIZE: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A service that answered.

    Attributes:
        service: the protocol.
        found: what was presented.
        transcript: the answers as they came.
    """

    service: Service
    found: Found
    transcript: Transcript


def ask(
    url: str,
    services: Sequence[Service],
    *,
    only: str = "",
    seconds: float = SECONDS,
    dialler: Dialler | None = None,
) -> Asked:
    """Asks a host for its evidence, by each protocol in turn or by the one named.

    Args:
        url: origin of the service.
        services: the protocols to try, in order.
        only: name of one of them, or empty.
        seconds: for all of it.
        dialler: connects in place of TCP.

    Raises:
        Misuse: no such protocol.
        Malformed: it speaks one and says nonsense.
        Unavailable: nobody there, or it speaks none of these.
    """
    tried = [service for service in services if only in ("", service.name)]
    names = ", ".join(service.name for service in services)
    if not tried:
        raise Misuse(f"no service is called {only!r}; known are {names}")
    nonce = secrets.token_bytes(NONCE_SIZE)
    nonsense: list[Malformed] = []
    until = time.monotonic() + seconds
    for service in tried:
        left = until - time.monotonic()
        if left <= 0:
            raise Unavailable(f"{url} took too long to say what it is")
        with Web(url, seconds=left, dialler=dialler) as web:
            try:
                found = service.ask(web, nonce)
            except Malformed as error:
                # Many hosts answer any path with a page; what they speak may be the next one.
                nonsense.append(error)
                continue
            if found is not None:
                transcript = of(web, service=service.name, nonce=nonce)
                return Asked(service=service, found=_whole(found), transcript=transcript)
    if nonsense:
        raise nonsense[0]
    raise Unavailable(
        f"{url} attests itself by none of {names}",
        fix="check the address; name the protocol with `--service` where it stands at another path",
    )


def read(transcript: Transcript, services: Sequence[Service]) -> Asked:
    """What a transcript presented, taken apart anew.

    Raises:
        Malformed: it is of no protocol that is known, or does not hold what that protocol asks for.
    """
    for service in services:
        if service.name == transcript.service:
            try:
                found = service.ask(Recorded(transcript), transcript.nonce)
            except Unavailable as error:
                raise Malformed(str(error), field="transcript") from None
            if found is None:
                raise Malformed(f"holds no answer of {service.name}", field="transcript")
            return Asked(service=service, found=_whole(found), transcript=transcript)
    raise Malformed(f"is of {transcript.service!r}, which is unknown here", field="transcript")


def _whole(found: Found) -> Found:
    """Evidence that knows what it was asked with, so that it is fresh to nobody else, and on which way."""
    known = replace(found.composite, nonce=found.nonce or b"", channel=found.binding)
    return replace(found, composite=known)
