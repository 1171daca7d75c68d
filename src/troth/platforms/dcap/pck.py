"""What does a PCK certificate say of the platform? Intel's SGX extension, in its one encoding.

Source: Intel, «SGX PCK Certificate and CRL Profile Specification» 1.5. The extension is a fixed list,
so another order, a longer form of a number or a member too many is refused.
"""

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from troth.errors import Malformed
from troth.wire.x509 import Certificate

EXTENSION: Final = bytes.fromhex("2a864886f84d010d01")
COMPONENTS: Final = 16


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


def _member(size: int, value: bytes, *arcs: int) -> bytes:
    """Pattern of `SEQUENCE { OID, value }`; the value takes `size` bytes."""
    oid = _oid(*arcs)
    return re.escape(bytes((0x30, len(oid) + size)) + oid) + value


def _octets(size: int, *arcs: int) -> bytes:
    return _member(2 + size, re.escape(bytes((0x04, size))) + b"(.{%d})" % size, *arcs)


# An INTEGER in its shortest form: of one byte's value, and of two bytes'.
_BYTE: Final = ((3, rb"\x02\x01[\x00-\x7f]"), (4, rb"\x02\x02\x00[\x80-\xff]"))
_WORD: Final = (*_BYTE, (4, rb"\x02\x02[\x01-\x7f]."), (5, rb"\x02\x03\x00[\x80-\xff]."))


def _number(forms: Iterable[tuple[int, bytes]], *arcs: int) -> bytes:
    """Pattern whose group is the whole member."""
    return b"(" + b"|".join(_member(size, form, *arcs) for size, form in forms) + b")"


_HEAD: Final = 2 + len(_oid(2, 1)) + 2  # of such a member, before its number
_FLAGS: Final = b"".join(_member(3, rb"\x01\x01([\x00\xff])", 7, index) for index in (1, 2, 3))
_FLAGS_SIZE: Final = 3 * (2 + len(_oid(7, 1)) + 3)
# The extension. Three lengths depend on its numbers, and are groups of their own.
_FORM: Final = re.compile(
    rb"\x30\x82(..)"
    + _octets(16, 1)
    + rb"\x30\x82(..)"
    + re.escape(_oid(2))
    + rb"\x30\x82(..)"
    + b"".join(_number(_BYTE, 2, index) for index in range(1, COMPONENTS + 1))
    + _number(_WORD, 2, COMPONENTS + 1)
    + _octets(16, 2, COMPONENTS + 2)
    + _octets(2, 3)
    + _octets(6, 4)
    + _member(3, rb"\x0a\x01([\x00-\x02])", 5)
    + b"(?:"  # the Platform CA's certificates say more
    + _octets(16, 6)
    + _member(2 + _FLAGS_SIZE, re.escape(bytes((0x30, _FLAGS_SIZE))) + _FLAGS, 7)
    + b")?",
    re.DOTALL,
)
_LENGTHS: Final = struct.Struct(">HHH")
_OUTSIDE: Final = len(_oid(2)) + 4  # what the second length counts and the third does not
_VERSIONS: Final = 5  # the first group of the 16 and the PCE's
_CPU_SVN: Final = _VERSIONS + COMPONENTS + 1


@lru_cache(maxsize=256)
def _read(value: bytes) -> Pck:
    match = _FORM.fullmatch(value)
    if match is None:
        raise Malformed("is not in its one encoding", field="SGX extension")
    whole, ppid, tcb, inner, *versions = match.groups()
    pce_svn, cpu_svn, pce_id, fmspc, sgx_type, instance, *flags = versions[COMPONENTS:]
    size = match.end(_CPU_SVN) - match.start(_VERSIONS)
    if whole + tcb + inner != _LENGTHS.pack(len(value) - 4, _OUTSIDE + size, size):
        raise Malformed("has lengths that do not fit", field="SGX extension")
    dynamic, cached, smt = (None if flag is None else flag == b"\xff" for flag in flags)
    return Pck(
        ppid=ppid,
        components=tuple(member[-1] for member in versions[:COMPONENTS]),
        pce_svn=int.from_bytes(pce_svn[_HEAD:]),
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
    value = certificate.extensions.get(EXTENSION)
    if value is None:
        raise Malformed("has no SGX extension", field="PCK certificate")
    return _read(value)


def forget() -> None:
    """Empties what is remembered, for benchmarks that measure the first time."""
    _read.cache_clear()
