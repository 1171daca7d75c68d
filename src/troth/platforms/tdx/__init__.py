"""Intel TDX: quotes of trust domains, made by Intel's TD quoting enclave."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from troth.model.claims import Claims
from troth.model.collateral import Collateral
from troth.model.platform import Genuineness, Platform, Replayed
from troth.model.roots import Root
from troth.model.tcb import Tcb
from troth.platforms.dcap import codes, roots
from troth.platforms.tdx import carrier, format  # noqa: A004
from troth.platforms.tdx.format import Document


def _genuine(
    document: Document, trusted: Sequence[Root], collateral: Collateral, at: datetime
) -> Genuineness:
    # Imported when it is asked for: so are claims, which name the platform by its certificate.
    from troth.platforms.dcap import chain

    return chain.genuine(document.quote, document.td, trusted, collateral, at)


def _claims(document: Document, tcb: Tcb | None = None) -> Claims:
    from troth.platforms.tdx import claims

    return claims.claims(document, tcb)


def _replay(claims: Claims, log: bytes, pinned: Collection[str]) -> Replayed:
    from troth.platforms.tdx import log as logs

    return logs.replay(claims, log, pinned)


PLATFORM: Final = Platform(
    name="tdx",
    title="Intel TDX",
    unwrap=format.unwrap,
    parse=format.parse,
    genuine=_genuine,
    claims=_claims,
    roots=roots.tdx,
    required=codes.TDX,
    has_no=(),
    fields=format.fields,
    log_in=carrier.log_in,
    replay=_replay,
)
