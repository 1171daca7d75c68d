"""Asking the machine's own apt which Debian packages an image needs, and fetching them.

All of apt's folders are ours, so it works as an ordinary user and neither reads nor changes what is
installed; its sources are ours, signed by the keys that we pin and by nothing else. From the machine
come only the mirrors' addresses and how to reach them (proxies, certificates, credentials).
"""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from troth.errors import Malformed, Misuse, Unavailable
from troth.image.architecture import DEFAULT
from troth.image.fetched import Fetched, Trouble, Why
from troth.image.files import disk
from troth.image.keys import Suite, keyring
from troth.image.lock import Deb
from troth.image.store import digest

_HELPER: Final = "/usr/lib/apt/apt-helper"
_TIMEOUT: Final = 600
_ROOM: Final = 256 << 20  # bytes; the lists of a release, packed and unpacked
_LIST: Final = "apt's list of packages"
_URI_LINE = re.compile(
    r"'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})"
)
_FAILED = re.compile(r"E: Failed to fetch (?P<uri>\S+)\s+(?P<why>.*)")
_ABSENT = ("404", "410", "File not found")
_OTHER_BYTES = ("Hash Sum mismatch", "File has unexpected size")
# Ends in a line of apt's sources: no blank may end the address there, no quote its place in an answer.
_ADDRESS = re.compile(r"[a-z]+:[^\s\x00-\x20\x7f-\U0010ffff'\"]*")
_DATED = re.compile(r"/\d{8}T\d{6}Z(/|$)")
# How to reach a mirror; nothing about what to trust in what it sends.
_REACH = re.compile(
    r"Acquire::(Retries|ForceIPv[46]|https?::(Proxy|CaInfo|CaPath|SslCert|SslKey|Timeout)\b.*) "
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrors:
    """Base addresses of Debian's archive and of its security archive, each with a slash at its end."""

    debian: str
    security: str

    @classmethod
    def of_machine(cls) -> "Mirrors":
        """What this machine's apt is configured with.

        Raises:
            Unavailable: there is no apt, or it has no Debian sources.
        """
        if shutil.which("apt-get") is None:
            raise Unavailable(
                "apt is not on this machine", fix="lock on a Debian or Ubuntu machine or container"
            )
        asked = (
            "apt-get",
            "indextargets",
            "--format",
            "$(REPO_URI) $(RELEASE)",
            "Created-By: Packages",
        )
        done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
        found: dict[str, str] = {}
        for line in done.stdout.splitlines():
            address, _, release = line.partition(" ")
            path = urlsplit(address).path.strip("/").split("/")
            if "debian-security" in path or (
                release.endswith("-security") and "debian" in path[0:1]
            ):
                found.setdefault("security", address)
            elif "debian" in path:
                found.setdefault("debian", address)
        if "debian" not in found:
            raise Unavailable(
                "this machine's apt has no Debian source", fix="name a mirror with --mirror URL"
            )
        return cls.beside(found["debian"], security=found.get("security"))

    @classmethod
    def beside(cls, debian: str, *, security: str | None = None) -> "Mirrors":
        """A mirror that the caller names; its security archive is the folder beside it.

        Args:
            debian: address of the archive; one of its parts is `debian`.
            security: address of the security archive, if it is known.

        Raises:
            Misuse: no address of an archive.
        """
        try:
            parts = urlsplit(debian)
        except ValueError:
            parts = urlsplit("")
        plain = all(_ADDRESS.fullmatch(address) for address in (debian, security or "http:"))
        if (
            not plain
            or parts.scheme not in ("http", "https", "file")
            or "debian" not in parts.path.split("/")
        ):
            raise Misuse(
                f"the mirror {debian!r} is no address of a Debian archive",
                fix="give one whose path has a part `debian`, such as http://HOST/debian/",
            )
        if security is None:
            folders = ["debian-security" if p == "debian" else p for p in parts.path.split("/")]
            security = parts._replace(path="/".join(folders)).geturl()
        return cls(debian=debian.rstrip("/") + "/", security=security.rstrip("/") + "/")

    def of(self, archive: str) -> str:
        """The address of an archive by its name in a lock."""
        return self.security if archive == "security" else self.debian


@dataclass(frozen=True, slots=True, kw_only=True)
class Apt:
    """apt with its folders set up.

    Attributes:
        folder: holds all of its state.
        mirrors: where packages are.
        suite: the release.
    """

    folder: Path
    mirrors: Mirrors
    suite: Suite

    def update(self) -> None:
        """Fetch the lists, under the pinned keys.

        Raises:
            Unavailable: the mirror does not answer, or what it sends is not signed by them.
        """
        done = self._run("apt-get", "-q", "update", "--error-on=any")
        if done.returncode:
            raise Unavailable(
                f"apt can't fetch the lists of {self.suite.name}: {_last_error(done.stderr)}",
                fix="check the network and the clock, or name another mirror with --mirror URL",
            )

    def resolve(self, packages: Sequence[str]) -> dict[str, Deb]:
        """The packages and all that they depend on, by name; nothing counts as installed.

        Raises:
            Misuse: one of them does not exist, or they can't be together.
            Malformed: apt's answer is not the list that we asked for.
        """
        done = self._run(
            "apt-get", "-qq", "--print-uris", "--no-install-recommends", "install", "--", *packages
        )
        if done.returncode:
            raise Misuse(
                f"{self.suite.name} can't give {', '.join(packages)}: {_last_error(done.stderr)}",
                fix="correct debian.packages in troth.toml",
            )
        found = parse_uris(done.stdout, self.mirrors)
        # apt reads `name-` as a wish to remove, and what it does not know as a pattern.
        for package in packages:
            if package.partition("=")[0] not in found:
                raise Misuse(
                    f"{self.suite.name} has no package of the very name {package!r}",
                    fix="correct debian.packages in troth.toml; name a real package, not a virtual one",
                )
        return found

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return _run(words, self.folder)


def parse_uris(text: str, mirrors: Mirrors) -> dict[str, Deb]:
    """The packages, by name, that apt's `--print-uris` lists.

    Raises:
        Malformed: a line is no address with a SHA-256, is outside the mirror, or names one twice.
    """
    found: dict[str, Deb] = {}
    for line in text.splitlines():
        deb = _deb(line.strip(), mirrors)
        if deb.name in found:
            raise Malformed(f"has {deb.name} twice", field=_LIST)
        found[deb.name] = deb
    return found


def _deb(line: str, mirrors: Mirrors) -> Deb:
    match = _URI_LINE.fullmatch(line)
    if match is None:
        raise Malformed(f"has {line[:200]!r}, which is no address with a SHA-256", field=_LIST)
    uri, words = match["uri"], match["file"].split("_")
    # apt writes `file:/…` for `file:///…`.
    bases = {
        name: re.sub(r"^file:/+", "file:/", mirrors.of(name)) for name in ("security", "debian")
    }
    archive = next((name for name, base in bases.items() if uri.startswith(base)), None)
    if archive is None or len(words) != 3:
        raise Malformed(f"has {line[:200]!r}, which is no package of the mirror", field=_LIST)
    return Deb(
        name=words[0],
        version=unquote(words[1]),
        archive=archive,
        path=unquote(uri[len(bases[archive]) :]),
        size=int(match["size"]),
        sha256=match["sha256"],
    )


@contextmanager
def apt(
    suite: Suite, mirrors: Mirrors, *, lists: Path, architecture: str = DEFAULT
) -> Iterator[Apt]:
    """Apt for one release, in a folder that is gone afterwards but for the lists.

    Args:
        suite: the release.
        mirrors: where packages are.
        lists: folder for the lists, kept so that the next lock is quick.
        architecture: Debian's word for the machine that packages are for.
    """
    with ExitStack() as stack:
        stack.enter_context(disk("preparing apt"))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="troth-apt-")))
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(lists).free < _ROOM:  # apt would wait for ever
            raise Unavailable(
                f"{lists} has less than {_ROOM >> 20} MiB left for package lists",
                fix="free space, or choose another disk with XDG_CACHE_HOME",
            )
        alone = stack.enter_context((lists.parent / f"{lists.name}.lock").open("w"))
        fcntl.flock(alone, fcntl.LOCK_EX)  # apt gives up where somebody else is at its lists
        _prepare(folder, lists, architecture)
        keys = folder / "keys.gpg"
        keys.write_bytes(keyring(suite))
        lines = []
        options = f"arch={architecture} signed-by={keys}"
        for uri, release in (
            (mirrors.debian, suite.name),
            (mirrors.debian, f"{suite.name}-updates"),
            (mirrors.security, f"{suite.name}-security"),
        ):
            # A dated snapshot is old by the user's own wish; its signature is checked all the same.
            dated = " check-valid-until=no" if _DATED.search(uri) else ""
            lines.append(f"deb [{options}{dated}] {uri} {release} main\n")
        (folder / "sources.list").write_text("".join(lines))
        yield Apt(folder=folder, mirrors=mirrors, suite=suite)


def download(debs: Sequence[Deb], mirrors: Mirrors, into: Path) -> Fetched:
    """Fetch packages by their paths; apt compares the digests."""
    with disk("preparing apt"), tempfile.TemporaryDirectory(prefix="troth-apt-") as name:
        folder = Path(name)
        (folder / "lists" / "partial").mkdir(parents=True)
        _prepare(folder, folder / "lists")
        words = [_HELPER, "-q", "download-file"]
        for deb in debs:
            words += (_address(deb, mirrors), str(into / deb.sha256), f"SHA256:{deb.sha256}")
        done = _run(words, folder)
    said = parse_failures(done.stderr)
    general = Trouble(why=Why.UNREACHABLE, said=_last_error(done.stderr))
    files, troubles = {}, {}
    for deb in debs:
        place = into / deb.sha256
        # Where the disk was full, apt leaves what it had.
        if place.is_file() and digest(place.read_bytes()) == deb.sha256:
            files[deb.sha256] = place
        else:
            troubles[deb.sha256] = said.get(_bare(_address(deb, mirrors)), general)
    return Fetched(files=files, troubles=troubles)


def parse_failures(text: str) -> dict[str, Trouble]:
    """What apt says of each address that it could not fetch."""
    found = {}
    for line in text.splitlines():
        if match := _FAILED.fullmatch(line.strip()):
            said = match["why"].strip()
            why = Why.UNREACHABLE
            if said.startswith(_ABSENT):
                why = Why.GONE
            elif said.startswith(_OTHER_BYTES):
                why = Why.ALTERED
            found[_bare(match["uri"])] = Trouble(why=why, said=said)
    return found


def _address(deb: Deb, mirrors: Mirrors) -> str:
    return mirrors.of(deb.archive) + quote(deb.path, safe="/+~")


def _bare(uri: str) -> str:
    """An address as apt and we would both write it: unquoted, and `file:` with one slash."""
    return re.sub(r"^file:/+", "file:/", unquote(uri))


def _prepare(folder: Path, lists: Path, architecture: str = DEFAULT) -> None:
    """Empty state, nothing installed, and the way to the mirrors from the machine's configuration."""
    for part in ("state", "cache/archives/partial"):
        (folder / part).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").touch()
    settings = {
        "Dir::Etc::main": "/dev/null",
        "Dir::Etc::parts": "/dev/null",
        "Dir::Etc::sourcelist": f"{folder}/sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::Etc::trusted": "/dev/null",
        "Dir::Etc::trustedparts": "/dev/null",
        "Dir::State": f"{folder}/state",
        "Dir::State::lists": str(lists),
        "Dir::State::status": f"{folder}/status",
        "Dir::Cache": f"{folder}/cache",
        "APT::Architecture": architecture,
        "APT::Sandbox::User": "",
        "APT::Get::AllowUnauthenticated": "false",
        "Acquire::AllowInsecureRepositories": "false",
        "Acquire::AllowWeakRepositories": "false",
        "Acquire::AllowDowngradeToInsecureRepositories": "false",
        "Acquire::ForceHash": "SHA256",
        "Acquire::Languages": "none",
    }
    lines = [f'{key} "{value}";' for key, value in settings.items()]
    lines.append(f'APT::Architectures {{ "{architecture}"; }};')
    done = subprocess.run(
        ["apt-config", "dump"], capture_output=True, text=True, check=False, timeout=60
    )
    lines += [line for line in done.stdout.splitlines() if _REACH.match(line)]
    (folder / "apt.conf").write_text("\n".join(lines) + "\n")


def _run(words: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **{key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")},
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "APT_CONFIG": str(folder / "apt.conf"),
        "LC_ALL": "C.UTF-8",
        "HOME": str(folder),
    }
    try:
        return subprocess.run(
            words,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT,
        )
    except FileNotFoundError:
        raise Unavailable(
            "apt is not on this machine", fix="lock on a Debian or Ubuntu machine or container"
        ) from None
    except subprocess.TimeoutExpired:
        raise Unavailable(
            f"apt did not end within {_TIMEOUT} seconds", fix="check the network"
        ) from None


def _last_error(text: str) -> str:
    errors = [line[3:].strip() for line in text.splitlines() if line.startswith("E: ")]
    return errors[0] if errors else "it said nothing"
