"""Plain questions over HTTPS: no redirection is followed, nothing is endless, and http is for loopback alone.

Standard proxy variables are honoured. Nothing that decides may import this module.
"""

import http.client
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from troth.errors import Misuse, Unavailable
from troth.trust import until

LOOPBACK: Final = ("127.0.0.1", "::1")


class TooLargeError(OSError):
    """The answer is larger than any that we want."""


def read(answer: Any, *, limit: int, end: float) -> bytes:
    """The whole body of an answer.

    Args:
        answer: an open answer of `http.client`.
        limit: bytes that are read at most.
        end: the instant of `time.monotonic` at which it must be whole.

    Raises:
        OSError: it is too large or too slow, or ends early.
    """
    parts, size = [], 0
    while part := answer.read1(64 * 1024):
        parts.append(part)
        size += len(part)
        if size > limit:
            raise TooLargeError(f"more than {limit} bytes came")
        if time.monotonic() > end:
            raise TimeoutError("not whole in the time that it has")
    told = number(answer.headers.get("Content-Length"))
    if told is not None and told != size:
        raise http.client.IncompleteRead(b"", told - size)
    return b"".join(parts)


def hopeless(error: Exception) -> bool:
    """Whether asking again can't help."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return isinstance(cause, ssl.SSLCertVerificationError | TooLargeError)


def why(error: Exception) -> str:
    """What went wrong, in the words of whatever said it."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message}"
    if isinstance(cause, http.client.IncompleteRead):
        return f"the answer broke off, {cause.expected} bytes are missing"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause) or type(cause).__name__


def number(told: str | None) -> int | None:
    """A header's digits as a number, those past the ninth cut off; None where it is none."""
    digits = "" if told is None else told.strip()
    return int(digits[:9]) if digits.isascii() and digits.isdigit() else None


def opener(
    address: str, authority: Path | None = None, *, whole: float
) -> urllib.request.OpenerDirector:
    """Asks this address; answers other than 2xx are errors, and so are redirections.

    Args:
        address: checked already.
        authority: PEM file of the authority that the certificate must come from; None is the system's.
        whole: seconds in which an answer must be there, head and body, however steadily it drips.

    Raises:
        Unavailable: the authority cannot be used.
    """
    made = urllib.request.OpenerDirector()
    if urlsplit(address).hostname in LOOPBACK:
        made.add_handler(urllib.request.ProxyHandler({}))
    else:
        made.add_handler(urllib.request.ProxyHandler())
    try:
        context = ssl.create_default_context(cafile=authority)
    except (OSError, ssl.SSLError) as error:
        raise Unavailable(
            f"cannot use the authority in {authority}: {error.strerror or error}",
            fix="give the PEM file of the certificate that signed the PCCS's own",
        ) from None
    for handler in (
        until.Http(whole),
        until.Https(context, whole),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),  # no handler of redirections: they are errors
    ):
        made.add_handler(handler)
    return made


def checked(base: str, *, use: str) -> None:
    """Refuses a base address that would take a secret channel's place with an open one.

    Args:
        base: the address.
        use: what for, such as `asked for collateral`.

    Raises:
        Misuse: it is not https, or http on this machine's loopback, with a host and a path alone.
    """
    try:
        parts = urlsplit(base)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise Misuse(f"{base[:80]!r} is no address") from None
    plain = parts.scheme == "http" and host in LOOPBACK
    if not host or not (plain or parts.scheme == "https"):
        raise Misuse(
            f"{base[:80]!r} may not be {use}",
            fix="write https://HOST; http is for 127.0.0.1 alone",
        )
    plain_text = base.isascii() and base.isprintable() and " " not in base
    if parts.username is not None or parts.query or parts.fragment or not plain_text:
        raise Misuse(f"{base[:80]!r} is more than a host and a path")
