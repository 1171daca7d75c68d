"""What does an SGX quote say, in the common words?"""

from typing import Final

from troth.model.claims import Claims
from troth.model.tcb import Tcb
from troth.platforms.dcap import named
from troth.platforms.dcap.report import DEBUG
from troth.platforms.sgx.format import Document

_PRODUCT: Final = ("isvextprodid", "isvfamilyid")


def claims(document: Document, tcb: Tcb | None = None) -> Claims:
    """MRENCLAVE is what runs; the signer with its product may stand for it, at a version or later.

    A CONFIGID that is set decides what an enclave with KSS loads, so it belongs to the identity. So do
    the longer names of product and family to the signer's: one signer may tell products apart by these.
    """
    report = document.report
    configured = ("configid",) if any(report.configid) else ()
    product = tuple(name for name in _PRODUCT if any(getattr(report, name)))
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
        alternative=("mrsigner", *configured, *product),
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
