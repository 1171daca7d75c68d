"""dcap-qvl, asked the same question: quote, collateral and instant to a status, or why not."""

from dataclasses import dataclass
from datetime import datetime

from tests.platforms.dcap.rows import Row

from troth.model.collateral import Collateral, Item, Kind
from troth.platforms.dcap.collateral import cut


@dataclass(frozen=True)
class Answer:
    """What it said: a status with advisories, or an error."""

    status: str | None
    advisories: frozenset[str] = frozenset()
    error: str = ""


def on_row(row: Row) -> Answer:
    import dcap_qvl

    pieces = row.pieces
    try:
        found = dcap_qvl.QuoteCollateralV3(
            pieces["pck_crl_issuer_chain"],
            bytes.fromhex(pieces["root_ca_crl"]),
            bytes.fromhex(pieces["pck_crl"]),
            pieces["tcb_info_issuer_chain"],
            pieces["tcb_info"],
            bytes.fromhex(pieces["tcb_info_signature"]),
            pieces["qe_identity_issuer_chain"],
            pieces["qe_identity"],
            bytes.fromhex(pieces["qe_identity_signature"]),
        )
        verified = dcap_qvl.verify(row.data, found, row.seconds)
    except ValueError as error:
        return Answer(None, error=str(error))
    return Answer(verified.status, frozenset(verified.advisory_ids))


def on_made(data: bytes, collateral: Collateral, root: bytes, at: datetime, *, tdx: bool) -> Answer:
    """The answer on what a simulator made, under its root."""
    import dcap_qvl

    def item(kind: Kind) -> Item:
        rows = collateral.of(kind)
        return next((i for i in rows if (b'"id":"T' in i.data) is tdx), rows[0])

    info, identity = item(Kind.INTEL_TCB_INFO), item(Kind.INTEL_QE_IDENTITY)
    root_crl = collateral.of(Kind.INTEL_ROOT_CRL)[0]
    pck_crl = collateral.of(Kind.INTEL_PCK_CRL)[0]
    _, info_text, info_signature = cut(info.data, "tcbInfo")
    _, identity_text, identity_signature = cut(identity.data, "enclaveIdentity")
    try:
        found = dcap_qvl.QuoteCollateralV3(
            pck_crl.chain.decode(),
            root_crl.data,
            pck_crl.data,
            info.chain.decode(),
            info_text.decode(),
            info_signature,
            identity.chain.decode(),
            identity_text.decode(),
            identity_signature,
        )
        verified = dcap_qvl.verify_with_root_ca(data, found, root, int(at.timestamp()))
    except ValueError as error:
        return Answer(None, error=str(error))
    return Answer(verified.status, frozenset(verified.advisory_ids))
