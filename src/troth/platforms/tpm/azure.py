"""What does a confidential VM of Azure present? Its hardware's report, the paravisor's claims, a quote.

Confidential Containers' evidence `az-snp-vtpm` and `az-tdx-vtpm` (JSON): version 0 has bytes as lists of
numbers and the VCEK as PEM; version 1 has hex, and base64 in the URL-safe alphabet, padded.

What binds the parts: REPORT_DATA of the hardware's report (SNP), or of the TD quote, is the hash of the
runtime claims; these name the attestation key; that key signs the quote; and the quote carries the nonce
(`extraData`). So the hardware's report has no nonce of its own: it is as fresh as the quote. The guest's
operating system is in the quote's registers alone; the report's measurement is the paravisor's.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from troth.errors import Malformed
from troth.model.composite import Composite, Part
from troth.platforms.tpm import carrier, hcl
from troth.platforms.tpm.hcl import HclReport, Kind, from_base64url
from troth.wire import tpm, x509
from troth.wire.text import from_hex

_VCEK: Final = UUID("63da758d-e664-4564-adc5-f4b93be8accd").bytes
_TABLE: Final = 2 * 24  # one entry and the one of zeros behind it
_MAX_TD_QUOTE: Final = 64 * 1024
_NAMES: Final = {Kind.SNP: "az-snp-vtpm", Kind.TDX: "az-tdx-vtpm"}
_HEX: Final = re.compile(r"[0-9a-f]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Azure:
    """The parts, each as its platform reads it, and what binds them.

    Attributes:
        form: `az-snp-vtpm` or `az-tdx-vtpm`, with the version.
        hcl: the paravisor's report: `report_data` are the 64 bytes that the hardware must have been given,
            `ak` is the key (SubjectPublicKeyInfo) that must have signed the quote.
        hardware: evidence of platform `snp` (report with its VCEK behind it) or `tdx` (the quote).
        quote: evidence of platform `tpm`; its `extraData` is where the nonce is.
    """

    form: str
    hcl: HclReport
    hardware: bytes
    quote: bytes

    @property
    def ak_sha256(self) -> str:
        """SHA-256 of the attestation key's SubjectPublicKeyInfo, in lower-case hex."""
        return hashlib.sha256(self.hcl.ak).hexdigest()

    def composite(self, *, event_log: bytes | None = None) -> Composite:
        """The parts as the verifier takes them: the hardware leads.

        Args:
            event_log: what the guest logged of its boot, which replays to the quote's registers.
        """
        return Composite(
            parts=(
                Part(
                    name="cpu",
                    platform="tdx" if self.hcl.kind is Kind.TDX else "snp",
                    evidence=self.hardware,
                    says="REPORT_DATA is the hash of the paravisor's claims, which name the vTPM's key",
                    user_data=self.hcl.report_data,
                    fresh_by="vtpm",
                ),
                Part(
                    name="vtpm",
                    platform="tpm",
                    evidence=self.quote,
                    says="signed by the key that the paravisor's claims name",
                    key=self.ak_sha256,
                    key_in="cpu",
                    event_log=event_log,
                ),
            ),
            framing=self.form,
            logged="vtpm",
        )


def read(data: bytes) -> Azure | None:
    """Takes the evidence of a confidential VM apart, or None if this is none.

    Raises:
        Malformed: it is, and something in it cannot be read; or its parts contradict each other.
    """
    value = carrier.parsed(data)
    version = None if value is None else _version(value)
    if value is None or version is None:
        return None
    take = _Old(value) if version == 0 else _New(value)
    report = hcl.read(take.outside(value, "report" if "report" in value else "hcl_report"))
    name = _NAMES.get(report.kind)
    if name is None or ("td_quote" in value) != (report.kind is Kind.TDX):
        raise Malformed(f"is of {report.kind.name}, what lies beside it is not", field="HCL report")
    return Azure(
        form=f"{name}, version {version}",
        hcl=report,
        hardware=_tdx(report, take) if report.kind is Kind.TDX else _snp(report, take),
        quote=_quote(report, take),
    )


def composite(data: bytes) -> Composite | None:
    """The parts for the verifier, or None if this is no evidence of a confidential VM.

    Raises:
        Malformed: as `read`.
    """
    found = read(data)
    return None if found is None else found.composite()


def extended(report: bytes, vcek: bytes) -> bytes:
    """An SNP report with a table of one certificate behind it, as guests of other clouds have it."""
    entry = _VCEK + _TABLE.to_bytes(4, "little") + len(vcek).to_bytes(4, "little")
    return report + entry + bytes(24) + vcek


@dataclass(frozen=True, slots=True)
class _Old:
    """Bytes in version 0: lists of numbers."""

    value: Mapping[str, Any]

    def outside(self, holder: Mapping[str, Any], name: str) -> bytes:
        return _numbers(holder.get(name), name)

    def inside(self, holder: Mapping[str, Any], name: str) -> bytes:
        return _numbers(holder.get(name), name)

    def register(self, item: Any, index: int) -> bytes:
        return _numbers(item, f"pcr{index}")

    def vcek(self) -> bytes:
        text = self.value.get("vcek")
        if not isinstance(text, str):
            raise Malformed("is no text", field="vcek")
        found = x509.read_pem(text.encode("utf-8", "surrogatepass"), "vcek")
        if len(found) != 1:
            raise Malformed(f"holds {len(found)} certificates, should hold one", field="vcek")
        return found[0]


@dataclass(frozen=True, slots=True)
class _New:
    """Bytes in version 1: base64 outside of the quote, hex inside."""

    value: Mapping[str, Any]

    def outside(self, holder: Mapping[str, Any], name: str) -> bytes:
        return from_base64url(_text(holder.get(name), name), field=name, padded=True)

    def inside(self, holder: Mapping[str, Any], name: str) -> bytes:
        return _lower_hex(holder.get(name), name)

    def register(self, item: Any, index: int) -> bytes:
        return _lower_hex(item, f"pcr{index}")

    def vcek(self) -> bytes:
        return self.outside(self.value, "vcek")


def _version(value: Mapping[str, Any]) -> int | None:
    """By its keys: the older SNP evidence calls quote and report otherwise than all others."""
    keys = set(value)
    if keys in ({"quote", "report", "vcek"}, {"tpm_quote", "hcl_report", "td_quote"}):
        return 0
    if keys in (
        {"version", "tpm_quote", "hcl_report", "vcek"},
        {"version", "tpm_quote", "hcl_report", "td_quote"},
    ):
        if value["version"] != 1 or isinstance(value["version"], bool):
            raise Malformed(f"is {value['version']!r:.20}, should be 1", field="version")
        return 1
    return None


def _snp(report: HclReport, take: _Old | _New) -> bytes:
    return extended(report.hardware, take.vcek())


def _tdx(report: HclReport, take: _Old | _New) -> bytes:
    """Nothing but the machine itself can check a TDREPORT; the quote made of it is what counts."""
    if report.presented != report.report_data:
        raise Malformed("does not carry the hash of the runtime claims", field="TDREPORT")
    quote = take.outside(take.value, "td_quote")
    if len(quote) > _MAX_TD_QUOTE:
        raise Malformed(f"is larger than {_MAX_TD_QUOTE} bytes", field="td_quote")
    return quote


def _quote(report: HclReport, take: _Old | _New) -> bytes:
    name = "quote" if "quote" in take.value else "tpm_quote"
    quote = take.value[name]
    if not isinstance(quote, dict) or set(quote) != {"message", "signature", "pcrs"}:
        raise Malformed("has not message, signature and pcrs alone", field=name)
    registers = quote["pcrs"]
    if not isinstance(registers, list) or len(registers) != tpm.PCRS:
        raise Malformed(f"is no list of {tpm.PCRS}", field="pcrs")
    return carrier.plain(
        take.inside(quote, "message"),
        take.inside(quote, "signature"),
        [take.register(item, index) for index, item in enumerate(registers)],
        ak=report.ak,
    )


def _numbers(value: Any, field: str) -> bytes:
    if not isinstance(value, list) or not all(type(n) is int and 0 <= n <= 0xFF for n in value):
        raise Malformed("is no list of bytes", field=field)
    return bytes(value)


def _lower_hex(value: Any, field: str) -> bytes:
    text = _text(value, field)
    if not _HEX.fullmatch(text):
        raise Malformed("is not lower-case hex", field=field)
    return from_hex(text, field=field)


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str):
        raise Malformed("is no text", field=field)
    return value
