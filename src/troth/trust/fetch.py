"""Sends requests for collateral to its vendors' servers, and makes items of the answers.

Intel's PCS or a PCCS, AMD's KDS, NVIDIA's RIM service and OCSP responder, key sets of tokens.

Over HTTPS alone, but for this machine's own loopback; redirections are not followed. Standard proxy
variables are honoured. Nothing that decides may import this module.

Does not verify: signatures. An answer that is no answer to the request is refused here, all the rest
by the platforms.
"""

import http.client
import io
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from troth import _version
from troth.errors import Malformed, Misuse, Unavailable
from troth.model.collateral import Item, Kind, Request
from troth.platforms.nvidia import collateral as nvidia
from troth.platforms.tokens import collateral as tokens
from troth.trust import asking, served, stated
from troth.wire import json as strict
from troth.wire import x509

PCS: Final = "https://api.trustedservices.intel.com"
CERTIFICATES: Final = "https://certificates.trustedservices.intel.com"
KDS: Final = "https://kdsintf.amd.com"
RIM: Final = nvidia.RIM
OCSP: Final = nvidia.OCSP
MAX_BODY: Final = 4 * 1024 * 1024
_ROOT_CRL_AT_PCCS: Final = "/sgx/certification/v4/rootcacrl"
_FIRST: Final = timedelta(seconds=1)
_LIMITED: Final = timedelta(seconds=5)  # AMD's service gives one certificate in about ten seconds
_BUSY: Final = frozenset({429, 500, 502, 503, 504})
_GONE: Final = frozenset({404, 410})
_DOCUMENTS: Final = frozenset(
    {
        *(Kind.INTEL_TCB_INFO, Kind.INTEL_QE_IDENTITY, Kind.INTEL_EVALUATION_NUMBERS),
        Kind.NVIDIA_RIM,
    }
)
_KEY_SETS: Final = frozenset(tokens.BY_KIND)
_NONCE: Final = 32  # RFC 9654 asks for no more


class NotServed(Unavailable):
    """The server answers, and has nothing for this request now.

    Attributes:
        again: how long to wait before the same is asked again.
    """

    def __init__(self, message: str, *, fix: str, again: timedelta) -> None:
        super().__init__(message, fix=fix)
        self.again = again


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Whom to ask in place of the vendors' own servers.

    Attributes:
        pcs: base address of Intel's PCS, or of one that speaks like it, also for the root CRL.
        pccs: base address of a PCCS, which is then asked for all that is Intel's.
        authority: PEM file of the authority that signed the certificate of that PCCS.
        kds: base address of AMD's KDS.
        rim: base address of NVIDIA's service of RIM documents.
        ocsp: base address of NVIDIA's OCSP responder.
        tokens: base address in place of the services that sign tokens, which are folders of it by their
            names; empty asks each at its own.
    """

    pcs: str = PCS
    pccs: str = ""
    authority: Path | None = None
    kds: str = KDS
    rim: str = RIM
    ocsp: str = OCSP
    tokens: str = ""

    def __post_init__(self) -> None:
        bases = (self.pcs, self.pccs, self.kds, self.rim, self.ocsp, self.tokens)
        for base in filter(None, bases):
            asking.checked(base, use="asked for collateral")
        if self.authority is not None and not self.pccs:
            raise Misuse("an authority's file is for a PCCS", fix="name the PCCS too")

    def address(self, request: Request) -> str:
        """Where this request goes.

        Raises:
            Misuse: it is for a server that is none of these.
        """
        parts = urlsplit(request.url)
        rest = parts.path + (f"?{parts.query}" if parts.query else "")
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin == KDS:
            return self.kds.rstrip("/") + rest
        if origin == RIM:
            return self.rim.rstrip("/") + rest
        if origin == OCSP:
            return self.ocsp.rstrip("/")  # what is asked goes into the body, with a nonce
        if request.kind in _KEY_SETS and tokens.is_address(request.url):
            return f"{self.tokens.rstrip('/')}/{parts.netloc}{rest}" if self.tokens else request.url
        if origin not in (PCS, CERTIFICATES):
            raise Misuse(f"{origin} is none of the vendors' servers")
        if self.pccs:
            rest = _ROOT_CRL_AT_PCCS if request.kind is Kind.INTEL_ROOT_CRL else rest
            return self.pccs.rstrip("/") + rest
        return request.url if self.pcs == PCS else self.pcs.rstrip("/") + rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to try.

    Attributes:
        attempts: how often one request is sent at most.
        wait: the longest pause between two attempts; a server that asks for more gets no second one.
        timeout: for a connection, and for each read.
        whole: for one answer.
    """

    attempts: int = 4
    wait: timedelta = timedelta(seconds=30)
    timeout: timedelta = timedelta(seconds=15)
    whole: timedelta = timedelta(seconds=60)


def fetch(
    request: Request,
    *,
    servers: Servers,
    patience: Patience | None = None,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Item:
    """Asks for one endorsement.

    Args:
        request: what.
        servers: whom.
        patience: how long.
        sleep: waits for that many seconds.
        now: the clock, for `fetched_at` and for dates in `Retry-After`.

    Raises:
        NotServed: the server has no such thing, or is too busy for our patience.
        Unavailable: no answer, or one that is no answer to this.
        Misuse: an address that may not be asked.
    """
    patience = patience or Patience()
    address = servers.address(request)
    authority = servers.authority if servers.pccs else None
    opener = asking.opener(address, authority, whole=patience.whole.total_seconds())
    nonce = secrets.token_bytes(_NONCE) if request.kind is Kind.NVIDIA_OCSP else b""
    for attempt in range(1, patience.attempts + 1):
        try:
            body, headers = _ask(opener, address, request, patience, nonce)
        except urllib.error.HTTPError as error:
            error.close()
            first = _LIMITED if error.code == 429 else _FIRST
            pause = _pause(error.headers, attempt, now(), first=first)
            if error.code in _GONE:
                raise NotServed(
                    f"{address} has no {request.kind} ({error.code})",
                    fix="check that the platform is known to this server; a PCCS may have to be filled",
                    again=timedelta(hours=1),
                ) from None
            if error.code not in _BUSY:
                raise Unavailable(
                    f"{address} answered {error.code} {error.reason}",
                    fix="check the address of the server; redirections are not followed",
                ) from None
            if attempt == patience.attempts or pause > patience.wait:
                raise NotServed(
                    f"{address} answered {error.code}, {attempt} times; it asks to wait "
                    f"{pause.total_seconds():.0f} s",
                    fix="try again later, or use a cache of your own (--pccs)",
                    again=pause,
                ) from None
        except (OSError, http.client.HTTPException) as error:
            if attempt == patience.attempts or asking.hopeless(error):
                raise Unavailable(
                    f"cannot reach {address}: {asking.why(error)}",
                    fix="check the network and the proxy variables; collateral frozen elsewhere with "
                    "`troth trust freeze` needs neither",
                ) from None
            pause = _pause(None, attempt, now(), first=_FIRST)
        else:
            return _item(request, address, (body, headers), now(), nonce)
        sleep(pause.total_seconds())
    raise Misuse("patience for no attempt at all")


def _ask(
    opener: urllib.request.OpenerDirector,
    address: str,
    request: Request,
    patience: Patience,
    nonce: bytes,
) -> tuple[bytes, Message]:
    headers = {"User-Agent": f"troth/{_version.__version__}"}
    sent = None
    if nonce:
        from troth.platforms.nvidia import ocsp

        sent = ocsp.with_nonce(nvidia.asked(urlsplit(request.url).path), nonce)
        headers["Content-Type"] = "application/ocsp-request"
    if request.accept:
        headers["Accept"] = request.accept
    asked = urllib.request.Request(  # noqa: S310 - checked in `Servers`
        address, data=sent, headers=headers
    )
    end = time.monotonic() + patience.whole.total_seconds()
    with opener.open(asked, timeout=patience.timeout.total_seconds()) as answer:
        if answer.status != 200:
            raise urllib.error.HTTPError(
                address, answer.status, answer.reason, answer.headers, io.BytesIO()
            )
        return asking.read(answer, limit=MAX_BODY, end=end), answer.headers


def _pause(headers: Message | None, attempt: int, at: datetime, *, first: timedelta) -> timedelta:
    """What the server asks for (RFC 9110, 10.2.3), or `first`, then twice that, and so on."""
    told = headers.get("Retry-After") if headers is not None else None
    if told is not None:
        seconds = asking.number(told)
        if seconds is not None:
            return timedelta(seconds=min(seconds, 7 * 86400))
        try:
            until = parsedate_to_datetime(told)
            if until.tzinfo is not None:
                return min(max(until - at, timedelta()), timedelta(days=7))
        except (ValueError, TypeError, IndexError, OverflowError):
            pass
    return first * (1 << (attempt - 1))


def _item(
    request: Request, address: str, answer: tuple[bytes, Message], at: datetime, nonce: bytes
) -> Item:
    """The answer as an item, if it is one to this request."""
    body, headers = answer
    try:
        if request.kind in _DOCUMENTS:
            value = strict.parse(body, field="answer", limit=MAX_BODY)
            found = served.document(value if isinstance(value, dict) else {}, body, name="answer")
        elif request.kind in _KEY_SETS:
            found = Item(kind=request.kind, data=body)
        else:
            found = served.item(body, name="answer")
        found = replace(
            found,
            chain=_chain(request, headers),
            early=request.early,
            source=address,
            fetched_at=at.replace(microsecond=0),
        )
        wrong = stated.fits(found, request) or _not_echoed(found, nonce)
    except Malformed as error:
        wrong = f"cannot be read: {error}"
    if wrong:
        raise Unavailable(
            f"{address} did not answer with what was asked for: it {wrong}",
            fix="check the address of the server; a proxy may have answered in its place",
        )
    return found


def _not_echoed(item: Item, nonce: bytes) -> str:
    if not nonce:
        return ""
    from troth.platforms.nvidia import ocsp

    return "" if ocsp.echoes(item.data, nonce) else "does not echo the nonce, so it may be old"


def _chain(request: Request, headers: Message) -> bytes:
    if request.chain_header is None:
        return b""
    # Version 3 of the interface, and caches that speak it, say so with a prefix.
    for name in (request.chain_header, f"SGX-{request.chain_header}"):
        text = headers.get(name)
        if text is not None:
            pem = unquote_to_bytes(text)
            for der in x509.read_pem(pem, field=name):
                x509.read(der)
            return pem
    raise Malformed("is missing", field=request.chain_header)
