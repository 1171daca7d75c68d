"""What comes beside a document of Tinfoil's: vendors' endorsements, and references to releases.

Nothing endorses it. Endorsements become collateral, which the platforms judge by its signatures;
Sigstore bundles are handed on as they are, for `tinfoil_release`. Other formats are passed over.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_to_bytes, urlsplit

from troth.channel import keyset
from troth.channel.services.tinfoil_document import Entry
from troth.errors import Malformed
from troth.model.collateral import Collateral, Item, Kind
from troth.wire.text import from_base64

AMD_VCEK: Final = "https://tinfoil.sh/collateral/amd-vcek/v1"
AMD_CRL: Final = "https://tinfoil.sh/collateral/amd-crl/v1"
INTEL_PCS: Final = "https://tinfoil.sh/collateral/intel-pcs/v1"
SIGSTORE_CODE: Final = "https://tinfoil.sh/collateral/sigstore-code/v1"
SIGSTORE_PLATFORM: Final = "https://tinfoil.sh/collateral/sigstore-platform/v1"
_SOURCE: Final = "beside the attestation document"
# Ends of the paths of Intel's service, what is there, and the header that holds its issuers.
_PCS: Final = (
    ("/certification/v4/tcb", Kind.INTEL_TCB_INFO, "tcb-info-issuer-chain"),
    ("/certification/v4/qe/identity", Kind.INTEL_QE_IDENTITY, "sgx-enclave-identity-issuer-chain"),
    ("/certification/v4/pckcrl", Kind.INTEL_PCK_CRL, "sgx-pck-crl-issuer-chain"),
    ("/certification/v4/rootcacrl", Kind.INTEL_ROOT_CRL, ""),
    ("/IntelSGXRootCA.der", Kind.INTEL_ROOT_CRL, ""),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Where a release's measurements are signed, as somebody says.

    Attributes:
        format: `SIGSTORE_CODE` or `SIGSTORE_PLATFORM`.
        repository, tag: informational; what counts is the identity that the caller expects.
        digest: of the artefact that the bundle's statement is about, hex.
        bundle: the Sigstore bundle, JSON.
    """

    format: str
    repository: str
    tag: str
    digest: str
    bundle: bytes


def endorsements(entries: Iterable[Entry]) -> Collateral:
    """The vendors' endorsements of a CPU.

    Raises:
        Malformed: an entry of a known format lacks what belongs into it.
    """
    return Collateral(items=tuple(_items(entries)))


def references(entries: Iterable[Entry]) -> tuple[Reference, ...]:
    """The Sigstore bundles.

    Raises:
        Malformed: as `endorsements`.
    """
    return tuple(
        Reference(
            format=entry.format,
            repository=_text(entry.data, "repo", entry.name),
            tag=_text(entry.data, "tag", entry.name),
            digest=_text(entry.data, "digest", entry.name),
            bundle=keyset.canonical(
                _member(entry.data, "sigstore_bundle", entry.name), "sigstore_bundle"
            ),
        )
        for entry in entries
        if entry.format in (SIGSTORE_CODE, SIGSTORE_PLATFORM)
    )


def _items(entries: Iterable[Entry]) -> Iterator[Item]:
    for entry in entries:
        match entry.format:
            case f if f == AMD_VCEK:
                yield _item(
                    Kind.AMD_ENDORSEMENT, _binary(entry.data, "vcek_der_base64", entry.name)
                )
                chain = _text(entry.data, "cert_chain_pem", entry.name).encode("ascii", "replace")
                yield _item(Kind.AMD_CHAIN, chain)
            case f if f == AMD_CRL:
                yield _item(Kind.AMD_CRL, _binary(entry.data, "crl_der_base64", entry.name))
            case f if f == INTEL_PCS:
                responses = _member(entry.data, "responses", entry.name)
                if not isinstance(responses, list):
                    raise Malformed("is no list", field=f"{entry.name}: responses")
                for response in responses:
                    yield from _from_intel(response, entry.name)
            case _:
                pass


def _from_intel(response: Any, name: str) -> Iterator[Item]:
    try:
        address = urlsplit(_text(response, "url", name))
    except ValueError:
        raise Malformed("is no address", field=f"{name}: url") from None
    for end, kind, header in _PCS:
        if address.path.endswith(end):
            yield _item(
                kind,
                _binary(response, "body_base64", name),
                chain=_issuers(response, header, name) if header else b"",
                early="update=early" in address.query,
            )


def _issuers(response: Any, wanted: str, name: str) -> bytes:
    headers = _member(response, "headers", name)
    if not isinstance(headers, dict):
        raise Malformed("is no JSON object", field=f"{name}: headers")
    for header, values in headers.items():
        # Older services put SGX- before it.
        if header.lower() in (wanted, f"sgx-{wanted}") and isinstance(values, list) and values:
            return unquote_to_bytes(str(values[0]).encode("ascii", "replace"))
    raise Malformed("is missing", field=f"{name}: {wanted}")


def _item(kind: Kind, data: bytes, *, chain: bytes = b"", early: bool = False) -> Item:
    return Item(kind=kind, data=data, chain=chain, early=early, source=_SOURCE)


def _binary(value: Any, key: str, name: str) -> bytes:
    text = _text(value, key, name).encode("ascii", "replace")
    return from_base64(text, field=f"{name}: {key}")


def _text(value: Any, key: str, name: str) -> str:
    found = _member(value, key, name)
    if not isinstance(found, str):
        raise Malformed("is no text", field=f"{name}: {key}")
    return found


def _member(value: Any, key: str, name: str) -> Any:
    if not isinstance(value, dict) or key not in value:
        raise Malformed(f"lacks {key}", field=f"collateral: {name[:40]}")
    return value[key]
