"""What does an SGX quote say, in the common words?"""

from typing import Final

from troth.model.claims import Claims
from troth.model.tcb import Tcb
from troth.platforms.dcap import named
from troth.platforms.dcap.report import DEBUG
from troth.platforms.sgx.format import Document

_NO_CONFIG: Final = bytes(64)


def claims(document: Document, tcb: Tcb | None = None) -> Claims:
    """MRENCLAVE is what runs; the signer with its product may stand for it, at a version or later.

    A CONFIGID that is set decides what an enclave with KSS loads, so it belongs to the identity.
    """
    report = document.report
    configured = () if report.configid == _NO_CONFIG else ("configid",)
    numbers, instance = named.platform(document.quote)
    return Claims(
        platform="sgx",
        registers={
            "mrenclave": report.mrenclave.hex(),
            "mrsigner": report.mrsigner.hex(),
            "configid": report.configid.hex(),
            "isvextprodid": report.isvextprodid.hex(),
            "isvfamilyid": report.isvfamilyid.hex(),
        },
        identity=("mrenclave", *configured),
        alternative=("mrsigner", *configured),
        debug=bool(report.flags & DEBUG),
        timestamp=None,
        instance=instance,
        nonce=None,
        user_data=report.reportdata,
        public_key=None,
        nonce_in_user_data=True,
        tcb=tcb,
        numbers={
            "isvprodid": report.isvprodid,
            "isvsvn": report.isvsvn,
            "configsvn": report.configsvn,
            "attributes": report.flags,
            "xfrm": report.xfrm,
            "miscselect": int.from_bytes(report.miscselect, "little"),
            **numbers,
        },
    )
