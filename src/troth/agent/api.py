"""The HTTP API that an app in any language calls, on a unix socket: what may be asked, and answers.

Bodies are JSON objects, bytes are lower-case hex. A refused request gets `{"error", "fix"}`.

    GET  /v1/info                          POST /v1/attest {"nonce", "app_data"}
    GET  /v1/identity                      POST /v1/identity/attest {"nonce"}
    GET  /v1/free/NAME                     POST /v1/sign {"data"}
                                           POST /v1/random {"size"}
"""

import errno
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from troth._version import __version__
from troth.agent.attest import MAX_NONCE, MAX_RANDOM, MIN_NONCE, PLATFORM, Attester
from troth.agent.config import AppConfig
from troth.agent.identity import Identity
from troth.errors import Malformed, TrothError
from troth.wire import json, text

MAX_APP_DATA: Final = 64 * 1024
MAX_SIGNED: Final = 1024 * 1024
MAX_FREE: Final = 1024 * 1024
MAX_BODY: Final = 2 * MAX_SIGNED + 1024
_ATTESTS: Final = frozenset({"/v1/attest", "/v1/identity/attest"})

Answer = dict[str, Any]


class Refused(Exception):  # noqa: N818 - an answer, not a fault of ours
    """The request cannot be granted.

    Attributes:
        status: HTTP status.
        fix: the next move.
    """

    def __init__(self, message: str, *, status: HTTPStatus, fix: str) -> None:
        super().__init__(message)
        self.status = status
        self.fix = fix


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """Requests to answers; knows nothing of sockets.

    Attributes:
        config: the measured configuration.
        attester: makes evidence.
        identity: the key of this start.
        free: folder with the data that the host handed over.
    """

    config: AppConfig
    attester: Attester
    identity: Identity
    free: Path

    def answer(self, method: str, path: str, body: bytes) -> tuple[HTTPStatus, Answer]:
        """Status and answer of one request; never raises on what an app can send."""
        try:
            return HTTPStatus.OK, self._route(method, path, body)
        except Refused as refused:
            return refused.status, {"error": str(refused), "fix": refused.fix}
        except Malformed as error:
            return HTTPStatus.BAD_REQUEST, {"error": str(error), "fix": "send a JSON object"}
        except TrothError as error:
            return HTTPStatus.SERVICE_UNAVAILABLE, {"error": str(error), "fix": error.fix}

    def _route(self, method: str, path: str, body: bytes) -> Answer:
        if path.startswith("/v1/free/"):
            _method(method, "GET")
            return self._free(path.removeprefix("/v1/free/"))
        gets: Mapping[str, Callable[[], Answer]] = {
            "/v1/info": self._info,
            "/v1/identity": lambda: {"public_key": self.identity.spki.hex()},
        }
        posts: Mapping[str, tuple[frozenset[str], Callable[[Answer], Answer]]] = {
            "/v1/attest": (frozenset({"nonce", "app_data"}), self._attest),
            "/v1/identity/attest": (frozenset({"nonce"}), self._attest_identity),
            "/v1/sign": (frozenset({"data"}), self._sign),
            "/v1/random": (frozenset({"size"}), self._random),
        }
        if path in gets:
            _method(method, "GET")
            return gets[path]()
        if self.config.raw_nsm and path in _ATTESTS:
            raise Refused(
                "this image's app has the security module itself, so the agent attests nothing",
                status=HTTPStatus.CONFLICT,
                fix="ask /dev/nsm, or set raw_nsm = false in troth.toml",
            )
        if path in posts:
            _method(method, "POST")
            names, handle = posts[path]
            return handle(_object(body, names))
        raise Refused(
            f"there is no {path[:60]!r}",
            status=HTTPStatus.NOT_FOUND,
            fix="the calls are listed in the reference of the agent's API",
        )

    def _info(self) -> Answer:
        return {
            "name": self.config.name,
            "platform": PLATFORM,
            "agent": __version__,
            "listen": list(self.config.listen),
            "measured": dict(self.config.measured),
            "free": sorted(self.config.free),
            "sealed": sorted(self.config.sealed),
        }

    def _attest(self, given: Answer) -> Answer:
        data = _hex(given, "app_data", 0, MAX_APP_DATA)
        nonce = _hex(given, "nonce", MIN_NONCE, MAX_NONCE)
        return _evidence(self.attester.for_app(data, nonce))

    def _attest_identity(self, given: Answer) -> Answer:
        nonce = _hex(given, "nonce", MIN_NONCE, MAX_NONCE)
        answer = _evidence(self.attester.for_identity(nonce))
        return answer | {"public_key": self.identity.spki.hex()}

    def _sign(self, given: Answer) -> Answer:
        return {"signature": self.identity.sign(_hex(given, "data", 0, MAX_SIGNED)).hex()}

    def _random(self, given: Answer) -> Answer:
        size = given["size"]
        if type(size) is not int or not 1 <= size <= MAX_RANDOM:
            raise _bad(f"size should be a whole number from 1 to {MAX_RANDOM}")
        return {"random": self.attester.random(size).hex()}

    def _free(self, name: str) -> Answer:
        """Data that the host chose: nothing vouches for it, and the app must treat it so."""
        if name not in self.config.free:
            raise Refused(
                "the image declares no free data of this name",
                status=HTTPStatus.NOT_FOUND,
                fix="declare it in troth.toml with kind = 'free'",
            )
        try:
            data = _plain_file(self.free / name)
        except OSError:
            raise Refused(
                "the host handed over no data of this name",
                status=HTTPStatus.NOT_FOUND,
                fix=f"start the image with --free {name}=FILE",
            ) from None
        if len(data) > MAX_FREE:
            raise Refused(
                f"the host's data is larger than {MAX_FREE} bytes",
                status=HTTPStatus.SERVICE_UNAVAILABLE,
                fix="hand over less",
            )
        return {"data": data.hex()}


def _plain_file(path: Path) -> bytes:
    """A file of the host's; a link, which would lead to ours, or a pipe, which has no end, is none."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is no plain file", str(path))
        return file.read(MAX_FREE + 1)


def _bad(message: str) -> Refused:
    return Refused(message, status=HTTPStatus.BAD_REQUEST, fix="mend the request")


def _method(method: str, wanted: str) -> None:
    if method != wanted:
        raise Refused(
            f"this call is a {wanted}", status=HTTPStatus.METHOD_NOT_ALLOWED, fix=f"use {wanted}"
        )


def _object(body: bytes, names: frozenset[str]) -> Answer:
    value = json.parse(body, field="body", limit=MAX_BODY)
    if not isinstance(value, dict) or set(value) != names:
        raise _bad(f"the body should be an object with exactly {', '.join(sorted(names))}")
    return value


def _hex(given: Answer, name: str, low: int, high: int) -> bytes:
    value = given[name]
    if not isinstance(value, str) or not text.HEX.fullmatch(value):
        raise _bad(f"{name} should be lower-case hex")
    if not low <= len(value) // 2 <= high:
        raise _bad(f"{name} is {len(value) // 2} bytes, should be {low} to {high}")
    return bytes.fromhex(value)


def _evidence(document: bytes) -> Answer:
    return {"platform": PLATFORM, "evidence": document.hex()}
