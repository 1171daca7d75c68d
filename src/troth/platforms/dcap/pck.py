"""What does a PCK certificate say of the platform? Intel's SGX extension, in its one encoding.

Source: Intel, «SGX PCK Certificate and CRL Profile Specification» 1.5. The extension is a fixed list,
so another order, a longer form of a number or a member too many is refused.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from troth.errors import Malformed
from troth.wire.der import INTEGER, SEQUENCE, span
from troth.wire.x509 import Certificate, unsigned

EXTENSION: Final = bytes.fromhex("2a864886f84d010d01")
COMPONENTS: Final = 16
_FIELD: Final = "SGX extension"
_BOOLEAN: Final = 0x01
_OCTET_STRING: Final = 0x04
_ENUMERATED: Final = 0x0A


# Compared by identity: `read` gives one object for one encoding.
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pck:
    """The extension's members.

    Attributes:
        ppid: 16 bytes that name the platform.
        components: the 16 security versions of the SGX TCB.
        pce_svn: security version of the provisioning enclave.
        cpu_svn: the raw 16 bytes; equal to the components for TCB type 0.
        pce_id: 2 bytes.
        fmspc: 6 bytes: family, model, stepping, platform type, custom SKU.
        sgx_type: 0 standard, 1 scalable, 2 scalable with integrity.
        platform_instance: 16 bytes (Platform CA), or None (Processor CA).
        dynamic_platform, cached_keys, smt: the configuration (Platform CA), or None.
    """

    ppid: bytes
    components: tuple[int, ...]
    pce_svn: int
    cpu_svn: bytes
    pce_id: bytes
    fmspc: bytes
    sgx_type: int
    platform_instance: bytes | None
    dynamic_platform: bool | None
    cached_keys: bool | None
    smt: bool | None


def _oid(*arcs: int) -> bytes:
    content = EXTENSION + bytes(arcs)
    return bytes((0x06, len(content))) + content


_VERSIONS: Final = tuple(_oid(2, index) for index in range(1, COMPONENTS + 2))
_PPID, _TCB, _CPU_SVN = _oid(1), _oid(2), _oid(2, 18)
_PCE_ID, _FMSPC, _SGX_TYPE = _oid(3), _oid(4), _oid(5)
_INSTANCE, _CONFIGURATION = _oid(6), _oid(7)
_FLAGS: Final = tuple(_oid(7, index) for index in (1, 2, 3))


class _Walk:
    """Steps over members `SEQUENCE { OID, value }` in their fixed order."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data, self.at, self.end = data, at, end

    def member(self, oid: bytes, tag: int) -> bytes:
        """Content of the value of the next member, which must be this one."""
        data = self.data
        start, self.at = span(data, self.at, self.end, _FIELD, SEQUENCE)
        value = start + len(oid)
        if data[start:value] != oid:
            raise Malformed("has another member than it should", field=_FIELD, offset=start)
        begin, last = span(data, value, self.at, _FIELD, tag)
        if last != self.at:
            raise Malformed(f"{self.at - last} bytes follow", field=_FIELD, offset=last)
        return data[begin:last]

    def octets(self, oid: bytes, size: int) -> bytes:
        content = self.member(oid, _OCTET_STRING)
        if len(content) != size:
            raise Malformed(f"is {len(content)} bytes, should be {size}", field=_FIELD)
        return content

    def boolean(self, oid: bytes) -> bool:
        content = self.member(oid, _BOOLEAN)
        if content not in (b"\0", b"\xff"):
            raise Malformed("is no boolean", field=_FIELD)
        return content != b"\0"

    def close(self) -> None:
        if self.at != self.end:
            raise Malformed(f"{self.end - self.at} bytes follow", field=_FIELD, offset=self.at)


def _inside(content: bytes) -> _Walk:
    """The members of the SEQUENCE that a member's content is the content of."""
    return _Walk(content, 0, len(content))


@lru_cache(maxsize=256)
def _read(value: bytes) -> Pck:
    start, end = span(value, 0, len(value), _FIELD, SEQUENCE)
    if end != len(value):
        raise Malformed(f"{len(value) - end} bytes follow", field=_FIELD, offset=end)
    walk = _Walk(value, start, end)
    ppid = walk.octets(_PPID, 16)
    tcb = _inside(walk.member(_TCB, SEQUENCE))
    versions = [unsigned(tcb.member(oid, INTEGER), _FIELD) for oid in _VERSIONS]
    cpu_svn = tcb.octets(_CPU_SVN, 16)
    tcb.close()
    pce_svn = versions.pop()
    if max(versions) > 0xFF or pce_svn > 0xFFFF:
        raise Malformed("has a version out of its range", field=_FIELD)
    pce_id = walk.octets(_PCE_ID, 2)
    fmspc = walk.octets(_FMSPC, 6)
    sgx_type = walk.member(_SGX_TYPE, _ENUMERATED)
    if sgx_type not in (b"\0", b"\1", b"\2"):
        raise Malformed("is no SGX type", field=_FIELD)
    instance: bytes | None = None
    dynamic: bool | None = None
    cached: bool | None = None
    smt: bool | None = None
    if walk.at < walk.end:  # the Platform CA's certificates say more
        instance = walk.octets(_INSTANCE, 16)
        inner = _inside(walk.member(_CONFIGURATION, SEQUENCE))
        dynamic, cached, smt = (inner.boolean(oid) for oid in _FLAGS)
        inner.close()
    walk.close()
    return Pck(
        ppid=ppid,
        components=tuple(versions),
        pce_svn=pce_svn,
        cpu_svn=cpu_svn,
        pce_id=pce_id,
        fmspc=fmspc,
        sgx_type=sgx_type[0],
        platform_instance=instance,
        dynamic_platform=dynamic,
        cached_keys=cached,
        smt=smt,
    )


def read(certificate: Certificate) -> Pck:
    """The SGX extension of a certificate.

    Raises:
        Malformed: it has none, or one in another encoding.
    """
    extension = certificate.extensions.get(EXTENSION)
    if extension is None:
        raise Malformed("has no SGX extension", field="PCK certificate")
    return _read(extension.value)


def forget() -> None:
    """Empties what is remembered, for benchmarks that measure the first time."""
    _read.cache_clear()
