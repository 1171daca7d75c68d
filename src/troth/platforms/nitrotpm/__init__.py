"""AWS NitroTPM: documents of the Nitro hypervisor over the registers of a virtual machine's TPM.

Instances of an *Attestable AMI* have their TPM's registers attested by the hypervisor, in a document of
the same form, under the same root, as an enclave's; the registers stand under another name. There is no
quote and no attestation key: the hypervisor signs. AWS names PCR4 and PCR12, or PCR7 with Secure Boot,
as those that identify an image. PCR0 and PCR1 are the same for all instances of a kind.

Source: AWS, «NitroTPM attestation document». No real document is public, so this was tried on
simulated ones alone; a document that differs from the description is refused as malformed.

Does not verify: anything of the guest's event log, which the document does not carry.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from troth.model.claims import Claims
from troth.model.codes.fresh import R103
from troth.model.codes.genuine import G101, G102, G103, G104, G105
from troth.model.codes.measurement import M211
from troth.model.collateral import Collateral
from troth.model.platform import Genuineness, Platform
from troth.model.roots import Root
from troth.model.tcb import Tcb
from troth.platforms.nitro import format, roots  # noqa: A004
from troth.platforms.nitro.format import Document

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NOTHING: Final = (bytes(48), b"\xff" * 48)
_ANYONES: Final = frozenset({16, 23})


def unwrap(data: bytes) -> tuple[bytes, str] | None:
    """As an enclave's document, where the registers are a NitroTPM's; else None.

    Raises:
        Malformed: the framing contradicts itself.
    """
    found = format.unwrap(data)
    return found if found is not None and format.is_tpms(found[0]) else None


def claims(document: Document, _tcb: Tcb | None = None) -> Claims:
    """Registers and what the guest put in.

    As with any TPM, each register that is neither zeros nor ones identifies what was booted; PCR16 and
    PCR23, which any program in the guest may reset, do not. There is no debug mode.
    """
    return Claims(
        platform="nitrotpm",
        registers={f"pcr{index}": value.hex() for index, value in sorted(document.pcrs.items())},
        identity=tuple(
            f"pcr{index}"
            for index, value in sorted(document.pcrs.items())
            if index not in _ANYONES and value not in _NOTHING
        ),
        debug=False,
        timestamp=_EPOCH + timedelta(milliseconds=document.timestamp_ms),
        instance=document.module_id,
        nonce=document.nonce,
        user_data=document.user_data,
        public_key=document.public_key,
    )


def _genuine(
    document: Document, trusted: Sequence[Root], _: Collateral, at: datetime
) -> Genuineness:
    # Imported when it is asked for: reading needs no cryptography.
    from troth.platforms.nitro import chain

    return chain.genuine(document, trusted, at, enclave=False)


PLATFORM: Final = Platform(
    name="nitrotpm",
    title="AWS NitroTPM",
    unwrap=unwrap,
    parse=format.parse_tpm,
    genuine=_genuine,
    claims=claims,
    roots=roots.tpm_roots,
    required=(G101, G102, G103, G104, G105, M211, R103),
    has_no=("revocation", "real document that troth was tried on"),
    fields=format.fields,
)
