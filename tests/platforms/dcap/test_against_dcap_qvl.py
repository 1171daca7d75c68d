"""Every row, and made quotes at levels drawn by chance, against dcap-qvl: agreed, or a difference below.

`docs/reference/differences-dcap-qvl.md` is this table; `python -m tests.platforms.dcap.differences`
writes it.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.platforms.dcap import differences, oracle
from tests.platforms.dcap.differences import DIFFERENCES, MADE, RELEASE, find
from tests.platforms.dcap.made import NONCE, NOW, PKI, accepted, good, pinned, put
from tests.platforms.dcap.rows import Row, judged, manifest, mutations

import troth
from troth.model.report import Verdict
from troth.platforms.dcap import simulate_documents as documents
from troth.platforms.dcap.collateral import STATUSES, Level, Module, SvnLevel
from troth.platforms.dcap.simulate import QuoteKind

dcap_qvl = pytest.importorskip("dcap_qvl", reason="dcap-qvl, the other verifier, is not installed")

ADVISORIES = ("INTEL-SA-00001", "INTEL-SA-00002")
READ_BY_BOTH = (
    QuoteKind.SGX_3,
    QuoteKind.TDX_4,
    QuoteKind.TDX_5_10,
    QuoteKind.TDX_5_15,
    QuoteKind.TDX_5_15EX,
)


def ours(row: Row) -> oracle.Answer:
    report = judged(row)
    if report.verdict is not Verdict.ACCEPTED:
        return oracle.Answer(None, error=str(report.verdict))
    assert report.presented is not None
    assert report.presented.tcb is not None
    tcb = report.presented.tcb
    return oracle.Answer(tcb.status, frozenset(tcb.advisories))


def test_the_release_that_the_table_speaks_of() -> None:
    if dcap_qvl.__version__ != RELEASE:
        pytest.skip(f"the table speaks of {RELEASE}, installed is {dcap_qvl.__version__}")
    from importlib.metadata import version

    assert version("dcap-qvl") == RELEASE


@pytest.mark.parametrize("platform", ["sgx", "tdx"])
def test_every_row(vectors: Path, platform: str) -> None:
    if dcap_qvl.__version__ != RELEASE:
        pytest.skip(f"the table speaks of {RELEASE}")
    rows = [*manifest(vectors, platform), *mutations(vectors, platform)]
    seen: Counter[str] = Counter()
    for row in rows:
        theirs, mine = oracle.on_row(row), ours(row)
        named = find(row)
        if named is None:
            assert (theirs.status, theirs.advisories) == (mine.status, mine.advisories), (
                row.id,
                theirs,
                mine,
            )
        else:
            assert (theirs.status is None) is not named.accepts, (row.id, theirs)
            assert (mine.status is None) is named.accepts, (row.id, mine)
            assert named.says in theirs.error
            seen[named.key] += 1
    assert seen == {d.key: d.rows[platform] for d in DIFFERENCES if platform in d.rows}


@pytest.mark.parametrize("kind", QuoteKind)
def test_every_kind_that_both_read(kind: QuoteKind) -> None:
    case = good(kind)
    theirs = oracle.on_made(case.data, case.collateral, PKI.root.der, NOW, tdx=kind.tdx)
    if kind in READ_BY_BOTH:
        assert theirs.status == "UpToDate"
    else:
        assert theirs.status is None
        assert MADE[0].says in theirs.error


def test_the_order_of_an_enclaves_and_a_modules_levels() -> None:
    case = good(QuoteKind.TDX_4)
    base, module = documents.modules()
    enclave = documents.svn_levels(documents.QE_SVN)
    for item in (
        PKI.qe_identity(tdx=True, qe_levels=enclave[::-1]),
        PKI.tcb_info(tdx=True, tdx_modules=(base, replace(module, levels=module.levels[::-1]))),
    ):
        whole = put(case.collateral, item)
        theirs = oracle.on_made(case.data, whole, PKI.root.der, NOW, tdx=True)
        assert theirs.status == "OutOfDate"
        accepted(replace(case, collateral=whole))
    rows = documents.levels(tdx=True)[::-1]
    whole = put(case.collateral, PKI.tcb_info(tdx=True, tcb_levels=rows))
    assert oracle.on_made(case.data, whole, PKI.root.der, NOW, tdx=True).status == "UpToDate"


def svn_levels(best: int) -> st.SearchStrategy[tuple[SvnLevel, ...]]:
    row = st.builds(
        SvnLevel,
        st.integers(best - 2, best + 1),
        st.sampled_from(["UpToDate", "OutOfDate", "Revoked"]),
        st.just(documents.NEW),
        st.sets(st.sampled_from(ADVISORIES)).map(tuple),
    )
    rows = st.lists(row, min_size=1, max_size=3, unique_by=lambda level: level.isvsvn)
    return rows.map(lambda found: tuple(sorted(found, key=lambda level: -level.isvsvn)))


def versions(middle: int) -> st.SearchStrategy[bytes]:
    """16 versions around a middle, of which few differ."""
    return st.lists(
        st.sampled_from([middle] * 12 + [middle - 1, middle + 1]), min_size=16, max_size=16
    ).map(bytes)


def level(*, tdx: bool) -> st.SearchStrategy[Level]:
    return st.builds(
        Level,
        versions(3),
        st.integers(10, 13),
        versions(3) if tdx else st.just(b""),
        st.sampled_from(sorted(STATUSES)),
        st.just(documents.NEW),
        st.sets(st.sampled_from(ADVISORIES)).map(tuple),
    )


@settings(max_examples=60)
@given(kind=st.sampled_from(READ_BY_BOTH), data=st.data())
def test_levels_drawn_by_chance(kind: QuoteKind, data: st.DataObject) -> None:
    """Two evaluators of Intel's rules: which level, how parts join, relaunch, and what is no level."""
    tdx = kind.tdx
    draw = data.draw
    machine = PKI.new_machine(components=draw(versions(3)), pce_svn=draw(st.integers(11, 13)))
    rows = draw(st.lists(level(tdx=tdx), min_size=1, max_size=4).map(tuple))
    info: dict[str, Any] = {"tcb_levels": rows}
    fields: dict[str, bytes] = {}
    if tdx:
        base = Module(None, bytes(48), bytes(8), b"\xff" * 8, ())
        listed = Module(1, bytes(48), bytes(8), b"\xff" * 8, draw(svn_levels(4)))
        info["tdx_modules"] = (base, listed)

        def svn() -> bytes:
            rest = draw(versions(3))
            return bytes((draw(st.integers(2, 5)), draw(st.sampled_from([0, 1, 1, 1])), *rest[2:]))

        fields["tee_tcb_svn"] = svn()
        if kind in (QuoteKind.TDX_5_15, QuoteKind.TDX_5_15EX):
            fields["tee_tcb_svn_2"] = draw(st.sampled_from([fields["tee_tcb_svn"], svn()]))
    case = good(kind, machine=machine, fields=fields)
    identity = PKI.qe_identity(tdx=tdx, qe_levels=draw(svn_levels(documents.QE_SVN)))
    whole = put(case.collateral, PKI.tcb_info(tdx=tdx, **info), identity)
    case = replace(case, collateral=whole)
    report = troth.appraise(
        case.data,
        policy=pinned(case.data),
        at=NOW,
        nonce=NONCE,
        trust=PKI.roots(),
        collateral=whole,
    )
    assert report.presented is not None
    mine = report.presented.tcb
    assert mine is not None
    theirs = oracle.on_made(case.data, whole, PKI.root.der, NOW, tdx=tdx)
    if mine.status in ("TcbNotSupported", "Revoked"):
        assert theirs.status is None or theirs.status == mine.status, theirs
    else:
        assert theirs.status == mine.status, theirs
        assert theirs.advisories == set(mine.advisories)


def test_the_page_is_this_table() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "differences-dcap-qvl.md"
    assert page.read_text(encoding="utf-8") == differences.page(), (
        "run: python -m tests.platforms.dcap.differences"
    )
