"""TPM 2.0: quotes of registers, of clouds' virtual TPMs above all."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from troth.model.claims import Claims
from troth.model.codes.fresh import R103, R201
from troth.model.codes.genuine import G101, G102, G103, G105, G201, G601, G602, G603
from troth.model.codes.measurement import M211
from troth.model.collateral import Collateral
from troth.model.platform import Genuineness, Platform, Replayed
from troth.model.roots import Root
from troth.platforms.tpm import carrier, claims, format, roots  # noqa: A004
from troth.platforms.tpm.format import Document


def _genuine(
    document: Document, trusted: Sequence[Root], collateral: Collateral, at: datetime
) -> Genuineness:
    # Imported when it is asked for: reading needs no cryptography.
    from troth.platforms.tpm import chain

    return chain.genuine(document, trusted, collateral, at)


def _replay(said: Claims, log: bytes, pinned: Collection[str]) -> Replayed:
    from troth.platforms.tpm import log as logs

    return logs.replay(said, log, pinned)


PLATFORM: Final = Platform(
    name="tpm",
    title="TPM 2.0",
    unwrap=carrier.unwrap,
    parse=format.parse,
    genuine=_genuine,
    claims=claims.claims,
    roots=roots.vendor_roots,
    required=(G101, G102, G103, G105, G201, G601, G602, G603, M211, R103, R201),
    has_no=("time of its own", "signed list of TCB levels", "revocation of attestation keys"),
    fields=format.fields,
    log_in=carrier.log_in,
    replay=_replay,
)
