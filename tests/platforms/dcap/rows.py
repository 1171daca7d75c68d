"""Rows of the published Intel vectors: quotes, collateral, instants, and changes of them, as tables say."""

import csv
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import troth
from troth.model.check import Outcome
from troth.model.collateral import Collateral, Item, Kind
from troth.model.report import Report
from troth.platforms import detect
from troth.policy.requirements import Requirements

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
FAR = date(9999, 12, 31)


@dataclass(frozen=True)
class Row:
    """One quote with the collateral and the instant to judge it by."""

    platform: str
    file: str
    data: bytes
    pieces: Mapping[str, str]
    at: datetime
    verdict: str = ""
    status: str = ""
    advisories: tuple[str, ...] = ()
    date: datetime | None = None
    qvl: str = ""
    name: str = ""
    operation: str = ""
    expected: str = ""
    more: tuple[Item, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.platform}/{self.file}/{self.name}/{self.at:%Y-%m-%d}"

    @property
    def seconds(self) -> int:
        return int(self.at.timestamp())

    def collateral(self) -> Collateral:
        made = _prepared(json.dumps(dict(self.pieces), sort_keys=True))
        return made + Collateral(items=self.more) if self.more else made


@functools.lru_cache(maxsize=128)
def _prepared(text: str) -> Collateral:
    return Collateral(items=items(json.loads(text)))


def items(pieces: Mapping[str, str]) -> tuple[Item, ...]:
    """The pieces as items, unread: also where they are damaged, which the loader of files refuses."""
    found = []
    for kind, member, piece in (
        (Kind.INTEL_TCB_INFO, "tcbInfo", "tcb_info"),
        (Kind.INTEL_QE_IDENTITY, "enclaveIdentity", "qe_identity"),
    ):
        body = f'{{"{member}":{pieces[piece]},"signature":"{pieces[piece + "_signature"]}"}}'
        chain = pieces[f"{piece}_issuer_chain"].encode()
        found.append(Item(kind=kind, data=body.encode(), chain=chain))
    for kind, piece in ((Kind.INTEL_ROOT_CRL, "root_ca_crl"), (Kind.INTEL_PCK_CRL, "pck_crl")):
        if pieces[piece]:
            found.append(Item(kind=kind, data=bytes.fromhex(pieces[piece])))
    return tuple(found)


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def _pieces(folder: Path, name: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((folder / name).read_text())
    return found


def _at(seconds: str) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


def manifest(vectors: Path, platform: str) -> list[Row]:
    folder = vectors / platform
    return [
        Row(
            platform=platform,
            file=row["file"],
            data=(folder / row["file"]).read_bytes(),
            pieces=_pieces(folder, row["collateral"]),
            at=_at(row["verify_at_unix"]),
            verdict=row["expected_verdict_default_policy"],
            status=row["expected_tcb_status_intel_qvl_rules"],
            advisories=tuple(filter(None, row["advisory_ids"].split(","))),
            date=datetime.fromisoformat(row["min_tcb_date"]) if row["min_tcb_date"] else None,
            qvl=row["dcap_qvl_0.7.0_result"],
        )
        for row in _table(folder / "MANIFEST.tsv")
    ]


def mutations(vectors: Path, platform: str) -> list[Row]:
    """Each row of the table of mutations, with its change made."""
    from tests.platforms.dcap import changes

    folder = vectors / platform
    found = []
    for row in _table(folder / "MUTATIONS.tsv"):
        base = Row(
            platform=platform,
            file=row["base_file"],
            data=(folder / row["base_file"]).read_bytes(),
            pieces=_pieces(folder, row["collateral"]),
            at=_at(row["verify_at_unix"]),
            name=row["name"],
            operation=row["operation"],
            expected=row["expected"],
            qvl=row["dcap_qvl_0.7.0_result"],
        )
        found.append(changes.made(base, vectors))
    return found


def accepting(row: Row, report: Report) -> troth.Policy:
    """The policy that admits all that this row's quote is, and nothing else."""
    claims = report.presented
    assert claims is not None
    tcb = claims.tcb
    statuses = {tcb.status} if tcb is not None else set()
    extra = {"migration": "allowed", "sept_ve_disable": "optional"} if row.platform == "tdx" else {}
    wanted = Requirements(
        tcb_status=frozenset(statuses - {"Revoked", "TcbNotSupported"} or {"UpToDate"}),
        advisories=dict.fromkeys(tcb.advisories if tcb is not None else (), FAR),
        **extra,
    )
    registers = {name: frozenset({claims.registers[name]}) for name in claims.identity}
    return troth.Policy(
        name="admits this",
        registers={row.platform: registers},
        requirements={row.platform: wanted},
    )


def look(row: Row, policy: troth.Policy | None = None, **more: object) -> Report:
    """The report on a row, with its own REPORTDATA as the nonce where it has one."""
    policy = troth.Policy(name="look") if policy is None else policy
    arguments: dict[str, object] = {"nonce": reportdata(row)} | more
    if "collateral" not in arguments:
        arguments["collateral"] = row.collateral()
    return troth.appraise(row.data, policy=policy, at=row.at, **arguments)  # type: ignore[arg-type]


def judged(row: Row, **more: object) -> Report:
    """The report on a row under the policy that admits what it is."""
    first = look(row, **more)
    return first if first.presented is None else look(row, accepting(row, first), **more)


def reportdata(row: Row) -> bytes | None:
    try:
        found = detect(row.data)
        if found is None:
            return None
        platform, bare, _ = found
        return platform.claims(platform.parse(bare)).user_data
    except troth.TrothError:
        return None


def codes(report: Report, outcome: Outcome = Outcome.FAILED) -> set[str]:
    return {check.code.id for check in report.checks if check.outcome is outcome}


def changed(row: Row, **pieces: str) -> Row:
    return replace(row, pieces=dict(row.pieces) | pieces)
