"""What do the bytes of an SEV-SNP attestation report say? No crypto, no clock.

Source: AMD, «SEV Secure Nested Paging Firmware ABI» (56860), ATTESTATION_REPORT, versions 2 to 5.
Version 4 has no public layout of its own and is read as version 3. 1184 bytes, little-endian; bytes 0
to 0x29F are signed. The 512 bytes of signature are signed by nothing: everything in them that is not
one of its two numbers must be zero.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from troth.errors import Malformed
from troth.platforms.snp import table
from troth.platforms.snp.product import Product, of_cpu, reserved
from troth.platforms.snp.table import Table
from troth.wire.reader import Reader
from troth.wire.text import from_base64

SIZE: Final = 0x4A0
SIGNED: Final = 0x2A0
ECDSA_P384_SHA384: Final = 1
VMPL_HOST: Final = 0xFFFFFFFF
_VERSIONS: Final = range(2, 6)
_NUMBER: Final = 72
_TAIL: Final = SIZE - SIGNED - 2 * _NUMBER
_P384_ORDER: Final = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    16,
)
_POLICY_ALWAYS_ONE: Final = 1 << 17
# A report begins with its version as a u32; other evidence has something else in these four bytes.
_STARTS: Final = tuple(bytes((version, 0, 0, 0)) for version in range(1, 16))
_STARTS_BASE64: Final = tuple(
    from_bytes + b"AAA" for from_bytes in (b"AQ", b"Ag", b"Aw", b"BA", b"BQ", b"Bg", b"Bw")
)


class SigningKey(IntEnum):
    """Whose key signed the report."""

    VCEK = 0
    VLEK = 1
    NONE = 7


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

    @property
    def product(self) -> Product | None:
        """The product by its CPUID; None in version 2 and for a CPU that troth does not know."""
        return None if self.cpu is None else of_cpu(self.cpu.family, self.cpu.model)


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
    reader = Reader(data[:SIZE])
    version = reader.uint(4, "version", "little")
    if version not in _VERSIONS:
        raise Malformed(
            f"is {version}, troth reads 2 to 5",
            field="version",
            offset=0,
            fix="upgrade troth if AMD has published this version's layout",
        )
    guest_svn = reader.uint(4, "guest_svn", "little")
    policy = reader.uint(8, "policy", "little")
    if not policy & _POLICY_ALWAYS_ONE:
        raise Malformed("has bit 17 clear, which is always one", field="policy", offset=8)
    family_id, image_id = reader.take(16, "family_id"), reader.take(16, "image_id")
    vmpl = reader.uint(4, "vmpl", "little")
    if vmpl > 3 and vmpl != VMPL_HOST:
        raise Malformed(f"is {vmpl}, should be 0 to 3, or all ones", field="vmpl", offset=0x30)
    algorithm = reader.uint(4, "signature_algorithm", "little")
    current_tcb = reader.take(8, "current_tcb")
    platform_info = reader.uint(8, "platform_info", "little")
    author_key_en, mask_chip_key, signing_key = _key_info(reader)
    _zeros(reader, 4, "reserved")
    report_data = reader.take(64, "report_data")
    measurement = reader.take(48, "measurement")
    host_data = reader.take(32, "host_data")
    id_key_digest = reader.take(48, "id_key_digest")
    author_key_digest = reader.take(48, "author_key_digest")
    report_id = reader.take(32, "report_id")
    report_id_ma = reader.take(32, "report_id_ma")
    reported_tcb = reader.take(8, "reported_tcb")
    cpu = _cpu(reader) if version >= 3 else None
    _zeros(reader, 0x1A0 - reader.offset, "reserved")
    chip_id = reader.take(64, "chip_id")
    committed_tcb = reader.take(8, "committed_tcb")
    current_version = _firmware(reader, "current_version")
    committed_version = _firmware(reader, "committed_version")
    launch_tcb = reader.take(8, "launch_tcb")
    launch_mit_vector = current_mit_vector = None
    if version >= 5:
        launch_mit_vector = reader.uint(8, "launch_mit_vector", "little")
        current_mit_vector = reader.uint(8, "current_mit_vector", "little")
    _zeros(reader, SIGNED - reader.offset, "reserved")
    document = Document(
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
        author_key_en=author_key_en,
        mask_chip_key=mask_chip_key,
        signing_key=signing_key,
        report_data=report_data,
        measurement=measurement,
        host_data=host_data,
        id_key_digest=id_key_digest,
        author_key_digest=author_key_digest,
        report_id=report_id,
        report_id_ma=report_id_ma,
        reported_tcb=reported_tcb,
        cpu=cpu,
        chip_id=chip_id,
        committed_tcb=committed_tcb,
        current_version=current_version,
        committed_version=committed_version,
        launch_tcb=launch_tcb,
        launch_mit_vector=launch_mit_vector,
        current_mit_vector=current_mit_vector,
        signature=_signature(reader, signing_key),
        table=table.read(data[SIZE:], base=SIZE) if len(data) > SIZE else table.NONE,
    )
    _reserved_in_tcbs(document)
    return document


def _key_info(reader: Reader) -> tuple[bool, bool, SigningKey]:
    at = reader.offset
    bits = reader.uint(4, "key_info", "little")
    number = bits >> 2 & 7
    if bits >> 5 or number not in tuple(SigningKey):
        raise Malformed(f"is {bits:#x}, which the ABI does not define", field="key_info", offset=at)
    return bool(bits & 1), bool(bits & 2), SigningKey(number)


def _cpu(reader: Reader) -> Cpu:
    family, model, stepping = reader.take(3, "cpuid")
    return Cpu(family=family, model=model, stepping=stepping)


def _firmware(reader: Reader, field: str) -> Firmware:
    build, minor, major = reader.take(3, field)
    _zeros(reader, 1, "reserved")
    return Firmware(major=major, minor=minor, build=build)


def _signature(reader: Reader, signing_key: SigningKey) -> bytes:
    """R ‖ s, big-endian. Zero where nobody signed, and only where the report says so."""
    numbers = []
    for field in ("signature.r", "signature.s"):
        at = reader.offset
        number = reader.uint(_NUMBER, field, "little")
        low = 0 if signing_key is SigningKey.NONE else 1
        if not low <= number < _P384_ORDER:
            raise Malformed("is out of the range of P-384", field=field, offset=at)
        numbers.append(number.to_bytes(48, "big"))
    _zeros(reader, _TAIL, "signature.reserved")
    return b"".join(numbers)


def _zeros(reader: Reader, size: int, field: str) -> None:
    at = reader.offset
    if any(reader.take(size, field)):
        raise Malformed("is not zero", field=field, offset=at)


def _reserved_in_tcbs(document: Document) -> None:
    if document.product is None:
        return  # the endorsement's certificate names the product, and is compared with it
    for field, at in (
        ("current_tcb", 0x38),
        ("reported_tcb", 0x180),
        ("committed_tcb", 0x1E0),
        ("launch_tcb", 0x1F0),
    ):
        if any(reserved(getattr(document, field), document.product)):
            raise Malformed(
                f"has reserved bytes that are not zero on {document.product}",
                field=field,
                offset=at,
            )
