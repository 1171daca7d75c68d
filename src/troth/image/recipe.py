"""`troth.toml`: what an app is made of. Strict, because all of it ends in the measurement.

Every key that is not known is refused by name, with the nearest one that is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final

from troth.errors import Malformed, Misuse
from troth.image import budget, scratch
from troth.image.architecture import ARCHITECTURES, DEFAULT
from troth.image.environment import check_environment
from troth.image.files import disk
from troth.image.recipe_config import Config, Requirements, inside, read_requirements
from troth.image.recipe_config import read as read_config
from troth.image.store import digest
from troth.image.toml_table import Table, kind
from troth.wire import json, toml

FILE: Final = "troth.toml"
APP_FOLDER: Final = "app"
BRINGS: Final = ("from_oci", "from_rootfs")
MAX_SIZE: Final = 1024 * 1024
KERNELS: Final = ("debian", "hardware")
DEFAULT_KERNEL: Final = "debian"
DEFAULT_MEMORY: Final = 512  # MiB; a small Python service and the image's own files

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_DEBIAN_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+~:-]+)?")
_PYTHON_PACKAGE = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(\[[A-Za-z0-9._,-]+\])?"
    r"( ?(===|==|~=|!=|<=|>=|<|>) ?[A-Za-z0-9.*+!_-]+(, ?(==|~=|!=|<=|>=|<|>) ?[A-Za-z0-9.*+!_-]+)*)?"
)
# Where a recipe may not put a file: there it would stand in for the agent, for what the agent's
# interpreter and libraries look for, for the system's own names, or on what is mounted over at run time.
_RESERVED: Final = (
    "bin", "boot", "dev", "etc/ld.so.cache", "etc/ld.so.conf", "etc/ld.so.conf.d",
    "etc/ld.so.preload", "etc/troth", "init", "lib", "lib64", "opt/pyca", "proc", "rootfs", "run",
    "sbin", "sys", "tmp", "usr/bin", "usr/lib", "usr/lib64", "usr/pyvenv.cfg", "usr/sbin",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRule:
    """A file or a folder of the app and where it goes.

    Attributes:
        source: path relative to the app's folder; a folder stands for all that is in it, but for
            names that begin with a dot, `__pycache__` and `*.pyc`.
        target: absolute path in the image.
        mode: 0o755 or 0o644, of the file or of every file in the folder; None keeps whether the
            owner may execute it.
    """

    source: str
    target: str
    mode: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A whole app; see the reference of `troth.toml`.

    `memory` is in MiB, or 0 for what a root that is brought needs.
    """

    name: str
    entry: tuple[str, ...] = ()
    from_oci: str = ""
    from_rootfs: str = ""
    directory: str = ""
    suite: str = "trixie"
    architecture: str = DEFAULT
    debian_packages: tuple[str, ...] = ()
    python_packages: tuple[str, ...] = ()
    files: tuple[FileRule, ...] = ()
    listen: tuple[int, ...] = ()
    environment: Mapping[str, str]
    memory: int = DEFAULT_MEMORY
    cpus: int = 1
    config: Mapping[str, Config]
    kernel: str = DEFAULT_KERNEL
    raw_nsm: bool = False
    requirements: Requirements | None = None
    budget: Mapping[str, int] = field(default_factory=dict)
    scratch: tuple[str, ...] = ()

    @property
    def brings(self) -> str:
        """Path of the container image or folder that the app's root is taken from, or an empty text."""
        return self.from_oci or self.from_rootfs

    def pinned(self) -> str:
        """Digest of all that a lock depends on; a change of anything else needs no new lock."""
        value = {
            "debian": sorted(self.debian_packages),
            "kernel": "debian",  # its package is locked whichever kernel an image gets
            "python": sorted(self.python_packages),
            "suite": self.suite,
            **({} if self.architecture == DEFAULT else {"architecture": self.architecture}),
            **({} if self.requirements is None else {"requirements": self.requirements.sha256}),
        }
        return digest(json.canonical(value))


def load(folder: Path) -> Recipe:
    """The recipe of the app in this folder.

    Raises:
        Unavailable: it can't be read.
        Malformed: not TOML.
        Misuse: not a recipe; the message names the key.
    """
    path = folder / FILE
    with disk(f"looking for {FILE}"):
        there = path.is_file()
    if not there:
        raise Misuse(
            f"{folder} has no {FILE}", fix="name the folder of an app, or make one: troth init NAME"
        )
    with disk(f"reading {FILE}"):
        data = path.read_bytes()
    if len(data) > MAX_SIZE:
        raise Malformed(f"is larger than {MAX_SIZE} bytes", field=FILE)
    try:
        document = toml.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Malformed("is not UTF-8", field=FILE, offset=error.start) from None
    except (ValueError, RecursionError) as error:  # its own, or one of a number too long
        raise Malformed(f"is not TOML: {str(error).lower()}", field=FILE) from None
    return parse(document, folder=folder)


def parse(document: Mapping[str, Any], *, folder: Path) -> Recipe:
    """The recipe that a TOML document says.

    Args:
        document: what `wire.toml` gives.
        folder: the app's, for the files of measured configuration.

    Raises:
        Misuse: as `load`.
    """
    top = Table(document, "")
    app = top.table("app")
    debian = top.table("debian")
    python = top.table("python")
    kernel = top.take("kernel", str, DEFAULT_KERNEL)
    check_kernel(kernel, f"{FILE}: kernel")
    if top.names("egress"):
        raise Misuse(
            f"{FILE}: egress is not empty, but this troth enforces no egress yet",
            fix="remove the entries; the app has no network but its own loopback",
        )
    environment = top.table("environment")
    image, root = (_beside(app.take(key, str, ""), f"app.{key}") for key in BRINGS)
    brings = bool(image or root)
    recipe = Recipe(
        name=_matching(app.take("name", str, ...), _NAME, "app.name"),
        entry=_entry(app.names("entry", () if image else ...), needed=not image),
        from_oci=image,
        from_rootfs=root,
        directory=_directory(app.take("directory", str, "")),
        suite=debian.take("suite", str, "trixie"),
        architecture=debian.take("architecture", str, DEFAULT),
        debian_packages=_packages(debian.names("packages"), _DEBIAN_PACKAGE, "debian.packages"),
        python_packages=_packages(python.names("packages"), _PYTHON_PACKAGE, "python.packages"),
        requirements=read_requirements(python.take("requirements", str, None), folder),
        files=_files(top.raw("files"), folder, brings=brings),
        listen=_listen(top.take("listen", list, [])),
        environment=check_environment(
            {key: environment.take(key, str, ...) for key in environment.left()}, source=FILE
        ),
        memory=_memory(top.take("memory", int, None), brings=brings),
        cpus=_range(top.take("cpus", int, 1), 1, 1024, "cpus"),
        config=read_config(top.table("config"), folder),
        kernel=kernel,
        raw_nsm=top.take("raw_nsm", bool, default=False),
        budget=budget.of_table(top.table("budget")),
        scratch=scratch.check(top.names("scratch"), FILE),
    )
    for table in (app, debian, python, top):
        table.end()
    if recipe.requirements is not None and recipe.python_packages:
        raise Misuse(
            f"{FILE}: python.packages and python.requirements are both given, and one of them decides",
            fix=f"put the packages into {recipe.requirements.path}",
        )
    _check_root(recipe)
    check_architecture(recipe)
    return recipe


def _check_root(recipe: Recipe) -> None:
    """A root that is brought is all that the app sees; what would go elsewhere is refused."""
    if recipe.from_oci and recipe.from_rootfs:
        raise Misuse(
            f"{FILE}: app.from_oci and app.from_rootfs are both given, and an app has one root"
        )
    if not recipe.brings:
        return
    for key, given in (
        ("debian.packages", recipe.debian_packages),
        ("python.packages", recipe.python_packages),
        ("python.requirements", recipe.requirements),
        ("files", recipe.files),
    ):
        if given:
            raise Misuse(
                f"{FILE}: {key} is given, but the app sees only the root that it brings",
                fix="put it into that root",
            )


def check_architecture(recipe: Recipe) -> None:
    """Refuse a machine that images are not made for, and what is not made for this one.

    Raises:
        Misuse: it is so.
    """
    name = recipe.architecture
    if name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise Misuse(f"{FILE}: debian.architecture is {name!r}, and must be one of {known}")
    if name != DEFAULT and recipe.kernel == "hardware":
        raise Misuse(
            f"the hardware kernel is for {DEFAULT} alone, and this app is for {name}",
            fix=f'write kernel = "debian" in {FILE}',
        )


def check_kernel(kernel: str, name: str) -> None:
    """Refuse a kernel that there is not.

    Args:
        kernel: its word.
        name: where it was said, for the error.

    Raises:
        Misuse: it is not one of `KERNELS`.
    """
    if kernel not in KERNELS:
        raise Misuse(f"{name} is {kernel!r}, and must be one of {', '.join(KERNELS)}")


def _matching(value: str, pattern: re.Pattern[str], name: str) -> str:
    if not pattern.fullmatch(value):
        raise Misuse(f"{FILE}: {name} is {value!r}, and must match {pattern.pattern}")
    return value


def _range(value: int, least: int, most: int, name: str) -> int:
    if not least <= value <= most:
        raise Misuse(f"{FILE}: {name} is {value}, and must be {least} to {most}")
    return value


def _packages(names: tuple[str, ...], pattern: re.Pattern[str], key: str) -> tuple[str, ...]:
    for name in names:
        if not pattern.fullmatch(name):
            raise Misuse(f"{FILE}: {key} holds {name!r}, which is no package's name or version")
        if names.count(name) > 1:
            raise Misuse(f"{FILE}: {key} has {name!r} twice")
    return names


def _memory(value: int | None, *, brings: bool) -> int:
    if value is None:
        return 0 if brings else DEFAULT_MEMORY
    return _range(value, 64, 1024 * 1024, "memory (MiB)")


def _beside(text: str, name: str) -> str:
    """A path that may lead out of the app's folder: what it leads to is pinned, or measured whole."""
    if text and (PurePosixPath(text).is_absolute() or "\0" in text):
        raise Misuse(f"{FILE}: {name} is {text!r}, and must be a path relative to the app's folder")
    return text


def _directory(text: str) -> str:
    if text and (not text.startswith("/") or "\0" in text):
        raise Misuse(
            f"{FILE}: app.directory is {text!r}, and must be an absolute path in the image"
        )
    return text


def _entry(words: tuple[str, ...], *, needed: bool) -> tuple[str, ...]:
    if not words and not needed:
        return ()
    if not words or not words[0] or any("\0" in word for word in words):
        raise Misuse(
            f"{FILE}: app.entry names no program",
            fix='write the program and its arguments, such as ["python3.13", "/app/main.py"]',
        )
    return words


def _listen(items: list[Any]) -> tuple[int, ...]:
    ports = []
    for number, item in enumerate(items):
        table = Table(item, f"listen[{number}]")
        port = _range(table.take("port", int, ...), 1, 65535, f"listen[{number}].port")
        table.end()
        if port in ports:
            raise Misuse(f"{FILE}: listen has port {port} twice")
        ports.append(port)
    return tuple(ports)


def _files(value: Any, folder: Path, *, brings: bool) -> tuple[FileRule, ...]:
    """The rules; where the key is absent, the folder `app` goes to `/app`."""
    if value is None:
        present = not brings and (folder / APP_FOLDER).is_dir()
        return (FileRule(source=APP_FOLDER, target="/app"),) if present else ()
    if not isinstance(value, list):
        raise Misuse(f"{FILE}: files is {kind(value)}, and must be a list")
    rules = []
    for number, item in enumerate(value):
        name = f"files[{number}]"
        table = Table({"source": item} if isinstance(item, str) else item, name)
        source = inside(table.take("source", str, ...), f"{name}.source")
        target = table.take("target", str, f"/app/{source}")
        mode = table.take("mode", str, None)
        table.end()
        rules.append(
            FileRule(
                source=source,
                target=_target(target, f"{name}.target"),
                mode=None if mode is None else _mode(mode, f"{name}.mode"),
            )
        )
    return tuple(rules)


def _target(text: str, name: str) -> str:
    path = PurePosixPath(text)
    plain = str(path)
    if not path.is_absolute() or ".." in path.parts or plain in ("/", "//") or "\0" in text:
        raise Misuse(f"{FILE}: {name} is {text!r}, and must be an absolute path in the image")
    inside = plain.lstrip("/")
    check_place(inside, f"{FILE}: {name} is {text!r}")
    return "/" + inside


def check_place(path: str, what: str) -> None:
    """Refuse a place from which the agent, its interpreter or its loader takes code.

    Args:
        path: of a file in the image, without a slash before it.
        what: is there, for the error.

    Raises:
        Misuse: it is one.
    """
    for reserved in _RESERVED:
        if path == reserved or path.startswith(reserved + "/"):
            raise Misuse(f"{what}, and /{reserved} is not the app's to fill")


def _mode(text: str, name: str) -> int:
    if text not in ("644", "755"):
        raise Misuse(
            f'{FILE}: {name} is {text!r}, and must be "755" for a program or "644"; an image has no'
            " other permissions"
        )
    return int(text, 8)
