"""What does a Nitro document say, in the common words?"""

from datetime import UTC, datetime, timedelta
from typing import Final

from troth.model.claims import Claims
from troth.model.tcb import Tcb
from troth.platforms.nitro.format import Document

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ZERO: Final = bytes(48)
_IMAGE: Final = (0, 1, 2)
_NAMES: Final = tuple(f"pcr{index}" for index in range(32))
# Role, parent instance and signer: who started and signed it, not what runs.
_NOT_CODE: Final = frozenset({3, 4, 8})


def claims(document: Document, _tcb: Tcb | None = None) -> Claims:
    """Registers, mode and what the enclave put in.

    PCR0 to PCR2 identify the image. So does every register that an application locked (16 to 31),
    and any other that is unexpectedly set: one left unpinned leaves the verdict open.
    Debug mode is PCR0 to PCR2 all zero; PCR3 and PCR4 stay set in it.
    """
    pcrs = document.pcrs
    present = sorted(pcrs)
    identity = tuple(
        _NAMES[index]
        for index in present
        if index in _IMAGE or (index not in _NOT_CODE and (index >= 16 or pcrs[index] != _ZERO))
    )
    return Claims(
        platform="nitro",
        registers={_NAMES[index]: pcrs[index].hex() for index in present},
        identity=identity,
        debug=all(pcrs[index] == _ZERO for index in _IMAGE),
        timestamp=_EPOCH + timedelta(milliseconds=document.timestamp_ms),
        instance=document.module_id,
        nonce=document.nonce,
        user_data=document.user_data,
        public_key=document.public_key,
    )
