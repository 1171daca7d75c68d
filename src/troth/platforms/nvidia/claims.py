"""What does a report say, in the common words?"""

import hashlib

from troth.errors import Malformed
from troth.model.claims import Claims
from troth.model.tcb import Tcb
from troth.platforms.nvidia import device
from troth.platforms.nvidia.format import ON, Document, Field


def claims(document: Document, tcb: Tcb | None = None) -> Claims:
    """All measurements as one register; the versions of driver and VBIOS may stand for it.

    They may because `chain` compares the measurements with NVIDIA's reference values for just these
    versions, and nothing is accepted without.

    The device's name is the serial number of its own certificate, which it keeps for life. That of its
    leaf, which NVIDIA's tokens call `ueid`, stands among the words: other firmware gets another leaf, so
    that one device could be counted twice by it.
    """
    words = {
        "arch": device.architecture(document),
        "driver_version": document.driver_version,
        "vbios_version": document.vbios_version,
        "mode": document.mode,
        "ueid": str(document.chain[0].serial) if document.chain else "",
    }
    names = ("driver_version", "vbios_version") if document.driver_version else ("vbios_version",)
    return Claims(
        platform="nvidia",
        registers={"measurements": hashlib.sha384(b"".join(document.measurements)).hexdigest()},
        identity=("measurements",),
        debug=_debug(document),
        timestamp=None,
        instance=f"{document.chain[1].serial:x}" if len(document.chain) > 1 else "",
        nonce=document.nonce,
        user_data=None,
        public_key=None,
        tcb=tcb,
        numbers=_numbers(document),
        texts={name: (word,) for name, word in words.items() if word},
        covers={"measurements": names},
    )


def _debug(document: Document) -> bool:
    """What the leaf says itself, on Blackwell; elsewhere the reference values alone tell."""
    try:
        return bool(document.chain) and device.debug(document.chain[0])
    except Malformed:
        return True  # an extension that cannot be read rules nothing out


def _numbers(document: Document) -> dict[str, int]:
    numbers = {"opaque_version": document.opaque_version}
    for name, field in (("ppcie", Field.PROTECTED_PCIE_STATUS), ("nvdec0", Field.NVDEC0_STATUS)):
        status = document.opaque.get(field)
        if status is not None:
            numbers[name] = int(status == ON)
    flag = document.opaque.get(Field.FEATURE_FLAG)
    if flag is not None:
        numbers["feature_flag"] = int.from_bytes(flag, "little")
    return numbers
