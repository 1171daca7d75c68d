"""The bill of materials of a wheel or of the hardware kernel: CycloneDX 1.6, by its own library.

The same inputs give the same bytes, as for images. What only built it is `excluded`; what a wheel needs where it runs
is named as the wheel names it, without a version that somebody else decides.
"""

import hashlib
import re
import uuid
from typing import TYPE_CHECKING, Any, Final

from troth.release import sbom
from troth.release.artifact import Artifact, Input

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

_NEED: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def write(made: Artifact) -> bytes:
    """The bill of materials, in JSON.

    Raises:
        Unavailable: the library for CycloneDX is not installed (extra `sbom`).
    """
    sbom.needed()
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType

    source = made.source
    about = Component(
        name=made.title,
        version=made.version,
        type=ComponentType.LIBRARY if made.kind == "wheel" else ComponentType.OPERATING_SYSTEM,
        bom_ref=f"{made.kind}:{made.sha256}",
        hashes=sbom.hashes(made.sha256),
        purl=_purl(made.kind, made.title, made.version, made.suite),
        licenses=sbom.licences((made.licence,) if made.licence else ()),
        properties=sbom.properties(
            {
                "file": made.name,
                "source-git": source.git if source else "",
                "source-commit": source.commit if source else "",
                "source-path": source.path if source else "",
                **{f"{name}-sha256": value for name, value in made.byproducts.items()},
            }
        ),
    )
    parts = [_input(one, made.suite) for one in made.inputs] + [_need(one) for one in made.needs]
    seen = hashlib.sha256(repr(made).encode("utf-8")).hexdigest()
    bom = Bom(
        components=parts,
        serial_number=uuid.uuid5(sbom.SPACE, seen),
        metadata=sbom.metadata(about),
    )
    bom.register_dependency(about, parts)
    return sbom.text(bom)


def _input(one: Input, suite: str) -> "Component":
    from cyclonedx.model.component import Component, ComponentScope, ComponentType

    builds = one.role == "builder"
    several = len(one.sha256) > 1
    return Component(
        name=one.name,
        version=one.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"{one.role}:{one.kind}:{one.name}@{one.version}",
        scope=ComponentScope.EXCLUDED if builds else ComponentScope.REQUIRED,
        hashes=() if several else sbom.hashes(*one.sha256),
        purl=_purl(one.kind, one.name, one.version, suite),
        properties=sbom.properties(
            {
                "kind": one.kind,
                "role": one.role,
                "sha256-one-of": one.sha256 if several else (),
            }
        ),
    )


def _need(words: str) -> "Component":
    """What a wheel needs where it runs; what belongs to an extra is optional."""
    from cyclonedx.model.component import Component, ComponentScope, ComponentType

    found = _NEED.match(words)
    return Component(
        name=found[0] if found else words,
        type=ComponentType.LIBRARY,
        bom_ref=f"needs:{words}",
        scope=ComponentScope.OPTIONAL if "extra ==" in words else ComponentScope.REQUIRED,
        properties=sbom.properties({"kind": "wheel", "role": "runtime", "requires": words}),
    )


def _purl(kind: str, name: str, version: str, suite: str) -> Any:
    from packageurl import PackageURL

    if kind == "wheel":
        return PackageURL(type="pypi", name=name, version=version)
    if kind == "kernel":
        return PackageURL(type="generic", name=name, version=version)
    qualifiers = {"distro": f"debian-{suite}"}
    return PackageURL(
        type="deb", namespace="debian", name=name, version=version, qualifiers=qualifiers
    )
