"""At which level does a platform stand: every status, joined, of platform, enclave and TDX module."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.platforms.dcap.made import NOW, PKI, Case, accepted, admitting, good, refused, swapped

from troth.model.collateral import Collateral
from troth.model.tcb import Tcb
from troth.platforms.dcap import simulate_documents as documents
from troth.platforms.dcap.collateral import STATUSES, Level, Module, SvnLevel
from troth.platforms.dcap.simulate import QuoteKind

SGX, TDX, TDX_4 = QuoteKind.SGX_4, QuoteKind.TDX_5_15, QuoteKind.TDX_4
NEW, OLD = documents.NEW, documents.OLD
SVN, COMPONENTS, PCE = documents.TDX_SVN, documents.COMPONENTS, documents.PCE_SVN


def levels(kind: QuoteKind, status: str, *, advisories: tuple[str, ...] = ()) -> tuple[Level, ...]:
    tdx = documents.TDX_10_SVN if kind.tdx else b""
    return (Level(COMPONENTS, PCE, tdx, status, NEW, advisories),)


def modules(*rows: SvnLevel, major: int = 1, **changes: Any) -> tuple[Module, ...]:
    base = Module(None, bytes(48), bytes(8), b"\xff" * 8, ())
    listed = {"mrsigner": bytes(48), "attributes": bytes(8), "mask": b"\xff" * 8} | changes
    return base, Module(major, levels=rows, **listed)


def svn(version: int, status: str = "UpToDate", *advisories: str) -> SvnLevel:
    return SvnLevel(version, status, NEW if status == "UpToDate" else OLD, advisories)


def judged(case: Case, kind: QuoteKind, **says: Any) -> Case:
    return swapped(case, PKI.tcb_info(tdx=kind.tdx, **says))


def tcb(case: Case) -> Tcb:
    claims = case.report().presented
    assert claims is not None
    assert claims.tcb is not None
    return claims.tcb


@pytest.mark.parametrize("kind", [SGX, TDX, TDX_4])
@pytest.mark.parametrize("status", sorted(STATUSES))
def test_a_status_is_admitted_by_name_or_refused(kind: QuoteKind, status: str) -> None:
    case = judged(good(kind), kind, tcb_levels=levels(kind, status))
    assert tcb(case).status == status
    if status == "Revoked":
        refused(case, "T103")
        return
    if status == "UpToDate":
        accepted(case)
        return
    refused(case, "T101")
    accepted(case, admitting(case.data, status))
    refused(case, "T101", policy=admitting(case.data, *(STATUSES - {status, "Revoked"})))


@pytest.mark.parametrize("kind", [SGX, TDX])
def test_an_advisory_is_accepted_by_name_or_refused(kind: QuoteKind) -> None:
    rows = levels(kind, "UpToDate", advisories=("INTEL-SA-00001", "INTEL-SA-00002"))
    case = judged(good(kind), kind, tcb_levels=rows)
    refused(case, "T104")
    refused(case, "T104", policy=admitting(case.data, "UpToDate", advisories=["INTEL-SA-00001"]))
    both = ["INTEL-SA-00001", "INTEL-SA-00002"]
    accepted(case, admitting(case.data, "UpToDate", advisories=both))


@pytest.mark.parametrize("kind", [SGX, TDX])
def test_below_every_level(kind: QuoteKind) -> None:
    short = bytes((COMPONENTS[0] + 1, *COMPONENTS[1:]))
    tdx = documents.TDX_10_SVN if kind.tdx else b""
    for sgx, pce in ((short, PCE), (COMPONENTS, PCE + 1)):
        rows = (Level(sgx, pce, tdx, "OutOfDate", OLD, ()),)
        case = judged(good(kind), kind, tcb_levels=rows)
        refused(case, "T102")
        assert tcb(case).status == "TcbNotSupported"


@pytest.mark.parametrize("component", range(16))
@pytest.mark.parametrize("kind", [SGX, TDX])
def test_every_component_counts(kind: QuoteKind, component: int) -> None:
    """One below in one component: the level below it, and the finding says which and by how much."""
    if COMPONENTS[component] == 255:
        needs = COMPONENTS  # no level can ask for more than 255
        has = bytes((*COMPONENTS[:component], 254, *COMPONENTS[component + 1 :]))
    else:
        has = COMPONENTS
        more = COMPONENTS[component] + 1
        needs = bytes((*COMPONENTS[:component], more, *COMPONENTS[component + 1 :]))
    tdx = documents.TDX_10_SVN if kind.tdx else b""
    rows = (
        Level(needs, PCE, tdx, "UpToDate", NEW, ()),
        Level(bytes(16), 0, bytes(16) if kind.tdx else b"", "OutOfDate", OLD, ()),
    )
    machine = PKI.new_machine(components=has)
    case = judged(good(kind, machine=machine), kind, tcb_levels=rows)
    refused(case, "T101")
    (short,) = tcb(case).findings[0].short
    assert short.component.startswith(f"SGX component {component + 1}")
    assert (short.has, short.needs) == (has[component], needs[component])


@pytest.mark.parametrize("component", range(16))
def test_every_tdx_component_counts(component: int) -> None:
    """From module 1.x on, the first two are the module's version, which has levels of its own."""
    asks = bytearray(16)
    asks[component] = 9
    rows = (
        Level(bytes(16), 0, bytes(asks), "UpToDate", NEW, ()),
        Level(bytes(16), 0, bytes(16), "OutOfDate", OLD, ()),
    )
    for major in (0, 1):
        has = bytearray(16)
        has[0], has[1] = 8, major
        fields = {"tee_tcb_svn": bytes(has)}
        known = modules(svn(1))
        case = judged(good(TDX_4, fields=fields), TDX_4, tcb_levels=rows, tdx_modules=known)
        if major == 1 and component < 2:
            accepted(case)
        else:
            refused(case, "T101")
            (short,) = tcb(case).findings[0].short
            assert short.component.startswith(f"TDX component {component + 1}")
            assert (short.has, short.needs) == (has[component], 9)
        enough = bytearray(has)
        enough[component] = 9
        if component != 1:
            case = judged(
                good(TDX_4, fields={"tee_tcb_svn": bytes(enough)}),
                TDX_4,
                tcb_levels=rows,
                tdx_modules=known,
            )
            accepted(case)


CONVERGE = [
    # platform, part, joined: Intel's rule.
    ("UpToDate", "UpToDate", "UpToDate"),
    ("UpToDate", "OutOfDate", "OutOfDate"),
    ("SWHardeningNeeded", "OutOfDate", "OutOfDate"),
    ("ConfigurationNeeded", "OutOfDate", "OutOfDateConfigurationNeeded"),
    ("ConfigurationAndSWHardeningNeeded", "OutOfDate", "OutOfDateConfigurationNeeded"),
    ("OutOfDate", "OutOfDate", "OutOfDate"),
    ("OutOfDateConfigurationNeeded", "OutOfDate", "OutOfDateConfigurationNeeded"),
    ("OutOfDate", "UpToDate", "OutOfDate"),
    ("UpToDate", "Revoked", "Revoked"),
    ("OutOfDate", "Revoked", "Revoked"),
    ("Revoked", "UpToDate", "Revoked"),
]


@pytest.mark.parametrize(("platform", "part", "joined"), CONVERGE)
@pytest.mark.parametrize("kind", [SGX, TDX_4])
def test_a_platform_is_no_better_than_its_quoting_enclave(
    kind: QuoteKind, platform: str, part: str, joined: str
) -> None:
    case = judged(good(kind), kind, tcb_levels=levels(kind, platform))
    rows = (svn(documents.QE_SVN, part),)
    case = swapped(case, PKI.qe_identity(tdx=kind.tdx, qe_levels=rows))
    assert tcb(case).status == joined


@pytest.mark.parametrize(("platform", "part", "joined"), CONVERGE)
def test_a_td_is_no_better_than_its_module(platform: str, part: str, joined: str) -> None:
    case = judged(
        good(TDX_4),
        TDX_4,
        tcb_levels=levels(TDX_4, platform),
        tdx_modules=modules(svn(SVN[0], part)),
    )
    assert tcb(case).status == joined


@pytest.mark.parametrize("kind", [SGX, TDX])
def test_a_quoting_enclave_below_every_level(kind: QuoteKind) -> None:
    rows = (svn(documents.QE_SVN + 1),)
    refused(swapped(good(kind), PKI.qe_identity(tdx=kind.tdx, qe_levels=rows)), "T102")


def test_a_module_below_every_level() -> None:
    known = modules(svn(SVN[0] + 1))
    refused(judged(good(TDX), TDX, tdx_modules=known), "T102")


def test_a_module_that_is_not_listed() -> None:
    """Its level is unknown as well: both questions say no."""
    known = modules(svn(1), major=3)
    refused(judged(good(TDX), TDX, tdx_modules=known), "T102", "T110")
    svn_3 = bytes((5, 3, *SVN[2:]))
    fields = {"tee_tcb_svn": svn_3, "tee_tcb_svn_2": svn_3}
    accepted(judged(good(TDX, fields=fields), TDX, tdx_modules=known))


@pytest.mark.parametrize("kind", [TDX, TDX_4])
@pytest.mark.parametrize("svn_of_td", [SVN, documents.TDX_10_SVN])
def test_a_module_of_another_signer(kind: QuoteKind, svn_of_td: bytes) -> None:
    fields = {"tee_tcb_svn": svn_of_td, "mrsignerseam": b"\1" + bytes(47)}
    if kind is TDX:
        fields["tee_tcb_svn_2"] = svn_of_td
    refused(good(kind, fields=fields), "T110")
    listed = modules(svn(SVN[0]), mrsigner=fields["mrsignerseam"])
    if svn_of_td is SVN:
        accepted(judged(good(kind, fields=fields), kind, tdx_modules=listed))
        refused(judged(good(kind), kind, tdx_modules=listed), "T110")


@pytest.mark.parametrize("bit", [0, 7, 63])
def test_a_module_with_attributes(bit: int) -> None:
    attributes = (1 << bit).to_bytes(8, "little")
    refused(good(TDX, fields={"seam_attributes": attributes}), "T110")
    # Not even where a document's mask leaves the bit out.
    lax = modules(svn(SVN[0]), mask=bytes(8))
    refused(judged(good(TDX, fields={"seam_attributes": attributes}), TDX, tdx_modules=lax), "T110")


def test_the_module_that_runs_now_must_be_listed_too() -> None:
    fields = {"tee_tcb_svn_2": bytes((5, 4, *SVN[2:]))}
    refused(good(TDX, fields=fields), "T102", "T110")


RELAUNCH = [
    # level that the TD was launched at, level now, joined
    ("OutOfDate", "UpToDate", "TDRelaunchAdvised"),
    ("OutOfDate", "SWHardeningNeeded", "TDRelaunchAdvised"),
    ("OutOfDate", "ConfigurationNeeded", "TDRelaunchAdvisedConfigurationNeeded"),
    ("OutOfDateConfigurationNeeded", "UpToDate", "TDRelaunchAdvisedConfigurationNeeded"),
    ("OutOfDate", "OutOfDate", "OutOfDate"),
    ("UpToDate", "UpToDate", "UpToDate"),
    ("OutOfDate", "Revoked", "Revoked"),
    ("Revoked", "UpToDate", "Revoked"),
]


@pytest.mark.parametrize(("launched", "now", "joined"), RELAUNCH)
@pytest.mark.parametrize("kind", [TDX, QuoteKind.TDX_5_15EX])
def test_a_td_that_was_launched_under_another_module(
    kind: QuoteKind, launched: str, now: str, joined: str
) -> None:
    then, current = bytes((5, 1, 2, *bytes(13))), bytes((5, 1, 4, *bytes(13)))
    rows = (
        Level(COMPONENTS, PCE, current, now, NEW, ()),
        Level(COMPONENTS, PCE, then, launched, OLD, ()),
    )
    fields = {"tee_tcb_svn": then, "tee_tcb_svn_2": current}
    case = judged(good(kind, fields=fields), kind, tcb_levels=rows)
    assert tcb(case).status == joined
    if joined in ("UpToDate", "Revoked"):
        return
    refused(case, "T101")
    accepted(case, admitting(case.data, joined))


def test_the_date_is_the_oldest_and_advisories_are_everybodys() -> None:
    rows = (levels(TDX, "UpToDate")[0]._replace(advisories=("INTEL-SA-1", "INTEL-SA-2")),)
    known = modules(SvnLevel(SVN[0], "UpToDate", OLD - timedelta(days=1), ("INTEL-SA-2",)))
    enclave = (SvnLevel(documents.QE_SVN, "UpToDate", OLD, ("INTEL-SA-3",)),)
    case = judged(good(TDX), TDX, tcb_levels=rows, tdx_modules=known, evaluation_number=22)
    case = swapped(case, PKI.qe_identity(tdx=True, qe_levels=enclave, evaluation_number=21))
    found = tcb(case)
    assert found.date == OLD - timedelta(days=1)
    assert set(found.advisories) == {"INTEL-SA-1", "INTEL-SA-2", "INTEL-SA-3"}
    assert len(found.advisories) == 3
    assert found.evaluation_number == 21


def test_early_documents_say_what_is_coming_and_decide_nothing() -> None:
    case = good(SGX)
    coming = documents.levels(tdx=False, status="OutOfDate")
    early = (
        PKI.tcb_info(tdx=False, early=True, tcb_levels=coming, evaluation_number=21),
        PKI.qe_identity(tdx=False, early=True, evaluation_number=21),
    )
    more = replace(case, collateral=case.collateral + Collateral(items=early))
    report = accepted(more)
    assert any("21" in note and "OutOfDate" in note for note in report.notes)
    same = (PKI.tcb_info(tdx=False, early=True, evaluation_number=21), early[1])
    report = accepted(replace(case, collateral=case.collateral + Collateral(items=same)))
    assert report.notes == ("under evaluation number 21 the status stays UpToDate",)
    advised = documents.levels(tdx=False)
    advised = (advised[0]._replace(advisories=("INTEL-SA-00998",)), *advised[1:])
    more = PKI.tcb_info(tdx=False, early=True, evaluation_number=21, tcb_levels=advised)
    report = accepted(
        replace(case, collateral=case.collateral + Collateral(items=(more, early[1])))
    )
    (note,) = report.notes
    assert "INTEL-SA-00998" in note
    half = Collateral(items=(early[0],))
    assert accepted(replace(case, collateral=case.collateral + half)).notes == ()
    forged = replace(early[0], data=early[0].data.replace(b'"OutOfDate"', b'"UpToDate"'))
    more = replace(case, collateral=case.collateral + Collateral(items=(forged, early[1])))
    report = accepted(more)
    assert not any("OutOfDate" in note for note in report.notes)
    assert any("not genuine" in note for note in report.notes)
    assert more.at == NOW


def test_what_is_short_is_named_with_what_brings_it_up_to_date() -> None:
    """The nearest better level: the one with the fewest components short."""
    tdx = bytes((99, 99, 9, *bytes(13)))  # the first two are the module's, and not looked at here
    more = bytes((COMPONENTS[0] + 1, *COMPONENTS[1:]))
    far = bytes((COMPONENTS[0] + 2, COMPONENTS[1] + 1, *COMPONENTS[2:]))
    rows = (
        Level(far, PCE + 2, tdx, "UpToDate", NEW, ()),
        Level(more, PCE + 1, tdx, "SWHardeningNeeded", NEW, ()),
        Level(COMPONENTS, PCE, bytes(16), "OutOfDate", OLD, ()),
    )
    case = judged(good(TDX_4), TDX_4, tcb_levels=rows)
    platform = tcb(case).findings[0]
    assert platform.status == "OutOfDate"
    assert platform.better.startswith("SWHardeningNeeded, 2026-08-12")
    assert [
        (item.component.partition(" (")[0], item.has, item.needs) for item in platform.short
    ] == [
        ("SGX component 1", COMPONENTS[0], COMPONENTS[0] + 1),
        ("PCESVN", PCE, PCE + 1),
        ("TDX component 3", SVN[2], 9),
    ]
    assert "BIOS" in platform.short[0].component
    assert "the BIOS" in platform.fix
    assert "platform software" in platform.fix


def test_an_enclave_and_a_module_that_are_short() -> None:
    known = modules(svn(SVN[0] + 2), svn(SVN[0] - 1, "OutOfDate"))
    enclave = (svn(documents.QE_SVN + 3), svn(documents.QE_SVN, "OutOfDate"))
    case = judged(good(TDX_4), TDX_4, tdx_modules=known)
    case = swapped(case, PKI.qe_identity(tdx=True, qe_levels=enclave))
    _, module, quoting = tcb(case).findings
    assert module.part == "TDX module 1.x"
    assert [(s.has, s.needs) for s in module.short] == [(SVN[0], SVN[0] + 2)]
    assert "TDX module" in module.fix
    assert quoting.part == "QE"
    has, needs = documents.QE_SVN, documents.QE_SVN + 3
    assert [(s.has, s.needs) for s in quoting.short] == [(has, needs)]
    assert "quoting enclave" in quoting.fix


def test_nothing_is_short_at_the_best_level() -> None:
    for part in tcb(good(TDX)).findings:
        assert (part.short, part.better, part.fix) == ((), "", "")


@pytest.mark.parametrize(
    ("component", "said", "unsaid"),
    [(0, "the BIOS", "microcode or modules"), (1, "microcode or modules", "the BIOS")],
)
def test_who_can_bring_a_component_up_to_date(component: int, said: str, unsaid: str) -> None:
    more = bytearray(COMPONENTS)
    more[component] += 1
    rows = (
        Level(bytes(more), PCE, b"", "UpToDate", NEW, ()),
        Level(COMPONENTS, PCE, b"", "OutOfDate", OLD, ()),
    )
    platform = tcb(judged(good(SGX), SGX, tcb_levels=rows)).findings[0]
    assert said in platform.fix
    assert unsaid not in platform.fix
    assert "platform software" not in platform.fix


def test_the_nearest_level_is_the_one_with_the_fewest_numbers_short() -> None:
    """The PCE's own number counts as one of them."""
    one = bytes((COMPONENTS[0] + 1, *COMPONENTS[1:]))
    rows = (
        Level(one, PCE + 1, b"", "UpToDate", NEW, ()),
        Level(one, PCE, b"", "UpToDate", NEW, ()),
        Level(COMPONENTS, PCE, b"", "OutOfDate", OLD, ()),
    )
    platform = tcb(judged(good(SGX), SGX, tcb_levels=rows)).findings[0]
    assert platform.status == "OutOfDate"
    assert [(short.has, short.needs) for short in platform.short] == [
        (COMPONENTS[0], COMPONENTS[0] + 1)
    ]
    rows = (
        Level(one[:1] + bytes((COMPONENTS[1] + 1, *COMPONENTS[2:])), PCE, b"", "UpToDate", NEW, ()),
        Level(COMPONENTS, PCE + 1, b"", "UpToDate", NEW, ()),
        Level(COMPONENTS, PCE, b"", "OutOfDate", OLD, ()),
    )
    platform = tcb(judged(good(SGX), SGX, tcb_levels=rows)).findings[0]
    assert [(short.has, short.needs) for short in platform.short] == [(PCE, PCE + 1)]
