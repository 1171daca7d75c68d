"""Proofs that an entry is in a log: none but those of this log's own entries, however the bytes are bent."""

from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fuzz.target import Target, must, same
from troth.crypto import merkle
from troth.tlog import proof
from troth.tlog.checkpoint import Checkpoint
from troth.tlog.note import Kind, Note, VerifierKey
from troth.tlog.proof import Proof
from troth.tlog.signer import SigningKey

ENTRIES = tuple(b"entry %d" % index for index in range(13))
AT = 1_770_000_000


def _key(name: str, kind: Kind, seed: int) -> SigningKey:
    private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    public = private.public_key().public_bytes_raw()
    return SigningKey(verifier=VerifierKey(name=name, kind=kind, public=public), private=private)


LOG = _key("example.com/log", Kind.ED25519, 1)
WITNESS = _key("witness.example", Kind.COSIGNATURE, 2)
DIGESTS = tuple(map(merkle.leaf, ENTRIES))
STATE = Checkpoint(origin="example.com/log", size=len(ENTRIES), root=merkle.root(DIGESTS))


def _run(data: bytes) -> None:
    read = proof.parse(data)
    same(read.encode(), data, "a proof written again")
    entry = ENTRIES[read.index % len(ENTRIES)]
    proved = proof.check(read, entry, log=LOG.verifier, witnesses=[WITNESS.verifier])
    must(proved.signed.checkpoint == STATE, "what was accepted is not what was signed")
    must(ENTRIES[proved.index] == entry, "an entry was proved at another's place")
    times = proved.signed.times.get(WITNESS.verifier, ())
    must(all(int(time.timestamp()) == AT for time in times), "a time was not the witness's")


def _seeds() -> Iterable[bytes]:
    text = STATE.text()
    signatures = (LOG.sign(text), WITNESS.sign(text, time=AT))
    note = Note(text=text, signatures=signatures).encode()
    for index in (0, 6, 12):
        hashes = tuple(merkle.root(DIGESTS[a:b]) for a, b in merkle.path(index, len(ENTRIES)))
        for extra in (None, b"extra"):
            yield Proof(index=index, hashes=hashes, checkpoint=note, extra=extra).encode()


TARGET = Target(
    run=_run,
    seeds=_seeds,
    words=("— ".encode(), b"extra ", b"index ", b"\n\n", b"example.com/log", b"13"),
)
