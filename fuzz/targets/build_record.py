"""Build records, as a stranger hands them to `troth rebuild`."""

from collections.abc import Iterable

from fuzz.target import Target, must
from fuzz.targets.tcb_info import WORDS
from troth.errors import Malformed, Misuse
from troth.image import checkout, git, stated
from troth.image.store import digest
from troth.wire import json


def _run(data: bytes) -> None:
    found = stated.read(data, field="record")
    must(
        digest(found.lock.encode()) == found.document["lock_sha256"],
        "a lock that is not the digest's",
    )
    if found.source is not None:
        checkout.check(found.source)
        must(found.source.git.startswith(git.PROTOCOLS), "an address of another kind")


def _seeds() -> Iterable[bytes]:
    source = {"git": "https://example.org/x", "commit": "1" * 40, "tag": "v1", "path": "a/b"}
    record = {
        "schema": stated.SCHEMA,
        "tool": {"name": "troth", "version": "1", "agent_sha256": "0" * 64},
        "recipe": "x",
        "recipe_sha256": digest(b"x"),
        "lock": "{}",
        "lock_sha256": digest(b"{}"),
        "kernel": {"kind": "debian"},
        "app": [{"path": "/app/a", "sha256": "0" * 64}],
        "image": {"sha256": "0" * 64},
        "nitro": {"pcr0": "0" * 96},
    }
    yield json.canonical(record)
    yield json.canonical({**record, "source": source})
    yield json.canonical({**record, "source": {**source, "made": ["bin/x"]}})


TARGET = Target(
    run=_run,
    seeds=_seeds,
    refuses=(Malformed, Misuse),
    longest=8192,
    words=(*WORDS, b"file://", b"ssh://-", b"ext::", b"../", b"--", b"\\u0000"),
)
