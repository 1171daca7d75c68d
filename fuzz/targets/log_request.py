"""Requests to a witness: one encoding each, and answers of a witness: no cosignature but its own of this checkpoint."""

from collections.abc import Iterable

from fuzz.target import Target, must, same
from fuzz.targets.log_proof import AT, DIGESTS, LOG, STATE, WITNESS
from troth.crypto import merkle
from troth.errors import Malformed
from troth.tlog import note as notes
from troth.tlog import witnessing
from troth.tlog.note import Note
from troth.tlog.witnessing import Refused, Request

TEXT = STATE.text()
SIGNED = Note(text=TEXT, signatures=(LOG.sign(TEXT),)).encode()
_LINE = WITNESS.sign(TEXT, time=AT).line().encode()


def _run(data: bytes) -> None:
    try:
        found = witnessing.cosignatures(TEXT, data, witness=WITNESS.verifier)
    except Refused:
        found = ()
    for signature in found:
        time = notes.time_of(signature)
        must(time is not None and int(time.timestamp()) == AT, "a time was not the witness's")
    request = Request.parse(data)
    same(request.encode(), data, "a request written again")
    wrong = merkle.consistent(
        request.old_size, merkle.root(DIGESTS[: request.old_size]), 13, STATE.root, request.proof
    )
    try:
        whole = notes.parse(request.note)
    except Malformed:
        return
    signed = LOG.verifier in notes.signers(whole, [LOG.verifier])
    must(not signed or whole.text == TEXT, "the log's signature was taken for another text")
    must(bool(wrong) or request.old_size <= len(DIGESTS), "a larger tree was the beginning of ours")


def _seeds() -> Iterable[bytes]:
    for old in (0, 5, 8, 13):
        parts = merkle.growth(old, len(DIGESTS)) if 0 < old < len(DIGESTS) else ()
        proof = tuple(merkle.root(DIGESTS[a:b]) for a, b in parts)
        yield Request(old_size=old, proof=proof, note=SIGNED).encode()
    yield _LINE
    yield LOG.sign(TEXT).line().encode() + _LINE


TARGET = Target(
    run=_run,
    seeds=_seeds,
    words=("— ".encode(), b"old ", b"\n\n", b"example.com/log", b"13"),
)
