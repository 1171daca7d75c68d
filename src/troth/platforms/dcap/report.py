"""The body of an SGX report, 384 bytes: an application's in a quote, and the quoting enclave's own."""

from dataclasses import dataclass
from typing import Final

SIZE: Final = 384
DEBUG: Final = 0x02  # ATTRIBUTES.FLAGS


@dataclass(frozen=True, slots=True)
class EnclaveReport:
    """SGX REPORTBODY (Intel SDM volume 3D, table 38-21), little-endian numbers.

    Attributes:
        cpu_svn: 16 bytes.
        miscselect: extended state that the enclave may save, as it stands (4 bytes).
        isvextprodid: extended product id, 16 bytes.
        attributes: flags (8 bytes) and XFRM (8 bytes), as they stand.
        mrenclave, mrsigner: 32 bytes each.
        configid: 64 bytes.
        isvprodid, isvsvn, configsvn: numbers of 16 bits.
        isvfamilyid: 16 bytes.
        reportdata: 64 bytes that the enclave chose.
    """

    cpu_svn: bytes
    miscselect: bytes
    isvextprodid: bytes
    attributes: bytes
    mrenclave: bytes
    mrsigner: bytes
    configid: bytes
    isvprodid: int
    isvsvn: int
    configsvn: int
    isvfamilyid: bytes
    reportdata: bytes

    @property
    def flags(self) -> int:
        """ATTRIBUTES.FLAGS as a number."""
        return int.from_bytes(self.attributes[:8], "little")

    @property
    def xfrm(self) -> int:
        """ATTRIBUTES.XFRM as a number."""
        return int.from_bytes(self.attributes[8:], "little")


def read(body: bytes) -> EnclaveReport:
    """The fields of a body; the caller gives exactly 384 bytes.

    Reserved bytes are signed and not looked at: the processor fills them with zeros.
    """
    return EnclaveReport(
        body[0:16],
        body[16:20],
        body[32:48],
        body[48:64],
        body[64:96],
        body[128:160],
        body[192:256],
        int.from_bytes(body[256:258], "little"),
        int.from_bytes(body[258:260], "little"),
        int.from_bytes(body[260:262], "little"),
        body[304:320],
        body[320:384],
    )
