"""Records of advisories: whatever one says, it is about a version, or is not, or it cannot be told."""

from collections.abc import Iterable

from fuzz.target import Target
from troth.errors import Malformed
from troth.release import osv
from troth.release.audit import affects
from troth.release.debian_version import DebianVersion

_MINE = ("1.0", "1:2.3~rc1-4", "0")
_SEED = (
    b'{"id":"A-1","modified":"2026-01-02T03:04:05Z","aliases":["CVE-1"],"affected":[{"package":'
    b'{"ecosystem":"Debian:13","name":"x"},"versions":["1.0"],"ranges":[{"type":"ECOSYSTEM","events":'
    b'[{"introduced":"0"},{"fixed":"1:1~"},{"introduced":"2"},{"last_affected":"3"},{"limit":"*"}]}]}],'
    b'"database_specific":{"score":7.5}}'
)


def _run(data: bytes) -> None:
    for record in osv.records(data, "record"):
        for advisory in osv.affected(record, "A", "record"):
            for version in _MINE:
                affects(advisory, version, DebianVersion)


def _seeds() -> Iterable[bytes]:
    yield _SEED
    yield b"[" + _SEED + b"," + _SEED.replace(b"ECOSYSTEM", b"GIT") + b"]"


TARGET = Target(
    run=_run,
    seeds=_seeds,
    refuses=(Malformed,),
    longest=2048,
    words=(b'"introduced":', b'"fixed":', b'"0"', b"~", b"NaN", b"1e999", b"null"),
)
