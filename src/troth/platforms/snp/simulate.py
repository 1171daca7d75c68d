"""A secure processor in Python: real reports of every version, under a development root.

What it signs is read by the same verifier as AMD's reports; the root alone tells them apart.

Does not isolate anything, and measures nothing: it signs what it is told.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self, TypedDict, Unpack
from uuid import UUID

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from troth.errors import Misuse
from troth.model.collateral import Collateral, Item, Kind
from troth.platforms.snp.format import ECDSA_P384_SHA384, SIGNED, SIZE, SigningKey
from troth.platforms.snp.product import LAYOUTS, Product
from troth.platforms.snp.simulate_pki import DevelopmentPki, Keys, to_pem
from troth.platforms.snp.table import GUIDS

__all__ = ["DevelopmentPki", "Keys", "Processor", "body", "extended", "signed"]

# Family, model and stepping of a part that exists.
CPUS: Final = {
    Product.MILAN: (0x19, 0x01, 1),
    Product.GENOA: (0x19, 0x11, 1),
    Product.TURIN: (0x1A, 0x02, 1),
}
TCB: Final[Mapping[Product, Mapping[str, int]]] = {
    Product.MILAN: {"boot_loader": 4, "tee": 0, "snp": 24, "microcode": 219},
    Product.GENOA: {"boot_loader": 10, "tee": 0, "snp": 25, "microcode": 84},
    Product.TURIN: {"fmc": 1, "boot_loader": 1, "tee": 1, "snp": 4, "microcode": 81},
}
_POLICY: Final = 0x30000  # SMT allowed, and the bit that is always one
_PLATFORM_INFO: Final = 0x25  # SMT, ECC, memory checked for aliases
_FIRMWARE: Final = bytes((41, 55, 1, 0))
_ENTRY: Final = 24
_PAGE: Final = 4096


class Fields(TypedDict, total=False):
    """Fields of a report that a caller sets; the others are what an idle machine would say."""

    version: int
    guest_svn: int
    policy: int
    family_id: bytes
    image_id: bytes
    vmpl: int
    algorithm: int
    platform_info: int
    key_info: int
    report_data: bytes
    measurement: bytes
    host_data: bytes
    id_key_digest: bytes
    author_key_digest: bytes
    report_id: bytes
    report_id_ma: bytes
    cpu: tuple[int, int, int]
    chip_id: bytes
    current: Mapping[str, int]
    reported: Mapping[str, int]
    committed: Mapping[str, int]
    launch: Mapping[str, int]
    mitigations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """One chip with its key at one TCB version.

    Attributes:
        pki: under whose authorities the key stands.
        signing_key: whether its own key signs (VCEK) or its cloud provider's (VLEK).
        chip_id: 64 bytes.
        parts: the reported TCB by name.
        key: the signing key.
        endorsement: the key's certificate, DER.
    """

    pki: DevelopmentPki
    signing_key: SigningKey
    chip_id: bytes
    parts: Mapping[str, int]
    key: ec.EllipticCurvePrivateKey
    endorsement: bytes

    @classmethod
    def create(
        cls,
        pki: DevelopmentPki,
        start: datetime,
        *,
        parts: Mapping[str, int] | None = None,
        csp: str = "",
        name: str = "",
    ) -> Self:
        """A new chip, endorsed from `start` on.

        Args:
            pki: its authorities.
            start: from when its key's certificate is valid.
            parts: its reported TCB by name; what a current machine has where None is given.
            csp: the cloud provider whose VLEK signs; empty for the chip's own VCEK.
            name: the product's name in the certificate.
        """
        parts = TCB[pki.product] if parts is None else parts
        key = ec.generate_private_key(ec.SECP384R1())
        hwid = secrets.token_bytes(8 if pki.product is Product.TURIN else 64)
        return cls(
            pki=pki,
            signing_key=SigningKey.VLEK if csp else SigningKey.VCEK,
            chip_id=bytes(64) if csp else hwid.ljust(64, b"\0"),
            parts=parts,
            key=key,
            endorsement=pki.endorse(
                key.public_key(),
                parts,
                start=start,
                hwid=b"" if csp else hwid,
                csp=csp,
                name=name,
            ),
        )

    def report(self, **fields: Unpack[Fields]) -> bytes:
        """A signed report, 1184 bytes.

        Raises:
            Misuse: a field is too large for its place.
        """
        said: Fields = {
            "chip_id": self.chip_id,
            "key_info": self.signing_key << 2,
            "reported": self.parts,
            **fields,
        }
        return signed(body(self.pki.product, **said), self.key)

    @property
    def issuers(self) -> tuple[bytes, bytes]:
        """The certificates above the key's, DER: ASK (for a VLEK the ASVK) and ARK."""
        ask = self.pki.asvk if self.signing_key is SigningKey.VLEK else self.pki.ask
        return ask, self.pki.ark

    def collateral(self, listed: datetime) -> Collateral:
        """What a verifier needs for this machine's reports, with a CRL of the instant `listed`."""
        source = "this user's development PKI"
        return Collateral(
            items=(
                Item(kind=Kind.AMD_ENDORSEMENT, data=self.endorsement, source=source),
                Item(kind=Kind.AMD_CHAIN, data=to_pem(*self.issuers), source=source),
                Item(kind=Kind.AMD_CRL, data=self.pki.crl(listed), source=source),
            )
        )

    def table(self) -> dict[str, bytes]:
        """What a host would put into the certificate table."""
        ask, ark = self.issuers
        return {self.signing_key.name: self.endorsement, "ASK": ask, "ARK": ark}


def body(product: Product, **fields: Unpack[Fields]) -> bytes:
    """The 672 bytes of a report that are signed.

    Raises:
        Misuse: a field is too large for its place.
    """
    version = fields.get("version", 3)
    out = bytearray(SIGNED)

    def put(at: int, size: int, value: int | bytes) -> None:
        fits = 0 <= value < 1 << (8 * size) if isinstance(value, int) else len(value) <= size
        if not fits:
            raise Misuse(f"{value!r:.80} does not fit into {size} bytes")
        raw = value.to_bytes(size, "little") if isinstance(value, int) else value
        out[at : at + size] = raw.ljust(size, b"\0")

    reported = fields.get("reported", TCB[product])
    put(0x000, 4, version)
    put(0x004, 4, fields.get("guest_svn", 0))
    put(0x008, 8, fields.get("policy", _POLICY))
    put(0x010, 16, fields.get("family_id", b""))
    put(0x020, 16, fields.get("image_id", b""))
    put(0x030, 4, fields.get("vmpl", 0))
    put(0x034, 4, fields.get("algorithm", ECDSA_P384_SHA384))
    put(0x038, 8, tcb(product, fields.get("current", reported)))
    put(0x040, 8, fields.get("platform_info", _PLATFORM_INFO))
    put(0x048, 4, fields.get("key_info", 0))
    put(0x050, 64, fields.get("report_data", b""))
    put(0x090, 48, fields.get("measurement", b""))
    put(0x0C0, 32, fields.get("host_data", b""))
    put(0x0E0, 48, fields.get("id_key_digest", b""))
    put(0x110, 48, fields.get("author_key_digest", b""))
    put(0x140, 32, fields.get("report_id", secrets.token_bytes(32)))
    put(0x160, 32, fields.get("report_id_ma", b"\xff" * 32))
    put(0x180, 8, tcb(product, reported))
    if version >= 3:
        put(0x188, 3, bytes(fields.get("cpu", CPUS[product])))
    put(0x1A0, 64, fields.get("chip_id", b""))
    put(0x1E0, 8, tcb(product, fields.get("committed", reported)))
    put(0x1E8, 4, _FIRMWARE)
    put(0x1EC, 4, _FIRMWARE)
    put(0x1F0, 8, tcb(product, fields.get("launch", reported)))
    if version >= 5:
        put(0x1F8, 8, fields.get("mitigations", 1))
        put(0x200, 8, fields.get("mitigations", 1))
    return bytes(out)


def tcb(product: Product, parts: Mapping[str, int]) -> bytes:
    """A TCB_VERSION in the product's layout."""
    layout = LAYOUTS[product]
    out = bytearray(8)
    for name, version in parts.items():
        out[layout[name]] = version
    return bytes(out)


def signed(report: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """A report's 672 bytes with their signature behind them: r and s little-endian, then zeros."""
    r, s = decode_dss_signature(key.sign(report, ec.ECDSA(hashes.SHA384())))
    return (report + r.to_bytes(72, "little") + s.to_bytes(72, "little")).ljust(SIZE, b"\0")


def extended(
    report: bytes, entries: Mapping[str, bytes], *, mixed: bool = False, pages: bool = False
) -> bytes:
    """A report with a certificate table behind it.

    Args:
        report: 1184 bytes.
        entries: `VCEK`, `VLEK`, `ASK`, `ARK`, `CRL`, or a GUID in hex, to bytes.
        mixed: whether GUIDs are written with their first three parts little-endian.
        pages: whether zeros fill the table up to a whole page.
    """
    table, data = b"", b""
    head = _ENTRY * (len(entries) + 1)
    for name, value in entries.items():
        guid = UUID(bytes=GUIDS[name] if name in GUIDS else bytes.fromhex(name))
        table += guid.bytes_le if mixed else guid.bytes
        table += (head + len(data)).to_bytes(4, "little") + len(value).to_bytes(4, "little")
        data += value
    whole = table + bytes(_ENTRY) + data
    return report + whole + (bytes(-len(whole) % _PAGE) if pages else b"")
