"""Where troth and dcap-qvl answer differently on the same quote, collateral and instant, and who is right."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.platforms.dcap.rows import Row

RELEASE = "0.7.0"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One kind of difference.

    Attributes:
        key: short name.
        what: what is presented.
        accepts: whether dcap-qvl accepts it (and troth does not), or the other way round.
        says: a part of dcap-qvl's error, where it has one.
        why: who is right, and why.
        answers: dcap-qvl's and troth's in words, where both accept it and differ in more.
        rows: platform to the number of rows of the published vectors that show it.
        fits: whether a row shows it.
    """

    key: str
    what: str
    accepts: bool
    says: str = ""
    why: str
    rows: Mapping[str, int]
    answers: tuple[str, str] = ("", "")
    fits: Callable[[Row], bool] = lambda _: False


def _named(*names: str, operation: str = "") -> Callable[[Row], bool]:
    return lambda row: row.name in names and operation in row.operation


def _in_manifest(*files: str) -> Callable[[Row], bool]:
    return lambda row: not row.name and row.file.startswith(files)


DIFFERENCES = (
    Difference(
        key="tcb-info-2",
        what="TCB Info of version 2 (Intel's API version 3, SGX)",
        accepts=False,
        says="missing field `sgxtcbcomponents`",
        why="troth: Intel's own library reads it, and stored evidence comes with it",
        rows={"sgx": 12},
        fits=lambda row: (
            not row.name
            and '"version":2' in row.pieces["tcb_info"]
            and row.verdict == "accept-per-policy"
        ),
    ),
    Difference(
        key="sept-ve-disable",
        what="a TD without SEPT_VE_DISABLE (some clouds' TDs)",
        accepts=False,
        says="SEPT_VE_DISABLE is not enabled",
        why="both: it is a matter of policy. troth refuses it too, until a policy says "
        '`sept_ve_disable = "optional"`; dcap-qvl has no switch and gives no claims',
        rows={"tdx": 1},
        fits=_in_manifest("trustee-azure-v4"),
    ),
    Difference(
        key="service-td",
        what="a TD with a service TD (MRSERVICETD is not zero)",
        accepts=False,
        says="Invalid MR service TD",
        why="both: it is a matter of policy. troth refuses it too, until a policy names the service "
        "TD's measurement; dcap-qvl has no switch and gives no claims",
        rows={"tdx": 2},
        fits=_in_manifest("alibaba-v5."),
    ),
    Difference(
        key="trailing",
        what="bytes behind the quote that are not zero",
        accepts=True,
        why="troth: nothing signs them, so whoever carries the quote could put anything there",
        rows={"sgx": 1, "tdx": 2},
        fits=_named("trail_garbage"),
    ),
    Difference(
        key="outer-type",
        what="certification data of type 7 outside, where version 4 and 5 have 6",
        accepts=True,
        why="troth: the type says how the bytes are read, and nothing signs it",
        rows={"tdx": 2},
        fits=_named("outer_certtype"),
    ),
    Difference(
        key="inner-trailing",
        what="bytes behind the inner certification data, inside of the outer one",
        accepts=True,
        why="troth: nothing signs them",
        rows={"tdx": 1},
        fits=_named("inner_trailing"),
    ),
    Difference(
        key="no-root",
        what="a quote whose chain ends before the root",
        accepts=True,
        why="both: the root is pinned either way. troth reads the one form that Intel's quoting "
        "library writes: leaf, authority, root",
        rows={"tdx": 1},
        fits=_named("chain_no_root", operation="leaf + intermediate"),
    ),
    Difference(
        key="foreign-root",
        what="a quote whose third certificate is another vendor's root",
        accepts=True,
        why="troth: a chain says which root it is of; this one lies, and what is not looked at can "
        "carry anything",
        rows={"tdx": 1},
        fits=_named("chain_foreign_root"),
    ),
    Difference(
        key="fourth-certificate",
        what="an unrelated fourth certificate in the quote's chain",
        accepts=True,
        why="troth: as above",
        rows={"tdx": 1},
        fits=_named("chain_extra_cert"),
    ),
    Difference(
        key="text-in-pem",
        what="text between the certificates of the quote's chain",
        accepts=True,
        why="troth: as above",
        rows={"tdx": 1},
        fits=_named("chain_text_junk"),
    ),
)
# Seen on quotes of the simulator alone: no public vector has them.
MADE = (
    Difference(
        key="sgx-4-5",
        what="quotes of version 4 and 5 with an SGX enclave's report",
        accepts=False,
        says="SGX TEE quote must have version 3",
        why="troth: Intel's library makes and reads them",
        rows={},
    ),
    Difference(
        key="order-of-levels",
        what="levels of a quoting enclave or TDX module that are not written highest first",
        accepts=True,
        answers=("the first that fits", "the highest that fits"),
        why="troth: Intel's library sorts them; Intel's documents are written highest first",
        rows={},
    ),
)


def find(row: Row) -> Difference | None:
    """The difference that a row shows, or None where both must agree."""
    found = [one for one in DIFFERENCES if one.fits(row)]
    assert len(found) < 2, row.id
    return found[0] if found else None


def page() -> str:
    """The page of the reference."""
    lines = [
        "# Where troth and dcap-qvl differ",
        "",
        "[dcap-qvl](https://github.com/Phala-Network/dcap-qvl) verifies Intel quotes too.",
        f"troth's tests ask both ({RELEASE}) about each row of the published vectors (62 rows of",
        "quotes and collateral, 182 changes of them) and about made quotes at levels drawn by",
        "chance. Status and advisories agree, but for this:",
        "",
        "| presented | dcap-qvl | troth | rows | who is right |",
        "| --- | --- | --- | --- | --- |",
    ]
    for one in (*DIFFERENCES, *MADE):
        theirs, mine = ("accepts", "refuses") if one.accepts else ("refuses", "accepts")
        theirs, mine = one.answers if all(one.answers) else (theirs, mine)
        rows = str(sum(one.rows.values())) if one.rows else "made"
        lines.append(f"| {one.what} | {theirs} | {mine} | {rows} | {one.why} |")
    lines += [
        "",
        "Where troth accepts, it does so under a policy that names the status, the advisories, and",
        "what else the row needs. The table is `tests/platforms/dcap/differences.py`; a test holds",
        "it to what both say.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    target = Path(__file__).parents[3] / "docs" / "reference" / "differences-dcap-qvl.md"
    target.write_text(page(), encoding="utf-8")
