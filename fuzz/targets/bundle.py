"""Bundles: one encoding, and a replay that raises nothing but what it says."""

import json
from collections.abc import Iterable

from fuzz.simulated import NONCE, NOW, intel, nitro_case, pinned
from fuzz.target import Target, same
from troth.errors import Malformed, Misuse
from troth.model.collateral import Collateral
from troth.verifier import bundle
from troth.verifier.bundle import Bundle, Maker
from troth.verifier.receipt import Receipt
from troth.wire import cbor


def _run(data: bytes) -> None:
    found = bundle.unpack(data)
    same(bundle.pack(found), data, "a bundle written again")
    if found.maker is not None:
        bundle.replay(found, name="bundle")


def _seeds() -> Iterable[bytes]:
    evidence = nitro_case().evidence
    receipt = Receipt(name="r", data=b"data", signature=bytes(64))
    maker = Maker(
        policy=pinned(evidence).to_toml(),
        roots=b"",
        at=NOW,
        nonce=NONCE,
        key=None,
        binding=None,
        report=json.dumps({"schema": "troth/report/1"}).encode(),
    )
    yield bundle.pack(Bundle(evidence=b"evidence"))
    yield bundle.pack(Bundle(evidence=b"\x84", receipts=(receipt,), maker=maker))
    yield bundle.pack(Bundle(evidence=evidence, receipts=(receipt,), maker=maker))
    items = intel().collateral().items
    yield bundle.pack(Bundle(evidence=b"evidence", event_log=b"log"))
    yield bundle.pack(Bundle(evidence=b"\x84", collateral=Collateral(items=items[-1:])))
    yield bundle.pack(
        Bundle(
            evidence=evidence, maker=maker, event_log=b"[]", collateral=Collateral(items=items[4:])
        )
    )
    yield cbor.encode({})


TARGET = Target(
    run=_run,
    seeds=_seeds,
    refuses=(Malformed, Misuse),
    longest=16 * 1024,
    words=(
        b"\xf6",
        b"2026-11-23T03:10:00+00:00",
        b"fmaker",
        b"fschema",
        b"0001-01-01T00:00:00+23:59",
    ),
)
