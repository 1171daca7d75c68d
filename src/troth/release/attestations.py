"""Who published a wheel: attestations of PEP 740, out of the file that an index keeps beside it, without the network.

`pypi-attestations` (extra `sigstore`) reads the file, and `sigstore` checks each signature against a trusted root,
as `release.sigstore` says. The publisher is the caller's: what the file says of itself is a claim, and only the
first time is it taken as an expectation, by somebody's word.

Does not verify: what the publisher put into the wheel.
"""

from typing import TYPE_CHECKING, Any, Final

from troth.errors import Malformed, Unavailable
from troth.image.attested import Publisher, is_publisher
from troth.release import dsse, sigstore
from troth.release.provenance import PREDICATE, STATEMENT
from troth.wire import json

if TYPE_CHECKING:
    from pypi_attestations import Attestation, Provenance
    from sigstore.verify import Verifier

MAX_FILE: Final = 4 * 1024 * 1024
GITHUB: Final = "https://token.actions.githubusercontent.com"
_PUBLISH: Final = "/attestations/publish/v1"
_CONFIG, _COMMIT, _REF = (f"1.3.6.1.4.1.57264.1.{number}" for number in (18, 13, 14))
_FIELD: Final = "provenance file"


def claimed(data: bytes) -> Publisher:
    """The publisher that a file says it is of; a claim.

    Raises:
        Malformed: the file is none, or names several or another kind than GitHub's.
        Unavailable: the package `pypi-attestations` is absent.
    """
    found = {_publisher(bundle.publisher) for bundle in _read(data).attestation_bundles}
    if len(found) != 1:
        raise Malformed(f"names {len(found)} publishers, should be one", field=_FIELD)
    return found.pop()


def verify(
    data: bytes,
    *,
    file: str,
    sha256: str,
    publisher: Publisher,
    trusted_root: bytes | None = None,
) -> int:
    """Checks that this publisher, and nobody else, attested this wheel.

    Args:
        data: the provenance file, JSON.
        file: the wheel's name.
        sha256: of the wheel, in hex.
        publisher: who must have published it.
        trusted_root: Sigstore's, JSON; the public instance's by default.

    Returns:
        How many attestations verify; each that the file has does.

    Raises:
        Malformed: one does not verify, is about another file, or by another publisher, who is named.
        Unavailable: a package is absent.
    """
    provenance = _read(data)
    checker = sigstore.verifier(trusted_root)
    kinds = []
    for bundle in provenance.attestation_bundles:
        said = _publisher(bundle.publisher)
        if said != publisher:
            raise Malformed(f"is of {said}, and should be of {publisher}", field=_FIELD)
        kinds += [
            _attested(one, checker, publisher, file=file, sha256=sha256)
            for one in bundle.attestations
        ]
    if not any(kind.endswith(_PUBLISH) for kind in kinds):
        raise Malformed("has no attestation of publishing", field=_FIELD)
    return len(kinds)


def _read(data: bytes) -> "Provenance":
    json.parse(data, field=_FIELD, limit=MAX_FILE)
    try:
        from pypi_attestations import Provenance
    except ImportError:
        raise Unavailable(
            "attestations are read by the package pypi-attestations, which is absent",
            fix="install it: pip install 'troth[sigstore]'",
        ) from None
    try:
        return Provenance.model_validate_json(data)
    except ValueError as error:
        raise Malformed(
            f"is no provenance as PEP 740 has it: {sigstore.words(error)}", field=_FIELD
        ) from None


def _publisher(said: Any) -> Publisher:
    if said.kind != "GitHub":
        raise Malformed(f"is of a publisher at {said.kind}, which is not read here", field=_FIELD)
    if not is_publisher(said.repository, said.workflow):
        raise Malformed("names a publisher that GitHub could not have", field=_FIELD)
    return Publisher(repository=said.repository, workflow=said.workflow)


def _attested(
    attestation: "Attestation",
    checker: "Verifier",
    publisher: Publisher,
    *,
    file: str,
    sha256: str,
) -> str:
    """Type of an attestation that verifies."""
    from pypi_attestations import AttestationError
    from sigstore.errors import Error
    from sigstore.verify import policy

    who = policy.AllOf(
        [
            policy.OIDCIssuerV2(GITHUB),
            policy.OIDCSourceRepositoryURI(f"https://github.com/{publisher.repository}"),
        ]
    )
    try:
        kind, payload = checker.verify_dsse(attestation.to_bundle(), who)
        claims = attestation.certificate_claims
    except (AttestationError, Error, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Malformed(
            f"an attestation does not verify as one of {publisher}: {sigstore.words(error)}",
            field=_FIELD,
        ) from None
    _workflow(claims, publisher)
    statement = json.parse(payload, field=_FIELD, limit=MAX_FILE)
    if (
        kind != dsse.IN_TOTO
        or not isinstance(statement, dict)
        or statement.get("_type") != STATEMENT
    ):
        raise Malformed("holds no in-toto statement", field=_FIELD)
    about = statement.get("subject")
    one = about[0] if isinstance(about, list) and len(about) == 1 else None
    digest = one.get("digest") if isinstance(one, dict) else None
    if not isinstance(one, dict) or not isinstance(digest, dict) or digest.get("sha256") != sha256:
        raise Malformed(f"is not about {file}: its SHA-256 is another", field=_FIELD)
    if str(one.get("name")).lower() != file.lower():
        raise Malformed(f"is about {str(one.get('name'))[:100]!r}, not about {file}", field=_FIELD)
    said = statement.get("predicateType")
    if not isinstance(said, str) or not (said.endswith(_PUBLISH) or said == PREDICATE):
        raise Malformed(f"has an attestation of {str(said)[:80]!r}", field=_FIELD)
    return said


def _workflow(claims: dict[str, str], publisher: Publisher) -> None:
    """The workflow's file at the commit or the ref that it ran for, which no publisher knows before."""
    place = f"https://github.com/{publisher.repository}/.github/workflows/{publisher.workflow}"
    wanted = {f"{place}@{claims[one]}" for one in (_COMMIT, _REF) if claims.get(one)}
    if claims.get(_CONFIG) not in wanted:
        raise Malformed(
            f"was signed by {str(claims.get(_CONFIG))[:200]}, should be by {place}", field=_FIELD
        )
