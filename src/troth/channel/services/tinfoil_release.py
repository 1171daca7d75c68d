"""A release of Tinfoil's to what its enclaves must measure to, through Sigstore, without the network.

A release's workflow signs an in-toto statement: SEV-SNP's MEASUREMENT and TDX's RTMR1 and RTMR2. MRTD and
RTMR0 belong to the hardware's shape; a second repository signs the pairs that there are. RTMR3 is zero.
Whose workflow, of which repository and at which tag, is the caller's to say.

The `sigstore` package (extra `sigstore`) checks the chain to Fulcio's root, the certificate's entry in a
CT log, the signature, and the entry's inclusion in Rekor under a signed checkpoint, all against the
trusted root that is handed in: which one that is, nothing here decides, and no cache is looked at.

Does not verify that the log shows everybody the same tree, nor that a tag is the newest one.
"""

import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from troth.errors import Malformed, Misuse, Unavailable
from troth.policy import Policy
from troth.wire import json

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from sigstore.models import TrustedRoot

GITHUB: Final = "https://token.actions.githubusercontent.com"
RELEASE: Final = "https://tinfoil.sh/predicate/snp-tdx-multiplatform/v1"
HARDWARE: Final = "https://tinfoil.sh/predicate/hardware-measurements/v1"
HARDWARE_REPOSITORY: Final = "tinfoilsh/hardware-measurements"
MAX_BUNDLE: Final = 1024 * 1024

_STATEMENT: Final = "https://in-toto.io/Statement/v1"
_PAYLOAD: Final = "application/vnd.in-toto+json"
_FIELD: Final = "Sigstore bundle"
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}")
_WORKFLOW: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}\.ya?ml")
_TAG: Final = re.compile(r"[A-Za-z0-9_.+-][A-Za-z0-9_.+/-]{0,199}")
_REGISTER: Final = re.compile(r"[0-9a-f]{96}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_ZERO: Final = "0" * 96


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who must have signed: a workflow of a repository, run by GitHub for a tag.

    Attributes:
        repository: `owner/name`.
        tag: of the release.
        workflow: file under `.github/workflows/`; empty for any of that repository's.
        issuer: of the token that Fulcio saw.

    Raises:
        Misuse: a name that GitHub could not have.
    """

    repository: str
    tag: str
    workflow: str = ""
    issuer: str = GITHUB

    def __post_init__(self) -> None:
        if not _REPOSITORY.fullmatch(self.repository):
            raise Misuse(f"{self.repository!r} is no repository", fix="write it as owner/name")
        if not _TAG.fullmatch(self.tag):
            raise Misuse(f"{self.tag!r} is no tag", fix="give the release's tag, such as v1.2.3")
        if self.workflow and not _WORKFLOW.fullmatch(self.workflow):
            raise Misuse(f"{self.workflow!r} is no file of a workflow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What a release measures to, hex.

    Attributes:
        identity: who signed it.
        digest: SHA-256 of the artefact that the statement is about.
        measurement: of SEV-SNP.
        rtmr1, rtmr2: of TDX.
    """

    identity: Identity
    digest: str
    measurement: str
    rtmr1: str
    rtmr2: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """One shape of TDX machine, and what its firmware measures to, hex."""

    name: str
    mrtd: str
    rtmr0: str


def release(bundle: bytes, *, identity: Identity, trusted_root: bytes, digest: str = "") -> Release:
    """The measurements that a release's workflow signed.

    Args:
        bundle: Sigstore bundle of version 0.3, JSON.
        identity: who must have signed.
        trusted_root: Sigstore's trusted root, JSON, from where the caller trusts it.
        digest: SHA-256 of the artefact in hex, where the caller knows it; or empty.

    Raises:
        Malformed: it does not verify, is of somebody else, or says something else than this.
        Unavailable: the `sigstore` package is absent.
    """
    found, predicate = _signed(bundle, identity, trusted_root, RELEASE, digest)
    tdx = predicate.get("tdx_measurement")
    if not isinstance(tdx, dict):
        raise Malformed("holds no TDX measurements", field="predicate: tdx_measurement")
    return Release(
        identity=identity,
        digest=found,
        measurement=_register(predicate, "snp_measurement"),
        rtmr1=_register(tdx, "rtmr1"),
        rtmr2=_register(tdx, "rtmr2"),
    )


def hardware(
    bundle: bytes, *, identity: Identity, trusted_root: bytes, digest: str = ""
) -> tuple[Hardware, ...]:
    """The shapes of machine that the list's workflow signed; arguments and errors as `release`."""
    _, predicate = _signed(bundle, identity, trusted_root, HARDWARE, digest)
    if not predicate:
        raise Malformed("lists no hardware", field="predicate")
    for name, shape in predicate.items():
        if not isinstance(shape, dict):
            raise Malformed("is no JSON object", field=f"predicate: {name[:60]}")
    return tuple(
        Hardware(name=name, mrtd=_register(shape, "mrtd"), rtmr0=_register(shape, "rtmr0"))
        for name, shape in predicate.items()
    )


def measurements(
    of: Release, shapes: Iterable[Hardware] = (), *, mrtd: str = ""
) -> dict[str, dict[str, list[str]]]:
    """Platform to register to the values that may be, as `Policy.for_image` takes them.

    A policy allows each register its values apart from the others'. So that no pair of MRTD and RTMR0
    gets in which nobody signed, shapes must either be all combinations of their values, or be narrowed
    to the MRTD that was presented; one that is not listed gives values that the evidence cannot meet.

    Args:
        of: the release.
        shapes: of TDX machines; without any, TDX is not in what comes back.
        mrtd: what the evidence at hand presents, hex; empty where there is none yet.

    Raises:
        Misuse: the shapes need an MRTD to be told apart.
    """
    found = {"snp": {"measurement": [of.measurement]}}
    every = tuple(shapes)
    fitting = tuple(shape for shape in every if shape.mrtd == mrtd) if mrtd else every
    # Where none fits, any one pair says no.
    pairs = {(shape.mrtd, shape.rtmr0) for shape in fitting or every[:1]}
    firmware = sorted({one for one, _ in pairs})
    configured = sorted({other for _, other in pairs})
    if len(pairs) != len(firmware) * len(configured):
        raise Misuse(
            "the list pairs MRTD with RTMR0, and a policy would take other pairs as well",
            fix="give the MRTD that the evidence presents; only what was signed with it is allowed then",
        )
    if pairs:
        found["tdx"] = {
            "mrtd": firmware,
            "rtmr0": configured,
            "rtmr1": [of.rtmr1],
            "rtmr2": [of.rtmr2],
            "rtmr3": [_ZERO],
        }
    return found


def policy(of: Release, shapes: Iterable[Hardware] = (), *, mrtd: str = "") -> Policy:
    """A policy that expects this release; see `measurements`.

    It says nothing of how firm the channel must be: that is the caller's, with `Policy.expecting`.
    """
    name = f"{of.identity.repository} {of.identity.tag}"
    return Policy.for_image(measurements(of, shapes, mrtd=mrtd), name=name)


def _signed(
    bundle: bytes, identity: Identity, trusted_root: bytes, kind: str, digest: str
) -> tuple[str, dict[str, Any]]:
    """Digest of the first subject, and the predicate."""
    payload_type, payload = _verified(bundle, identity, trusted_root)
    if payload_type != _PAYLOAD:
        raise Malformed(f"holds {payload_type[:60]!r}, no in-toto statement", field=_FIELD)
    field = "in-toto statement"
    statement = json.parse(payload, field=field, limit=MAX_BUNDLE)
    members = {"_type", "subject", "predicateType", "predicate"}
    if not isinstance(statement, dict) or statement.keys() != members:
        raise Malformed(f"has other members than {', '.join(sorted(members))}", field=field)
    if statement["_type"] != _STATEMENT:
        raise Malformed(f"is of type {str(statement['_type'])[:80]!r}", field=field)
    if statement["predicateType"] != kind:
        raise Malformed(
            f"is {str(statement['predicateType'])[:80]!r}, should be {kind}", field="predicateType"
        )
    found, predicate = _first_digest(statement["subject"]), statement["predicate"]
    if digest and found != digest.lower():
        raise Malformed(f"is about {found}, should be about {digest}", field=field)
    if not isinstance(predicate, dict):
        raise Malformed("is no JSON object", field="predicate")
    return found, predicate


def _verified(bundle: bytes, identity: Identity, trusted_root: bytes) -> tuple[str, bytes]:
    outer = json.parse(bundle, field=_FIELD, limit=MAX_BUNDLE)
    material = outer.get("verificationMaterial") if isinstance(outer, dict) else None
    if not isinstance(material, dict) or "certificate" not in material:
        raise Malformed("is not of version 0.3, with one certificate", field=_FIELD)
    try:
        from sigstore.errors import Error
        from sigstore.models import Bundle
        from sigstore.verify import Verifier
    except ImportError as error:
        raise Unavailable(
            "the sigstore package is absent, which checks releases",
            fix="install it: `pip install 'troth[sigstore]'`",
        ) from error
    root = _trusted(trusted_root)
    try:
        verifier = Verifier(trusted_root=root)
        return verifier.verify_dsse(Bundle.from_json(bundle), _Expected(identity))
    except (Error, ValueError, TypeError, KeyError, AttributeError) as error:
        # The package lets what its parsers raise through; whatever it was, nothing has been verified.
        raise Malformed(f"does not verify: {_words(error)}", field=_FIELD) from error


def _trusted(data: bytes) -> "TrustedRoot":
    from sigstore.errors import Error
    from sigstore.models import TrustedRoot

    # The package reads its roots from files only.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trusted_root.json")
        path.write_bytes(data)
        try:
            return TrustedRoot.from_file(str(path))
        except (Error, ValueError, TypeError) as error:
            raise Malformed(f"cannot be read: {_words(error)}", field="trusted root") from error


class _Expected:
    """The identity as Sigstore's policies have it: raises its error if the certificate is another's."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def verify(self, cert: "Certificate") -> None:
        from sigstore.verify import policy as sigstore

        wanted = self._identity
        sigstore.AllOf(
            [
                sigstore.OIDCIssuerV2(wanted.issuer),
                sigstore.OIDCSourceRepositoryURI(f"https://github.com/{wanted.repository}"),
                sigstore.OIDCSourceRepositoryRef(f"refs/tags/{wanted.tag}"),
                sigstore.OIDCRunnerEnvironment("github-hosted"),
            ]
        ).verify(cert)
        self._workflow(cert)

    def _workflow(self, cert: "Certificate") -> None:
        from cryptography import x509
        from sigstore.errors import VerificationError

        wanted = self._identity
        names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = names.get_values_for_type(x509.UniformResourceIdentifier)
        workflow = re.escape(wanted.workflow) if wanted.workflow else r"[A-Za-z0-9_.-]+\.ya?ml"
        pattern = (
            rf"https://github\.com/{re.escape(wanted.repository)}/\.github/workflows/"
            rf"{workflow}@refs/tags/{re.escape(wanted.tag)}"
        )
        if len(names) != 1 or len(found) != 1 or not re.fullmatch(pattern, found[0]):
            said = ", ".join(found)[:200] or "nobody"
            raise VerificationError(f"signed by {said}, should match {pattern}")


def _first_digest(subjects: Any) -> str:
    first = subjects[0] if isinstance(subjects, list) and subjects else None
    digests = first.get("digest") if isinstance(first, dict) else None
    found = digests.get("sha256") if isinstance(digests, dict) else None
    if not isinstance(found, str) or not _DIGEST.fullmatch(found):
        raise Malformed("has no SHA-256", field="in-toto statement: first subject")
    return found


def _register(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    if not isinstance(found, str) or not _REGISTER.fullmatch(found):
        raise Malformed("is not 48 bytes in lower-case hex", field=f"predicate: {name}")
    return found


def _words(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]
