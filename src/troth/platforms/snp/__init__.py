"""AMD SEV-SNP: attestation reports signed by the AMD secure processor."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from troth.model.codes.fresh import R103, R201, R203, R204
from troth.model.codes.genuine import G101, G102, G103, G104, G105, G206, G301
from troth.model.codes.tcb import T109
from troth.model.collateral import Collateral
from troth.model.platform import Genuineness, Platform
from troth.model.roots import Root
from troth.platforms.snp import claims, fields, format, roots  # noqa: A004
from troth.platforms.snp.format import Document


def _genuine(
    document: Document, trusted: Sequence[Root], collateral: Collateral, at: datetime
) -> Genuineness:
    # Imported when it is asked for: measuring an image needs no cryptography.
    from troth.platforms.snp import chain

    return chain.genuine(document, trusted, collateral, at)


PLATFORM: Final = Platform(
    name="snp",
    title="AMD SEV-SNP",
    unwrap=format.unwrap,
    parse=format.parse,
    genuine=_genuine,
    claims=claims.claims,
    roots=roots.vendor_roots,
    required=(G101, G102, G103, G104, G105, G206, G301, R103, R201, R203, R204, T109),
    has_no=("time of its own", "signed list of TCB levels", "revocation of single chips"),
    fields=fields.fields,
)
