"""What does a report say, in the common words?"""

from typing import Final

from troth.model.claims import Claims
from troth.model.tcb import Tcb
from troth.platforms.snp.format import Document
from troth.platforms.snp.product import Product, parts

_DEBUG: Final = 1 << 19
# Version 2 carries no CPUID. The products that have made such reports share one layout, and `fits`
# leaves a verdict open where the key's certificate names another.
_VERSION_2: Final = Product.MILAN


def claims(document: Document, tcb: Tcb | None = None) -> Claims:
    """Registers, numbers and what the guest bound.

    MEASUREMENT identifies the code; so does HOST_DATA wherever the host set it. A signer's digest (ID
    key, author key) alone says who, not what.
    """
    registers = {
        "measurement": document.measurement,
        "host_data": document.host_data,
        "id_key_digest": document.id_key_digest,
        "author_key_digest": document.author_key_digest,
        "family_id": document.family_id,
        "image_id": document.image_id,
        "report_id": document.report_id,
        "report_id_ma": document.report_id_ma,
    }
    return Claims(
        platform="snp",
        registers={name: value.hex() for name, value in registers.items()},
        identity=("measurement", "host_data") if any(document.host_data) else ("measurement",),
        debug=bool(document.policy & _DEBUG),
        timestamp=None,
        # Masked, and under a provider's key, it is zero for every machine and names none.
        instance=document.chip_id.hex() if any(document.chip_id) else "",
        nonce=None,
        user_data=document.report_data,
        public_key=None,
        nonce_in_user_data=True,
        tcb=tcb,
        numbers=_numbers(document),
    )


def _numbers(document: Document) -> dict[str, int]:
    numbers = {
        "guest_svn": document.guest_svn,
        "vmpl": document.vmpl,
        "policy": document.policy,
        "platform_info": document.platform_info,
        "signing_key": int(document.signing_key),
        "mask_chip_key": int(document.mask_chip_key),
        "author_key_en": int(document.author_key_en),
    }
    if document.cpu is not None:
        numbers["cpu_family"] = document.cpu.family
        numbers["cpu_model"] = document.cpu.model
        numbers["cpu_stepping"] = document.cpu.stepping
    if document.launch_mit_vector is not None and document.current_mit_vector is not None:
        numbers["launch_mit_vector"] = document.launch_mit_vector
        numbers["current_mit_vector"] = document.current_mit_vector
    product = _VERSION_2 if document.cpu is None else document.product
    if product is not None:
        for name in ("reported", "committed", "current", "launch"):
            for part, number in parts(getattr(document, f"{name}_tcb"), product).items():
                numbers[f"{name}_{part}"] = number
    return numbers
