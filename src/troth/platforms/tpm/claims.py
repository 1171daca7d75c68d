"""What does a TPM's quote say, in the common words?

What identifies code: each of PCR 0 to 15 takes up a part of what was booted (firmware, its settings,
boot loader, kernel, command line, what these measured), so each one that is set must be pinned, or
covered by pinned events of the log that replays to it. Set is what is neither all zeros nor all ones,
which are the values that nothing has been measured into. PCR 17 to 22 belong to late launches and
count likewise. PCR 16 and 23 say nothing: any program in the guest may reset them. A register that was
not quoted is another question (M211), so that none is silently ignored.

A virtual TPM without a hardware report beside it is its cloud's word: see `chain`.
"""

import hashlib
from typing import Final

from troth.errors import Malformed
from troth.model.claims import Claims
from troth.model.tcb import Tcb
from troth.platforms.tpm import certified
from troth.platforms.tpm.format import Document

_NAMES: Final = tuple(f"pcr{index}" for index in range(24))
_ANYONES: Final = frozenset({16, 23})
_EMPTY: Final = frozenset({0x00, 0xFF})


def claims(document: Document, tcb: Tcb | None = None) -> Claims:
    """Registers of the quoted bank, the TPM's counters, and what whoever asked gave along.

    A TPM has one field for all that is bound, which is nonce and user data at once. A virtual TPM of
    which Google says that it is none of production counts as one in debug mode.
    """
    attest = document.attest
    numbers = {
        "bank": document.bank,
        "clock": attest.clock,
        "reset_count": attest.reset_count,
        "restart_count": attest.restart_count,
        "safe": int(attest.safe),
        "firmware_version": attest.firmware_version,
        # As the TPM itself has them (TPM_PT_FIRMWARE_VERSION_1 and _2): numbers that a policy can hold.
        "firmware_version_1": attest.firmware_version >> 32,
        "firmware_version_2": attest.firmware_version & 0xFFFF_FFFF,
    }
    instance = _instance(document)
    if instance is not None:
        numbers["google_project"] = instance.project_number
        numbers["google_instance"] = instance.instance_id
        numbers["google_security_version"] = instance.security_version
        numbers["google_production"] = int(instance.production)
    return Claims(
        platform="tpm",
        registers={_NAMES[index]: value.hex() for index, value in document.pcrs.items()},
        identity=tuple(
            _NAMES[index]
            for index, value in document.pcrs.items()
            if index not in _ANYONES and not is_empty(value)
        ),
        debug=instance is not None and not instance.production,
        timestamp=None,
        instance=hashlib.sha256(document.ak).hexdigest(),
        nonce=attest.extra_data or None,
        user_data=attest.extra_data or None,
        public_key=None,
        tcb=tcb,
        numbers=numbers,
    )


def is_empty(value: bytes) -> bool:
    """Whether it is all zeros or all ones: a register into which nothing has been measured."""
    return len(set(value)) == 1 and value[0] in _EMPTY


def _instance(document: Document) -> certified.Instance | None:
    if not document.certificates:
        return None
    try:
        return certified.instance(document.certificates[0])
    except Malformed:
        return None  # `chain` refuses a vendor's certificate with such an extension
