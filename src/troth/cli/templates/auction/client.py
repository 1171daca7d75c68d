"""Run one auction against the app, as a seller and three bidders.

    python examples/auction/client.py http://127.0.0.1:PORT

PORT is where `troth connect … --proxy` offers the attested channel. What comes back is the signed
outcome and evidence of the key that signed it: with them anyone checks the receipt later, offline.
`troth` checks signature and evidence; this file checks what is inside.
"""

import hashlib
import http.client
import json
import secrets
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

Answer = dict[str, object]
Ask = Callable[[str, str, Answer | None], tuple[int, Answer]]

BIDS = {"ada": 120, "grace": 200, "barbara": 170}
RESERVE = 100


def over_http(address: str) -> Ask:
    """A way to ask the app through a local proxy."""
    parts = urlsplit(address)

    def ask(method: str, path: str, body: Answer | None) -> tuple[int, Answer]:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        try:
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, path, data)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    return ask


def _must(answer: tuple[int, Answer], status: int = 200) -> Answer:
    if answer[0] != status:
        raise RuntimeError(f"the auction answered {answer[0]}: {answer[1]}")
    return answer[1]


def _statement(answer: Answer) -> Answer:
    statement: Answer = json.loads(str(answer["statement"]))
    return statement


def play(ask: Ask, say: Callable[[str], object] = print) -> Answer:
    """Open, bid, close, look; returns the signed outcome: statement, signature, public_key, evidence.

    Raises:
        RuntimeError: the auction broke a rule of its own.
    """
    opened = _must(ask("POST", "/open", {"item": "a jar of honey", "reserve": RESERVE}))
    say(f"opened: {opened['item']}, reserve {opened['reserve']}")
    receipts = {}
    for bidder, amount in BIDS.items():
        answer = _must(ask("POST", "/bid", {"bidder": bidder, "amount": amount}))
        receipts[bidder] = _statement(answer)
        say(f"bid: {bidder} bids; the receipt is signed")
    _must(ask("GET", "/outcome", None), 409)
    _must(ask("POST", "/close", {"seller_token": "00" * 32}), 403)
    say("sealed: no outcome before the close, and nobody but the seller closes")
    signed = _must(ask("POST", "/close", {"seller_token": opened["seller_token"]}))
    outcome = _statement(signed)
    ranked = sorted(BIDS, key=lambda name: -BIDS[name])
    if (outcome["winner"], outcome["price"]) != (ranked[0], BIDS[ranked[1]]):
        raise RuntimeError(f"the wrong outcome: {outcome}")
    for bidder, receipt in receipts.items():
        if commitment(receipt) not in _list(outcome["commitments"]):
            raise RuntimeError(f"the bid of {bidder} was not counted")
    say(f"closed: {outcome['winner']} wins and pays {outcome['price']}; every bid was counted")
    identity = _must(ask("POST", "/identity", {"nonce": secrets.token_hex(32)}))
    if identity["public_key"] != signed["public_key"]:
        raise RuntimeError("another key signed than the enclave's own")
    return signed | {"evidence": identity["evidence"]}


def commitment(receipt: Answer) -> str:
    """What the outcome must list for this bid, from the bidder's own receipt."""
    bid = {"amount": receipt["amount"], "bidder": receipt["bidder"]}
    text = json.dumps(bid, sort_keys=True, separators=(",", ":")).encode("ascii")
    return hashlib.sha256(bytes.fromhex(str(receipt["salt"])) + text).hexdigest()


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


if __name__ == "__main__":
    print(json.dumps(play(over_http(sys.argv[1]), lambda line: print(line, file=sys.stderr))))
