"""What does Azure's HCL report say? The hardware's report of a confidential VM, and what it is over.

The paravisor (HCL) keeps a report in the virtual TPM's NV memory: 32 bytes of header, a hardware report
(SNP's, or Intel's TDREPORT) padded to 1184 bytes, and the *runtime claims*, a JSON text that names the
virtual TPM's keys. REPORT_DATA of the hardware report is the hash of that text, byte for byte as stored,
zeros behind it: so hardware vouches for the paravisor, and that for the attestation key `HCLAkPub`.

Source: Microsoft, «Confidential VM guest attestation design»; azure-cvm-tooling and real reports.

Does not verify: the hardware report (its platform does), and that the paravisor is one that you trust.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from troth.errors import Malformed
from troth.wire import json, tpm
from troth.wire.reader import Reader
from troth.wire.text import from_hex

MAX_REPORT: Final = 4096
AK: Final = "HCLAkPub"
_HEADER: Final = 32
_HARDWARE: Final = 1184
_CLAIMS_HEADER: Final = 20
_AK_CERTIFICATE: Final = 2
_TD_REPORT: Final = 1024
_SNP_REPORT_DATA: Final = 0x50
_TD_REPORT_DATA: Final = 128
_REPORT_DATA: Final = 64
_HASHES: Final = {1: "sha256", 2: "sha384", 3: "sha512"}
_MAX_KEYS: Final = 8


class Kind(IntEnum):
    """Which hardware's report is inside."""

    VBS = 1
    SNP = 2
    TVM = 3
    TDX = 4
    CCA = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class HclReport:
    """An HCL report, parsed and not believed.

    Attributes:
        version: of the whole, 1 or 2.
        kind: which hardware's report is inside.
        hardware: that report: 1184 bytes of SNP, 1024 of a TDREPORT.
        runtime: the runtime claims, byte for byte as stored.
        report_data: the 64 bytes that the hardware report must carry: hash of `runtime`, zeros behind.
        ak: SubjectPublicKeyInfo (DER) of `HCLAkPub`.
        user_data: 64 bytes that the guest chose and had written into the claims, or None.
        configuration: what the paravisor says of the machine, by its own names.
    """

    version: int
    kind: Kind
    hardware: bytes
    runtime: bytes
    report_data: bytes
    ak: bytes
    user_data: bytes | None
    configuration: Mapping[str, Any]

    @property
    def presented(self) -> bytes:
        """The 64 bytes that the hardware report inside carries.

        Raises:
            Malformed: a kind whose report is not read here.
        """
        at = {Kind.SNP: _SNP_REPORT_DATA, Kind.TDX: _TD_REPORT_DATA}.get(self.kind)
        if at is None:
            raise Malformed(f"of {self.kind.name} is not read", field="hardware report")
        return self.hardware[at : at + _REPORT_DATA]


def read(data: bytes) -> HclReport:
    """Reads an HCL report, with the zeros that the NV memory has behind it.

    Raises:
        Malformed: any departure from the form; runtime claims that are not strict JSON, or name the
            attestation key not once.
    """
    if len(data) > MAX_REPORT:
        raise Malformed(f"is larger than {MAX_REPORT} bytes", field="HCL report", offset=0)
    reader = Reader(data)
    if reader.take(4, "signature") != b"HCLA":
        raise Malformed("is not 'HCLA'", field="signature", offset=0)
    version = _little(reader, "version", (1, 2))
    size = reader.uint(4, "report size", "little")
    _little(reader, "request type", (_AK_CERTIFICATE,))
    _little(reader, "status", (0,))
    _zeros(reader.take(12, "reserved"), "reserved", 20)
    hardware = reader.take(_HARDWARE, "hardware report")
    claims_size = reader.uint(4, "data size", "little")
    _little(reader, "data version", (1,))
    kind = Kind(_little(reader, "report type", tuple(Kind)))
    hash_ = _HASHES[_little(reader, "hash type", tuple(_HASHES))]
    length = reader.uint(4, "runtime claims' size", "little")
    runtime = reader.take(length, "runtime claims")
    if claims_size != _CLAIMS_HEADER + length or size != _HEADER + _HARDWARE + claims_size:
        raise Malformed("does not add up", field="report size", offset=8)
    _zeros(reader.take(reader.remaining, "rest"), "what follows", size)
    if kind is Kind.TDX:
        _zeros(hardware[_TD_REPORT:], "what follows the TDREPORT", _HEADER + _TD_REPORT)
        hardware = hardware[:_TD_REPORT]
    claims = json.parse(runtime, field="runtime claims")
    if not isinstance(claims, dict):
        raise Malformed("are no object", field="runtime claims")
    configuration = claims.get("vm-configuration", {})
    if not isinstance(configuration, dict):
        raise Malformed("is no object", field="vm-configuration")
    return HclReport(
        version=version,
        kind=kind,
        hardware=hardware,
        runtime=runtime,
        report_data=report_data(runtime, hash_),
        ak=_ak(claims.get("keys")),
        user_data=_user_data(claims.get("user-data")),
        configuration=configuration,
    )


def report_data(runtime: bytes, algorithm: str = "sha256") -> bytes:
    """The 64 bytes that bind runtime claims: their hash, zeros behind it."""
    return hashlib.new(algorithm, runtime).digest().ljust(_REPORT_DATA, b"\0")


def _ak(keys: Any) -> bytes:
    """SubjectPublicKeyInfo of the one key of that name, a JWK with `n` and `e`."""
    if not isinstance(keys, list) or len(keys) > _MAX_KEYS:
        raise Malformed(f"is no list of at most {_MAX_KEYS}", field="keys")
    named = [key for key in keys if isinstance(key, dict) and key.get("kid") == AK]
    if len(named) != 1:
        raise Malformed(f"has {AK} {len(named)} times", field="keys")
    key = named[0]
    if key.get("kty") != "RSA":
        raise Malformed("is not an RSA key", field=AK)
    modulus, exponent = (_base64url(key.get(name), f"{AK}.{name}") for name in ("n", "e"))
    if not modulus or modulus[0] == 0 or not 1 <= len(exponent) <= 4 or exponent[0] == 0:
        raise Malformed("has numbers that are not in their one form", field=AK)
    return tpm.rsa_spki(tpm.RsaKey(modulus=modulus, exponent=int.from_bytes(exponent, "big")))


def _user_data(value: Any) -> bytes | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) != 2 * _REPORT_DATA:
        raise Malformed(f"is not {_REPORT_DATA} bytes in hex", field="user-data")
    return from_hex(value, field="user-data")


def _base64url(value: Any, field: str) -> bytes:
    if not isinstance(value, str):
        raise Malformed("is no text", field=field)
    return from_base64url(value, field=field)


def from_base64url(text: str, *, field: str, padded: bool = False) -> bytes:
    """Bytes of base64 in the URL-safe alphabet, without padding (RFC 7515) or with it.

    Raises:
        Malformed: another character, a wrong length, or bits set behind the end.
    """
    try:
        data = base64.urlsafe_b64decode(text if padded else text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise Malformed("is not base64url", field=field) from None
    one = base64.urlsafe_b64encode(data)
    if (one if padded else one.rstrip(b"=")) != text.encode():  # the library skips the rest
        raise Malformed("is not base64url in its one form", field=field)
    return data


def _little(reader: Reader, field: str, allowed: tuple[int, ...]) -> int:
    where = reader.offset
    number = reader.uint(4, field, "little")
    if number not in allowed:
        wanted = " or ".join(str(int(one)) for one in allowed)
        raise Malformed(f"is {number}, should be {wanted}", field=field, offset=where)
    return number


def _zeros(data: bytes, field: str, offset: int) -> None:
    if any(data):
        raise Malformed("is not zero", field=field, offset=offset)
