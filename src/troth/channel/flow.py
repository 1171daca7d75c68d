"""One answer on its way to the caller: hashed as it comes, shown as it may be, checked at its end."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from troth.channel import sse
from troth.channel.manners import Came, Proof, Request, Sent
from troth.channel.pinned import Link
from troth.model.answer import AnswerRefused
from troth.model.check import failed
from troth.model.codes.answer import B414

_MAX_RECEIPT: Final = 8 * 1024 * 1024
_PAUSE: Final = 0.1  # seconds before a receipt is asked for again
_KEYS: Final = ("authorization", "x-api-key")
_MAX_ID: Final = 256
# Whose streams end with a mark.
_MARKED: Final = ("/chat/completions", "/completions", "/responses")
_TYPED: Final = "/responses"  # where the mark is an event's type
_LAST: Final = ("response.completed", "response.incomplete", "response.failed", "error")


class Flow:
    """An answer.

    Args:
        link: that it comes over; closed when it does not count.
        request: that it is to.
        sent: as it was sent.
        headers: of the answer.
        release: takes the connection back when it can be used again.
        renew: gives another one to the same key.
        done: called when the answer counts.
    """

    def __init__(
        self,
        link: Link,
        request: Request,
        sent: Sent,
        headers: tuple[tuple[str, str], ...],
        *,
        release: Callable[[Link], None],
        renew: Callable[[], Link],
        done: Callable[[Came, Proof], None],
    ) -> None:
        self._link, self._request, self._sent = link, request, sent
        self._release, self._renew, self._done = release, renew, done
        self.headers: Final = {name.lower(): value for name, value in headers}
        self._hash = hashlib.sha256()
        self._id = ""
        self._marked = False

    def whole(self, pieces: Iterator[bytes]) -> bytes:
        """A body in one.

        Raises:
            AnswerRefused: it does not count.
        """
        try:
            return self._whole(b"".join(self._hashed(pieces)))
        except BaseException:
            self._link.close()
            raise

    def stream(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """A stream's events, the last of them not before the whole was checked; raises as `whole`."""
        done = False
        try:
            events = sse.events(self._hashed(pieces))
            yield from sse.held_back(
                events, show=self._show, check=self._check_stream, last=self._is_last
            )
            done = True
        finally:
            if not done:
                self._link.close()

    def _whole(self, body: bytes) -> bytes:
        value = parsed(body)
        if value is not None:
            self._take_id(value)
            if self._sent.shows:
                self._sent.show(value)
                body = _written(value)
        elif self._sent.shows:
            raise AnswerRefused([failed(B414, "answer", why="it is no JSON object")])
        self._check()
        return body

    def _hashed(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._hash.update(piece)
            yield piece

    def _show(self, event: bytes) -> bytes:
        data = sse.data(event)
        value = parsed(data)
        if value is None:
            if self._sent.shows and data.strip() and not sse.ends(data):
                raise AnswerRefused([failed(B414, "answer", why="a piece is no JSON object")])
            return event
        self._take_id(value)
        if not self._sent.shows:
            return event
        self._sent.show(value)
        return sse.with_data(event, _written(value))

    def _is_last(self, event: bytes) -> bool:
        """Whether a client may stop reading at this event, so that it waits for the check."""
        data = sse.data(event)
        found = sse.ends(data)
        if not found and self._request.endpoint.endswith(_TYPED):
            found = (parsed(data) or {}).get("type") in _LAST
        self._marked = self._marked or found
        return found

    def _take_id(self, value: dict[str, Any]) -> None:
        found = value.get("id")
        if not self._id and isinstance(found, str) and len(found) <= _MAX_ID:
            self._id = found

    def _check_stream(self) -> None:
        """Where nothing signs a stream, the mark at its end is all that shows that it is whole."""
        marks = self._request.endpoint.endswith(_MARKED)
        if marks and not self._sent.signed and not self._marked:
            raise AnswerRefused([failed(B414, "answer", why="the stream ends without its mark")])
        self._check()

    def _check(self) -> None:
        came = Came(headers=self.headers, sha256=self._hash.hexdigest(), answer_id=self._id)
        proof = self._sent.check(came, self._get)
        self._release(self._link)
        self._done(came, proof)

    def _get(self, path: str) -> tuple[int, bytes]:
        if self._link.ending:
            self._link.close()
            self._link = self._renew()
        own = {n: v for n, v in self._request.headers.items() if n.lower() in _KEYS}
        answer = self._link.open("GET", path, headers=said(own, {}), limit=_MAX_RECEIPT)
        body = b"".join(answer.pieces)
        if answer.status != 200:
            time.sleep(_PAUSE)
        return answer.status, body


def said(own: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """What goes out: what is signed is bytes as they came, so nothing may pack them on the way."""
    return {**own, **added, "Accept-Encoding": "identity"}


def _written(value: dict[str, Any]) -> bytes:
    """A decrypted answer, all of it in ASCII: others' JSON may have what is no text in UTF-8.

    Raises:
        AnswerRefused: it is nested too deep.
    """
    try:
        return json.dumps(value, separators=(",", ":")).encode("ascii")
    except RecursionError:
        raise AnswerRefused([failed(B414, "answer", why="it is nested too deep")]) from None


def parsed(data: bytes) -> dict[str, Any] | None:
    """A JSON object, or None where this is none; fractions may be in it."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
