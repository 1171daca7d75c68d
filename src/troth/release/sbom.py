"""The parts of an image as a bill of materials: CycloneDX 1.6, by its own library.

The same parts give the same bytes: the serial number is a function of the build record and of what was seen,
and there is no time in it.
"""

import hashlib
import re
import uuid
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from troth.errors import Unavailable
from troth.image.components import Components, Part

if TYPE_CHECKING:
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component

# RFC 9562, 6.6: a name space of our own, so that our names meet nobody else's.
SPACE: Final = uuid.UUID("7b1f6d0a-43c5-5b0e-9a53-1d8c7f2f6d21")
_EXPRESSION: Final = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*")
_NAME: Final = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.+~-]*/)*[A-Za-z0-9_][A-Za-z0-9_.+~-]*")
_PREFIX: Final = "troth:"


def write(parts: Components, *, name: str) -> bytes:
    """The bill of materials, in JSON.

    Args:
        parts: from `components.of_record`, looked into or not.
        name: of the image.

    Raises:
        Unavailable: the library for CycloneDX is not installed (extra `sbom`).
    """
    needed()
    return text(_bom(parts, name))


def needed() -> None:
    """Says what is missing before anything is made.

    Raises:
        Unavailable: the library for CycloneDX is not installed (extra `sbom`).
    """
    try:
        import cyclonedx.output.json  # noqa: F401
    except ImportError:
        raise Unavailable(
            "a bill of materials needs the package cyclonedx-python-lib",
            fix="install troth with its extra: pip install 'troth[sbom]'",
        ) from None


def metadata(
    about: "Component", more: dict[str, str | tuple[str, ...]] | None = None
) -> "BomMetaData":
    """What a bill of materials is about, without a time."""
    from cyclonedx.model.bom import BomMetaData

    made = BomMetaData(component=about, properties=properties(more or {}))
    # Where this is left out the library writes the time at which it was called.
    made.timestamp = None  # type: ignore[assignment]
    return made


def hashes(*sha256: str) -> list[Any]:
    """Digests as the library has them."""
    from cyclonedx.model import HashAlgorithm, HashType

    return [HashType(alg=HashAlgorithm.SHA_256, content=value) for value in sha256]


def text(bom: "Bom") -> bytes:
    """The file."""
    from cyclonedx.output.json import JsonV1Dot6

    return JsonV1Dot6(bom).output_as_string(indent=1).encode("utf-8") + b"\n"


def _bom(parts: Components, name: str) -> "Bom":
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.dependency import Dependency

    seen = hashlib.sha256(repr((parts, name)).encode("utf-8")).hexdigest()
    image = Component(
        name=name,
        type=ComponentType.FIRMWARE,
        bom_ref=f"image:{parts.image}",
        hashes=hashes(parts.image),
        properties=properties(
            {
                "build-record-sha256": parts.record,
                "suite": parts.suite,
                "architecture": parts.architecture,
            }
        ),
    )
    about = metadata(image, {"not-looked-into": tuple(one.words for one in parts.unseen)})
    made = _Made(parts, name).components()
    # Of each at the top once: the library's own way compares each with each.
    tree = Dependency(ref=image.bom_ref, dependencies=[Dependency(ref=c.bom_ref) for c in made])
    return Bom(
        components=made,
        serial_number=uuid.uuid5(SPACE, seen),
        metadata=about,
        dependencies=[tree],
    )


class _Made:
    """Components of parts: what was found inside a part inside it, and the app's files inside the app."""

    def __init__(self, parts: Components, name: str) -> None:
        self._parts, self._name = parts, name
        self._used: Counter[str] = Counter()
        self._inside: dict[str, list[Part]] = {}
        for part in parts.parts:
            if part.within:
                self._inside.setdefault(part.within, []).append(part)

    def components(self) -> "list[Component]":
        """Those at the top, in the record's order; the app last."""
        from cyclonedx.model.component import Component, ComponentType

        outer = [part for part in self._parts.parts if not part.within]
        made = [self._component(part) for part in outer if part.kind != "file"]
        files = [self._component(part) for part in outer if part.kind == "file"]
        if files:
            app = Component(
                name=self._name,
                type=ComponentType.APPLICATION,
                bom_ref=self._reference("image:app"),
                components=files,
                properties=properties({"kind": "app", "role": "image"}),
            )
            made.append(app)
        return made

    def _component(self, part: Part) -> "Component":
        from cyclonedx.model.component import Component, ComponentScope, ComponentType

        kinds = {"file": ComponentType.FILE, "root": ComponentType.CONTAINER}
        if part.role == "kernel":
            kind = ComponentType.OPERATING_SYSTEM
        else:
            kind = kinds.get(part.kind, ComponentType.LIBRARY)
        where = f":{part.within}:{part.place}" if part.within else ""
        title = part.kind if part.kind == "root" else f"{part.kind} {part.name}"
        inner = [] if part.within else self._inside.pop(title, [])
        return Component(
            name=part.name,
            version=part.version or None,
            type=kind,
            bom_ref=self._reference(f"{part.role}:{part.kind}:{part.name}@{part.version}{where}"),
            scope=ComponentScope.EXCLUDED if part.role == "builder" else ComponentScope.REQUIRED,
            hashes=hashes(part.sha256) if part.sha256 else (),
            purl=_purl(part, self._parts),
            licenses=licences(part.licences or ()),
            components=[self._component(one) for one in inner],
            properties=properties(
                {
                    "kind": part.kind,
                    "role": part.role,
                    "source": f"{part.source} {part.source_version}".strip(),
                    "built-using": part.built_using,
                    "found-in": part.place,
                    "licences": ""
                    if part.licences
                    else ("not at hand" if part.licences is None else "not stated"),
                }
            ),
        )

    def _reference(self, name: str) -> str:
        """One name for each component, whatever a record says twice."""
        self._used[name] += 1
        return name if self._used[name] == 1 else f"{name}#{self._used[name]}"


def _purl(part: Part, parts: Components) -> Any:
    """The package URL, for what has one: https://github.com/package-url/purl-spec."""
    from packageurl import PackageURL

    if not _NAME.fullmatch(part.name):  # no package could have it
        return None
    if part.kind == "deb":
        return PackageURL(
            type="deb",
            namespace="debian",
            name=part.name,
            version=part.version,
            qualifiers={"arch": parts.architecture, "distro": f"debian-{parts.suite}"},
        )
    if part.kind in ("wheel", "agent"):
        return PackageURL(type="pypi", name=part.name, version=part.version)
    if part.kind == "inside":
        namespace, _, name = part.name.rpartition("/")
        return PackageURL(
            type=part.purl, namespace=namespace or None, name=name, version=part.version or None
        )
    return None


def licences(stated: Iterable[str]) -> list[Any]:
    """One expression as such; several, or what is no expression of SPDX, by their names."""
    from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
    from cyclonedx.spdx import is_expression, is_supported_id

    every = tuple(stated)
    if len(every) == 1 and _EXPRESSION.fullmatch(every[0]) and is_expression(every[0]):
        if is_supported_id(every[0]):
            return [DisjunctiveLicense(id=every[0])]
        return [LicenseExpression(every[0])]
    return [DisjunctiveLicense(name=name) for name in every]


def properties(values: dict[str, str | tuple[str, ...]]) -> list[Any]:
    """Properties in the name space of ours; what is empty is left away."""
    from cyclonedx.model import Property

    return [
        Property(name=f"{_PREFIX}{name}", value=value)
        for name, found in values.items()
        for value in ((found,) if isinstance(found, str) else found)
        if value
    ]
