"""The auction's rules, without any enclave around them."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

APP = Path(__file__).parents[2] / "examples" / "auction"


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


rules = _load("example_auction_rules", APP / "app" / "auction.py")
client = _load("example_auction_client", APP / "client.py")


def _opened(reserve=0):
    auction = rules.Auction(os.urandom)
    return auction, auction.open("a jar of honey", reserve)["seller_token"]


def _run(bids, reserve=0):
    auction, token = _opened(reserve)
    receipts = [auction.bid(name, amount) for name, amount in bids]
    return auction.close(token), receipts


def test_the_highest_wins_and_pays_the_second_highest():
    outcome, _ = _run([("ada", 120), ("grace", 200), ("barbara", 170)], reserve=100)
    assert (outcome["winner"], outcome["price"]) == ("grace", 170)


def test_of_equal_bids_the_earlier_wins_and_pays_as_much():
    outcome, _ = _run([("ada", 120), ("grace", 200), ("barbara", 200)])
    assert (outcome["winner"], outcome["price"]) == ("grace", 200)


def test_a_single_bid_pays_the_reserve():
    outcome, _ = _run([("ada", 120)], reserve=100)
    assert (outcome["winner"], outcome["price"]) == ("ada", 100)


def test_without_bids_nobody_wins():
    outcome, _ = _run([])
    assert (outcome["winner"], outcome["price"], outcome["commitments"]) == (None, None, [])


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 9), min_size=1))
def test_every_bid_is_counted_and_no_losing_amount_is_told(bids):
    outcome, receipts = _run(list(bids.items()))
    assert outcome["commitments"] == sorted(client.commitment(receipt) for receipt in receipts)
    assert outcome["price"] == sorted([*bids.values(), 0], reverse=True)[1]
    assert set(outcome) == {
        *("schema", "auction", "item", "reserve", "winner", "price", "commitments")
    }


def test_before_the_close_nothing_of_a_bid_is_told():
    auction, _ = _opened()
    empty = auction.describe()
    auction.bid("ada", 120)
    assert auction.describe() == empty
    with pytest.raises(rules.Refused):
        auction.outcome()


@pytest.mark.parametrize("amount", [0, -1, 99, 10**12 + 1, 1.0, True, "120", None, [120]])
def test_an_amount_that_is_none_is_refused(amount):
    auction, _ = _opened(reserve=100)
    with pytest.raises(rules.Refused):
        auction.bid("ada", amount)


@pytest.mark.parametrize("name", ["", " ada", "a" * 65, "a\nb", "a\u202eb", "e\u0301", 7, None])
def test_a_name_that_hides_something_is_refused(name):
    auction, _ = _opened()
    with pytest.raises(rules.Refused):
        auction.bid(name, 120)


def test_nobody_bids_twice_and_nobody_bids_late():
    auction, token = _opened()
    auction.bid("ada", 120)
    with pytest.raises(rules.Refused):
        auction.bid("ada", 500)
    auction.close(token)
    with pytest.raises(rules.Refused):
        auction.bid("grace", 500)


@pytest.mark.parametrize("token", ["", "00" * 32, None, 7, "é"])
def test_only_the_seller_closes(token):
    auction, right = _opened()
    with pytest.raises(rules.Refused) as refused:
        auction.close(token)
    assert refused.value.status == 403
    assert auction.close(right) == auction.close(right)


def test_the_number_of_bids_is_bounded(monkeypatch):
    monkeypatch.setattr(rules, "MOST_BIDS", 2)
    auction, _ = _opened()
    auction.bid("ada", 1)
    auction.bid("grace", 1)
    with pytest.raises(rules.Refused):
        auction.bid("barbara", 1)


def test_it_opens_once():
    auction, _ = _opened()
    with pytest.raises(rules.Refused):
        auction.open("another", 0)
