"""NVIDIA GPUs and switches: SPDM measurement reports signed by a key that the device made at start."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from troth.model.codes.fresh import R103, R201, R202, R203, R204
from troth.model.codes.genuine import G101, G102, G103, G104, G204, G302, G303
from troth.model.codes.measurement import M401
from troth.model.collateral import Collateral
from troth.model.platform import Genuineness, Platform
from troth.model.roots import Root
from troth.platforms.nvidia import (
    carrier,
    claims,
    fields,
    format,  # noqa: A004
    roots,
    topology,
)
from troth.platforms.nvidia.format import Document


def _genuine(
    document: Document, trusted: Sequence[Root], collateral: Collateral, at: datetime
) -> Genuineness:
    # Imported when it is asked for: reading evidence needs no cryptography.
    from troth.platforms.nvidia import chain

    return chain.genuine(document, trusted, collateral, at)


PLATFORM: Final = Platform(
    name="nvidia",
    title="NVIDIA confidential computing",
    unwrap=carrier.unwrap,
    parse=format.parse,
    genuine=_genuine,
    claims=claims.claims,
    roots=roots.vendor_roots,
    required=(
        *(G101, G102, G103, G104, G204, G302, G303),
        *(R103, R201, R202, R203, R204, M401),
    ),
    has_no=("time of its own", "signed list of TCB levels", "field for data of the guest's"),
    fields=fields.fields,
    among=topology.checks,
)
