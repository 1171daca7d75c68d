"""Real reports: every row of the manifest, of the negatives and of the mutations gets its verdict.

A row's verdict covers form, signature, chain and the order of versions. What no row supplies, a CRL
and a nonce, stays undecided in the full verdict.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.platforms.snp.made import codes, failing, still_open

import troth
from troth.errors import Malformed, TrothError
from troth.model.check import Outcome
from troth.model.collateral import Collateral, Item, Kind
from troth.model.report import Report, Verdict
from troth.model.roots import RootClass
from troth.platforms.snp import PLATFORM
from troth.platforms.snp.format import parse
from troth.platforms.snp.product import parts
from troth.platforms.snp.simulate import extended
from troth.policy.requirements import Requirements

ROWS, NEGATIVES, MUTATIONS = 17, 9, 100
SHORT = {
    "boot_loader": "bl",
    "tee": "tee",
    "snp": "snp",
    "microcode": "ucode",
    "fmc": "fmc",
}


@dataclass(frozen=True)
class Row:
    name: str
    data: bytes
    endorsement: bytes
    chain: bytes
    at: datetime
    verdict: str
    what: str
    reported: dict[str, int]

    def collateral(self) -> Collateral:
        return collateral(self.endorsement, self.chain)


def collateral(endorsement: bytes, chain: bytes) -> Collateral:
    items = []
    if endorsement:
        items.append(Item(kind=Kind.AMD_ENDORSEMENT, data=endorsement, source="a row"))
    if chain:
        items.append(Item(kind=Kind.AMD_CHAIN, data=chain, source="a row"))
    return Collateral(items=tuple(items))


def table(vectors: Path, name: str) -> Iterator[dict[str, str]]:
    with (vectors / "snp" / name).open(newline="") as file:
        yield from csv.DictReader(file, delimiter="\t")


def joined(folder: Path, names: str) -> bytes:
    return b"".join((folder / name).read_bytes() for name in names.split(" + "))


def rows(vectors: Path) -> dict[str, Row]:
    folder = vectors / "snp"
    return {
        row["file"]: Row(
            name=row["file"],
            data=(folder / row["file"]).read_bytes(),
            endorsement=(folder / row["endorsement_cert"]).read_bytes(),
            chain=joined(folder, row["issuer_chain"]),
            at=datetime.fromtimestamp(int(row["verify_at_unix"]), UTC),
            verdict=row["expected_verdict"],
            what=row["what"],
            reported={
                name: int(number)
                for name, number in (pair.split("=") for pair in row["reported_tcb"].split())
            },
        )
        for row in table(vectors, "MANIFEST.tsv")
    }


def policy(data: bytes) -> troth.Policy:
    """One that expects exactly what a report says, at any privilege level and with little asked."""
    claims = PLATFORM.claims(parse(data))
    return troth.Policy(
        name="pinned",
        registers={"snp": {name: frozenset({claims.registers[name]}) for name in claims.identity}},
        requirements={
            "snp": Requirements(minimum={"snp": 1}, vmpl=frozenset({claims.numbers["vmpl"]}))
        },
    )


def appraised(row: Row, held: Collateral, data: bytes | None = None) -> Report:
    return troth.appraise(
        row.data if data is None else data, policy=policy(row.data), at=row.at, collateral=held
    )


def test_every_row_of_the_manifest_gets_its_verdict(vectors: Path) -> None:
    found = rows(vectors)
    assert len(found) == ROWS
    for row in found.values():
        report = appraised(row, row.collateral())
        debug = "DEBUG" in row.verdict
        # No CRL is at hand and no nonce was asked: these alone are open.
        assert still_open(report) == {"R101", "R203", "R204"}, row.name
        assert failing(report) == ({"P101"} if debug else set()), row.name
        assert report.verdict is (Verdict.REJECTED if debug else Verdict.UNDECIDED)
        assert {code.id for code in PLATFORM.required} - {"R203", "R204"} <= codes(
            report, Outcome.PASSED
        )
        assert report.root_class is RootClass.VENDOR


def test_every_row_says_what_the_manifest_says(vectors: Path) -> None:
    for row in rows(vectors).values():
        document = parse(row.data)
        claims = PLATFORM.claims(document)
        numbers = claims.numbers
        said = dict(piece.split(" ", 1) for piece in row.what.split("; ")[2:])
        assert row.what.split("; ")[1] == f"report v{document.version}"
        assert int(said["policy"], 16) == numbers["policy"]
        assert int(said["vmpl"]) == numbers["vmpl"]
        assert int(said["platform_info"], 16) == numbers["platform_info"]
        assert said["signing_key"] == document.signing_key.name
        fms = said["fms"]
        if fms == "n/a":
            assert "cpu_family" not in numbers
        else:
            cpu = bytes(numbers[f"cpu_{part}"] for part in ("family", "model", "stepping"))
            assert fms == cpu.hex()
        reported = {SHORT[part]: numbers.get(f"reported_{part}") for part in SHORT}
        assert {name: n for name, n in reported.items() if n is not None} == row.reported


def test_the_same_comes_of_what_the_host_sends_along(vectors: Path) -> None:
    for row in rows(vectors).values():
        ask, ark = (b"-----BEGIN" + part for part in row.chain.split(b"-----BEGIN")[1:])
        kind = parse(row.data).signing_key.name
        data = extended(row.data, {kind: row.endorsement, "ASK": ask, "ARK": ark}, pages=True)
        report = appraised(row, Collateral(), data)
        assert still_open(report) == {"R101", "R203", "R204"}, row.name
        assert failing(report) <= {"P101"}, row.name


def test_every_row_of_the_negatives_gets_its_verdict(vectors: Path) -> None:
    found = rows(vectors)
    folder = vectors / "snp"
    certs = folder / "certs"
    genoa = (certs / "sev-genoa.pem").read_bytes() + (certs / "ark-genoa.pem").read_bytes()
    seen = []
    for row in table(vectors, "NEGATIVE.tsv"):
        certificate = row["certificate"]
        seen.append(certificate)
        if row["expected"] == "parse-only":
            data = (folder / row["report"]).read_bytes()
            PLATFORM.claims(parse(data))
            at = datetime(2026, 1, 1, tzinfo=UTC)
            report = troth.appraise(data, policy=policy(data), at=at)
            assert report.verdict is Verdict.UNDECIDED
            assert failing(report) == set()
            assert {code.id for code in PLATFORM.required} - {"G105"} <= still_open(report)
            continue
        good = found[row["report"]]
        endorsement, chain, at = good.endorsement, good.chain, good.at
        if certificate.endswith(".der"):
            endorsement = (folder / certificate).read_bytes()
            wanted = {"G104", "G301"}
            if "neg-test-vcek-invalid-new" in certificate:
                wanted = {"G206"}  # its chip id is in DER, which AMD's never is
            elif "legacy" in certificate or good.name == "ms-milan-v3.report.bin":
                wanted |= {
                    "G102"
                }  # AMD did not issue it; the chain at hand is of the other product
            if good.name == "oak-milan-v3.report.bin":
                wanted |= {"G103"}  # issued after the report was made
        elif "ARK Genoa" in certificate:
            chain, wanted = genoa, {"G102"}
        elif "SEV-Milan" in certificate:
            chain = (certs / "sev-milan.pem").read_bytes() + (certs / "ark-milan.pem").read_bytes()
            wanted = {"G102"}
        else:
            at, wanted = datetime(2026, 6, 1, tzinfo=UTC), {"G103"}
        report = troth.appraise(
            good.data, policy=policy(good.data), at=at, collateral=collateral(endorsement, chain)
        )
        assert report.verdict is Verdict.REJECTED, certificate
        assert failing(report) == wanted, certificate
    assert len(seen) == NEGATIVES


def mutated(data: bytes, operation: str) -> bytes:
    if operation == "truncate-1":
        return data[:-1]
    if operation == "append 00":
        return data + b"\0"
    kind, _, rest = operation.partition("@")
    changed = bytearray(data)
    if kind == "xor":
        at, mask = rest.split("=")
        changed[int(at, 16)] ^= int(mask, 16)
    else:
        assert kind == "zero"
        at, size = rest.split("+")
        changed[int(at, 16) : int(at, 16) + int(size)] = bytes(int(size))
    return bytes(changed)


def test_no_row_of_the_mutations_is_accepted(vectors: Path) -> None:
    found = rows(vectors)
    seen = 0
    for mutation in table(vectors, "MUTATIONS.tsv"):
        seen += 1
        row = found[mutation["base_file"]]
        data = mutated(row.data, mutation["operation"])
        assert data != row.data
        with pytest.raises(TrothError):
            troth.verify(data, policy=policy(row.data), at=row.at, collateral=row.collateral())
        # Not for what is open anyway: each is refused for itself.
        report = appraised(row, row.collateral(), data)
        assert report.verdict in (Verdict.REJECTED, Verdict.MALFORMED), mutation
        assert failing(report), mutation
    assert seen == MUTATIONS


def test_the_tail_of_the_signature_carries_nothing(vectors: Path) -> None:
    for mutation in table(vectors, "MUTATIONS.tsv"):
        if mutation["name"] in ("sig_tail", "sig_r_high", "trunc", "trail", "zero_sig"):
            data = (vectors / "snp" / mutation["base_file"]).read_bytes()
            with pytest.raises(Malformed):
                parse(mutated(data, mutation["operation"]))


def test_one_object_of_collateral_serves_all_reports(vectors: Path) -> None:
    found = rows(vectors)
    items = [item for row in found.values() for item in row.collateral().items]
    everything = Collateral(items=tuple(reversed(items)))
    for row in found.values():
        report = appraised(row, everything)
        assert still_open(report) == {"R101", "R203", "R204"}, row.name
        assert failing(report) <= {"P101"}, row.name
        assert len(report.collateral) == 2


def test_the_key_follows_the_reported_versions_and_not_the_current_ones(vectors: Path) -> None:
    row = rows(vectors)["trustee-aws-vlek-milan-v3.report.bin"]
    document = parse(row.data)
    assert document.product is not None
    reported, current = (
        parts(tcb, document.product) for tcb in (document.reported_tcb, document.current_tcb)
    )
    assert reported["microcode"] < current["microcode"]
    assert "G301" in codes(appraised(row, row.collateral()), Outcome.PASSED)
