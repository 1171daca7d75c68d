"""TPM 2.0: quotes of registers, of clouds' virtual TPMs above all."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from troth.model.claims import Claims
from troth.model.codes.fresh import R103, R201
from troth.model.codes.genuine import G101, G102, G103, G105, G201, G601, G602, G603
from troth.model.codes.measurement import M211
from troth.model.collateral import Collateral
from troth.model.platform import Genuineness, Platform, Replayed
from troth.model.roots import Root
from troth.model.tcb import Tcb
from troth.platforms.tpm import roots

# All else is imported when it is asked for: most evidence is of another platform.


def _unwrap(data: bytes) -> tuple[bytes, str] | None:
    from troth.platforms.tpm import carrier

    return carrier.unwrap(data)


def _parse(data: bytes) -> Any:
    from troth.platforms.tpm import format  # noqa: A004

    return format.parse(data)


def _genuine(
    document: Any, trusted: Sequence[Root], collateral: Collateral, at: datetime
) -> Genuineness:
    from troth.platforms.tpm import chain

    return chain.genuine(document, trusted, collateral, at)


def _claims(document: Any, tcb: Tcb | None = None) -> Claims:
    from troth.platforms.tpm import claims

    return claims.claims(document, tcb)


def _fields(data: bytes) -> Iterable[tuple[str, str]]:
    from troth.platforms.tpm import format  # noqa: A004

    return format.fields(data)


def _log_in(data: bytes) -> bytes | None:
    from troth.platforms.tpm import carrier

    return carrier.log_in(data)


def _replay(said: Claims, log: bytes, pinned: Collection[str]) -> Replayed:
    from troth.platforms.tpm import log as logs

    return logs.replay(said, log, pinned)


PLATFORM: Final = Platform(
    name="tpm",
    title="TPM 2.0",
    unwrap=_unwrap,
    parse=_parse,
    genuine=_genuine,
    claims=_claims,
    roots=roots.vendor_roots,
    required=(G101, G102, G103, G105, G201, G601, G602, G603, M211, R103, R201),
    has_no=("time of its own", "signed list of TCB levels", "revocation of attestation keys"),
    fields=_fields,
    log_in=_log_in,
    replay=_replay,
)
