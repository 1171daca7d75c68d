"""Attacks on nonces in the one field that guests have: padded, cut and moved."""

from collections.abc import Callable

import pytest
from tests.platforms.dcap.made import NOW, PKI, good, pinned

import troth
from troth.model.report import Report, Verdict
from troth.platforms.dcap.simulate import QuoteKind

BOTH = pytest.mark.parametrize("kind", [QuoteKind.SGX_3, QuoteKind.TDX_5_15])
SHORT = b"\x5a" * 8


def asked(kind: QuoteKind, reportdata: bytes) -> Callable[[bytes], Report]:
    case = good(kind, fields={"reportdata": reportdata.ljust(64, b"\0")})

    def report(nonce: bytes) -> Report:
        return troth.appraise(
            case.data,
            policy=pinned(case.data),
            at=NOW,
            nonce=nonce,
            trust=PKI.roots(),
            collateral=case.collateral,
        )

    return report


@BOTH
def test_a_nonce_is_all_of_the_field_but_the_zeros_behind_it(kind: QuoteKind) -> None:
    assert asked(kind, SHORT)(SHORT).verdict is Verdict.ACCEPTED
    for shown, nonce in (
        (SHORT + b"\0\1", SHORT),
        (SHORT, SHORT + b"\1"),
        (SHORT, SHORT + bytes(57)),
        (bytes(8) + SHORT, SHORT),
        (SHORT + SHORT, SHORT),
        (SHORT[:-1] + b"\0" + SHORT, SHORT),
    ):
        assert asked(kind, shown)(nonce).verdict is Verdict.REJECTED
