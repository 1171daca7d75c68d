"""Bundles of quotes: they bring event log and collateral, and still no judge."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.platforms.dcap.rows import manifest
from tests.platforms.tdx.make_dstack import replayed
from tests.verifier.logged import (
    LOG,
    NOW,
    PINNED,
    pki,
    policy,
    quote,
    real,
    text,
    with_events,
    wrong,
)

import troth
from troth.errors import Malformed
from troth.model.collateral import NONE, Collateral, Item, Kind
from troth.model.report import Report, Verdict
from troth.trust import collateral as files
from troth.verifier import bundle as bundles
from troth.verifier.bundle import Bundle, Maker, pack, unpack
from troth.wire import cbor

NONCE = bytes(range(64))
EVIDENCE = quote(*LOG)
COLLATERAL = pki().collateral()
POLICY = policy(EVIDENCE, PINNED)


def made(**changed: Any) -> Bundle:
    maker = Maker(
        policy=POLICY.to_toml(),
        roots=pki().roots_pem(),
        at=NOW,
        nonce=NONCE,
        key=None,
        binding=None,
        report=b"",
    )
    whole = Bundle(evidence=EVIDENCE, maker=maker, event_log=text(*LOG), collateral=COLLATERAL)
    return replace(whole, **changed)


def judge(bundle: Bundle, own: Collateral = NONE, **changed: Any) -> Report:
    asked = {"policy": POLICY, "at": NOW, "nonce": NONCE, "trust": pki().roots()} | changed
    return troth.appraise(
        bundle.evidence,
        collateral=bundle.beside(own),
        event_log=bundle.event_log,
        **asked,
    )


def test_it_is_judged_with_what_it_brings() -> None:
    data = pack(made())
    found = unpack(data)
    assert bundles.looks_like(data)
    assert pack(found) == data
    assert judge(found).verdict is Verdict.ACCEPTED
    assert {i.data for i in found.collateral.items} == {i.data for i in COLLATERAL.items}


def test_it_brings_no_judge() -> None:
    found = unpack(pack(made()))
    assert judge(found, trust=()).verdict is Verdict.REJECTED
    assert judge(found, policy=troth.Policy(name="mine")).verdict is Verdict.UNDECIDED
    late = judge(found, at=NOW + timedelta(days=60))
    assert late.verdict is Verdict.UNDECIDED
    report = bundles.replay(found, name="b")
    assert report.verdict is Verdict.UNDECIDED
    assert wrong(report) == ["P104"]


def test_without_either_it_is_of_the_first_schema() -> None:
    bare = made(event_log=None, collateral=NONE)
    assert cbor.decode(pack(bare), field="b")["schema"] == bundles.SCHEMA
    assert unpack(pack(bare)) == bare
    assert pack(replace(bare, event_log=b"")) == pack(bare)
    for changed in (made(event_log=None), made(collateral=NONE)):
        assert cbor.decode(pack(changed), field="b")["schema"] == bundles.SCHEMA_2
        assert pack(unpack(pack(changed))) == pack(changed)


def test_a_log_swapped_for_another_is_rejected() -> None:
    other = [*LOG[:-1], LOG[-2], LOG[-1]]
    report = judge(unpack(pack(made(event_log=text(*other)))))
    assert report.verdict is Verdict.REJECTED
    assert "M301" in wrong(report)
    assert judge(unpack(pack(made(event_log=None)))).verdict is Verdict.UNDECIDED


def test_forged_collateral_is_rejected() -> None:
    from troth.platforms.dcap.simulate import DevelopmentPki

    stranger = DevelopmentPki.create(NOW)
    report = judge(unpack(pack(made(collateral=stranger.collateral(machine=pki().machine)))))
    assert report.verdict is not Verdict.ACCEPTED


def test_the_callers_newer_list_counts() -> None:
    """The bundle's lists were current, too, and know nothing of what was revoked since."""
    begin = pki().issued + timedelta(hours=1)
    newer = pki().pck_crl(revoked=[pki().machine.leaf], begin=begin)
    report = judge(unpack(pack(made())), Collateral(items=(newer,)))
    assert report.verdict is Verdict.REJECTED
    assert "R203" in wrong(report)


def test_stored_ones_use_what_they_bring() -> None:
    found = unpack(pack(made()))
    asked: dict[str, Any] = {"name": "b", "policy": POLICY, "now": NOW, "trust": pki().roots()}
    report = bundles.appraise_stored(found, **asked)
    assert wrong(report) == ["R101"]  # no nonce, and quotes have no time of their own
    assert "M303" in wrong(bundles.appraise_stored(replace(found, event_log=None), **asked))


def test_only_what_was_used_is_packed_and_without_paths() -> None:
    extra = Item(kind=Kind.AMD_CRL, data=b"x", source="/somewhere/x")
    whole = COLLATERAL
    named = [replace(item, source="/somewhere/of/mine") for item in whole.items]
    report = judge(made(collateral=Collateral(items=(*named, extra))))
    used = bundles.used(Collateral(items=(*named, extra)), report)
    assert used.items
    assert all(item.source == "" and item.kind is not Kind.AMD_CRL for item in used.items)
    again = judge(made(collateral=used))
    assert again.verdict is Verdict.ACCEPTED
    assert len(used.items) < len(whole.items)  # nothing of SGX's
    address = "https://host.example/x"
    kept = bundles.used(
        Collateral(items=tuple(replace(i, source=address) for i in whole.items)), report
    )
    assert {item.source for item in kept.items} == {address}


def test_malformed_ones() -> None:
    good = cbor.decode(pack(made()), field="b")
    frozen = good["collateral"]
    for key, value in (
        ("schema", bundles.SCHEMA),
        ("schema", 2),
        ("event_log", "text"),
        ("event_log", b""),
        ("collateral", b""),
        ("collateral", frozen + b" "),
        ("collateral", frozen[:-1]),
        ("collateral", files.freeze(NONE)),
        ("collateral", COLLATERAL.items[0].data),
        ("collateral", [frozen]),
    ):
        with pytest.raises(Malformed):
            unpack(cbor.encode(good | {key: value}))
    with pytest.raises(Malformed):
        unpack(cbor.encode(good | {"event_log": None, "collateral": None}))
    with pytest.raises(Malformed):
        unpack(cbor.encode({k: v for k, v in good.items() if k != "event_log"}))


@pytest.mark.parametrize("platform", ["sgx", "tdx"])
def test_real_quotes_are_judged_from_their_bundles_alone(vectors: Path, platform: str) -> None:
    from tests.platforms.dcap.rows import accepting, look

    count = 0
    for row in manifest(vectors, platform):
        report = look(row)
        if report.presented is None:
            continue
        wanted = accepting(row, report)
        report = look(row, wanted)
        bundle = Bundle(evidence=row.data, collateral=bundles.used(row.collateral(), report))
        found = unpack(pack(bundle))
        again = look(replace(row, data=found.evidence), wanted, collateral=found.collateral)
        assert again.checks == report.checks
        count += again.verdict is Verdict.ACCEPTED
    assert count > 5


def test_a_real_answer_in_a_bundle(vectors: Path) -> None:
    row = real(vectors, "dstack-quote-report")
    answer = (vectors / "tdx" / "eventlog" / "dstack-quote-report.json").read_bytes()
    whole = replace(row, data=answer)
    wanted = with_events(whole, None, but=("rtmr3",))
    used = bundles.used(
        row.collateral(),
        troth.appraise(answer, policy=wanted, at=row.at, collateral=row.collateral()),
    )
    found = unpack(pack(Bundle(evidence=answer, collateral=used)))
    from tests.platforms.dcap.rows import look

    report = look(whole, wanted, collateral=found.collateral)
    assert report.verdict is Verdict.ACCEPTED, wrong(report)


def test_a_chain_that_the_quote_only_asks_for_is_packed() -> None:
    """A report does not name it among its collateral, and without it nothing can be judged."""
    fields = {**replayed(*LOG).registers, "reportdata": NONCE}
    evidence = pki().quote(certification=3, fields=fields)
    whole = pki().collateral(supply_chain=True)
    report = judge(made(evidence=evidence, collateral=whole))
    assert report.verdict is Verdict.ACCEPTED, wrong(report)
    used = bundles.used(whole, report)
    assert judge(unpack(pack(made(evidence=evidence, collateral=used)))).verdict is report.verdict
    assert not bundles.used(whole, replace(report, platform="snp", collateral=())).items
