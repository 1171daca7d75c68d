"""The files of a log, and what a witness answers, over HTTPS. Nothing that is read here is believed for where it is from."""

import contextlib
import http.client
import time
import urllib.error
import urllib.request
from typing import Final

from troth import _version
from troth.errors import Unavailable
from troth.trust import asking

SECONDS: Final = 30.0
WHOLE: Final = 120.0
_USE: Final = "asked for a log"
_WORDS: Final = 4096


class Site:
    """What lies below one address. See `asking` for which may be asked.

    Args:
        base: such as `https://log.example/2026`.
        seconds: for a connection, and for each read.
        whole: seconds for an answer, with its head.

    Raises:
        Misuse: the address may not be asked.
    """

    def __init__(self, base: str, *, seconds: float = SECONDS, whole: float = WHOLE) -> None:
        asking.checked(base, use=_USE)
        self._base = base.rstrip("/")
        self._seconds = seconds
        self._whole = whole
        self._opener = asking.opener(self._base, whole=whole)

    def get(self, path: str, *, limit: int) -> bytes:
        """One file.

        Args:
            path: below the address.
            limit: bytes that are taken at most.

        Raises:
            Misuse: the path is more than a path.
            Unavailable: no answer, or one of another status; its `__cause__` is a `FileNotFoundError` where
                the site answers that there is no such file.
        """
        address = f"{self._base}/{path}"
        try:
            status, body, _ = self._ask(address, None, limit)
        except urllib.error.HTTPError as error:
            error.close()
            words = f"{address} is answered with {error.code}"
            absent = FileNotFoundError(path) if error.code in (404, 410) else None
            raise Unavailable(words, fix="check the address of the log") from absent
        if status != 200:
            raise Unavailable(f"{address} is answered with {status}")
        return body

    def post(self, path: str, body: bytes, *, limit: int) -> tuple[int, str, bytes]:
        """Sends a question; gives the answer's status, type and body, whichever status it has.

        Raises:
            Unavailable: no answer, or too large a one.
        """
        address = f"{self._base}/{path}"
        try:
            status, found, kind = self._ask(address, body, limit)
        except urllib.error.HTTPError as error:
            words = b""
            with error, contextlib.suppress(OSError, http.client.HTTPException):
                words = error.read(_WORDS)
            return error.code, error.headers.get("Content-Type", ""), words
        return status, kind, found

    def _ask(self, address: str, body: bytes | None, limit: int) -> tuple[int, bytes, str]:
        asking.checked(address, use=_USE)
        headers = {"User-Agent": f"troth/{_version.__version__}"}
        if body is not None:
            headers["Content-Type"] = "application/octet-stream"
        asked = urllib.request.Request(address, data=body, headers=headers)  # noqa: S310 - checked
        end = time.monotonic() + self._whole
        try:
            with self._opener.open(asked, timeout=self._seconds) as answer:
                found = asking.read(answer, limit=limit, end=end)
                return answer.status, found, answer.headers.get("Content-Type", "")
        except urllib.error.HTTPError:
            raise
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"cannot reach {address}: {asking.why(error)}",
                fix="check the address, the network and the proxy variables",
            ) from None
