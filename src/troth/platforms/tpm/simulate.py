"""A TPM in Python: attestation key, registers, boot log, quotes; and a confidential VM of Azure around it.

What it signs is read by the same verifier as a real TPM's quotes; the root alone tells them apart.

Does not isolate anything, and measures nothing: it extends what it is told.
"""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from troth.platforms.tpm import format  # noqa: A004
from troth.platforms.tpm.hcl import AK, Kind
from troth.wire import json, tcg, tpm

ATTESTATION_KEY: Final = (
    tpm.FIXED_TPM | tpm.FIXED_PARENT | tpm.RESTRICTED | tpm.SIGN | 1 << 5 | 1 << 6
)
ENDORSEMENT: Final = 0x4000000B
FIRMWARE: Final = 0x2020_0312_0012_0003
BANKS: Final = (tpm.SHA1, tpm.SHA256, tpm.SHA384)
_ONES: Final = range(17, 23)
_HASHES: Final[dict[int, hashes.HashAlgorithm]] = {
    tpm.SHA1: hashes.SHA1(),  # noqa: S303 - to be refused
    tpm.SHA256: hashes.SHA256(),
    tpm.SHA384: hashes.SHA384(),
}
_SPEC_ID: Final = b"Spec ID Event03\0"
_GLOBAL: Final = bytes.fromhex("61dfe48bca93d211aa0d00e098032b8c")


@dataclass(slots=True, kw_only=True)
class SimulatedTpm:
    """One TPM since its last start.

    Attributes:
        key: the attestation key.
        scheme: of its signatures: `tpm.RSASSA`, `tpm.RSAPSS` or `tpm.ECDSA`.
        hash: of the scheme.
        attributes: of the key.
        parent: handle of the hierarchy whose primary key it is.
        registers: bank to its 24 values.
        events: the boot log so far, as records.
        clock, resets, restarts, safe: the TPM's counters.
    """

    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    scheme: int = tpm.RSASSA
    hash: int = tpm.SHA256
    attributes: int = ATTESTATION_KEY
    parent: int = ENDORSEMENT
    registers: dict[int, list[bytes]] = field(default_factory=dict)
    events: list[bytes] = field(default_factory=list)
    clock: int = 1000
    resets: int = 1
    restarts: int = 0
    safe: bool = True

    @classmethod
    def create(cls, scheme: int = tpm.RSASSA) -> Self:
        """A TPM with a new key, started and nothing measured."""
        key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
        if scheme == tpm.ECDSA:
            key = ec.generate_private_key(ec.SECP256R1())
        else:
            key = rsa.generate_private_key(65537, 2048)
        made = cls(key=key, scheme=scheme)
        made.start()
        return made

    def start(self) -> None:
        """Sets the registers to what they are after a reset, and empties the log."""
        self.registers = {
            bank: [
                (b"\xff" if index in _ONES else b"\0") * tpm.DIGESTS[bank]
                for index in range(tpm.PCRS)
            ]
            for bank in BANKS
        }
        self.events = []

    @property
    def public(self) -> bytes:
        """TPMT_PUBLIC of the attestation key."""
        scheme = self.scheme.to_bytes(2, "big") + self.hash.to_bytes(2, "big")
        if isinstance(self.key, rsa.RSAPrivateKey):
            number = self.key.public_key().public_numbers().n
            modulus = number.to_bytes(self.key.key_size // 8, "big")
            kind, unique = tpm.RSA, _sized(modulus)
            parameters = self.key.key_size.to_bytes(2, "big") + bytes(4)
        else:
            point = self.key.public_key().public_numbers()
            kind, unique = (
                tpm.ECC,
                _sized(point.x.to_bytes(32, "big")) + _sized(point.y.to_bytes(32, "big")),
            )
            parameters = tpm.P256.to_bytes(2, "big") + tpm.NULL.to_bytes(2, "big")
        return (
            kind.to_bytes(2, "big")
            + tpm.SHA256.to_bytes(2, "big")
            + self.attributes.to_bytes(4, "big")
            + _sized(b"")
            + tpm.NULL.to_bytes(2, "big")
            + scheme
            + parameters
            + unique
        )

    @property
    def ak(self) -> bytes:
        """SubjectPublicKeyInfo of the attestation key, DER."""
        return self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def extend(self, index: int, data: bytes) -> None:
        """Extends a register in every bank with the digest of some data, and logs nothing."""
        for bank, values in self.registers.items():
            digest = _digest(bank, data)
            values[index] = _digest(bank, values[index] + digest)

    def measure(self, index: int, kind: int, payload: bytes, *, over: bytes | None = None) -> None:
        """Extends a register and logs the event.

        Args:
            index: of the register.
            kind: type of the event.
            payload: what the log says.
            over: what is hashed, where that is not the payload.
        """
        data = payload if over is None else over
        if kind != tcg.EV_NO_ACTION:
            self.extend(index, data)
        digests = b"".join(
            bank.to_bytes(2, "little")
            + (bytes(tpm.DIGESTS[bank]) if kind == tcg.EV_NO_ACTION else _digest(bank, data))
            for bank in BANKS
        )
        self.events.append(
            index.to_bytes(4, "little")
            + kind.to_bytes(4, "little")
            + len(BANKS).to_bytes(4, "little")
            + digests
            + len(payload).to_bytes(4, "little")
            + payload
        )

    def boot(
        self, *, secure: bool = True, kernel: bytes = b"a kernel", line: str = "quiet"
    ) -> None:
        """Measures what firmware and boot loader of a small guest measure."""
        self.measure(0, tcg.EV_S_CRTM_VERSION, "simulated".encode("utf-16-le"))
        self.measure(0, 0x80000008, bytes(16), over=b"firmware")
        self.measure(7, tcg.EV_EFI_VARIABLE_DRIVER_CONFIG, variable("SecureBoot", bytes([secure])))
        self.measure(7, tcg.EV_EFI_VARIABLE_DRIVER_CONFIG, variable("PK", b"a platform key"))
        for index in range(8):
            self.measure(index, tcg.EV_SEPARATOR, bytes(4))
        self.measure(4, tcg.EV_EFI_BOOT_SERVICES_APPLICATION, bytes(32), over=kernel)
        command = line.encode()
        self.measure(8, tcg.EV_IPL, b"kernel_cmdline: " + command + b"\0", over=command)
        self.measure(9, tcg.EV_IPL, b"/boot/vmlinuz\0", over=kernel)

    def log(self) -> bytes:
        """The boot log, in the crypto-agile form."""
        algorithms = b"".join(
            bank.to_bytes(2, "little") + tpm.DIGESTS[bank].to_bytes(2, "little") for bank in BANKS
        )
        body = _SPEC_ID + bytes(4) + bytes((0, 2, 0, 2)) + len(BANKS).to_bytes(4, "little")
        body += algorithms + b"\0"
        head = bytes(4) + tcg.EV_NO_ACTION.to_bytes(4, "little") + bytes(20)
        return head + len(body).to_bytes(4, "little") + body + b"".join(self.events)

    def attest(
        self,
        nonce: bytes,
        *,
        bank: int = tpm.SHA256,
        indices: Iterable[int] = range(tpm.PCRS),
        magic: int = tpm.GENERATED,
        kind: int = tpm.QUOTE,
    ) -> bytes:
        """TPMS_ATTEST over registers as they are now."""
        chosen = tuple(indices)
        values = b"".join(self.registers[bank][index] for index in chosen)
        name = tpm.SHA256.to_bytes(2, "big") + _digest(tpm.SHA256, self.public)
        qualified = _digest(tpm.SHA256, self.parent.to_bytes(4, "big") + name)
        return (
            magic.to_bytes(4, "big")
            + kind.to_bytes(2, "big")
            + _sized(tpm.SHA256.to_bytes(2, "big") + qualified)
            + _sized(nonce)
            + self.clock.to_bytes(8, "big")
            + self.resets.to_bytes(4, "big")
            + self.restarts.to_bytes(4, "big")
            + bytes([self.safe])
            + FIRMWARE.to_bytes(8, "big")
            + tpm.selected((tpm.Selection(algorithm=bank, pcrs=chosen),))
            + _sized(_digest(self.hash, values))
        )

    def sign(self, message: bytes) -> bytes:
        """TPMT_SIGNATURE over any bytes, which a restricted key of a real TPM would not make."""
        chosen = _HASHES[self.hash]
        head = self.scheme.to_bytes(2, "big") + self.hash.to_bytes(2, "big")
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            r, s = decode_dss_signature(self.key.sign(message, ec.ECDSA(chosen)))
            return head + _sized(r.to_bytes(32, "big")) + _sized(s.to_bytes(32, "big"))
        pss = padding.PSS(padding.MGF1(chosen), salt_length=padding.PSS.DIGEST_LENGTH)
        how = pss if self.scheme == tpm.RSAPSS else padding.PKCS1v15()
        return head + _sized(self.key.sign(message, how, chosen))

    def evidence(
        self,
        nonce: bytes,
        *,
        bank: int = tpm.SHA256,
        indices: Iterable[int] = range(tpm.PCRS),
        public: bool = True,
        certificates: Iterable[bytes] = (),
    ) -> bytes:
        """A quote in troth's own form.

        Args:
            nonce: what whoever asks gives along.
            bank: of the registers.
            indices: of the registers.
            public: whether the key's public area lies beside it; else the bare key does.
            certificates: the attestation key's first.
        """
        chosen = tuple(indices)
        message = self.attest(nonce, bank=bank, indices=chosen)
        return format.pack(
            attest=message,
            signature=self.sign(message),
            pcrs={index: self.registers[bank][index] for index in chosen},
            ak=None if public else self.ak,
            public=self.public if public else None,
            certificates=tuple(certificates),
        )

    def runtime(self, *, user_data: bytes = bytes(64), secure_boot: bool = True) -> bytes:
        """The runtime claims that a paravisor writes about this TPM: what the hardware is to report over.

        The key must be RSA: Azure's are.
        """
        assert isinstance(self.key, rsa.RSAPrivateKey)  # noqa: S101
        number = self.key.public_key().public_numbers().n
        modulus = number.to_bytes(self.key.key_size // 8, "big")
        return json.canonical(
            {
                "keys": [
                    {
                        "kid": AK,
                        "key_ops": ["sign"],
                        "kty": "RSA",
                        "e": "AQAB",
                        "n": base64.urlsafe_b64encode(modulus).rstrip(b"=").decode(),
                    }
                ],
                "vm-configuration": {"secure-boot": secure_boot, "tpm-enabled": True},
                "user-data": user_data.hex().upper(),
            }
        )

    def azure(
        self,
        nonce: bytes,
        *,
        hardware: bytes,
        runtime: bytes,
        vcek: bytes | None = None,
        td_quote: bytes | None = None,
    ) -> bytes:
        """Evidence `az-snp-vtpm` or `az-tdx-vtpm`, version 1.

        Args:
            nonce: carried by the quote.
            hardware: SNP's report, or the TDREPORT, over `hcl.report_data(runtime)`.
            runtime: of this TPM.
            vcek: certificate of the key that signed SNP's report, DER.
            td_quote: the quote made of the TDREPORT.
        """
        message = self.attest(nonce)
        kind = Kind.TDX if vcek is None else Kind.SNP
        beside = {"td_quote": td_quote} if vcek is None else {"vcek": vcek}
        return json.canonical(
            {
                "version": 1,
                "hcl_report": _base64(hcl_report(hardware, runtime, kind)),
                "tpm_quote": {
                    "message": message.hex(),
                    "signature": self.sign(message)[6:].hex(),
                    "pcrs": [value.hex() for value in self.registers[tpm.SHA256]],
                },
                **{name: _base64(data or b"") for name, data in beside.items()},
            }
        )


def hcl_report(hardware: bytes, runtime: bytes, kind: Kind, *, size: int = 2600) -> bytes:
    """An HCL report as the NV memory holds it, zeros behind it."""
    claims = 20 + len(runtime)
    head = (b"HCLA", 2, 32 + 1184 + claims, 2, 0)
    words = b"".join(w if isinstance(w, bytes) else w.to_bytes(4, "little") for w in head)
    inner = b"".join(w.to_bytes(4, "little") for w in (claims, 1, int(kind), 1, len(runtime)))
    whole = words + bytes(12) + hardware.ljust(1184, b"\0") + inner + runtime
    return whole.ljust(size, b"\0")


def variable(name: str, data: bytes, *, vendor: bytes = _GLOBAL) -> bytes:
    """`UEFI_VARIABLE_DATA`, as firmware measures it."""
    text = name.encode("utf-16-le")
    sizes = len(name).to_bytes(8, "little") + len(data).to_bytes(8, "little")
    return vendor + sizes + text + data


def _digest(algorithm: int, data: bytes) -> bytes:
    return hashlib.new(tpm.BANKS[algorithm], data, usedforsecurity=False).digest()


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()
