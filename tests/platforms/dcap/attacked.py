"""What the tests of known attacks share: two kinds of quote, and Intel's documents with something changed."""

from typing import Any

import pytest
from tests.platforms.dcap.made import PKI, says

from troth.platforms.dcap import simulate_documents as documents
from troth.platforms.dcap.simulate import QuoteKind

SGX, TDX = QuoteKind.SGX_3, QuoteKind.TDX_5_15
BOTH = pytest.mark.parametrize("kind", [SGX, TDX])
UNREAD = {"R201", "G203", "G204", "G205", "R202", "T101", "T104"}
WINDOW = {"issued": PKI.issued, "next_update": PKI.next_update}


def unread(kind: QuoteKind) -> set[str]:
    """What stays open where a document is missing."""
    return UNREAD | ({"T110"} if kind.tdx else set())


def identity(kind: QuoteKind, **changes: Any) -> dict[str, Any]:
    return says(documents.qe_identity(tdx=kind.tdx, **WINDOW), **changes)


def info(kind: QuoteKind, **changes: Any) -> dict[str, Any]:
    return says(documents.tcb_info(tdx=kind.tdx, **WINDOW), **changes)
