"""What does a TPM's quote say, with all that is needed to judge it? No crypto, no clock.

A quote alone names neither its key nor the values it is over, and each cloud puts the parts together
in another way. troth's own form is one canonical CBOR map, `troth/tpm-quote/1`:

    ak            SubjectPublicKeyInfo of the attestation key (DER), or null
    pcrs          index to value, of the one bank that was quoted
    attest        TPMS_ATTEST
    public        TPMT_PUBLIC of the attestation key, or null
    schema        `troth/tpm-quote/1`
    signature     TPMT_SIGNATURE
    certificates  DER, the attestation key's first, then any above it; may be empty

At least one of `ak`, `public` and `certificates` names the key. Other forms: see `carrier`.

Source: TCG, TPM 2.0 Library, part 2 (structures) and part 1, section 17 (registers).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from troth.errors import Malformed
from troth.wire import cbor, tpm, x509

SCHEMA: Final = "troth/tpm-quote/1"
MAX_DOCUMENT: Final = 128 * 1024
MAX_AK: Final = 2048
# In the order of canonical CBOR: by length, then by bytes.
_KEYS: Final = ("ak", "pcrs", "attest", "public", "schema", "signature", "certificates")
_HEAD: Final = b"\xa7\x62ak"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A quote with what lies beside it, parsed and not believed.

    Attributes:
        attest: what the TPM says.
        signature: over `attest.data`.
        bank: hash algorithm of the bank whose registers were quoted.
        pcrs: index to value; exactly those that the quote selects.
        given: SubjectPublicKeyInfo of the attestation key as it was given, or None.
        public: the attestation key's public area, or None.
        certificates: the attestation key's first; may be empty.
    """

    attest: tpm.Attest
    signature: tpm.Signature
    bank: int
    pcrs: Mapping[int, bytes]
    given: bytes | None
    public: tpm.Public | None
    certificates: tuple[x509.Certificate, ...]

    @property
    def keys(self) -> Mapping[str, bytes]:
        """Where the attestation key is named, to its SubjectPublicKeyInfo; they must be one."""
        found = {
            "key": self.given,
            "public area": None if self.public is None else tpm.spki(self.public),
            "certificate": self.certificates[0].key if self.certificates else None,
        }
        return MappingProxyType({name: key for name, key in found.items() if key is not None})

    @property
    def ak(self) -> bytes:
        """SubjectPublicKeyInfo of the attestation key, by whatever names it first."""
        return next(iter(self.keys.values()))


def pack(
    *,
    attest: bytes,
    signature: bytes,
    pcrs: Mapping[int, bytes],
    ak: bytes | None = None,
    public: bytes | None = None,
    certificates: Sequence[bytes] = (),
) -> bytes:
    """The one encoding of a quote with its parts; `parse` says whether they fit."""
    return cbor.encode(
        {
            "schema": SCHEMA,
            "attest": attest,
            "signature": signature,
            "pcrs": dict(sorted(pcrs.items())),
            "ak": ak,
            "public": public,
            "certificates": list(certificates),
        }
    )


def looks_like(data: bytes) -> bool:
    """Whether these bytes begin as troth's own form does."""
    return data.startswith(_HEAD)


def parse(data: bytes) -> Document:
    """Reads troth's own form.

    Raises:
        Malformed: not its one encoding, no quote, registers other than those that are quoted, several
            banks at once, or nothing that names the key.
    """
    if len(data) > MAX_DOCUMENT:
        raise Malformed(f"is larger than {MAX_DOCUMENT} bytes", field="quote", offset=0)
    value = cbor.decode(data, field="quote")
    if not isinstance(value, dict) or tuple(value) != _KEYS or value["schema"] != SCHEMA:
        raise Malformed(f"is not of schema {SCHEMA}", field="quote", offset=0)
    attest = tpm.attest(_bytes(value, "attest", tpm.MAX_STRUCTURE))
    bank, quoted = _bank(attest)
    public = _optional(value, "public", tpm.MAX_STRUCTURE)
    document = Document(
        attest=attest,
        signature=tpm.signature(_bytes(value, "signature", tpm.MAX_STRUCTURE)),
        bank=bank,
        pcrs=_pcrs(value["pcrs"], bank, quoted),
        given=_optional(value, "ak", MAX_AK),
        public=None if public is None else tpm.public(public),
        certificates=_certificates(value["certificates"]),
    )
    if not document.keys:
        raise Malformed("is named by nothing", field="attestation key")
    return document


def fields(data: bytes) -> Iterable[tuple[str, str]]:
    """Every field with its value as text, for `inspect`; never a verdict.

    Raises:
        Malformed: as `parse`.
    """
    document = parse(data)
    attest = document.attest
    yield "qualified signer", attest.qualified_signer.hex()
    yield "extra data", attest.extra_data.hex() or "empty"
    yield "clock", f"{attest.clock} ms since it was first started"
    yield "reset count", str(attest.reset_count)
    yield "restart count", str(attest.restart_count)
    yield "safe", "yes" if attest.safe else "no"
    yield "firmware version", f"{attest.firmware_version:#018x}"
    yield "bank", tpm.BANKS[document.bank]
    for index, value in document.pcrs.items():
        yield f"pcr{index}", value.hex()
    yield "PCR digest", attest.pcr_digest.hex()
    for name, key in document.keys.items():
        yield f"attestation key ({name})", key.hex()
    if document.public is not None:
        yield "attributes", f"{document.public.attributes:#010x}  {attributes(document.public)}"
    for index, certificate in enumerate(document.certificates):
        yield f"certificate[{index}]", certificate.der.hex()
    yield "signature", " ".join(value.hex() for value in document.signature.values)


def attributes(public: tpm.Public) -> str:
    """The attributes that tell whether it is an attestation key, those that are set, in words."""
    held = (name for bit, name in tpm.ATTRIBUTES.items() if public.attributes & bit)
    return ", ".join(held) or "none"


def _bank(attest: tpm.Attest) -> tuple[int, tuple[int, ...]]:
    """The one bank that was quoted: of two, a register's name would have two values."""
    chosen = [one for one in attest.selections if one.pcrs]
    if len(chosen) != 1:
        raise Malformed(f"is over {len(chosen)} banks, should be over one", field="quote")
    return chosen[0].algorithm, chosen[0].pcrs


def _pcrs(value: Any, bank: int, quoted: tuple[int, ...]) -> Mapping[int, bytes]:
    if not isinstance(value, dict) or tuple(value) != quoted:
        raise Malformed("are not those that the quote selects, in order", field="pcrs")
    size = tpm.DIGESTS[bank]
    for index, register in value.items():
        if not isinstance(register, bytes) or len(register) != size:
            raise Malformed(f"is not {size} bytes", field=f"pcr{index}")
    return MappingProxyType(value)


def _certificates(value: Any) -> tuple[x509.Certificate, ...]:
    if not isinstance(value, list) or len(value) > x509.MAX_CHAIN:
        raise Malformed(f"is not a list of at most {x509.MAX_CHAIN}", field="certificates")
    found = []
    for index, item in enumerate(value):
        if not isinstance(item, bytes):
            raise Malformed("is not a byte string", field=f"certificates[{index}]")
        found.append(x509.read(item))
    return tuple(found)


def _optional(value: Mapping[str, Any], name: str, limit: int) -> bytes | None:
    return None if value[name] is None else _bytes(value, name, limit)


def _bytes(value: Mapping[str, Any], name: str, limit: int) -> bytes:
    found = value[name]
    if not isinstance(found, bytes) or not 1 <= len(found) <= limit:
        raise Malformed(f"is not 1 to {limit} bytes", field=name)
    return found
