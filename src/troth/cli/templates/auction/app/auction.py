"""The rules of a sealed-bid, second-price auction: values in, values out, no network.

Nobody reads a bid before the close, the seller included. The highest bid wins and pays the second
highest, or the reserve where there is none; of equal bids the earlier one wins. Losing amounts are never
published: each bid leaves a commitment instead, by which its bidder can see that it was counted.
"""

import hashlib
import hmac
import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

MOST_BIDS = 1_000
HIGHEST_AMOUNT = 10**12
LONGEST_NAME = 64


class Refused(Exception):  # noqa: N818 - the rules refuse; nothing went wrong
    """The rules do not allow it. `status` is the HTTP status that says so."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Bid:
    """One sealed bid. `salt` is known to the bidder alone, so the commitment hides the amount."""

    bidder: str
    amount: int
    salt: bytes

    def commitment(self) -> str:
        """SHA-256 over salt and bid, in hex."""
        bid = canonical({"amount": self.amount, "bidder": self.bidder})
        return hashlib.sha256(self.salt + bid).hexdigest()


def canonical(value: dict[str, object]) -> bytes:
    """The one JSON text of a value: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def whole(value: object, name: str, lowest: int) -> int:
    """A whole number between `lowest` and the highest amount; true and 1.0 are not numbers here."""
    if type(value) is not int or not lowest <= value <= HIGHEST_AMOUNT:
        raise Refused(f"{name} must be a whole number from {lowest} to {HIGHEST_AMOUNT}")
    return value


def words(value: object, name: str) -> str:
    """A short printable text, so that nobody's name hides another's."""
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_NAME:
        raise Refused(f"{name} must be a text of 1 to {LONGEST_NAME} characters")
    if not value.isprintable() or value != unicodedata.normalize("NFC", value.strip()):
        raise Refused(f"{name} must be printable, normalised (NFC), without spaces around it")
    return value


class Auction:
    """One auction, from opening to outcome.

    Args:
        random: gives that many unpredictable bytes; the enclave's own source.
    """

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._token = ""
        self._identifier = ""
        self._item = ""
        self._reserve = 0
        self._bids: dict[str, Bid] = {}
        self._outcome: dict[str, object] | None = None

    @property
    def state(self) -> str:
        """`new`, `open` or `closed`."""
        if self._outcome is not None:
            return "closed"
        return "open" if self._token else "new"

    def describe(self) -> dict[str, object]:
        """What anyone may know. Before the close not even the number of bids is told."""
        return {
            "state": self.state,
            "auction": self._identifier,
            "item": self._item,
            "reserve": self._reserve,
        }

    def open(self, item: object, reserve: object) -> dict[str, object]:
        """Open it. The token that comes back is the only thing that can close it."""
        if self.state != "new":
            raise Refused("the auction is already open or over", status=409)
        item, reserve = words(item, "item"), whole(reserve, "reserve", 0)
        self._item, self._reserve = item, reserve
        self._identifier = self._random(16).hex()
        self._token = self._random(32).hex()
        return self.describe() | {"seller_token": self._token}

    def bid(self, bidder: object, amount: object) -> dict[str, object]:
        """Take one bid of one bidder; the salt lets them find it among the commitments."""
        if self.state != "open":
            raise Refused(f"the auction is {self.state}", status=409)
        name = words(bidder, "bidder")
        height = whole(amount, "amount", max(self._reserve, 1))
        if name in self._bids:
            raise Refused("this bidder has already bid", status=409)
        if len(self._bids) >= MOST_BIDS:
            raise Refused("the auction is full", status=409)
        bid = Bid(bidder=name, amount=height, salt=self._random(16))
        self._bids[name] = bid
        return {
            "schema": "auction/bid/1",
            "auction": self._identifier,
            "bidder": name,
            "amount": height,
            "salt": bid.salt.hex(),
            "commitment": bid.commitment(),
        }

    def close(self, token: object) -> dict[str, object]:
        """Close it, once; whoever closes again gets the same outcome."""
        if self.state == "new":
            raise Refused("the auction has not been opened", status=409)
        given = token.encode() if isinstance(token, str) else b""
        if not hmac.compare_digest(given, self._token.encode()):
            raise Refused("only the seller's token closes the auction", status=403)
        if self._outcome is None:
            self._outcome = self._decide()
            self._bids.clear()
        return self._outcome

    def outcome(self) -> dict[str, object]:
        """What was published at the close."""
        if self._outcome is None:
            raise Refused("the auction is not closed", status=409)
        return self._outcome

    def _decide(self) -> dict[str, object]:
        # `sorted` is stable and a dict keeps its order, so the earlier of equal bids comes first.
        ranked = sorted(self._bids.values(), key=lambda bid: -bid.amount)
        price = ranked[1].amount if len(ranked) > 1 else self._reserve
        return {
            "schema": "auction/outcome/1",
            "auction": self._identifier,
            "item": self._item,
            "reserve": self._reserve,
            "winner": ranked[0].bidder if ranked else None,
            "price": price if ranked else None,
            "commitments": sorted(bid.commitment() for bid in ranked),
        }
