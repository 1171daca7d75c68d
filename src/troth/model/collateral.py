"""Collateral: endorsements signed by vendors, as bytes with names. Nothing here is believed."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property


class Kind(StrEnum):
    """The closed list of what vendors serve. The values are troth's own names, for files and reports."""

    INTEL_TCB_INFO = "intel-tcb-info"
    INTEL_QE_IDENTITY = "intel-qe-identity"
    INTEL_EVALUATION_NUMBERS = "intel-tcb-evaluation-numbers"
    INTEL_ROOT_CRL = "intel-root-crl"
    INTEL_PCK_CRL = "intel-pck-crl"
    INTEL_PCK_CHAIN = "intel-pck-chain"
    AMD_ENDORSEMENT = "amd-endorsement"
    AMD_CHAIN = "amd-chain"
    AMD_CRL = "amd-crl"
    NVIDIA_RIM = "nvidia-rim"
    NVIDIA_OCSP = "nvidia-ocsp"
    MAA_KEYS = "maa-keys"
    GCS_KEYS = "gcs-keys"
    ITA_KEYS = "ita-keys"
    NRAS_KEYS = "nras-keys"
    TPM_CHAIN = "tpm-chain"
    RELEASE_LOG = "release-log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One endorsement as it was served.

    Attributes:
        kind: what the holder says it is; the bytes decide whether it is one.
        data: the body: signed JSON with its signature, DER of a CRL or certificate, or PEM of a chain.
        chain: PEM of the certificates that the vendor's server sent beside it, leaf first; or empty.
        early: whether the holder asked for the vendor's next evaluation number (Intel's
            `update=early`). Early items never decide; reports say what they will change.
        source: where it was had from, for reports.
        fetched_at: when that was, by the clock of whoever fetched it; for reports.
    """

    kind: Kind
    data: bytes
    chain: bytes = b""
    early: bool = False
    source: str = ""
    fetched_at: datetime | None = None


# Compared by identity: platforms remember, with the object, which of its signatures verify.
@dataclass(frozen=True, kw_only=True, eq=False)
class Collateral:
    """Any number of endorsements, for any number of machines; one object serves any number of quotes.

    Its signatures are checked when it is first used, under no clock, and what came of it is remembered
    with the object; windows, revocation and roots are looked at for each verdict anew.
    """

    items: tuple[Item, ...] = ()

    def __post_init__(self) -> None:
        # What is remembered is of these items: a caller's list could grow behind it.
        object.__setattr__(self, "items", tuple(self.items))

    def of(self, kind: Kind, *, early: bool = False) -> tuple[Item, ...]:
        """The items of one kind, in the order they were given."""
        return self._sorted.get((kind, early), ())

    @cached_property
    def _sorted(self) -> dict[tuple[Kind, bool], tuple[Item, ...]]:
        found: dict[tuple[Kind, bool], tuple[Item, ...]] = {}
        for item in self.items:
            key = (item.kind, item.early)
            found[key] = (*found.get(key, ()), item)
        return found

    def __add__(self, other: "Collateral") -> "Collateral":
        return Collateral(items=self.items + other.items)


def name(item: Item) -> str:
    """How reports name an item: its kind and the SHA-256 of its body."""
    return f"{item.kind} sha256 {hashlib.sha256(item.data).hexdigest()}"


NONE = Collateral()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One endorsement to ask a vendor's server for. A value: only `trust.fetch` ever sends it.

    Attributes:
        url: the whole `https:` address at the vendor's own server (Intel's PCS, AMD's KDS). Whoever
            sends it may put another base in its place, such as that of a PCCS.
        kind: what the answer's body becomes an item of.
        chain_header: the answer's header that carries the issuer chain as percent-encoded PEM, or
            None where the body comes alone.
        early: whether the address asks for the vendor's next evaluation number.
        accept: the media type to ask for, or empty.
    """

    url: str
    kind: Kind
    chain_header: str | None = None
    early: bool = False
    accept: str = ""
