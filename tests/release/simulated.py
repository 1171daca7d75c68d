"""A Sigstore of one's own for tests, and provenance files of PEP 740 that it signs."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from troth.channel.services.simulate.sigstore import Identity, Sigstore
from troth.channel.services.simulate.sigstore import statement as in_toto

PUBLISH = "https://index.example/attestations/publish/v1"
NOW = datetime.now(UTC) - timedelta(minutes=5)
OWNER, WORKFLOW, TAG = "owner/crypto", "release.yml", "v1"


def instance() -> Sigstore:
    return Sigstore.create(NOW)


def bundle(
    by: Sigstore,
    statement: dict[str, Any],
    *,
    repository: str = OWNER,
    workflow: str = WORKFLOW,
    **more: Any,
) -> bytes:
    who = Identity(repository=repository, tag=TAG, workflow=workflow)
    place = f"https://github.com/{repository}/.github/workflows/{workflow}@refs/tags/{TAG}"
    return by.sign(statement, who, at=NOW, says={18: place, **more.pop("says", {})}, **more)


def attestation(made: bytes) -> dict[str, Any]:
    """What PEP 740 makes of a bundle."""
    value = json.loads(made)
    material, envelope = value["verificationMaterial"], value["dsseEnvelope"]
    return {
        "version": 1,
        "verification_material": {
            "certificate": material["certificate"]["rawBytes"],
            "transparency_entries": material["tlogEntries"],
        },
        "envelope": {
            "statement": envelope["payload"],
            "signature": envelope["signatures"][0]["sig"],
        },
    }


def provenance(
    *attestations: dict[str, Any],
    repository: str = OWNER,
    workflow: str = WORKFLOW,
    kind: str = "GitHub",
) -> bytes:
    """The file that an index keeps beside a wheel."""
    publisher = {"kind": kind, "repository": repository, "workflow": workflow}
    if kind == "GitLab":
        publisher = {"kind": kind, "repository": repository, "workflow_filepath": workflow}
    bundles = [{"publisher": publisher, "attestations": list(attestations)}]
    return json.dumps({"version": 1, "attestation_bundles": bundles}).encode()


def published(file: str, sha256: str, *, kind: str = PUBLISH) -> dict[str, Any]:
    """The statement that a publisher signs about a wheel."""
    made = in_toto(kind, {}, digest=sha256)
    made["subject"][0]["name"] = file
    return made


def payload(made: bytes) -> bytes:
    return base64.b64decode(json.loads(made)["dsseEnvelope"]["payload"])
