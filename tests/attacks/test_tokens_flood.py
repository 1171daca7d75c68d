"""Key sets of thousands of keys under one name, beside a bundle of many tokens that name it."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.platforms.tokens.made import KINDS, MADE, NONCE, START, codes, judged

from troth.model.check import Outcome
from troth.model.collateral import Item
from troth.model.report import Verdict
from troth.platforms.tokens import anchor
from troth.platforms.tokens import simulate_claims as said
from troth.platforms.tokens.simulate import Service, bundle
from troth.policy.requirements import Requirements
from troth.wire import jose

DEVICES, SETS, KEYS = 8, 40, 5
KIND = KINDS["nras"]
POLICY = replace(
    KIND.policy,
    requirements={
        "nras": Requirements(
            says=KIND.policy.asks("nras").says,
            exact={"gpus": DEVICES},
        )
    },
)


def counted(calls: Counter[str], monkeypatch: pytest.MonkeyPatch, where: Any, name: str) -> None:
    original: Callable[..., Any] = getattr(where, name)

    def call(*given: Any) -> Any:
        calls[name] += 1
        return original(*given)

    monkeypatch.setattr(where, name, call)


def test_each_key_is_looked_at_once_for_all_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service.create("nras", START)
    strangers = [Service.create("nras", START).jwk(kid=service.kid) for _ in range(SETS)]
    items = tuple(
        Item(
            kind=service.issuer.keys,
            # Of one key many forms: what else stands in it makes it no other.
            data=json.dumps(
                {"keys": [{**key, "x5c": key["x5c"][: 1 + n % 2]} for n in range(KEYS)]}
            ).encode(),
            source="a stranger",
        )
        for key in strangers
    )
    devices = {f"GPU-{n}": said.gpu(n) for n in range(DEVICES)}
    data = bundle(service, devices, MADE, nonce=NONCE)
    trust = service.roots()
    calls: Counter[str] = Counter()
    counted(calls, monkeypatch, jose, "read_set")
    counted(calls, monkeypatch, anchor, "anchor")
    items = (*items, service.collateral())
    report = judged(data, KIND, service, policy=POLICY, trust=trust, items=items)
    assert report.verdict is Verdict.ACCEPTED, codes(report, Outcome.FAILED)
    assert calls == {"read_set": SETS + 1, "anchor": 2 * SETS + 1}
