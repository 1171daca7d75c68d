"""Real SGX quotes: every row of the tables gets its verdict."""

import base64
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.platforms.dcap.rows import Row, codes, judged, look, manifest, mutations
from tests.platforms.dcap.verdicts import mutation_gets_its_verdict, row_gets_its_verdict

import troth
from troth.errors import Malformed
from troth.model.check import Outcome
from troth.model.collateral import Item, Kind
from troth.model.report import Verdict
from troth.model.roots import RootClass
from troth.platforms.dcap import quote
from troth.trust.collateral import load
from troth.trust.served import to_pem

ROWS, MUTATIONS = 32, 55

ACCEPTED = {
    "malleable_quote_sig": "(r, n - s) is as good a signature over the same bytes",
    "malleable_qe_sig": "the same",
    "trail_zero_pad": "guest drivers pad with zeros; they are removed, and the report says so",
    "chain_no_root": "of collateral: the root is the one of the platform's own chain",
}


def test_every_row_gets_its_verdict(vectors: Path) -> None:
    rows = manifest(vectors, "sgx")
    assert len(rows) == ROWS
    for row in rows:
        row_gets_its_verdict(row)
    assert Counter(row.verdict for row in rows) == {"accept-per-policy": 22, "reject": 10}
    assert any('"version":2' in row.pieces["tcb_info"] for row in rows)


def test_every_mutation_gets_its_verdict(vectors: Path) -> None:
    rows = mutations(vectors, "sgx")
    assert len(rows) == MUTATIONS
    for row in rows:
        mutation_gets_its_verdict(row, ACCEPTED)
    assert {row.name for row in rows} >= ACCEPTED.keys()


def test_the_loader_of_files_gives_the_same_collateral(vectors: Path) -> None:
    for row in manifest(vectors, "sgx")[:4]:
        loaded = load(json.dumps(dict(row.pieces)).encode())
        assert [(i.kind, i.data) for i in loaded.items] == [
            (i.kind, i.data) for i in row.collateral().items
        ]


def extra(vectors: Path, name: str, like: Row | None = None) -> Row:
    """A quote without a row of its own, with the collateral of another's."""
    found = like or manifest(vectors, "sgx")[1]
    return replace(found, file=name, data=(vectors / "sgx" / name).read_bytes())


@pytest.mark.parametrize(
    ("name", "debug"), [("certtype3-oasis-eppid", False), ("certtype3-fortanix", True)]
)
def test_a_quote_without_a_certificate_is_undecided(
    vectors: Path, name: str, *, debug: bool
) -> None:
    row = extra(vectors, f"{name}.quote.bin")
    parsed = quote.parse(row.data)
    assert parsed.certification == 3
    assert parsed.numbers is not None
    assert len(parsed.numbers.ppid) == 384
    assert parsed.pck_chain == ()
    report = judged(row)
    assert report.verdict is (Verdict.REJECTED if debug else Verdict.UNDECIDED)
    assert codes(report) == ({"P101"} if debug else set())
    assert {"G206", "G202", "G101"} <= codes(report, Outcome.UNDECIDED)
    assert report.root_class is None


def test_another_machines_chain_does_not_help(vectors: Path) -> None:
    """A real chain whose key did not sign this quoting enclave's report is not taken."""
    row = extra(vectors, "certtype3-oasis-eppid.quote.bin")
    other = quote.parse((vectors / "sgx" / "raiko-icx.quote.bin").read_bytes())
    chain = b"".join(to_pem(der) for der in other.pck_chain)
    row = replace(row, more=(Item(kind=Kind.INTEL_PCK_CHAIN, data=chain),))
    report = judged(row)
    assert report.verdict is Verdict.UNDECIDED
    assert "G206" in codes(report, Outcome.UNDECIDED)


def test_the_older_certificate_of_the_same_root_counts(vectors: Path) -> None:
    """Pinned by key: both of Intel's root certificates are the root."""
    row = extra(vectors, "root2033-fortanix.quote.bin")
    at = datetime(2022, 6, 1, tzinfo=UTC)
    report = look(replace(row, at=at))
    passed = codes(report, Outcome.PASSED)
    assert {"G101", "G102", "G103", "G201", "G202", "G206", "R103"} <= passed
    assert report.root_class is RootClass.VENDOR
    der = quote.parse(row.data).pck_chain[2]
    newer = quote.parse((vectors / "sgx" / "raiko-icx.quote.bin").read_bytes()).pck_chain[2]
    assert der != newer


def test_a_corrupted_quote_signature(vectors: Path) -> None:
    report = look(extra(vectors, "neg-fortanix-corrupted.quote.bin"))
    assert report.verdict is Verdict.REJECTED
    assert "G201" in codes(report)


def test_a_chain_out_of_order_is_refused(vectors: Path) -> None:
    """Our choice: leaf, authority, root, as Intel's library writes them. Nothing is sorted for anyone."""
    report = judged(extra(vectors, "neg-fortanix-chain-order.quote.bin"))
    assert report.verdict is Verdict.REJECTED
    assert "G206" in codes(report)


def test_text_forms_are_the_same_quote(vectors: Path) -> None:
    row = next(r for r in manifest(vectors, "sgx") if r.verdict == "accept-per-policy")
    for text in (base64.b64encode(row.data) + b"\n", row.data.hex().encode() + b"\n"):
        assert judged(replace(row, data=text)).verdict is Verdict.ACCEPTED
    with pytest.raises(Malformed):
        troth.verify(
            base64.b64encode(row.data)[:-3] + b"!!!", policy=troth.Policy(name="x"), at=row.at
        )
