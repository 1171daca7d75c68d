"""The repository names no machine: no mirror, no index, no path of somebody's disk.

Where packages come from is the user's configuration. Addresses that a reader may follow are listed here,
so that a new one is a decision and not an accident.
"""

import re
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
FOLDERS = (
    *("src", "tests", "docs", "examples", "scripts", "bench", "fuzz", "requirements", "releases"),
    ".ci",
)
TEXT = {
    *("", ".css", ".entry", ".go", ".html", ".in", ".json", ".lock", ".md", ".mjs", ".mod", ".nix"),
    *(".pem", ".pl", ".provenance", ".pub", ".py", ".rs", ".sh", ".sum", ".t", ".toml", ".tsv"),
    ".txt",
}

MADE = {"__pycache__", "bin", "target"}  # examples that somebody compiled

# Standards, vendors' own pages, and the names that are reserved for examples.
ADDRESSES = {
    "aws.amazon.com",
    "aws-nitro-enclaves.amazonaws.com",
    "docs.aws.amazon.com",
    "api.trustedservices.intel.com",
    "certificates.trustedservices.intel.com",
    "kdsintf.amd.com",
    "rim.attestation.nvidia.com",
    "ocsp.ndis.nvidia.com",
    "nras.attestation.nvidia.com",
    "nras.attestation-stg.nvidia.com",
    "portal.trustauthority.intel.com",
    "portal.eu.trustauthority.intel.com",
    "confidentialcomputing.googleapis.com",
    "www.googleapis.com",
    "cloud.google.com",
    "standards.iso.org",
    "trustedcomputinggroup.org",
    "datatracker.ietf.org",
    "www.rfc-editor.org",
    "json-schema.org",
    "keepachangelog.com",
    "semver.org",
    "slsa.dev",
    "cyclonedx.org",
    "in-toto.io",
    "tinfoil.sh",  # names of formats, not places
    "token.actions.githubusercontent.com",  # who GitHub's tokens are of
    "reproducible-builds.org",
    "www.apache.org",
    "www.w3.org",
    "github.com",
    "localhost",
    "127.0.0.1",
}
# Azure's service has a host for each tenant.
RESERVED = (
    *(".example", ".test", ".invalid", ".localhost", "example.com", "example.org"),
    ".attest.azure.net",
)

URL = re.compile(r"\b(?:https?|ftp|mirror|git\+https)://(?:[^/\s@]*@)?([A-Za-z0-9.-]*[A-Za-z0-9])")
# Labels that the host name of a package source has in front of a public suffix.
SOURCE = re.compile(
    r"\b(?:[a-z0-9-]+\.)*(?:[a-z0-9-]*pypi[a-z0-9-]*|pythonhosted|[a-z0-9-]*mirrors?|snapshot|ftp|deb"
    r"|archive|registry)(?:\.[a-z0-9-]+)*\.(?:org|com|net|io|dev|cloud)\b"
)
# Places where a person's or a machine's own files live.
DISK = re.compile(r"(?<![\w.~$}<*-])/(?:home|root|Users|work|workspace|builds?)/\w+")


def _files() -> list[Path]:
    inner = (path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*"))
    outer = (path for path in REPOSITORY.iterdir() if path.name not in (".git", ".coverage"))
    return sorted(
        path
        for path in (*inner, *outer)
        if path.is_file() and path.suffix in TEXT and MADE.isdisjoint(path.parts)
    )


FILES = [path for path in _files() if path != Path(__file__)]


def _offenders(find: Callable[[str], set[str]]) -> dict[str, set[str]]:
    found = {
        # A log's tiles are hashes, or entries with their lengths before them.
        str(path.relative_to(REPOSITORY)): find(path.read_text(encoding="utf-8", errors="replace"))
        for path in FILES
    }
    return {name: words for name, words in found.items() if words}


def _strangers(text: str) -> set[str]:
    hosts = {host.lower() for host in URL.findall(text)}
    return {h for h in hosts if "." in h and not h.endswith(RESERVED) and h not in ADDRESSES}


def test_every_address_is_one_that_a_reader_may_follow() -> None:
    assert _offenders(_strangers) == {}


def test_no_package_source_is_named() -> None:
    assert _offenders(lambda text: set(SOURCE.findall(text))) == {}


def test_no_machine_path_is_named() -> None:
    assert _offenders(lambda text: set(DISK.findall(text))) == {}
