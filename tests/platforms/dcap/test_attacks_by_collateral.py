"""Known attacks with collateral on verifiers of Intel quotes, made with keys that make everything else right.

`refused` asserts which questions alone say no, so that leaving one of them out would be acceptance.
"""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.platforms.dcap.attacked import BOTH, SGX, TDX, WINDOW, identity, info, unread
from tests.platforms.dcap.made import (
    NOW,
    OTHER,
    PKI,
    accepted,
    good,
    pinned,
    refused,
    swapped,
    without,
)

from troth.model.collateral import Collateral, Item, Kind
from troth.model.report import Verdict
from troth.platforms.dcap import simulate_documents as documents
from troth.platforms.dcap import simulate_pki as pki
from troth.platforms.dcap.simulate import QuoteKind


@BOTH
def test_the_pck_certificate_signs_no_collateral(kind: QuoteKind) -> None:
    """Its key is the platform's, so whoever runs the platform could sign levels of his own."""
    machine = PKI.machine
    for chain in (machine.leaf.pem + machine.authority.pem, machine.leaf.pem + PKI.root.pem):
        item = PKI.document("tcbInfo", info(kind), signer=machine.leaf, chain=chain)
        refused(swapped(good(kind), item), "G204")


@BOTH
def test_an_authority_signs_no_collateral(kind: QuoteKind) -> None:
    for signer in (PKI.platform_ca, PKI.root):
        item = PKI.document("tcbInfo", info(kind), signer=signer)
        refused(swapped(good(kind), item), "G204")


@BOTH
def test_a_signer_below_another_authority(kind: QuoteKind) -> None:
    """The right name, issued by the CA for platforms."""
    signer = pki.issue(pki.SIGNER, begin=PKI.issued, life=pki.LEAF_LIFE, above=PKI.platform_ca)
    for above in (PKI.platform_ca.pem + PKI.root.pem, PKI.root.pem):
        item = PKI.document("tcbInfo", info(kind), signer=signer, chain=signer.pem + above)
        refused(swapped(good(kind), item), "G204")


@BOTH
@pytest.mark.parametrize("list_kind", [Kind.INTEL_ROOT_CRL, Kind.INTEL_PCK_CRL])
def test_a_revocation_list_is_missing(kind: QuoteKind, list_kind: Kind) -> None:
    case = good(kind)
    case = replace(case, collateral=without(case.collateral, list_kind))
    refused(case, undecided={"R203", "R204"})


@BOTH
@pytest.mark.parametrize("when", [timedelta(days=-400), timedelta(days=1)])
def test_a_revocation_list_is_not_current(kind: QuoteKind, when: timedelta) -> None:
    for item in (PKI.pck_crl(begin=NOW + when), PKI.root_crl(begin=NOW + when)):
        refused(swapped(good(kind), item), undecided={"R203", "R204"})


@BOTH
def test_revocation_lists_of_others(kind: QuoteKind) -> None:
    for item in (OTHER.pck_crl(), OTHER.root_crl(), PKI.pck_crl(PKI.processor_ca)):
        refused(swapped(good(kind), item), undecided={"R203", "R204"})


@BOTH
def test_revocation_lists_swapped(kind: QuoteKind) -> None:
    root, authority = PKI.root_crl(), PKI.pck_crl()
    case = swapped(
        good(kind), replace(root, data=authority.data), replace(authority, data=root.data)
    )
    refused(case, undecided={"R203", "R204"})


@BOTH
def test_an_empty_revocation_list_is_none(kind: QuoteKind) -> None:
    for item in (PKI.root_crl(), PKI.pck_crl()):
        refused(swapped(good(kind), replace(item, data=b"")), undecided={"R203", "R204"})


@BOTH
def test_a_key_that_stands_twice(kind: QuoteKind) -> None:
    text = documents.written(info(kind))
    twice = text[:-1] + b',"tcbEvaluationDataNumber":99}'
    assert json.loads(twice)["tcbEvaluationDataNumber"] == 99
    refused(swapped(good(kind), PKI.document("tcbInfo", twice)), undecided=unread(kind))


@BOTH
def test_the_same_document_written_anew(kind: QuoteKind) -> None:
    """Another order of keys or other blanks: not the bytes that were signed."""
    item = PKI.tcb_info(tdx=kind.tdx)
    outer = json.loads(item.data)
    for inner in (
        json.dumps(outer["tcbInfo"], separators=(",", ": ")),
        json.dumps(dict(reversed(outer["tcbInfo"].items())), separators=(",", ":")),
    ):
        data = f'{{"tcbInfo":{inner},"signature":"{outer["signature"]}"}}'.encode()
        refused(swapped(good(kind), replace(item, data=data)), "G204")


@BOTH
def test_one_kind_of_document_for_another(kind: QuoteKind) -> None:
    member = {"tcbInfo": info(kind), "enclaveIdentity": identity(kind)}
    swaps = [("tcbInfo", "enclaveIdentity"), ("enclaveIdentity", "tcbInfo")]
    for outer, inner in swaps:
        item = PKI.document(outer, member[inner])
        refused(swapped(good(kind), item), undecided=unread(kind))
    numbers = PKI.evaluation_numbers(tdx=kind.tdx, numbers=[20])
    item = replace(numbers, kind=Kind.INTEL_TCB_INFO)
    refused(swapped(good(kind), item), undecided=unread(kind))


@BOTH
def test_the_other_tees_levels(kind: QuoteKind) -> None:
    """A TCB Info for SGX says nothing of TDX, nor the other way round."""
    case = good(kind)
    items = [i for i in case.collateral.items if i.kind is not Kind.INTEL_TCB_INFO]
    case = replace(case, collateral=Collateral(items=(*items, PKI.tcb_info(tdx=not kind.tdx))))
    refused(case, undecided=unread(kind))


def test_a_td_is_not_judged_by_the_old_form_of_levels() -> None:
    value = documents.tcb_info(tdx=False, version=2, **WINDOW)
    accepted(swapped(good(SGX), PKI.document("tcbInfo", value)))
    items = [i for i in good(TDX).collateral.items if i.kind is not Kind.INTEL_TCB_INFO]
    both = Collateral(items=(*items, PKI.document("tcbInfo", value)))
    refused(replace(good(TDX), collateral=both), undecided=unread(TDX))


@BOTH
@pytest.mark.parametrize("changes", [{"fmspc": "00a0b0c0d0e0"}, {"pceId": "0001"}])
def test_levels_of_another_platform(kind: QuoteKind, changes: dict[str, str]) -> None:
    item = PKI.document("tcbInfo", info(kind, **changes))
    other = PKI.document("tcbInfo", info(SGX if kind.tdx else TDX, fmspc="0f0f0f0f0f0f"))
    report = refused(swapped(good(kind), item, other), undecided=unread(kind))
    (said,) = (check for check in report.checks if check.code.id == "G205")
    assert said.presented == documents.FMSPC.hex()
    assert said.expected == changes.get("fmspc", documents.FMSPC.hex())


@BOTH
def test_collateral_outside_its_window(kind: QuoteKind) -> None:
    for when in (timedelta(days=-40), timedelta(days=1)):
        window = {"issued": NOW + when, "next_update": NOW + when + timedelta(days=30)}
        for item in (
            PKI.tcb_info(tdx=kind.tdx, **window),
            PKI.qe_identity(tdx=kind.tdx, **window),
        ):
            refused(swapped(good(kind), item), undecided={"R202"})


@BOTH
def test_older_collateral_inside_its_window(kind: QuoteKind) -> None:
    """Nothing in it is wrong; only a policy that asks for the number can tell."""
    case = good(kind)
    for item in (
        PKI.tcb_info(tdx=kind.tdx, evaluation_number=18),
        PKI.qe_identity(tdx=kind.tdx, evaluation_number=18),
    ):
        older = swapped(case, item)
        accepted(older)
        refused(older, "T105", policy=pinned(case.data, min_evaluation_number=20))
    accepted(case, pinned(case.data, min_evaluation_number=20))


@BOTH
def test_a_newer_document_counts_before_an_older_one(kind: QuoteKind) -> None:
    """Whoever adds the older document again gains nothing."""
    revoking = documents.levels(tdx=kind.tdx, status="OutOfDate")
    newer = PKI.tcb_info(tdx=kind.tdx, evaluation_number=21, tcb_levels=revoking)
    case = good(kind)
    for items in ((*case.collateral.items, newer), (newer, *case.collateral.items)):
        report = replace(case, collateral=Collateral(items=items)).report()
        assert report.verdict is Verdict.REJECTED
        assert report.presented is not None
        assert report.presented.tcb is not None
        assert report.presented.tcb.status == "OutOfDate"


def test_an_early_document_never_decides() -> None:
    case = good(SGX)
    early = PKI.tcb_info(tdx=False, early=True)
    items = [i for i in case.collateral.items if slot_is_not_sgx_levels(i)]
    refused(replace(case, collateral=Collateral(items=(*items, early))), undecided=unread(SGX))


def slot_is_not_sgx_levels(item: Item) -> bool:
    return item.kind is not Kind.INTEL_TCB_INFO or b'"id":"TDX"' in item.data


@BOTH
@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_list_of_components_of_another_length(kind: QuoteKind, size: int) -> None:
    value = info(kind)
    for part in ("sgxtcbcomponents", *(["tdxtcbcomponents"] if kind.tdx else [])):
        text = documents.written(value)
        changed = json.loads(text)
        rows = changed["tcbLevels"][1]["tcb"][part]
        changed["tcbLevels"][1]["tcb"][part] = (rows * 2)[:size]
        refused(swapped(good(kind), PKI.document("tcbInfo", changed)), undecided=unread(kind))


@BOTH
def test_the_order_of_levels_says_nothing(kind: QuoteKind) -> None:
    levels = documents.levels(tdx=kind.tdx)
    straight = accepted(swapped(good(kind), PKI.tcb_info(tdx=kind.tdx, tcb_levels=levels)))
    turned = accepted(
        swapped(good(kind), PKI.tcb_info(tdx=kind.tdx, tcb_levels=tuple(reversed(levels))))
    )
    assert straight.presented is not None
    assert turned.presented is not None
    assert straight.presented.tcb == turned.presented.tcb
    enclaves = tuple(reversed(documents.svn_levels(documents.QE_SVN)))
    accepted(swapped(good(kind), PKI.qe_identity(tdx=kind.tdx, qe_levels=enclaves)))


@BOTH
def test_a_current_document_counts_before_one_that_is_not(kind: QuoteKind) -> None:
    """Whatever its number; and both ends of a window belong to it."""
    out = documents.levels(tdx=kind.tdx, status="OutOfDate")
    day = timedelta(days=1)
    second = timedelta(seconds=1)
    windows = {
        (NOW - 30 * day, NOW - second): True,
        (NOW + second, NOW + 30 * day): True,
        (NOW - 30 * day, NOW): False,
        (NOW, NOW + 30 * day): False,
    }
    for (issued, next_update), other_counts in windows.items():
        newer = PKI.tcb_info(
            tdx=kind.tdx,
            evaluation_number=21,
            tcb_levels=out,
            issued=issued,
            next_update=next_update,
        )
        case = good(kind)
        case = replace(case, collateral=case.collateral + Collateral(items=(newer,)))
        if other_counts:
            accepted(case)
        else:
            assert case.report().verdict is Verdict.REJECTED


@BOTH
@pytest.mark.parametrize("member", ["tcbInfo", "enclaveIdentity"])
def test_a_signer_that_is_not_valid_any_more(kind: QuoteKind, member: str) -> None:
    """Also where the document itself is current: whoever finds the old key signs what he likes."""
    begin, life = NOW - timedelta(days=9), timedelta(days=8)
    signer = pki.issue(pki.SIGNER, begin=begin, life=life, above=PKI.root)
    value = info(kind) if member == "tcbInfo" else identity(kind)
    refused(swapped(good(kind), PKI.document(member, value, signer=signer)), "G103")


@BOTH
@pytest.mark.parametrize("member", ["tcbInfo", "enclaveIdentity"])
def test_a_signer_that_is_revoked(kind: QuoteKind, member: str) -> None:
    signer = pki.issue(pki.SIGNER, begin=PKI.issued, life=pki.LEAF_LIFE, above=PKI.root)
    value = info(kind) if member == "tcbInfo" else identity(kind)
    case = swapped(good(kind), PKI.document(member, value, signer=signer))
    accepted(case)
    refused(swapped(case, PKI.root_crl(revoked=[signer])), "R203")


@BOTH
def test_a_signer_of_other_things(kind: QuoteKind) -> None:
    """The root issues to more than one signer: it is the name that says who signs collateral."""
    name = "Intel SGX Attestation Report Signing"
    signer = pki.issue(name, begin=PKI.issued, life=pki.LEAF_LIFE, above=PKI.root)
    for item in (
        PKI.document("tcbInfo", info(kind), signer=signer),
        PKI.document("enclaveIdentity", identity(kind), signer=signer),
    ):
        refused(swapped(good(kind), item), "G204")


@BOTH
def test_another_chain_sent_along(kind: QuoteKind) -> None:
    """The signer is right, and what is sent with it is not what it stands under."""
    signer = PKI.signer.pem
    for above in (PKI.platform_ca.pem, OTHER.root.pem, PKI.root.pem + PKI.root.pem):
        refused(
            swapped(good(kind), PKI.document("tcbInfo", info(kind), chain=signer + above)), "G204"
        )
    accepted(swapped(good(kind), PKI.document("tcbInfo", info(kind), chain=signer)))


@BOTH
def test_a_product_is_a_number_of_two_bytes(kind: QuoteKind) -> None:
    """What a document says beyond them is no product of any enclave, and is not cut off."""
    highest = good(kind, qe={"isvprodid": b"\xff\xff"})
    accepted(swapped(highest, PKI.document("enclaveIdentity", identity(kind, isvprodid=0xFFFF))))
    for beyond in (0x1FFFF, 0x7FFFFFFF):
        item = PKI.document("enclaveIdentity", identity(kind, isvprodid=beyond))
        refused(swapped(highest, item), "G203")
