"""Talk to what was verified: attested TLS, bound to the session."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from troth.channel.http import Connection
    from troth.model.roots import Root
    from troth.policy import Policy


def connect(
    url: str,
    *,
    policy: "Policy",
    trust: "Sequence[Root]" = (),
    at: Callable[[], datetime] | None = None,
) -> "Connection":
    """Connects to an enclave and verifies it, before any byte of a request leaves.

    Args:
        url: `https://host:port`; a path in it is ignored, requests name their own.
        policy: what is required of the evidence.
        trust: roots beside the vendors', such as a simulator's.
        at: the clock that evidence is judged by; this machine's where none is given.

    Returns:
        A connection with the verdict in it; `.request("GET", "/path")` asks the application.

    Raises:
        Rejected, Undecided: the evidence is not what the policy wants, or not of this session.
        Malformed, Unavailable, Misuse: no attested channel there, nobody there, or no such address.
    """
    # Imported here, because the enclave's end needs only the small modules beside this one.
    from troth.channel import client, dial
    from troth.channel.http import Connection

    target = dial.parse(url)
    stream = client.connect(
        target.dialler(), policy=policy, trust=trust, at=at or client.now, name=target.authority
    )
    return Connection(stream, target.authority)
