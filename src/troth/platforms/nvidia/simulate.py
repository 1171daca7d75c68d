"""Simulated devices: true bytes of reports for H100, GB100 and LS10, RIM documents and OCSP answers.

Everything is signed under the keys of `simulate_pki`. The verifier knows nothing of this file.
"""

import base64
import hashlib
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from troth.model.collateral import Collateral, Item, Kind
from troth.platforms.nvidia import format as layout
from troth.platforms.nvidia import simulate_pki as pki
from troth.platforms.nvidia.device import ARCHITECTURES, BLACKWELL, HOPPER
from troth.platforms.nvidia.format import Field
from troth.platforms.nvidia.format import Kind as Made
from troth.platforms.nvidia.ocsp import Status
from troth.platforms.nvidia.simulate_pki import Authority, DevelopmentPki

DRIVER_VERSION: Final = "580.159.03"
VBIOS_VERSION: Final = "96.00.9F.00.01"
SWITCH_VERSION: Final = "96.10.55.00.01"
FWID: Final = b"\xf1" * 48
_COUNTS: Final = {Made.GPU: 64, Made.SWITCH: 31}
_PRODUCTS: Final = {HOPPER: "GH100", BLACKWELL: "GB100"}
# What NVIDIA's documents have active; a switch has one document for all.
_OF_DRIVER: Final = (7, *range(21, 41))
_OF_VBIOS: Final = (*range(7), *range(8, 13))
_SWID: Final = "http://standards.iso.org/iso/19770/-2/2015/schema.xsd"
_TCG: Final = "https://trustedcomputinggroup.org/resource/tcg-reference-integrity-manifest-rim-information-model/"
_DIGESTS: Final = "http://www.w3.org/2001/04/xmlenc#sha384"
Golden = Mapping[int, Sequence[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One GPU or switch: what it is, and the keys that it made when it started.

    Attributes:
        pki: its authorities.
        architecture: `hopper`, `blackwell` or `ls10`.
        brom: the device's key for life.
        leaf: the key that signs reports.
        measurements: what it measured.
        driver_version: of a GPU.
        vbios_version: its own.
        opaque: further fields of the opaque data, or others in place of the usual; None leaves out.
    """

    pki: DevelopmentPki
    architecture: str
    brom: Authority
    leaf: Authority
    measurements: tuple[bytes, ...]
    driver_version: str
    vbios_version: str
    opaque: Mapping[int, bytes | None]

    @classmethod
    def create(
        cls,
        authorities: DevelopmentPki,
        architecture: str,
        now: datetime,
        *,
        fwid: bytes = FWID,
        debug: bool = False,
        opaque: Mapping[int, bytes | None] | None = None,
        pdi: bytes = b"",
    ) -> Self:
        """Starts a device.

        Args:
            authorities: that issue for it.
            architecture: of the three.
            now: the second from which on its certificates are valid.
            fwid: digest of its firmware, for its leaf and its reports.
            debug: whether the leaf says so (Blackwell).
            opaque: see the class.
            pdi: the device's name among others, 8 bytes; any where empty. A switch's is in its reports.
        """
        kind = ARCHITECTURES[architecture]
        switch = kind is Made.SWITCH
        said = _usual(architecture, fwid) | dict(opaque or {})
        if switch:
            pdi = said.get(Field.PDI) or pdi
        brom = pki.device(architecture, authorities.provisioners[architecture], now, pdi=pdi)
        return cls(
            pki=authorities,
            architecture=architecture,
            brom=brom,
            leaf=pki.leaf(architecture, brom, now, fwid, debug=debug),
            measurements=tuple(measured(architecture, index) for index in range(_COUNTS[kind])),
            driver_version="" if switch else DRIVER_VERSION,
            vbios_version=SWITCH_VERSION if switch else VBIOS_VERSION,
            opaque=said,
        )

    @property
    def chain(self) -> tuple[Authority, ...]:
        """Leaf first, root last."""
        return (self.leaf, self.brom, *self.pki.above(self.architecture))

    @property
    def pem(self) -> bytes:
        """Its certificates."""
        return b"".join(member.pem for member in self.chain)

    def report(self, nonce: bytes) -> bytes:
        """A signed report over a nonce of 32 bytes."""
        versions: dict[int, bytes | None] = {Field.VBIOS_VERSION: self._vbios()}
        if self.driver_version:
            versions[Field.DRIVER_VERSION] = self.driver_version.encode() + b"\0"
        fields = {k: v for k, v in (versions | dict(self.opaque)).items() if v is not None}
        opaque = b"".join(struct.pack("<HH", k, len(v)) + v for k, v in fields.items())
        blocks = b"".join(
            bytes((index + 1,)) + b"\x01\x33\x00\x01\x30\x00" + value
            for index, value in enumerate(self.measurements)
        )
        count = len(self.measurements)
        unsigned = b"".join(
            (
                layout.START + nonce + b"\0",
                b"\x11\x60\x00\x00" + bytes((count,)) + len(blocks).to_bytes(3, "little") + blocks,
                hashlib.sha256(b"responder" + nonce).digest(),
                struct.pack("<H", len(opaque)) + opaque,
            )
        )
        return unsigned + signed(self.leaf.key, unsigned)

    def evidence(self, nonce: bytes) -> bytes:
        """A report with the certificates behind it."""
        return self.report(nonce) + self.pem

    def entry(self, nonce: bytes) -> dict[str, str]:
        """The same as NVIDIA's SDK writes it."""
        return {
            "arch": self.architecture.upper(),
            "nonce": nonce.hex(),
            "evidence": base64.b64encode(self.report(nonce)).decode(),
            "certificate": base64.b64encode(self.pem).decode(),
        }

    def changed(self, **fields: Any) -> Self:
        """The same device, saying something else of itself."""
        return replace(self, **fields)

    def golden(self) -> tuple[tuple[str, Golden], ...]:
        """Version and good values of each RIM document that this device is compared with."""
        if ARCHITECTURES[self.architecture] is Made.SWITCH:
            return ((self.vbios_version, self._values(range(len(self.measurements)))),)
        return (
            (self.driver_version, self._values(_OF_DRIVER)),
            (self.vbios_version, self._values(_OF_VBIOS)),
        )

    def _values(self, indices: Iterable[int]) -> Golden:
        return {index: (measured(self.architecture, index),) for index in indices}

    def _vbios(self) -> bytes:
        if ARCHITECTURES[self.architecture] is Made.SWITCH:
            return self.vbios_version.encode()
        raw = bytes.fromhex(self.vbios_version.replace(".", ""))
        return raw[3::-1] + raw[4:] + bytes(3)


def collateral(
    devices: Iterable[Device], at: datetime, *, status: Mapping[bytes, Status] | None = None
) -> Collateral:
    """RIM documents and OCSP answers for all of these devices.

    Args:
        devices: for which.
        at: the second of the answers.
        status: DER of a certificate to what is answered about it; the others are good.
    """
    rims: dict[bytes, None] = {}
    links: dict[bytes, tuple[Authority, Authority]] = {}
    for device in devices:
        chain = device.chain[1:]
        links |= {m.der: (m, issuer) for m, issuer in pairwise(chain)}
        signers = (*device.pki.rim_signers[product(device)], device.pki.rim_root)
        links |= {m.der: (m, issuer) for m, issuer in pairwise(signers)}
        for version, golden in device.golden():
            rims[rim(device.pki, product(device), version, golden)] = None
    said = status or {}
    answers = [
        pki.answer(member.certificate, issuer, at, status=said.get(der, Status.GOOD))
        for der, (member, issuer) in links.items()
    ]
    return Collateral(
        items=(
            *(Item(kind=Kind.NVIDIA_RIM, data=data, source="simulator") for data in rims),
            *(Item(kind=Kind.NVIDIA_OCSP, data=data, source="simulator") for data in answers),
        )
    )


def product(device: Device) -> str:
    """What RIM documents call its chip."""
    return _PRODUCTS.get(device.architecture, "LS10")


def measured(architecture: str, index: int) -> bytes:
    """What a device of this architecture measures at an index, as its documents expect it."""
    return hashlib.sha384(f"{architecture} {index}".encode()).digest()


def rim(
    authorities: DevelopmentPki,
    chip: str,
    version: str,
    golden: Golden,
    *,
    edition: str = "",
    signers: Sequence[Authority] | None = None,
) -> bytes:
    """A RIM document, signed as NVIDIA's are.

    Args:
        authorities: whose signers sign.
        chip: such as `GH100`.
        version: of driver or VBIOS.
        golden: index to its good values; every other index up to 63 is there and not active.
        edition: `GPU` or `SWITCH`; by the chip where empty.
        signers: leaf first, root last; those of the authorities where None.
    """
    from lxml import etree

    edition = edition or ("SWITCH" if chip == "LS10" else "GPU")
    root = etree.Element(f"{{{_SWID}}}SoftwareIdentity", nsmap={None: _SWID, "h": _DIGESTS})
    root.set("name", chip)
    etree.SubElement(root, f"{{{_SWID}}}Entity", name="troth development", role="tagCreator")
    meta = etree.SubElement(
        root, f"{{{_SWID}}}Meta", colloquialVersion=version, edition=edition, product=chip
    )
    meta.set(f"{{{_TCG}}}PlatformManufacturerId", "5703")
    payload = etree.SubElement(root, f"{{{_SWID}}}Payload")
    for index in range(64):
        values = golden.get(index, (bytes(48),))
        resource = etree.SubElement(payload, f"{{{_SWID}}}Resource", type="Measurement")
        resource.set("index", str(index))
        resource.set("active", str(index in golden))
        resource.set("alternatives", str(len(values)))
        resource.set("size", "48")
        for place, value in enumerate(values):
            resource.set(f"{{{_DIGESTS}}}Hash{place}", value.hex())
    if signers is None:
        signers = (*authorities.rim_signers[chip], authorities.rim_root)
    return _enveloped(root, signers)


def _enveloped(root: Any, signers: Sequence[Authority]) -> bytes:
    from lxml import etree
    from signxml import signer
    from signxml.algorithms import (
        CanonicalizationMethod,
        DigestAlgorithm,
        SignatureConstructionMethod,
        SignatureMethod,
    )

    made = signer.XMLSigner(
        method=SignatureConstructionMethod.enveloped,
        signature_algorithm=SignatureMethod.ECDSA_SHA384,
        digest_algorithm=DigestAlgorithm.SHA384,
        c14n_algorithm=CanonicalizationMethod.CANONICAL_XML_1_1,
    ).sign(
        root,
        key=signers[0].key,
        cert=[member.certificate for member in signers],
        always_add_key_value=False,
    )
    return bytes(etree.tostring(made))


def sdk_json(devices: Sequence[Device], nonce: bytes) -> bytes:
    """One file for all devices, as NVIDIA's SDK writes it."""
    return json.dumps([device.entry(nonce) for device in devices]).encode()


def nras_json(devices: Sequence[Device], nonce: bytes) -> bytes:
    """The request that a client sends to NVIDIA's service for devices of one architecture."""
    entries = [device.entry(nonce) for device in devices]
    inner = [{k: entry[k] for k in ("evidence", "certificate")} for entry in entries]
    outer = {"nonce": nonce.hex(), "arch": entries[0]["arch"], "evidence_list": inner}
    return json.dumps(outer).encode()


def fabric(
    authorities: DevelopmentPki, now: datetime, *, gpus: int = 8, switches: int = 4
) -> tuple[tuple[Device, ...], tuple[Device, ...]]:
    """GPUs and switches of one machine in protected PCIe mode, each naming those it is linked to."""
    own = [hashlib.sha256(f"switch {n}".encode()).digest()[:8] for n in range(switches)]
    ports = [hashlib.sha256(f"gpu {n}".encode()).digest()[:8] for n in range(gpus)]
    links = b"".join(own[n % switches][::-1] for n in range(18)) if switches else b""
    listed = b"".join(ports).ljust(128, b"\0")
    on: dict[int, bytes | None] = {
        Field.PROTECTED_PCIE_STATUS: layout.ON,
        Field.FEATURE_FLAG: b"\2\0",
        Field.PDI: links,
    }
    return (
        tuple(Device.create(authorities, HOPPER, now, opaque=on, pdi=pdi) for pdi in ports),
        tuple(
            Device.create(
                authorities,
                "ls10",
                now,
                opaque={Field.PDI: pdi, Field.SWITCH_GPU_PDIS: listed},
            )
            for pdi in own
        ),
    )


def signed(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """A raw signature, r and s of 48 bytes."""
    r, s = utils.decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA384())))
    return r.to_bytes(48, "big") + s.to_bytes(48, "big")


def _usual(architecture: str, fwid: bytes) -> dict[int, bytes | None]:
    """The opaque data that real devices of this kind have beside their versions."""
    if ARCHITECTURES[architecture] is Made.SWITCH:
        return {
            Field.PDI: b"\x20\x3e\xb3\x1a\xd9\xed\x00\x08",
            Field.MSRSCNT: struct.pack("<26I", *[1] * 26),
            Field.SWITCH_GPU_PDIS: bytes(128),
            Field.FLOORSWEPT_PORTS: b"\xec\0",
            Field.POSITION_ID: b"\2\0",
            Field.LOCK_SWITCH_STATUS: b"\1\0",
        }
    found: dict[int, bytes | None] = {
        Field.BOARD_ID: b"\xb1\3\0\0",
        Field.CHIP_SKU: b"882".ljust(9, b"\0"),
        Field.CHIP_SKU_MOD: b"0".ljust(5, b"\0"),
        Field.PROJECT: b"1010\0",
        Field.PROJECT_SKU: b"0200\0",
        Field.PROJECT_SKU_MOD: b"\0\0",
        Field.GPU_INFO: b"\x80\1".ljust(8, b"\0"),
        Field.MSRSCNT: struct.pack("<64I", *[1] * 64),
        Field.CPR_INFO: b"\0\xc0\1\0",
        Field.NVDEC0_STATUS: layout.ON,
        Field.FWID: fwid,
    }
    if architecture == BLACKWELL:
        found |= {Field.SYS_ENABLE_STATUS: b"\7\7"}
    else:
        found |= {Field.PROTECTED_PCIE_STATUS: layout.OFF}
    return found | {Field.OPAQUE_DATA_VERSION: b"\1\0", Field.FEATURE_FLAG: b"\0\0"}
