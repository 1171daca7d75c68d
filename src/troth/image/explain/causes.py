"""What usually makes two builds differ, and what is done about it. Each has a section in the guide's table."""

from dataclasses import dataclass
from typing import Final

PAGE: Final = "docs/reference/differences.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A usual cause.

    Attributes:
        name: of its section in the page.
        words: what it is, in one line.
        fix: what ends it.
    """

    name: str
    words: str
    fix: str

    @property
    def more(self) -> str:
        """Where it is explained."""
        return f"{PAGE}#{self.name}"


TIME: Final = Cause(
    name="a-time-stamp",
    words="the time of the build is in it",
    fix="give the tool SOURCE_DATE_EPOCH, or its own switch: gzip -n, tar --mtime=@0, zip -X with touched files",
)
ORDER: Final = Cause(
    name="an-order",
    words="the same parts in another order: a folder's own, or a locale's",
    fix="sort what goes in, by bytes: LC_ALL=C sort, tar --sort=name, sorted() in Python",
)
PATH: Final = Cause(
    name="a-path-of-the-build",
    words="the folder of the build is in it",
    fix="-ffile-prefix-map=$PWD=. in C, -trimpath in Go, --remap-path-prefix in Rust",
)
BUILD_ID: Final = Cause(
    name="a-build-id",
    words="the linker's build-id is a hash of the rest, or of chance",
    fix="make the rest equal first; then -Wl,--build-id=sha1, or none",
)
COMPILER: Final = Cause(
    name="another-compiler",
    words="another compiler or linker made it",
    fix="pin the tool by digest, as the lock pins packages",
)
MODE: Final = Cause(
    name="a-mode",
    words="permissions were taken from a working folder or a umask",
    fix='write mode = "755" or "644" in the recipe\'s `files`, or commit the bit: git update-index --chmod=+x',
)
BYTECODE: Final = Cause(
    name="bytecode-with-a-time",
    words="Python bytecode that names its source's time, and not its hash",
    fix="python -m compileall --invalidation-mode unchecked-hash; or ship none, and let troth compile",
)
PYTHON: Final = Cause(
    name="another-python",
    words="bytecode of another version of Python",
    fix="let the locked interpreter compile, as troth does",
)
SEED: Final = Cause(
    name="a-hash-seed",
    words="a set was written in the order of a hash seed",
    fix="PYTHONHASHSEED=0 for whatever compiles or writes it",
)
REFERENCES: Final = Cause(
    name="bytecode-references",
    words="the same code, with other marks for what is used twice: these hang on what was compiled before",
    fix="compile each file in a process of its own, as troth does",
)
COMPRESSOR: Final = Cause(
    name="a-compressor",
    words="the same content, packed by another version or level of the compressor",
    fix="pin the compressor, or do not compress what is measured",
)
OWNER: Final = Cause(
    name="an-owner",
    words="who built it is in it: names and numbers of users",
    fix="tar --owner=0 --group=0 --numeric-owner",
)
PACKAGE: Final = Cause(
    name="another-package",
    words="another package than the lock names, or another version of it",
    fix="take the lock as it is; `troth lock --update` makes a new one, for another image",
)
REPACKED: Final = Cause(
    name="a-wheel-packed-again",
    words="a wheel's list of its files (RECORD) is another: it was built or packed again",
    fix="lock the wheel that was published, by its SHA-256",
)
COMMAND_LINE: Final = Cause(
    name="a-command-line",
    words="the kernel is told something else",
    fix="build with the same troth and kernel; another builder's command line is another image",
)
TROTH: Final = Cause(
    name="another-troth",
    words="another version of troth built it: its agent is a part of every image",
    fix="rebuild with the version that the record names",
)
SOURCE: Final = Cause(
    name="another-source",
    words="the app's own file is another one",
    fix="take the commit that the record names; uncommitted changes are nobody else's",
)
LINE_ENDS: Final = Cause(
    name="line-ends",
    words="the same lines with other ends: git or an editor turned LF into CRLF",
    fix="write `* -text` or `eol=lf` into .gitattributes",
)
FILES: Final = Cause(
    name="a-file-too-many",
    words="a file is there that the other build did not have: a leftover, a cache, another package",
    fix="build from a fresh clone; name files one by one in the recipe",
)
CHANCE: Final = Cause(
    name="chance",
    words="a random or unique number is in it",
    fix="make the tool take a fixed seed, or make the number from the content",
)
LINK: Final = Cause(
    name="a-link",
    words="a link leads elsewhere",
    fix="make links relative, and the same wherever it is built",
)
PACKING: Final = Cause(
    name="another-packing",
    words="the same files, packed in another way: order or numbers of the archive's own",
    fix="pack with troth's own writer: `troth build`",
)

ALL: Final = (
    TIME, ORDER, PATH, BUILD_ID, COMPILER, MODE, BYTECODE, PYTHON, SEED, REFERENCES, COMPRESSOR, OWNER,
    PACKAGE, REPACKED, COMMAND_LINE, TROTH, SOURCE, LINE_ENDS, FILES, CHANCE, LINK, PACKING,
)  # fmt: skip
