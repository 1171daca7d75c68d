"""`troth.lock`: every package that goes into an image, by SHA-256.

A lock names no host: the digest makes any mirror good enough.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from troth.errors import Malformed, Misuse
from troth.image import attested as publishers
from troth.image.architecture import ARCHITECTURES, DEFAULT, Architecture
from troth.image.attested import Attested
from troth.image.files import disk, write_together
from troth.image.keys import suite
from troth.image.lock_fields import (
    ANEW,
    entries,
    exactly,
    file_name,
    ordered,
    sha256_of,
    size_of,
    text,
)
from troth.image.recipe import Recipe
from troth.wire import json

FILE: Final = "troth.lock"
SCHEMA: Final = "troth/lock/1"
ARCHIVES: Final = ("debian", "security")
RELOCK: Final = "run `troth lock` on the app"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deb:
    """A Debian package.

    Attributes:
        name, version: as Debian spells them.
        archive: `debian` or `security`.
        path: below the archive's root, such as `pool/main/…`.
        size: bytes of the package.
        sha256: of the package.
        base: it is there for the image's own Python only, and is slimmed.
    """

    name: str
    version: str
    archive: str
    path: str
    size: int
    sha256: str
    base: bool = False

    @property
    def file(self) -> str:
        """The package's file name."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A Python package in its built form."""

    name: str
    version: str
    file: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A container image.

    Attributes:
        config: digest of its configuration, which names the content of each layer.
        manifest: digest of its manifest, or an empty text where none was saved with it.
    """

    config: str
    manifest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """The whole lock.

    Attributes:
        suite: Debian release.
        keys: fingerprints of the archive keys under which the packages were listed.
        recipe: digest of what in the recipe decides the packages.
        debs: sorted by name.
        kernel: the package that the kernel and its modules are taken from.
        wheels: the app's.
        agent_wheels: what troth's own part of the image needs.
        vendor: folder inside the app's that keeps the packages, or an empty text.
        oci: the container image that the app's root is taken from, or None.
        architecture: Debian's word for the machine that the image is for.
        builder: where that is another machine than images are built on: packages of the interpreter
            that compiles bytecode. None of them is in the image.
        attested: who must have published which wheels.
    """

    suite: str
    keys: tuple[str, ...]
    recipe: str
    debs: tuple[Deb, ...]
    kernel: Deb
    wheels: tuple[Wheel, ...]
    agent_wheels: tuple[Wheel, ...]
    vendor: str = ""
    oci: Pin | None = None
    architecture: str = DEFAULT
    builder: tuple[Deb, ...] = ()
    attested: tuple[Attested, ...] = ()

    @property
    def all_debs(self) -> tuple[Deb, ...]:
        """The packages of the file system, the kernel's, and the builder's."""
        return (*self.debs, self.kernel, *self.builder)

    @property
    def machine(self) -> Architecture:
        """What the image is for."""
        return ARCHITECTURES[self.architecture]

    @property
    def all_wheels(self) -> tuple[Wheel, ...]:
        """The app's and the agent's, each file once."""
        return tuple({wheel.sha256: wheel for wheel in (*self.wheels, *self.agent_wheels)}.values())

    def to_json(self) -> bytes:
        """The file: keys sorted, one per line, so that a new lock reads well in a review."""
        return pretty(
            {
                "schema": SCHEMA,
                "suite": self.suite,
                "keys": list(self.keys),
                "recipe": self.recipe,
                "debs": [fields(deb) for deb in self.debs],
                "kernel": fields(self.kernel),
                "wheels": [fields(wheel) for wheel in self.wheels],
                "agent_wheels": [fields(wheel) for wheel in self.agent_wheels],
                "vendor": self.vendor,
                **({} if self.oci is None else {"oci": fields(self.oci)}),
                **({"attested": [fields(one) for one in self.attested]} if self.attested else {}),
                **({} if self.architecture == DEFAULT else self._elsewhere()),
            }
        )

    def _elsewhere(self) -> dict[str, Any]:
        builder = [fields(deb) for deb in self.builder]
        return {"architecture": self.architecture, "builder": builder}

    def fits(self, recipe: Recipe) -> bool:
        """Whether it was made for this recipe and under the keys that this troth pins."""
        try:
            self.check(recipe)
        except Misuse:
            return False
        return True

    def check(self, recipe: Recipe) -> None:
        """Hold the lock against a recipe and against the keys that this troth pins.

        Raises:
            Misuse: it was made for other packages, or under other keys.
        """
        if self.suite != recipe.suite:
            raise Misuse(
                f"{FILE} is for suite {self.suite}, the recipe asks for {recipe.suite}", fix=RELOCK
            )
        if self.architecture != recipe.architecture:
            raise Misuse(
                f"{FILE} is for {self.architecture}, the recipe asks for {recipe.architecture}",
                fix=RELOCK,
            )
        if self.recipe != recipe.pinned():
            raise Misuse(
                f"{FILE} does not fit the recipe: its packages, suite or kernel were changed since",
                fix=RELOCK,
            )
        if self.keys != pinned_keys(self.suite):
            raise Misuse(
                f"{FILE} was made under other archive keys than the pinned ones", fix=RELOCK
            )
        if (self.oci is not None) != bool(recipe.from_oci):
            names = "no container image" if self.oci is None else "a container image"
            raise Misuse(f"{FILE} names {names}, and the recipe says otherwise", fix=RELOCK)


def pinned_keys(name: str) -> tuple[str, ...]:
    """Fingerprints of all keys of a suite, sorted."""
    return tuple(sorted(key for _, keys in suite(name).keyrings for key in keys))


def fields(item: Deb | Wheel | Pin | Attested) -> dict[str, Any]:
    """A package as a lock writes it."""
    return {name: getattr(item, name) for name in item.__slots__}


def pretty(value: dict[str, Any]) -> bytes:
    """Canonical JSON with each item of each list, and each key, on a line of its own."""

    def line(item: Any) -> str:
        return json.canonical(item).decode("utf-8")

    lines = []
    for key in sorted(value):
        item = value[key]
        if isinstance(item, list) and item:
            body = ",\n".join(f"  {line(entry)}" for entry in item)
            lines.append(f" {line(key)}:[\n{body}\n ]")
        else:
            lines.append(f" {line(key)}:{line(item)}")
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode("utf-8")


def load(folder: Path) -> Lock:
    """The lock of the app in this folder.

    Raises:
        Misuse: there is none.
        Malformed: it is none.
    """
    path = folder / FILE
    if not path.is_file():
        raise Misuse(f"{folder} has no {FILE}", fix=RELOCK)
    with disk(f"reading {FILE}"):
        data = path.read_bytes()
    try:
        return parse(data)
    except Malformed as error:
        error.fix = error.fix or ANEW
        raise


def save(folder: Path, lock: Lock) -> None:
    """Write the lock of an app."""
    write_together(folder, {FILE: [lock.to_json()]})


def parse(data: bytes) -> Lock:
    """The lock that these bytes are; one encoding only.

    Raises:
        Malformed: anything else.
    """
    value = json.parse(data, field=FILE)
    keys = {
        "schema",
        "suite",
        "keys",
        "recipe",
        "debs",
        "kernel",
        "wheels",
        "agent_wheels",
        "vendor",
    }
    if isinstance(value, dict):
        keys |= {"oci", "attested"} & value.keys()  # there for the apps that have them
    if isinstance(value, dict) and "architecture" in value:
        keys |= {"architecture", "builder"}  # there for machines that images are not built on
    exactly(value, keys, FILE)
    if value["schema"] != SCHEMA:
        raise Malformed(f"is {value['schema']!r}, not {SCHEMA!r}", field="schema", fix=ANEW)
    lock = Lock(
        suite=text(value["suite"], "suite"),
        keys=tuple(text(key, "keys") for key in entries(value["keys"], "keys")),
        recipe=sha256_of(value["recipe"], "recipe"),
        debs=_debs(value["debs"], "debs"),
        kernel=deb_of(value["kernel"], "kernel"),
        wheels=_wheels(value["wheels"], "wheels"),
        agent_wheels=_wheels(value["agent_wheels"], "agent_wheels"),
        vendor=_inside(value["vendor"]),
        oci=_pin(value["oci"]) if "oci" in value else None,
        architecture=_architecture(value.get("architecture", DEFAULT)),
        builder=_debs(value.get("builder", []), "builder"),
        attested=publishers.read(value["attested"], "attested") if "attested" in value else (),
    )
    if lock.architecture != DEFAULT and not lock.builder:
        raise Malformed("is empty, so nothing could be compiled", field="builder", fix=ANEW)
    ordered([deb.name for deb in lock.debs], "debs")
    ordered([deb.name for deb in lock.builder], "builder")
    ordered([wheel.name for wheel in lock.wheels], "wheels")
    ordered([wheel.name for wheel in lock.agent_wheels], "agent_wheels")
    if lock.to_json() != data:
        raise Malformed("is not in the form that troth writes", field=FILE, fix=ANEW)
    return lock


def _architecture(value: Any) -> str:
    if text(value, "architecture") not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise Malformed(f"is {value!r}, and must be one of {known}", field="architecture")
    return str(value)


def _debs(value: Any, field: str) -> tuple[Deb, ...]:
    return tuple(deb_of(item, f"{field}[{i}]") for i, item in enumerate(entries(value, field)))


def _pin(value: Any) -> Pin:
    exactly(value, set(Pin.__slots__), "oci")
    for key in Pin.__slots__:
        if text(value[key], f"oci.{key}") or key == "config":
            name, _, digits = value[key].partition(":")
            sha256_of(digits, f"oci.{key}")
            if name != "sha256":
                raise Malformed("is no digest of SHA-256", field=f"oci.{key}")
    return Pin(config=value["config"], manifest=value["manifest"])


def _inside(value: Any) -> str:
    if text(value, "vendor") and not is_inside(value):
        raise Malformed("must be a folder inside the app's", field="vendor")
    return str(value)


def is_inside(folder: str) -> bool:
    """Whether a relative path stays inside the folder it is relative to, and is not that folder."""
    path = PurePosixPath(folder)
    return not path.is_absolute() and ".." not in path.parts and str(path) == folder != "."


def deb_of(value: Any, field: str) -> Deb:
    """One Debian package.

    Raises:
        Malformed: a field is missing, unknown, or not what it must be.
    """
    exactly(value, set(Deb.__slots__), field)
    if (
        text(value["archive"], f"{field}.archive") not in ARCHIVES
        or type(value["base"]) is not bool
    ):
        raise Malformed("has an archive or a base that is not known", field=field)
    for part in text(value["path"], f"{field}.path").split("/"):
        file_name(part, f"{field}.path")
    return Deb(
        name=file_name(value["name"], f"{field}.name"),
        version=text(value["version"], f"{field}.version"),
        archive=value["archive"],
        path=value["path"],
        size=size_of(value["size"], f"{field}.size"),
        sha256=sha256_of(value["sha256"], f"{field}.sha256"),
        base=value["base"],
    )


def _wheels(value: Any, field: str) -> tuple[Wheel, ...]:
    return tuple(_wheel(item, f"{field}[{i}]") for i, item in enumerate(entries(value, field)))


def _wheel(value: Any, field: str) -> Wheel:
    exactly(value, set(Wheel.__slots__), field)
    return Wheel(
        name=text(value["name"], f"{field}.name"),
        version=text(value["version"], f"{field}.version"),
        file=file_name(value["file"], f"{field}.file"),
        size=size_of(value["size"], f"{field}.size"),
        sha256=sha256_of(value["sha256"], f"{field}.sha256"),
    )
