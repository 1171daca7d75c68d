"""What an endorsement says of itself: whom it is about, and from when until when. Nothing is believed.

For lists, caches and alarms. What decides reads the same bytes again, under their signatures.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from troth.errors import Malformed
from troth.model.collateral import Item, Kind, Request
from troth.platforms.dcap.collateral import cut
from troth.wire import crl, x509

_MEMBERS: Final = {
    Kind.INTEL_TCB_INFO: "tcbInfo",
    Kind.INTEL_QE_IDENTITY: "enclaveIdentity",
    Kind.INTEL_EVALUATION_NUMBERS: "tcbEvaluationDataNumbers",
}
_ALWAYS: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_TEE: Final = {"SGX": "sgx", "QE": "sgx", "TDX": "tdx", "TD_QE": "tdx"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """The window of an endorsement and what it is about.

    Attributes:
        about: whom it is for, in a few words.
        begins, ends: its window, both instants within; for certificates that of the first to end.
        chain_ends: when the first certificate of the issuer chain beside it ends, or None.
        tee: `sgx` or `tdx` for Intel's documents, else empty.
        fmspc: lower-case hex for TCB Infos, else empty.
        number: evaluation data number, None where its kind has none.
        revoked: how many certificates a CRL revokes, None for others.
        numbers: of Intel's list of evaluation numbers: each with the date of its TCB recovery.
    """

    about: str
    begins: datetime
    ends: datetime
    chain_ends: datetime | None = None
    tee: str = ""
    fmspc: str = ""
    number: int | None = None
    revoked: int | None = None
    numbers: tuple[tuple[int, str], ...] = ()


def read(item: Item) -> Stated:
    """What the item says.

    Raises:
        Malformed: it is not of its kind, or says no window.
        Unavailable: a library that reads this kind is not installed.
    """
    chain = None
    if item.chain:
        certificates = _certificates(item.chain, "issuer chain")
        chain = min(certificate.not_after for certificate in certificates)
    match item.kind:
        case Kind.INTEL_TCB_INFO | Kind.INTEL_QE_IDENTITY | Kind.INTEL_EVALUATION_NUMBERS:
            return _document(item, chain)
        case Kind.INTEL_ROOT_CRL | Kind.INTEL_PCK_CRL | Kind.AMD_CRL:
            found = crl.read(item.data)
            return Stated(
                about=x509.common_name(found.issuer),
                begins=found.this_update,
                ends=found.next_update,
                chain_ends=chain,
                revoked=len(found.revoked()),
            )
        case Kind.AMD_ENDORSEMENT:
            return _path([x509.read(item.data)])
        case Kind.INTEL_PCK_CHAIN | Kind.AMD_CHAIN | Kind.TPM_CHAIN:
            return _path(_certificates(item.data, str(item.kind)))
        case Kind.NVIDIA_RIM:
            return _rim(item)
        case Kind.NVIDIA_OCSP:
            return _ocsp(item)
        case Kind.MAA_KEYS | Kind.GCS_KEYS | Kind.ITA_KEYS | Kind.NRAS_KEYS:
            return _key_set(item)
        case Kind.RELEASE_LOG:
            return _log(item)


def fits(item: Item, request: Request) -> str:
    """Why the item can't be the answer to the request, in words; empty if it can.

    Raises:
        Malformed: as `read`.
    """
    if item.kind is not request.kind:
        return f"is {item.kind}, should be {request.kind}"
    stated = read(item)
    parts = urlsplit(request.url)
    query = parse_qs(parts.query)
    tee = parts.path.split("/")[1]
    if stated.tee and tee in ("sgx", "tdx") and stated.tee != tee:
        return f"is for {stated.tee}, should be for {tee}"
    fmspc = query.get("fmspc", [""])[0].lower()
    if item.kind is Kind.INTEL_TCB_INFO and fmspc and stated.fmspc != fmspc:
        return f"is for FMSPC {stated.fmspc}, should be for {fmspc}"
    if item.kind is Kind.NVIDIA_RIM:
        return _other_rim(item, parts.path)
    if item.kind is Kind.NVIDIA_OCSP:
        from troth.platforms.nvidia import collateral as nvidia
        from troth.platforms.nvidia import ocsp

        return ocsp.another(item.data, nvidia.asked(parts.path))
    authority = query.get("ca", [""])[0].lower()
    if item.kind is Kind.INTEL_PCK_CRL and authority not in stated.about.lower():
        return f"is of {stated.about!r}, should be of the {authority} authority"
    return ""


def _log(item: Item) -> Stated:
    """How old its witnesses' times may be, a policy says; the log itself ends never."""
    from troth.tlog import checkpoint, note, snapshot

    newest = note.parse(snapshot.unpack(item.data).checkpoint)
    found = checkpoint.parse(newest.text)
    return Stated(about=f"{found.origin}, {found.size} entries", begins=_ALWAYS, ends=_NEVER)


def _document(item: Item, chain: datetime | None) -> Stated:
    member = _MEMBERS[item.kind]
    value, _, _ = cut(item.data, member)
    kind = value.get("id", "SGX" if value.get("version") == 2 else None)
    if not isinstance(kind, str) or kind not in _TEE:
        raise Malformed("is for no TEE that troth knows", field=f"{member}.id")
    about, fmspc = kind, ""
    if item.kind is Kind.INTEL_TCB_INFO:
        fmspc = _hex(value, "fmspc", member)
        about = f"{kind} {fmspc}"
    lists = item.kind is Kind.INTEL_EVALUATION_NUMBERS
    return Stated(
        about=about,
        begins=_instant(value, "issueDate", member),
        ends=_instant(value, "nextUpdate", member),
        chain_ends=chain,
        tee=_TEE[kind],
        fmspc=fmspc,
        number=None if lists else _number(value, member),
        numbers=tuple(_numbers(value, member)) if lists else (),
    )


def _key_set(item: Item) -> Stated:
    """A set is of use while the last of its certificates is; one without certificates says no end."""
    from troth.platforms.tokens.collateral import usable

    keys = usable(item.data)
    leaves = [x509.read(key.x5c[0]) for key in keys if key.x5c]
    bare = not all(key.x5c for key in keys)
    return Stated(
        about="1 key" if len(keys) == 1 else f"{len(keys)} keys",
        begins=_ALWAYS if bare else min(leaf.not_before for leaf in leaves),
        ends=_NEVER if bare else max(leaf.not_after for leaf in leaves),
    )


def _rim(item: Item) -> Stated:
    """A document's window is its signers'."""
    from troth.platforms.nvidia import rim

    found = rim.read(item.data)
    return Stated(
        about=f"{found.product} {found.edition} {found.version}",
        begins=max(certificate.not_before for certificate in found.signers),
        ends=min(certificate.not_after for certificate in found.signers),
    )


def _other_rim(item: Item, path: str) -> str:
    """Services name a document by its version at the end, with or without its dots."""
    from troth.platforms.nvidia import rim

    wanted = path.rpartition("_")[2].upper()
    version = rim.read(item.data).version.upper()
    if wanted not in (version, version.replace(".", "")):
        return f"is of version {version}, should be of {wanted}"
    return ""


def _ocsp(item: Item) -> Stated:
    from troth.platforms.nvidia import ocsp

    found = ocsp.read(item.data)
    return Stated(
        about=f"{found.status} for serial number {found.serial:x}",
        begins=found.this_update,
        ends=found.ends,
    )


def _numbers(value: Mapping[str, Any], member: str) -> Iterable[tuple[int, str]]:
    rows = value.get("tcbEvalNumbers")
    if not isinstance(rows, list):
        raise Malformed("is no list", field=f"{member}.tcbEvalNumbers")
    for row in rows:
        if not isinstance(row, dict):
            raise Malformed("is no list of objects", field=f"{member}.tcbEvalNumbers")
        yield _number(row, member), f"{_instant(row, 'tcbRecoveryEventDate', member):%Y-%m-%d}"


def _number(value: Mapping[str, Any], member: str) -> int:
    number = value.get("tcbEvaluationDataNumber")
    if type(number) is not int or not 0 <= number < 1 << 31:
        raise Malformed("is no number", field=f"{member}.tcbEvaluationDataNumber")
    return number


def _hex(value: Mapping[str, Any], key: str, member: str) -> str:
    text = value.get(key)
    if not isinstance(text, str) or len(text) != 12 or set(text.lower()) - set("0123456789abcdef"):
        raise Malformed("is not 6 bytes in hex", field=f"{member}.{key}")
    return text.lower()


def _instant(value: Mapping[str, Any], key: str, member: str) -> datetime:
    text = value.get(key)
    try:
        if isinstance(text, str) and text.endswith("Z"):
            return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Malformed("is no instant in Z", field=f"{member}.{key}")


def _certificates(pem: bytes, field: str) -> list[x509.Certificate]:
    return [x509.read(der) for der in x509.read_pem(pem, field=field)]


def _path(certificates: list[x509.Certificate]) -> Stated:
    return Stated(
        about=" < ".join(x509.common_name(c.subject) or "?" for c in certificates),
        begins=max(certificate.not_before for certificate in certificates),
        ends=min(certificate.not_after for certificate in certificates),
    )
