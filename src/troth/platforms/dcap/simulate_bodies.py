"""Headers and bodies of quotes, filled with what the caller chooses and sensible values elsewhere."""

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from troth.platforms.dcap import simulate_documents as documents
from troth.platforms.dcap.quote import INTEL, SIZES, Body


class QuoteKind(StrEnum):
    """What is quoted, and in which version of the format."""

    SGX_3 = "sgx/3"
    SGX_4 = "sgx/4"
    SGX_5 = "sgx/5"
    TDX_4 = "tdx/4"
    TDX_5_10 = "tdx/5/1.0"
    TDX_5_15 = "tdx/5/1.5"
    TDX_5_15EX = "tdx/5/1.5ex"

    @property
    def tdx(self) -> bool:
        """Whether a trust domain is quoted, and no SGX enclave."""
        return self.value.startswith("tdx")

    @property
    def version(self) -> int:
        """Of the format."""
        return int(self.value[4])


_BODIES: Final = {
    QuoteKind.TDX_4: Body.TD10,
    QuoteKind.TDX_5_10: Body.TD10,
    QuoteKind.TDX_5_15: Body.TD15,
    QuoteKind.TDX_5_15EX: Body.TD15EX,
}
# Offset and size of what a quote can be made with (Intel SDM 3D, table 38-21; «TDX Module ABI»).
_ENCLAVE: Final = {
    "cpusvn": (0, 16),
    "miscselect": (16, 4),
    "isvextprodid": (32, 16),
    "attributes": (48, 16),
    "mrenclave": (64, 32),
    "mrsigner": (128, 32),
    "configid": (192, 64),
    "isvprodid": (256, 2),
    "isvsvn": (258, 2),
    "configsvn": (260, 2),
    "isvfamilyid": (304, 16),
    "reportdata": (320, 64),
}
_TD: Final = {
    "tee_tcb_svn": (0, 16),
    "mrseam": (16, 48),
    "mrsignerseam": (64, 48),
    "seam_attributes": (112, 8),
    "td_attributes": (120, 8),
    "xfam": (128, 8),
    "mrtd": (136, 48),
    "mrconfigid": (184, 48),
    "mrowner": (232, 48),
    "mrownerconfig": (280, 48),
    "rtmr0": (328, 48),
    "rtmr1": (376, 48),
    "rtmr2": (424, 48),
    "rtmr3": (472, 48),
    "reportdata": (520, 64),
    "tee_tcb_svn_2": (584, 16),
    "mrservicetd": (600, 48),
}
_SEPT_VE_DISABLE: Final = (1 << 28).to_bytes(8, "little")


def digest(text: str, size: int = 48) -> bytes:
    """A value that is the same each time, and nobody's."""
    return hashlib.sha384(f"troth development: {text}".encode()).digest()[:size]


ENCLAVE_DEFAULTS: Final = {
    "attributes": (0x5).to_bytes(8, "little") + (0xE7).to_bytes(8, "little"),
    "mrenclave": digest("enclave", 32),
    "mrsigner": digest("signer of the enclave", 32),
    "isvprodid": b"\x07\0",
    "isvsvn": b"\x03\0",
}
_TD_DEFAULTS: Final = {
    "mrseam": digest("module"),
    "td_attributes": _SEPT_VE_DISABLE,
    "xfam": (0xE7).to_bytes(8, "little"),
    **{name: digest(name) for name in ("mrtd", "rtmr0", "rtmr1", "rtmr2")},
}


def head(kind: QuoteKind) -> bytes:
    """Header, and in version 5 the body's type and size."""
    tee = 0x81 if kind.tdx else 0
    start = kind.version.to_bytes(2, "little") + b"\x02\0" + tee.to_bytes(4, "little")
    start += bytes(4) + INTEL + digest("id of the quoting enclave", 16) + bytes(4)
    if kind.version < 5:
        return start
    shape = _BODIES.get(kind, Body.SGX)
    return start + shape.to_bytes(2, "little") + SIZES[shape].to_bytes(4, "little")


def enclave(says: Mapping[str, bytes], changes: Mapping[str, bytes]) -> bytes:
    """An SGX report body: what the enclave says, with these fields changed."""
    common = {"cpusvn": documents.COMPONENTS}
    return _filled(SIZES[Body.SGX], _ENCLAVE, common | dict(says) | dict(changes))


def body(kind: QuoteKind, changes: Mapping[str, bytes]) -> bytes:
    """What is quoted, with these fields changed."""
    return _td(kind, changes) if kind.tdx else enclave(ENCLAVE_DEFAULTS, changes)


def _td(kind: QuoteKind, changes: Mapping[str, bytes]) -> bytes:
    shape = _BODIES[kind]
    svn = documents.TDX_SVN
    says = {**_TD_DEFAULTS, "tee_tcb_svn": svn} | (
        {} if shape is Body.TD10 else {"tee_tcb_svn_2": svn}
    )
    return _filled(SIZES[shape], _TD, says | dict(changes))


def _filled(size: int, layout: Mapping[str, tuple[int, int]], values: Mapping[str, bytes]) -> bytes:
    body = bytearray(size)
    for name, value in values.items():
        start, width = layout[name]
        if len(value) != width or start + width > size:
            raise ValueError(f"{name} is {len(value)} bytes, and has {width} in a body of {size}")
        body[start : start + width] = value
    return bytes(body)
