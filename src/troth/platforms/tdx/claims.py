"""What does a TDX quote say, in the common words?"""

from typing import Final

from troth.model.claims import Claims
from troth.model.tcb import Tcb
from troth.platforms.dcap import named
from troth.platforms.dcap.quote import Body
from troth.platforms.tdx.format import SPANS, Document

_ALWAYS: Final = ("mrtd", "rtmr0", "rtmr1", "rtmr2")
_SERVICE_TDS: Final = ("mrservicetd", "init_servtd_hash", "cur_servtd_hash")
_IF_SET: Final = ("rtmr3", "mrconfigid", "mrowner", "mrownerconfig", *_SERVICE_TDS)
_MODULE: Final = ("mrseam", "mrsignerseam")
_ZERO: Final = "00" * 48
_DEBUG: Final = 0xFF  # TDATTRIBUTES bits 0 to 7: debug, and reserved bits that would be as bad
# For each kind of body: its registers with where they stand.
_PLACES: Final[dict[Body, tuple[tuple[str, int, int], ...]]] = {
    kind: tuple((name, *spans[name]) for name in (*_ALWAYS, *_IF_SET, *_MODULE) if name in spans)
    for kind, spans in SPANS.items()
}


def claims(document: Document, tcb: Tcb | None = None) -> Claims:
    """MRTD and RTMR0 to RTMR2 are what was booted; each further register that is set belongs to it.

    The module's own measurement is no code of the guest's: the vendor's TCB levels speak of it.
    """
    body = document.quote.body
    places = _PLACES[document.quote.kind]
    registers = {name: body[start:end].hex() for name, start, end in places}
    numbers, instance = named.platform(document.quote)
    attributes = _number(document, "td_attributes")
    svn = document.field("tee_tcb_svn")
    return Claims(
        platform="tdx",
        registers=registers,
        identity=(*_ALWAYS, *(n for n in _IF_SET if registers.get(n, _ZERO) != _ZERO)),
        debug=bool(attributes & _DEBUG),
        timestamp=None,
        instance=instance,
        nonce=None,
        user_data=document.field("reportdata"),
        public_key=None,
        nonce_in_user_data=True,
        tcb=tcb,
        numbers={
            "td_attributes": attributes,
            "xfam": _number(document, "xfam"),
            "seam_attributes": _number(document, "seam_attributes"),
            "module_major": svn[1],
            "module_minor": svn[0],
            **numbers,
        },
    )


def _number(document: Document, name: str) -> int:
    return int.from_bytes(document.field(name), "little")
