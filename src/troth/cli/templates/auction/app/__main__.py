"""The auction over HTTP, on the enclave's own loopback; the agent's attested TLS is the only way in.

POST /open {item, reserve} -> seller_token        GET  /          -> what anyone may know
POST /bid {bidder, amount} -> signed receipt      GET  /outcome   -> the signed outcome
POST /close {seller_token} -> the signed outcome  POST /identity {nonce} -> key and its evidence
"""

import json
import re
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from auction import Auction, Refused, canonical

import agent

PORT = 8080
LONGEST_BODY = 4096
SECONDS_FOR_A_REQUEST = 10
NONCE = re.compile(r"(?:[0-9a-f]{2}){16,64}")

Answer = dict[str, object]


def signed(statement: Answer) -> Answer:
    """The statement as the exact text that was signed, with signature and key."""
    text = canonical(statement)
    return {
        "statement": text.decode("ascii"),
        "signature": agent.sign(text),
        "public_key": agent.public_key(),
    }


class House:
    """The one auction of this enclave, and the lock that puts its bids in an order."""

    def __init__(self) -> None:
        self._auction = Auction(agent.random)
        self._lock = threading.Lock()
        self.routes: dict[tuple[str, str], Callable[[Answer], Answer]] = {
            ("GET", "/"): lambda _: self._locked(self._auction.describe),
            ("GET", "/outcome"): lambda _: signed(self._locked(self._auction.outcome)),
            ("POST", "/open"): self._open,
            ("POST", "/bid"): self._bid,
            ("POST", "/close"): self._close,
            ("POST", "/identity"): self._identity,
        }

    def _locked(self, step: Callable[[], Answer]) -> Answer:
        with self._lock:
            return step()

    def _open(self, given: Answer) -> Answer:
        take(given, "item", "reserve")
        return self._locked(lambda: self._auction.open(given["item"], given["reserve"]))

    def _bid(self, given: Answer) -> Answer:
        take(given, "bidder", "amount")
        bid = self._locked(lambda: self._auction.bid(given["bidder"], given["amount"]))
        return signed(bid)

    def _close(self, given: Answer) -> Answer:
        take(given, "seller_token")
        return signed(self._locked(lambda: self._auction.close(given["seller_token"])))

    def _identity(self, given: Answer) -> Answer:
        take(given, "nonce")
        nonce = given["nonce"]
        if not isinstance(nonce, str) or not NONCE.fullmatch(nonce):
            raise Refused("nonce must be 16 to 64 bytes in lower-case hex")
        return {"public_key": agent.public_key(), "evidence": agent.identity_evidence(nonce)}


def take(given: Answer, *names: str) -> None:
    """Refuse what has other members than these."""
    if given.keys() != set(names):
        raise Refused(f"the body must have exactly these members: {', '.join(names)}")


def once(pairs: list[tuple[str, object]]) -> Answer:
    """A JSON object whose names are all different."""
    if len({name for name, _ in pairs}) != len(pairs):
        raise Refused("the body names a member twice")
    return dict(pairs)


class Handler(BaseHTTPRequestHandler):
    """Bounded requests in, JSON out. Nothing about a bid is ever logged."""

    protocol_version = "HTTP/1.1"
    timeout = SECONDS_FOR_A_REQUEST
    house: House

    def do_GET(self) -> None:
        """Look."""
        if self.headers.get("Content-Length") or self.headers.get("Transfer-Encoding"):
            self.close_connection = True
        self._answer({})

    def do_POST(self) -> None:
        """Act."""
        try:
            given = self._body()
        except Refused as refused:
            # What follows a body that was not read is not a request.
            self.close_connection = True
            self._send(refused.status, {"error": str(refused)})
        else:
            self._answer(given)

    def _body(self) -> Answer:
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"[0-9]{1,5}", length) or self.headers.get("Transfer-Encoding"):
            raise Refused("Content-Length is needed", status=HTTPStatus.LENGTH_REQUIRED)
        if int(length) > LONGEST_BODY:
            raise Refused("the body is too long", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        data = self.rfile.read(int(length))
        try:
            given = json.loads(data.decode("utf-8"), object_pairs_hook=once)
        except (ValueError, RecursionError) as error:
            raise Refused("the body must be JSON") from error
        if not isinstance(given, dict):
            raise Refused("the body must be a JSON object")
        return given

    def _answer(self, given: Answer) -> None:
        route = self.house.routes.get((self.command, self.path))
        if route is None:
            self._send(HTTPStatus.NOT_FOUND, {"error": "no such place"})
            return
        try:
            answer = route(given)
        except Refused as refused:
            self._send(refused.status, {"error": str(refused)})
        except OSError as error:
            print(error, file=sys.stderr)
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, {"error": "the agent did not answer"})
        else:
            self._send(HTTPStatus.OK, answer)

    def _send(self, status: int, answer: Answer) -> None:
        data = json.dumps(answer).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: a log is where sealed bids leak."""


def main() -> None:
    """Serve until the enclave ends."""
    Handler.house = House()
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
    server.daemon_threads = True
    print(f"auction: listening on {PORT}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
