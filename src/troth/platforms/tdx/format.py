"""What does a quote of a TDX trust domain say? No crypto, no clock.

Source: Intel, «TDX Module ABI» (TDREPORT) and «TDX DCAP Quoting Library API» (quote bodies 2 to 4).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from troth.platforms.dcap import fields as words
from troth.platforms.dcap import quote
from troth.platforms.dcap.quote import Body, Quote, Tee
from troth.platforms.dcap.tcb import Td
from troth.platforms.tdx import carrier

# Offset, size, name, meaning. The order is the layout's; 1.5 and 1.5 extended go on behind it.
LAYOUT: Final[tuple[tuple[int, int, str, str], ...]] = (
    (0, 16, "tee_tcb_svn", "versions of the TDX module (minor, major) and of what it stands on"),
    (16, 48, "mrseam", "measurement of the TDX module"),
    (64, 48, "mrsignerseam", "signer of the TDX module; zero for Intel's"),
    (112, 8, "seam_attributes", "attributes of the TDX module; zero for production"),
    (120, 8, "td_attributes", "how the TD was started: bits 0-7 debug, 28 no #VE, 29 migratable"),
    (128, 8, "xfam", "extended features that the TD may use"),
    (136, 48, "mrtd", "measurement of the TD's first memory: its firmware"),
    (184, 48, "mrconfigid", "configuration, chosen by whoever started the TD"),
    (232, 48, "mrowner", "owner, chosen by whoever started the TD"),
    (280, 48, "mrownerconfig", "owner's configuration, chosen by whoever started the TD"),
    (328, 48, "rtmr0", "firmware configuration"),
    (376, 48, "rtmr1", "boot loader and kernel"),
    (424, 48, "rtmr2", "kernel command line, initrd, applications"),
    (472, 48, "rtmr3", "what the running system extended"),
    (520, 64, "reportdata", "64 bytes that the guest chose"),
)
LAYOUT_15: Final[tuple[tuple[int, int, str, str], ...]] = (
    *LAYOUT,
    (584, 16, "tee_tcb_svn_2", "versions of the TDX module that runs now"),
    (600, 48, "mrservicetd", "service TDs bound to this one, such as a migration TD"),
)
LAYOUT_15EX: Final[tuple[tuple[int, int, str, str], ...]] = (
    *LAYOUT_15,
    (648, 1, "vmid", "number of the virtual machine"),
    (649, 32, "td_id", "id of the TD"),
    (681, 48, "dev_info", "devices assigned to the TD"),
    (729, 48, "init_servtd_hash", "service TDs at the start"),
    (777, 8, "init_servtd_attr", "their attributes"),
    (785, 16, "init_cpusvn", "CPUSVN at the start"),
    (801, 16, "init_tee_tcb_svn", "module versions at the start"),
    (817, 12, "init_tee_fmspc", "FMSPC at the start"),
    (829, 48, "cur_servtd_hash", "service TDs now"),
    (877, 8, "cur_servtd_attr", "their attributes"),
)
LAYOUTS: Final = {Body.TD10: LAYOUT, Body.TD15: LAYOUT_15, Body.TD15EX: LAYOUT_15EX}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A quote of a trust domain, parsed and not believed."""

    quote: Quote

    def field(self, name: str) -> bytes:
        """The bytes of a field of the body.

        Raises:
            KeyError: this body has no such field.
        """
        start, end = SPANS[self.quote.kind][name]
        return self.quote.body[start:end]

    def has(self, name: str) -> bool:
        """Whether this body has the field."""
        return name in SPANS[self.quote.kind]

    @property
    def td(self) -> Td:
        """What the TCB levels look at."""
        return Td(
            self.field("tee_tcb_svn"),
            self.field("mrsignerseam"),
            self.field("seam_attributes"),
            self.field("tee_tcb_svn_2") if self.has("tee_tcb_svn_2") else None,
        )


SPANS: Final = {
    kind: {name: (start, start + size) for start, size, name, _ in layout}
    for kind, layout in LAYOUTS.items()
}


def unwrap(data: bytes) -> tuple[bytes, str] | None:
    """The bare quote, also out of a dstack guest agent's answer; None if this is none of a trust domain.

    Raises:
        Malformed: see `quote.unwrap`; or an answer whose quote is no text.
    """
    answer = carrier.open_answer(data)
    if answer is None:
        return quote.unwrap(data, Tee.TDX)
    found = quote.unwrap(answer.quote, Tee.TDX)
    if found is None:
        return None
    bare, words = found
    return bare, f"{carrier.TITLE}, {words}" if words else carrier.TITLE


def parse(data: bytes) -> Document:
    """Reads a quote of version 4 or 5 with a TD's body (1.0, 1.5, 1.5 extended).

    Raises:
        Malformed: see `dcap.quote.parse`; or it is an SGX enclave's.
    """
    found = quote.parse(data)
    if found.tee is not Tee.TDX:
        raise quote.wrong_tee(found)
    return Document(quote=found)


def fields(data: bytes) -> Iterable[tuple[str, str]]:
    """Every field with its value and meaning, for people."""
    document = parse(data)
    yield from words.header(document.quote)
    for _, _, name, meaning in LAYOUTS[document.quote.kind]:
        yield f"body.{name}", f"{document.field(name).hex()}  {meaning}"
    yield from words.signature(document.quote)
