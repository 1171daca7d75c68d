"""Provenance: whatever a build record says, a statement is made of it and fits it, or it is refused."""

from collections.abc import Iterable

from fuzz.target import Target, same
from fuzz.targets.tcb_info import WORDS
from troth.errors import Malformed, Misuse
from troth.image import components
from troth.release import provenance
from troth.wire import json

_DIGEST = "a1" * 32
_DEB = {
    "name": "python3.13-minimal",
    "version": "3.13.5-2",
    "sha256": _DIGEST,
    "source": "python3.13",
    "source_version": "3.13.5-2",
    "built_using": ["linux 6.12-1"],
}


def _run(data: bytes) -> None:
    record = components.read_record(data, field="record")
    made = provenance.statement(record, record_sha256=_DIGEST, name="app", builder="a:b")
    payload = json.canonical(made)
    same(provenance.parse(payload), made, "a statement written and read again")
    registers = {name: value for name, value in record["nitro"].items() if name != "pcr8"}
    about = provenance.Subject(sha256=record["image"]["sha256"], registers=registers, signed=False)
    said = provenance.problems(made, about, record=record, record_sha256=_DIGEST)
    same(said, (), "a statement held against the record that it was made of")


def _seeds() -> Iterable[bytes]:
    record = {
        "schema": components.SCHEMA,
        "tool": {"name": "troth", "version": "1", "agent_sha256": _DIGEST},
        "recipe_sha256": _DIGEST,
        "lock_sha256": _DIGEST,
        "suite": "trixie",
        "architecture": "amd64",
        "archive_keys": [],
        "kernel": {"asked": "debian", "kind": "debian", "package": _DEB},
        "packages": [
            {"kind": "deb", **_DEB, "files": 3},
            {"kind": "wheel", "name": "cbor2", "version": "6.0", "sha256": _DIGEST},
        ],
        "app": [{"path": "/app/main.py", "sha256": _DIGEST}],
        "image": {"sha256": _DIGEST},
        "nitro": dict.fromkeys(("pcr0", "pcr1", "pcr2"), "00" * 48),
    }
    yield json.canonical(record)
    hardware = {"asked": "hardware", "kind": "hardware", "version": "6", "sha256": _DIGEST}
    more = {"kernel": {**hardware, "package": _DEB}, "builder": [_DEB], "root": {"kind": "oci"}}
    source = {"git": "https://example.com/app", "commit": "ab" * 20, "path": "."}
    yield json.canonical({**record, **more, "source": source})


TARGET = Target(
    run=_run, seeds=_seeds, refuses=(Malformed, Misuse), longest=8192, words=(*WORDS, b"\\ud800")
)
