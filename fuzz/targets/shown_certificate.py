"""A certificate of somebody's evidence as people are shown it, and as chains are built of it."""

from fuzz.target import Target, attempt
from fuzz.targets.certificate import TARGET as CERTIFICATE
from troth.crypto import issued
from troth.render.certificates import describe


def _run(data: bytes) -> None:
    attempt(describe, data)
    issued.title(issued.read(data))


TARGET = Target(
    run=_run,
    seeds=CERTIFICATE.seeds,
    longest=CERTIFICATE.longest,
    words=(*CERTIFICATE.words, b"\x18\x0f00000101000000Z", b"\x18\x0f99991231235959Z"),
)
