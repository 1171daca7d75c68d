"""How documents of Nitro Enclaves are read and judged: what the registry lists."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from troth.model.codes.fresh import R103
from troth.model.codes.genuine import G101, G102, G103, G104, G105, G106
from troth.model.collateral import Collateral
from troth.model.platform import Genuineness, Platform
from troth.model.roots import Root
from troth.platforms.nitro import claims, format, roots  # noqa: A004
from troth.platforms.nitro.format import Document


def _genuine(
    document: Document, trusted: Sequence[Root], _: Collateral, at: datetime
) -> Genuineness:
    # Imported when it is asked for: measuring an image needs no cryptography.
    from troth.platforms.nitro import chain

    return chain.genuine(document, trusted, at)


PLATFORM: Final = Platform(
    name="nitro",
    title="AWS Nitro",
    unwrap=format.unwrap,
    parse=format.parse,
    genuine=_genuine,
    claims=claims.claims,
    roots=roots.vendor_roots,
    required=(G101, G102, G103, G104, G105, G106, R103),
    has_no=("revocation",),
    fields=format.fields,
)
