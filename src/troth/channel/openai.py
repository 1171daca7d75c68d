"""A drop-in for the `openai` package: verified first, pinned, encrypted where that is had, answers checked.

    client = troth.openai("https://api.example.com/v1", policy=policy, api_key=key)
    client.chat.completions.create(model=…, messages=[…])

What comes back is `openai.OpenAI` itself over a transport of ours, so everything that it can do works,
streams and `with_options` too. Needs the extra `openai`, loaded when asked for.
"""

import asyncio
import contextlib
import ssl
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from troth.errors import Misuse, TrothError, Unavailable

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

    from troth.channel.inference import Inference, Reply
    from troth.channel.manners import Request
    from troth.model.collateral import Collateral
    from troth.model.roots import Root
    from troth.policy import Policy

# The connection's own, and what the transport decides itself.
_OURS: Final = frozenset(
    {
        *("host", "connection", "content-length", "transfer-encoding", "accept-encoding"),
        *("keep-alive", "te", "trailer", "upgrade", "expect"),
    }
)
_END: Final = object()
_REMEMBERED: Final = 64
# The library dials websockets itself, past any transport. No name ends so (RFC 2606), so that none is.
_NOWHERE: Final = "wss://websockets-go-past-what-was-verified.invalid"


def openai(
    base_url: str,
    *,
    policy: "Policy",
    api_key: str | None = None,
    trust: "Sequence[Root]" = (),
    collateral: "Collateral | None" = None,
    service: str = "",
    encrypt: bool = True,
    authorities: ssl.SSLContext | None = None,
    keep: Path | None = None,
    at: Callable[[], datetime] | None = None,
    **client: Any,
) -> "OpenAI":
    """Verifies a service, and gives a client that talks to what was verified alone.

    Before this returns, the service's evidence was accepted; nothing else was sent. Each answer is
    checked by its receipt or signature where the service gives any: an answer that does not count raises
    `AnswerRefused` in place of its value, a stream before its end mark. Pieces of a stream that came
    before that are not to be used. Evidence is asked for anew once it is as old as the policy allows.

    Args:
        base_url: as for `openai.OpenAI`; `/v1` where it names no path.
        policy: what is required. `policy.channel` says how firmly the way must be tied to the evidence:
            most AI services bind a key and no session, so it has to be `key`.
        api_key: the service's own, or from the environment as `openai` has it.
        trust: roots beside the vendors', such as a simulator's.
        collateral: endorsements, where the platform needs any.
        service: name of the protocol, where the host speaks several.
        encrypt: whether contents are encrypted to the workload where it takes that (ACI).
        authorities: who must vouch for the host's certificate where evidence names no TLS key; this
            machine's own if not given. Whoever ends TLS then has the API key, and never the contents.
        keep: folder for the evidence (a bundle) and each answer's receipt.
        at: the clock that evidence is judged by.
        client: whatever else `openai.OpenAI` takes, but for `http_client` and `websocket_base_url`:
            what the library does by websockets (its `connect`) would go past what was verified, and
            finds no host.

    Returns:
        The client; its attribute `attested` is the `Inference` behind it, with the verdict, what is left
        open, and the newest proofs.

    Raises:
        Rejected, Undecided: the evidence is not what the policy wants.
        Malformed, Misuse, Unavailable: the host attests itself in no known way, or is not there; or the
            extra `openai` is not installed.
    """
    made: OpenAI = _client(
        base_url,
        asynchronous=False,
        api_key=api_key,
        client=client,
        policy=policy,
        trust=trust,
        collateral=collateral,
        service=service,
        encrypt=encrypt,
        authorities=authorities,
        keep=keep,
        at=at,
    )
    return made


def async_openai(
    base_url: str,
    *,
    policy: "Policy",
    api_key: str | None = None,
    trust: "Sequence[Root]" = (),
    collateral: "Collateral | None" = None,
    service: str = "",
    encrypt: bool = True,
    authorities: ssl.SSLContext | None = None,
    keep: Path | None = None,
    at: Callable[[], datetime] | None = None,
    **client: Any,
) -> "AsyncOpenAI":
    """`openai` for asyncio: the same, with each request on a thread. It verifies before it returns."""
    made: AsyncOpenAI = _client(
        base_url,
        asynchronous=True,
        api_key=api_key,
        client=client,
        policy=policy,
        trust=trust,
        collateral=collateral,
        service=service,
        encrypt=encrypt,
        authorities=authorities,
        keep=keep,
        at=at,
    )
    return made


def _client(
    base_url: str,
    *,
    asynchronous: bool,
    api_key: str | None,
    client: Mapping[str, Any],
    **settings: Any,
) -> Any:
    """Verifies, then makes the library's client over a transport to what was verified."""
    library, http = _libraries()
    inference = _inference(base_url, **settings)
    if asynchronous:
        kind, transport = _async_unwrapped(library), _async_transport
        connect = http.AsyncClient
    else:
        kind, transport = _unwrapped(library), _transport
        connect = http.Client
    made = kind(
        base_url=_with_path(base_url),
        api_key=api_key,
        http_client=connect(
            transport=transport(http, inference, _origin(base_url)), trust_env=False
        ),
        **_without_websockets(client),
    )
    made.attested = inference
    return made


def _inference(
    base_url: str,
    *,
    collateral: "Collateral | None",
    at: Callable[[], datetime] | None,
    **settings: Any,
) -> "Inference":
    from troth.channel.client import now
    from troth.channel.inference import Inference, Settings
    from troth.model.collateral import NONE

    made = Settings(collateral=collateral or NONE, at=at or now, **settings)
    return Inference(_origin(base_url), made)


def _libraries() -> tuple[Any, Any]:
    """`openai`, and the library that it speaks HTTP with: `httpx2` since 2026, `httpx` before."""
    try:
        library = import_module("openai")
        http = import_module("httpx2" if "openai._httpx2" in sys.modules else "httpx")
    except ImportError as error:
        raise Unavailable(
            f"this needs the library {error.name}, which is not installed",
            fix="install troth with the extra 'openai'",
        ) from error
    return library, http


def _origin(base_url: str) -> str:
    parts = urlsplit(base_url)
    if parts.scheme != "https" or not parts.hostname:
        raise Misuse(f"{base_url!r} is no https address", fix="give one such as https://HOST/v1")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise Misuse(f"{base_url!r} has a user, a query or a fragment, which mean nothing here")
    return f"https://{parts.netloc}"


def _without_websockets(client: Mapping[str, Any]) -> dict[str, Any]:
    """What the library's client is made with, so that it opens no connection but ours.

    Raises:
        Misuse: an address for websockets is named.
    """
    if client.get("websocket_base_url") is not None:
        raise Misuse(
            "websockets go past what was verified",
            fix="leave websocket_base_url away; a client of the library's own is for those",
        )
    return {**client, "websocket_base_url": _NOWHERE}


def _with_path(base_url: str) -> str:
    return base_url if urlsplit(base_url).path.strip("/") else f"{_origin(base_url)}/v1"


def _request(request: Any, origin: str, body: bytes) -> "Request":
    """A request of the library's in our words, if it is for the host that was verified.

    Raises:
        Misuse: it is for another.
    """
    from troth.channel.manners import Request

    url = urlsplit(str(request.url))
    asked, verified = _place(f"{url.scheme}://{url.netloc}"), _place(origin)
    if asked != verified:
        raise Misuse(
            f"{url.netloc} was not verified, nothing was sent there",
            fix="make another client for it",
        )
    said = {name: value for name, value in request.headers.items() if name.lower() not in _OURS}
    path = request.url.raw_path.decode("ascii")
    idle = request.extensions.get("timeout", {}).get("read")
    return Request(method=request.method, path=path, headers=said, body=body, idle=idle)


def _place(origin: str) -> tuple[str, str | None, int]:
    parts = urlsplit(origin)
    return parts.scheme, parts.hostname, parts.port or 443


def _headers(reply: "Reply") -> list[tuple[bytes, bytes]]:
    """As they came: a value may have any bytes, and the library takes texts of ASCII alone."""
    return [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in reply.headers
        if name.lower() not in _OURS
    ]


def _unwrapped(library: Any) -> Any:
    """The client's class, with our errors as they are: until 3.20 the library hid them in its own."""

    class OpenAI(library.OpenAI):  # type: ignore[misc]
        def request(self, *arguments: Any, **named: Any) -> Any:
            try:
                return super().request(*arguments, **named)
            except library.APIConnectionError as error:
                if isinstance(error.__cause__, TrothError):
                    raise error.__cause__ from None
                raise

    return OpenAI


def _async_unwrapped(library: Any) -> Any:
    class AsyncOpenAI(library.AsyncOpenAI):  # type: ignore[misc]
        async def request(self, *arguments: Any, **named: Any) -> Any:
            try:
                return await super().request(*arguments, **named)
            except library.APIConnectionError as error:
                if isinstance(error.__cause__, TrothError):
                    raise error.__cause__ from None
                raise

    return AsyncOpenAI


class _Once:
    """An error of ours is no reason to send a prompt again, whatever the library thinks of it."""

    def __init__(self) -> None:
        self._last: dict[int, TrothError] = {}

    def before(self, whose: int, headers: Mapping[str, str]) -> None:
        """Raises again what was raised to the first of these attempts."""
        error = self._last.pop(whose, None)
        if error is not None and headers.get("x-stainless-retry-count", "0") != "0":
            self._last[whose] = error
            raise error

    def remember(self, whose: int, error: TrothError) -> None:
        """Keeps it for the next attempt; a few are enough."""
        self._last[whose] = error
        while len(self._last) > _REMEMBERED:
            del self._last[next(iter(self._last))]


def _transport(http: Any, inference: "Inference", origin: str) -> Any:
    """A transport of the HTTP library at hand; a class of its own because there are two libraries."""

    class Body(http.SyncByteStream):  # type: ignore[misc]
        def __init__(self, pieces: Iterator[bytes]) -> None:
            self._pieces = pieces

        def __iter__(self) -> Iterator[bytes]:
            yield from self._pieces

        def close(self) -> None:
            _close(self._pieces)

    once = _Once()

    class Transport(http.BaseTransport):  # type: ignore[misc]
        def handle_request(self, request: Any) -> Any:
            whose = threading.get_ident()
            once.before(whose, request.headers)
            try:
                reply = inference.send(_request(request, origin, request.read()))
            except TrothError as error:
                once.remember(whose, error)
                raise
            return http.Response(reply.status, headers=_headers(reply), stream=Body(reply.pieces))

        def close(self) -> None:
            inference.close()

    return Transport()


def _async_transport(http: Any, inference: "Inference", origin: str) -> Any:
    class Body(http.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, pieces: Iterator[bytes]) -> None:
            self._pieces = pieces

        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                piece = await asyncio.to_thread(next, self._pieces, _END)
                if not isinstance(piece, bytes):
                    return
                yield piece

        async def aclose(self) -> None:
            await asyncio.to_thread(_close, self._pieces)

    once = _Once()

    class Transport(http.AsyncBaseTransport):  # type: ignore[misc]
        async def handle_async_request(self, request: Any) -> Any:
            whose = id(asyncio.current_task())
            once.before(whose, request.headers)
            try:
                asked = _request(request, origin, await request.aread())
                reply = await asyncio.to_thread(inference.send, asked)
            except TrothError as error:
                once.remember(whose, error)
                raise
            return http.Response(reply.status, headers=_headers(reply), stream=Body(reply.pieces))

        async def aclose(self) -> None:
            await asyncio.to_thread(inference.close)

    return Transport()


def _close(pieces: Iterator[bytes]) -> None:
    """A stream that nobody reads to its end takes its connection with it."""
    close = getattr(pieces, "close", None)
    if close is not None:
        with contextlib.suppress(ValueError):  # a cancelled task's thread may be reading still
            close()
