"""NVIDIA GPUs and switches: SPDM measurement reports signed by a key that the device made at start."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from troth.model.check import Check
from troth.model.claims import Claims
from troth.model.codes.fresh import R103, R201, R202, R203, R204
from troth.model.codes.genuine import G101, G102, G103, G104, G204, G302, G303
from troth.model.codes.measurement import M401
from troth.model.collateral import Collateral
from troth.model.platform import Genuineness, Platform
from troth.model.roots import Root
from troth.model.tcb import Tcb
from troth.platforms.nvidia import roots

# All else is imported when it is asked for: most evidence is of another platform.


def _unwrap(data: bytes) -> tuple[bytes, str] | None:
    from troth.platforms.nvidia import carrier

    return carrier.unwrap(data)


def _parse(data: bytes) -> Any:
    from troth.platforms.nvidia import format  # noqa: A004

    return format.parse(data)


def _genuine(
    document: Any, trusted: Sequence[Root], collateral: Collateral, at: datetime
) -> Genuineness:
    from troth.platforms.nvidia import chain

    return chain.genuine(document, trusted, collateral, at)


def _claims(document: Any, tcb: Tcb | None = None) -> Claims:
    from troth.platforms.nvidia import claims

    return claims.claims(document, tcb)


def _fields(data: bytes) -> Iterable[tuple[str, str]]:
    from troth.platforms.nvidia import fields

    return fields.fields(data)


def _among(devices: Mapping[str, Any]) -> tuple[Check, ...]:
    from troth.platforms.nvidia import topology

    return topology.checks(devices)


PLATFORM: Final = Platform(
    name="nvidia",
    title="NVIDIA confidential computing",
    unwrap=_unwrap,
    parse=_parse,
    genuine=_genuine,
    claims=_claims,
    roots=roots.vendor_roots,
    required=(
        *(G101, G102, G103, G104, G204, G302, G303),
        *(R103, R201, R202, R203, R204, M401),
    ),
    has_no=("time of its own", "signed list of TCB levels", "field for data of the guest's"),
    fields=_fields,
    among=_among,
)
