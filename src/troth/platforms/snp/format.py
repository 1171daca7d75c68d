"""What do the bytes of an SEV-SNP attestation report say? No crypto, no clock.

Source: AMD, «SEV Secure Nested Paging Firmware ABI» (56860), ATTESTATION_REPORT, versions 2 to 5.
Version 4 has no public layout of its own and is read as version 3. 1184 bytes, little-endian; bytes 0
to 0x29F are signed. The 512 bytes of signature are signed by nothing: everything in them that is not
one of its two numbers must be zero.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from troth.errors import Malformed
from troth.platforms.snp import table
from troth.platforms.snp.product import Product, of_cpu, reserved
from troth.platforms.snp.table import Table
from troth.wire.text import from_base64

SIZE: Final = 0x4A0
SIGNED: Final = 0x2A0
ECDSA_P384_SHA384: Final = 1
VMPL_HOST: Final = 0xFFFFFFFF
_VERSIONS: Final = range(2, 6)
# Version to LAUNCH_TCB are as in the ABI's table, with each reserved stretch as bytes of its own; then
# the mitigation vectors, what is reserved behind them, and the signature.
_LAYOUT: Final = struct.Struct(
    "<IIQ16s16sII8sQI4s64s48s32s48s48s32s32s8s3s21s64s8s4s4s8s8s8s152s72s72s368s"
)
_TCBS: Final = (
    ("current_tcb", 0x38),
    ("reported_tcb", 0x180),
    ("committed_tcb", 0x1E0),
    ("launch_tcb", 0x1F0),
)
_P384_ORDER: Final = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    16,
)
_POLICY_ALWAYS_ONE: Final = 1 << 17
# A report begins with its version as a u32; other evidence has something else in these four bytes.
_STARTS: Final = tuple(bytes((version, 0, 0, 0)) for version in range(1, 16))
_STARTS_BASE64: Final = tuple(
    first + b"AAA" for first in (b"AQ", b"Ag", b"Aw", b"BA", b"BQ", b"Bg", b"Bw")
)


class SigningKey(IntEnum):
    """Whose key signed the report."""

    VCEK = 0
    VLEK = 1
    NONE = 7


_SIGNING_KEYS: Final = {int(key): key for key in SigningKey}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """CPUID's combined family, model and stepping; in reports of version 3 and later."""

    family: int
    model: int
    stepping: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """A version of the SEV firmware."""

    major: int
    minor: int
    build: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.build}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An attestation report, parsed and not believed. Names are the ABI's.

    Attributes:
        data: the 1184 bytes.
        version: 2 to 5.
        guest_svn: the guest owner's own security version, from the ID block.
        policy: the guest policy's bits; bit 19 is debug.
        vmpl: 0 to 3, or `VMPL_HOST` where the host asked.
        signature_algorithm: 1 is ECDSA on P-384 with SHA-384.
        platform_info: the platform's modes as bits; those we don't know are policy's affair.
        author_key_en: whether `author_key_digest` counts.
        mask_chip_key: whether the firmware was told not to sign.
        report_data: 64 bytes of the guest's.
        current_tcb, reported_tcb, committed_tcb, launch_tcb: TCB_VERSION, 8 bytes; which byte is what
            depends on the product.
        cpu: None in version 2.
        product: by its CPUID; None in version 2 and for a CPU that troth does not know.
        chip_id: 64 bytes; zero where masked, and under a VLEK.
        launch_mit_vector, current_mit_vector: mitigations as bits; None before version 5.
        signature: r ‖ s, 2 × 48 bytes, big-endian.
        table: what the host sent along.
    """

    data: bytes
    version: int
    guest_svn: int
    policy: int
    family_id: bytes
    image_id: bytes
    vmpl: int
    signature_algorithm: int
    current_tcb: bytes
    platform_info: int
    author_key_en: bool
    mask_chip_key: bool
    signing_key: SigningKey
    report_data: bytes
    measurement: bytes
    host_data: bytes
    id_key_digest: bytes
    author_key_digest: bytes
    report_id: bytes
    report_id_ma: bytes
    reported_tcb: bytes
    cpu: Cpu | None
    product: Product | None
    chip_id: bytes
    committed_tcb: bytes
    current_version: Firmware
    committed_version: Firmware
    launch_tcb: bytes
    launch_mit_vector: int | None
    current_mit_vector: int | None
    signature: bytes
    table: Table = table.NONE

    @property
    def signed(self) -> bytes:
        """The bytes that the signature is over."""
        return self.data[:SIGNED]


def unwrap(data: bytes) -> tuple[bytes, str] | None:
    """Removes base64 text around a report or an extended report.

    Returns:
        The bytes and words for what was removed; None if this is no SNP report.

    Raises:
        Malformed: the text begins as a report's would and is not base64.
    """
    if data.startswith(_STARTS):
        return data, ""
    if data.startswith(_STARTS_BASE64):
        return from_base64(data, field="base64 text"), "base64 text"
    return None


def parse(data: bytes) -> Document:
    """Reads a report, or an extended report: one with the host's certificate table behind it.

    Raises:
        Malformed: any departure from the form: another size, an unknown version, a reserved byte that
            is not zero, a value that the ABI does not define, a signature out of its range.
    """
    if len(data) < SIZE:
        raise Malformed(f"is {len(data)} bytes, should be {SIZE}", field="report", offset=0)
    (
        version,
        guest_svn,
        policy,
        family_id,
        image_id,
        vmpl,
        algorithm,
        current_tcb,
        platform_info,
        key_info,
        reserved_04c,
        report_data,
        measurement,
        host_data,
        id_key_digest,
        author_key_digest,
        report_id,
        report_id_ma,
        reported_tcb,
        cpuid,
        reserved_18b,
        chip_id,
        committed_tcb,
        current_version,
        committed_version,
        launch_tcb,
        launch_mit_vector,
        current_mit_vector,
        reserved_208,
        r,
        s,
        tail,
    ) = _LAYOUT.unpack_from(data)
    if version not in _VERSIONS:
        raise Malformed(
            f"is {version}, troth reads 2 to 5",
            field="version",
            offset=0,
            fix="upgrade troth if AMD has published this version's layout",
        )
    if not policy & _POLICY_ALWAYS_ONE:
        raise Malformed("has bit 17 clear, which is always one", field="policy", offset=8)
    if vmpl > 3 and vmpl != VMPL_HOST:
        raise Malformed(f"is {vmpl}, should be 0 to 3, or all ones", field="vmpl", offset=0x30)
    signing_key = _signing_key(key_info)
    _zeros(reserved_04c, 0x4C)
    _zeros(reserved_18b, 0x18B)
    _zeros(reserved_208, 0x208)
    _zeros(tail, 0x330)
    if version < 3:
        _zeros(cpuid, 0x188)
    if version < 5:
        _zeros(launch_mit_vector, 0x1F8)
        _zeros(current_mit_vector, 0x200)
    product = of_cpu(cpuid[0], cpuid[1]) if version >= 3 else None
    if product is not None:  # else the key's certificate names it, and is compared
        tcbs = (current_tcb, reported_tcb, committed_tcb, launch_tcb)
        for (field, at), tcb in zip(_TCBS, tcbs, strict=True):
            if reserved(tcb, product):
                raise Malformed(
                    f"has reserved bytes that are not zero on {product}", field=field, offset=at
                )
    return Document(
        data=data[:SIZE],
        version=version,
        guest_svn=guest_svn,
        policy=policy,
        family_id=family_id,
        image_id=image_id,
        vmpl=vmpl,
        signature_algorithm=algorithm,
        current_tcb=current_tcb,
        platform_info=platform_info,
        author_key_en=bool(key_info & 1),
        mask_chip_key=bool(key_info & 2),
        signing_key=signing_key,
        report_data=report_data,
        measurement=measurement,
        host_data=host_data,
        id_key_digest=id_key_digest,
        author_key_digest=author_key_digest,
        report_id=report_id,
        report_id_ma=report_id_ma,
        reported_tcb=reported_tcb,
        cpu=Cpu(family=cpuid[0], model=cpuid[1], stepping=cpuid[2]) if version >= 3 else None,
        product=product,
        chip_id=chip_id,
        committed_tcb=committed_tcb,
        current_version=_firmware(current_version, 0x1E8),
        committed_version=_firmware(committed_version, 0x1EC),
        launch_tcb=launch_tcb,
        launch_mit_vector=_number(launch_mit_vector) if version >= 5 else None,
        current_mit_vector=_number(current_mit_vector) if version >= 5 else None,
        signature=_signed(r, 0x2A0, signing_key) + _signed(s, 0x2E8, signing_key),
        table=table.read(data[SIZE:], base=SIZE) if len(data) > SIZE else table.NONE,
    )


def _signing_key(key_info: int) -> SigningKey:
    found = _SIGNING_KEYS.get(key_info >> 2 & 7)
    if key_info >> 5 or found is None:
        raise Malformed(
            f"is {key_info:#x}, which the ABI does not define", field="key_info", offset=0x48
        )
    return found


def _firmware(raw: bytes, at: int) -> Firmware:
    _zeros(raw[3:], at + 3)
    return Firmware(major=raw[2], minor=raw[1], build=raw[0])


def _signed(raw: bytes, at: int, signing_key: SigningKey) -> bytes:
    """One number of the signature, big-endian. Zero only where the report says that nobody signed."""
    number = _number(raw)
    low = 0 if signing_key is SigningKey.NONE else 1
    if not low <= number < _P384_ORDER:
        raise Malformed("is out of the range of P-384", field="signature", offset=at)
    return number.to_bytes(48, "big")


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


def _zeros(raw: bytes, at: int) -> None:
    if raw.strip(b"\0"):
        raise Malformed("is not zero", field="reserved", offset=at)
