"""Tokens of verification services: somebody else looked at the evidence, and signs what it saw.

One platform for each service. Their keys are found in key sets that are handed in, and count by a root
or because the caller names them: see `anchor.py` and decision 0014.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from troth.model.claims import Claims
from troth.model.codes.binding import B502
from troth.model.codes.fresh import R103, R105
from troth.model.codes.genuine import G101, G102, G103, G104, G105, G701, G702, G703, G704
from troth.model.collateral import Collateral
from troth.model.platform import Genuineness, Platform
from troth.model.roots import Root
from troth.model.tcb import Tcb
from troth.platforms.tokens import issuers, roots
from troth.platforms.tokens.issuers import Issuer

_REQUIRED: Final = (G101, G102, G103, G104, G105, G701, G702, R103, R105)
_HAS_NO: Final = ("revocation",)


# What follows imports what it needs when it is asked for: most evidence is of another platform.


def _unwrap(issuer: Issuer, data: bytes) -> tuple[bytes, str] | None:
    from troth.platforms.tokens import format  # noqa: A004

    return format.unwrap(issuer, data)


def _parse(issuer: Issuer, data: bytes) -> Any:
    from troth.platforms.tokens import format  # noqa: A004

    return format.parse(issuer, data)


def _genuine(
    document: Any, trusted: Sequence[Root], collateral: Collateral, at: datetime
) -> Genuineness:
    from troth.platforms.tokens import chain, result
    from troth.platforms.tokens.format import Bundle

    found = chain.genuine(document, trusted, collateral, at)
    if isinstance(document, Bundle):
        found = replace(found, checks=(*found.checks, *result.checks(document)))
    return found


def _claims(issuer: Issuer, document: Any, tcb: Tcb | None = None) -> Claims:
    from troth.platforms.tokens import claims

    return claims.CLAIMS[issuer.name](document, tcb)


def _fields(issuer: Issuer, data: bytes) -> Iterable[tuple[str, str]]:
    from troth.platforms.tokens import format  # noqa: A004

    return format.fields(issuer, data)


def _platform(issuer: Issuer, pinned: Callable[[], tuple[Root, ...]], *more: Any) -> Platform:
    return Platform(
        name=issuer.name,
        title=issuer.title,
        unwrap=partial(_unwrap, issuer),
        parse=partial(_parse, issuer),
        genuine=_genuine,
        claims=partial(_claims, issuer),
        roots=pinned,
        required=(*_REQUIRED, *more),
        has_no=_HAS_NO,
        fields=partial(_fields, issuer),
    )


MAA: Final = _platform(issuers.MAA, roots.maa)
GCS: Final = _platform(issuers.GCS, roots.none)
ITA: Final = _platform(issuers.ITA, roots.none)
NRAS: Final = _platform(issuers.NRAS, roots.nras, G703, G704, B502)
