"""How a log asks a witness for a cosignature (c2sp.org/tlog-witness): the request, and what becomes of the answer.

    old 20852014
    PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=

    example.com/log
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — example.com/log Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=

Opens no socket: whoever asks hands in how a request is sent.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from troth.crypto import merkle
from troth.errors import Malformed, Unavailable
from troth.tlog import checkpoint as checkpoints
from troth.tlog import note as notes
from troth.tlog.note import Kind, Signature, VerifierKey
from troth.wire.text import from_base64

PATH: Final = "add-checkpoint"
SIZE_TYPE: Final = "text/x.tlog.size"
MOST_PROOF: Final = 63
MOST_REQUEST: Final = notes.MOST_BYTES + (MOST_PROOF + 2) * 64
MOST_ANSWER: Final = 64 * 1024
_OLD: Final = re.compile(r"old (0|[1-9][0-9]{0,18})")
_SIZE: Final = re.compile(rb"(0|[1-9][0-9]{0,18})\n")
_TRIES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A checkpoint that shall be cosigned.

    Attributes:
        old_size: of the tree that the witness knows, as whoever asks believes.
        proof: that the new tree begins with that one, RFC 6962, section 2.1.2.
        note: the checkpoint, signed by its log.
    """

    old_size: int
    proof: tuple[bytes, ...]
    note: bytes

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Reads the body of a request. The note in it is not read.

        Raises:
            Malformed: a line is not what it should be, or there are more than 63 of proof.
        """
        if len(data) > MOST_REQUEST:
            raise Malformed(f"has more than {MOST_REQUEST} bytes", field="request")
        above, separator, note = data.partition(b"\n\n")
        lines = above.split(b"\n", MOST_PROOF + 2)
        old = _OLD.fullmatch(lines[0].decode("latin-1"))
        if not separator or old is None:
            raise Malformed(
                "should begin with `old SIZE`, lines of proof, an empty line", field="request"
            )
        if len(lines) > MOST_PROOF + 1:
            raise Malformed(f"has more than {MOST_PROOF} lines of proof", field="request")
        return cls(old_size=int(old[1]), proof=tuple(map(_digest, lines[1:])), note=note)

    def encode(self) -> bytes:
        """The bytes that `parse` reads."""
        lines = (f"old {self.old_size}", *(base64.b64encode(d).decode() for d in self.proof))
        return "\n".join(lines).encode() + b"\n\n" + self.note


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a witness says.

    Attributes:
        status: HTTP's: 200 cosigned, 400 malformed, 403 not signed by the log, 404 unknown log, 409 another
            size than the witness has, or another root for it, 422 a proof that does not hold, 503 not now.
        content_type: of the body.
        body: lines of signature; the witness's own size; or words.
        finding: what the witness's keeper must be told, or an empty string.
    """

    status: int
    content_type: str
    body: bytes
    finding: str = ""


class Refused(Unavailable):
    """A witness does not cosign this checkpoint."""


def cosign(
    note: bytes,
    *,
    witness: VerifierKey,
    send: Callable[[bytes], Answer],
    prove: Callable[[int], tuple[bytes, ...]],
    known: int = 0,
) -> tuple[Signature, ...]:
    """Asks one witness for its cosignature of a checkpoint.

    Args:
        note: the checkpoint, signed by its log.
        witness: its key; cosignatures of any other are not taken.
        send: sends a request and gives the answer.
        prove: gives the proof that the checkpoint's tree begins with that of a size.
        known: the size that the witness had when it last answered, if that is known.

    Raises:
        Refused: it does not, with its reason; above all where it knows more of the log, or another tree.
        Malformed: the note is no checkpoint.
    """
    text = notes.parse(note).text
    size = checkpoints.parse(text).size
    old = known if known <= size else 0
    for _ in range(_TRIES):
        proof = prove(old) if 0 < old < size else ()
        answer = send(Request(old_size=old, proof=proof, note=note).encode())
        if answer.status == 200:
            return cosignatures(text, answer.body, witness=witness)
        stated = _SIZE.fullmatch(answer.body) if answer.status == 409 else None
        if stated is None:
            break
        if (theirs := int(stated[1])) > size:
            raise Refused(
                f"{witness.name} has seen {theirs} entries of this log, which has {size}",
                fix="this log has lost entries: find the copy that has them; never sign another history",
            )
        if theirs == old:
            raise Refused(
                f"{witness.name} knows another tree of {theirs} entries of this log",
                fix="two histories were signed with this log's key: stop, and find out who did",
            )
        old = theirs
    else:
        raise Refused(
            f"{witness.name} moves on faster than it is asked", fix="let one process append"
        )
    raise Refused(
        f"{witness.name} does not cosign: {answer.status}"
        f" {answer.body[:200].decode('utf-8', 'replace').strip()}".rstrip(),
        fix="404 is a witness that was not told of this log: give its keeper the log's key",
    )


def cosignatures(text: str, lines: bytes, *, witness: VerifierKey) -> tuple[Signature, ...]:
    """A witness's cosignatures in its answer; lines of other keys are left out, as the format wants it.

    Raises:
        Refused: there is none, or one does not verify.
    """
    if len(lines) > MOST_ANSWER or witness.kind is not Kind.COSIGNATURE:
        raise Refused(f"{witness.name} answers too much, or its key is no witness's")
    try:
        note = notes.parse(text.encode() + b"\n" + lines, field="answer")
    except Malformed as error:
        raise Refused(f"{witness.name} answers with what is no cosignature: {error}") from None
    if note.text != text:
        raise Refused(f"{witness.name} answers with more than lines of signature")
    found = notes.signers(note, [witness]).get(witness, ())
    if not found:
        raise Refused(
            f"{witness.name} answers with no cosignature of the key {witness.id.hex()}",
            fix="check the witness's key, and that the address is the witness's",
        )
    return found


def _digest(line: bytes) -> bytes:
    digest = from_base64(line, field="proof")
    if len(digest) != merkle.SIZE:
        raise Malformed(f"has {len(digest)} bytes, should have 32", field="proof")
    return digest
