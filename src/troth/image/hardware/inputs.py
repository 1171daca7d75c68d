"""`hardware.lock`: what the hardware kernel is made from, and what must come out.

It ships with troth and names no host. Because the kernel builds to the same bytes everywhere, its
digest is pinned like an input's: whoever builds it checks everybody else's, and a store that holds
those bytes needs no word of how they came there.
"""

import functools
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from troth.errors import Malformed
from troth.image.hardware import options, plan
from troth.image.keys import SUITES
from troth.image.lock import Deb, deb_of, fields, pinned_keys, pretty
from troth.image.lock_fields import entries, exactly, ordered, sha256_of, size_of, text
from troth.image.store import digest
from troth.wire import json

FILE: Final = "hardware.lock"
SCHEMA: Final = "troth/hardware-lock/1"
FIX: Final = "install troth again; its own files are not as they were made"
_KEYS: Final = frozenset({"schema", "suite", "keys", "source", "toolchain", "kernel"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """The kernel that comes out.

    Attributes:
        version: what it calls itself, such as `6.12.117-troth`.
        sha256, size: of the bzImage.
        config_sha256: of its configuration in `options.canonical` form.
        made_from: digest of all that decides it; see `Inputs.made_from`.
    """

    version: str
    sha256: str
    size: int
    config_sha256: str
    made_from: str

    @property
    def file(self) -> str:
        """What it is called in messages."""
        return f"vmlinuz-{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The whole lock.

    Attributes:
        suite: Debian release of the tools that compile.
        keys: fingerprints of the archive keys under which the packages were listed.
        source: Debian's package of the kernel's source.
        toolchain: the packages of the file system in which it is compiled, sorted by name.
        kernel: what must come out.
    """

    suite: str
    keys: tuple[str, ...]
    source: Deb
    toolchain: tuple[Deb, ...]
    kernel: Pinned

    @property
    def packages(self) -> tuple[Deb, ...]:
        """Everything that must be at hand to build."""
        return (self.source, *self.toolchain)

    @property
    def toolchain_sha256(self) -> str:
        """Digest over the toolchain's packages."""
        return digest(json.canonical([fields(deb) for deb in self.toolchain]))

    def made_from(self) -> str:
        """Digest of all that decides the kernel's bytes: source, tools, options, and what is done."""
        value = {
            "source": self.source.sha256,
            "toolchain": self.toolchain_sha256,
            "options": digest(options.fragment(options.table())),
            "plan": plan.VERSION,
        }
        return digest(json.canonical(value))

    def to_json(self) -> bytes:
        """The file, one package a line."""
        return pretty(
            {
                "schema": SCHEMA,
                "suite": self.suite,
                "keys": list(self.keys),
                "source": fields(self.source),
                "toolchain": [fields(deb) for deb in self.toolchain],
                "kernel": {name: getattr(self.kernel, name) for name in Pinned.__slots__},
            }
        )


@functools.cache
def inputs() -> Inputs:
    """The lock that comes with troth.

    Raises:
        Malformed: it does not fit the options or the steps that come with it.
    """
    found = parse(files(__package__).joinpath(FILE).read_bytes())
    if found.kernel.made_from != found.made_from():
        raise Malformed("pins a kernel that was made from something else", field=FILE, fix=FIX)
    return found


def parse(data: bytes) -> Inputs:
    """The lock that these bytes are; one encoding only.

    Raises:
        Malformed: anything else.
    """
    value = json.parse(data, field=FILE)
    exactly(value, set(_KEYS), FILE)
    if value["schema"] != SCHEMA:
        raise Malformed(f"is {value['schema']!r}, not {SCHEMA!r}", field="schema", fix=FIX)
    toolchain = entries(value["toolchain"], "toolchain")
    found = Inputs(
        suite=text(value["suite"], "suite"),
        keys=tuple(text(key, "keys") for key in entries(value["keys"], "keys")),
        source=deb_of(value["source"], "source"),
        toolchain=tuple(deb_of(item, f"toolchain[{i}]") for i, item in enumerate(toolchain)),
        kernel=_pinned(value["kernel"]),
    )
    ordered([deb.name for deb in found.toolchain], "toolchain")
    if found.suite not in SUITES:
        raise Malformed(f"is {found.suite!r}, for which no keys are pinned", field="suite")
    if found.keys != pinned_keys(found.suite):
        raise Malformed("was made under other archive keys than the pinned ones", field="keys")
    if found.to_json() != data:
        raise Malformed("is not in the form that troth writes", field=FILE, fix=FIX)
    return found


def _pinned(value: Any) -> Pinned:
    exactly(value, set(Pinned.__slots__), "kernel")
    return Pinned(
        version=text(value["version"], "kernel.version"),
        sha256=sha256_of(value["sha256"], "kernel.sha256"),
        size=size_of(value["size"], "kernel.size"),
        config_sha256=sha256_of(value["config_sha256"], "kernel.config_sha256"),
        made_from=sha256_of(value["made_from"], "kernel.made_from"),
    )
