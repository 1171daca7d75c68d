"""What is every field of a report, for somebody who has never seen one? For `inspect`; never a verdict."""

from collections.abc import Iterable
from typing import Final

from troth.platforms.snp.format import SIGNED, VMPL_HOST, Document, parse
from troth.platforms.snp.product import Product, parts

# Name, first byte, size, and what it says. Together they are the 1184 bytes.
LAYOUT: Final[tuple[tuple[str, int, int, str], ...]] = (
    ("version", 0x000, 4, "layout of this report"),
    ("guest_svn", 0x004, 4, "the guest owner's own security version, from the ID block"),
    ("policy", 0x008, 8, "what the guest's owner allows the host to do"),
    ("family_id", 0x010, 16, "the guest owner's name for a family of images, from the ID block"),
    ("image_id", 0x020, 16, "the guest owner's name for this image, from the ID block"),
    ("vmpl", 0x030, 4, "privilege level inside the guest that asked; 0 is the highest"),
    ("signature_algorithm", 0x034, 4, "1 is ECDSA on P-384 with SHA-384"),
    ("current_tcb", 0x038, 8, "security versions that run now"),
    ("platform_info", 0x040, 8, "modes of the platform"),
    ("key_info", 0x048, 4, "whose key signed, and whether there is an author key"),
    ("reserved_04c", 0x04C, 4, "zero"),
    ("report_data", 0x050, 64, "bytes that the guest chose: a nonce, or the digest of a key"),
    ("measurement", 0x090, 48, "digest of what the guest's memory held at launch: the code"),
    ("host_data", 0x0C0, 32, "bytes that the host chose at launch"),
    ("id_key_digest", 0x0E0, 48, "digest of the key that signed the ID block; zero without one"),
    ("author_key_digest", 0x110, 48, "digest of the key that vouched for the ID key; or zero"),
    ("report_id", 0x140, 32, "this guest, by a number drawn at launch"),
    ("report_id_ma", 0x160, 32, "its migration agent; all ones where it has none"),
    ("reported_tcb", 0x180, 8, "security versions that the signing key was derived from"),
    ("cpuid", 0x188, 3, "the CPU's family, model and stepping (version 3 and later)"),
    ("reserved_18b", 0x18B, 21, "zero"),
    ("chip_id", 0x1A0, 64, "the chip; zero where masked, and under a provider's key"),
    ("committed_tcb", 0x1E0, 8, "security versions below which the firmware cannot be rolled back"),
    ("current_version", 0x1E8, 3, "firmware that runs now"),
    ("reserved_1eb", 0x1EB, 1, "zero"),
    ("committed_version", 0x1EC, 3, "firmware below which there is no way back"),
    ("reserved_1ef", 0x1EF, 1, "zero"),
    ("launch_tcb", 0x1F0, 8, "security versions when the guest was launched"),
    ("launch_mit_vector", 0x1F8, 8, "mitigations in force at launch (version 5)"),
    ("current_mit_vector", 0x200, 8, "mitigations in force now (version 5)"),
    ("reserved_208", 0x208, 152, "zero"),
    ("signature_r", 0x2A0, 72, "first number of the signature over bytes 0 to 0x29f"),
    ("signature_s", 0x2E8, 72, "second number of the signature"),
    ("reserved_330", 0x330, 368, "zero; nothing signs it"),
)
_POLICY: Final = (
    (16, "SMT allowed"),
    (17, "always one"),
    (18, "migration agent allowed"),
    (19, "DEBUG: the host may read the guest's memory"),
    (20, "one socket only"),
    (21, "CXL allowed"),
    (22, "AES-256-XTS required"),
    (23, "RAPL must be off"),
    (24, "ciphertext hiding required"),
    (25, "page swap disabled"),
)
_PLATFORM_INFO: Final = (
    (0, "SMT on"),
    (1, "TSME on"),
    (2, "ECC memory"),
    (3, "RAPL off"),
    (4, "ciphertext hiding on"),
    (5, "memory checked for aliases"),
    (7, "trusted I/O on"),
)
_KNOWN_POLICY: Final = 0xFFFF | sum(1 << bit for bit, _ in _POLICY)
_KNOWN_INFO: Final = sum(1 << bit for bit, _ in _PLATFORM_INFO)


def fields(data: bytes) -> Iterable[tuple[str, str]]:
    """Every field: its value in words where it has any, where it stands, its bytes and its meaning.

    Raises:
        Malformed: as `format.parse`.
    """
    document = parse(data)
    words = _words(document)
    for name, start, size, meaning in LAYOUT:
        place = f"0x{start:03x}-0x{start + size - 1:03x}"
        raw = document.data[start : start + size]
        zeros = "a zero byte" if size == 1 else f"{size} zero bytes"
        shown = raw.hex() if any(raw) else zeros
        value = f"{words[name]} = " if name in words else ""
        yield name, f"{value}{shown}  [{place}: {meaning}]"
    yield "signed", f"bytes 0x000-0x{SIGNED - 1:03x}; the signature was not checked here"
    for name, entry in document.table.entries.items():
        yield f"table {name}", f"{entry.hex()}  [{len(entry)} bytes that the host sent along]"
    for guid in document.table.unknown:
        yield f"table {guid}", "bytes that the host sent along, of a kind that troth does not know"


def _words(document: Document) -> dict[str, str]:
    words = {
        "version": str(document.version),
        "guest_svn": str(document.guest_svn),
        "policy": _policy(document.policy),
        "vmpl": "asked by the host" if document.vmpl == VMPL_HOST else str(document.vmpl),
        "signature_algorithm": str(document.signature_algorithm),
        "platform_info": _bits(document.platform_info, _PLATFORM_INFO, _KNOWN_INFO),
        "key_info": _key_info(document),
        "current_version": str(document.current_version),
        "committed_version": str(document.committed_version),
    }
    cpu = document.cpu
    if cpu is not None:
        product = document.product or "a product that troth does not know"
        words["cpuid"] = (
            f"family {cpu.family:#04x}, model {cpu.model:#04x}, stepping {cpu.stepping}: {product}"
        )
    if cpu is None or document.product is not None:
        layout = document.product or Product.MILAN
        guess = "" if cpu is not None else " (if a Milan or Genoa)"
        for name in ("current_tcb", "reported_tcb", "committed_tcb", "launch_tcb"):
            numbers = parts(getattr(document, name), layout)
            words[name] = ", ".join(f"{part} {number}" for part, number in numbers.items()) + guess
    for name in ("launch_mit_vector", "current_mit_vector"):
        vector = getattr(document, name)
        if vector is not None:
            words[name] = f"bits {[bit for bit in range(64) if vector >> bit & 1]}"
    return words


def _policy(policy: int) -> str:
    abi = f"firmware ABI {policy >> 8 & 0xFF}.{policy & 0xFF} or later"
    return f"{abi}, {_bits(policy, _POLICY, _KNOWN_POLICY)}"


def _bits(value: int, table: tuple[tuple[int, str], ...], known: int) -> str:
    said = [words for bit, words in table if value >> bit & 1]
    said += [f"unknown bit {bit}" for bit in range(64) if value & ~known & 1 << bit]
    return ", ".join(said) or "nothing"


def _key_info(document: Document) -> str:
    said = [f"signed by {document.signing_key.name}"]
    if document.mask_chip_key:
        said.append("MASK_CHIP_KEY: the firmware was told not to sign")
    if document.author_key_en:
        said.append("with an author key")
    return ", ".join(said)
