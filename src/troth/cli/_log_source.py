"""A log or a witness by what the user wrote: a folder, or an address."""

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from troth.cli._console import read_source, say
from troth.errors import Malformed, Misuse, Unavailable
from troth.render.escape import visible

if TYPE_CHECKING:
    from troth.tlog.checkpoint import Checkpoint
    from troth.tlog.note import Signature, VerifierKey
    from troth.tlog.read import Fetch, Reader
    from troth.tlog.signer import SigningKey
    from troth.tlog.witnessing import Answer

_URL: Final = re.compile(r"https?://")
_PROBED: Final = 512
_READ: Final = 4096
_AT_ONCE: Final = 8
_MOST_KEY: Final = 4096
_SEARCHED: Final = 2_000_000


def fetch(source: str) -> "Fetch":
    """What gives the files of a log.

    Raises:
        Misuse: there is no such folder, or the address may not be asked.
    """
    from troth.tlog import read, tiles

    if _URL.match(source):
        from troth.trust.site import Site

        site = Site(source)
        return lambda path: site.get(path, limit=tiles.most(path))
    folder = Path(source)
    if not folder.is_dir():
        raise Misuse(f"there is no log in {source}", fix="name its folder, or its https address")
    return read.files(folder.resolve())


def reader(source: str) -> "Reader":
    """A log to be read. Raises as `fetch` does."""
    from troth.tlog.read import Reader

    return Reader(fetch(source))


def newest(source: str, log: "VerifierKey | None") -> "tuple[Reader, bytes, Checkpoint]":
    """A log, its newest checkpoint as served, and what that says.

    Args:
        source: folder or address.
        log: the key that must have signed it; None verifies nothing.

    Raises:
        Malformed: it is no checkpoint, or its log did not sign it.
        Unavailable: it cannot be reached.
    """
    from troth.tlog import checkpoint as checkpoints
    from troth.tlog import note as notes

    found = reader(source)
    note = found.checkpoint()
    if log is None:
        return found, note, checkpoints.parse(notes.parse(note, field="checkpoint").text)
    return found, note, checkpoints.opened(note, log=log).checkpoint


def history(source: str, size: int) -> tuple[bytes, ...]:
    """Earlier checkpoints that have cosignatures, the smallest first; 512 of them at most, see `snapshot.thinned`.

    Over the network nobody lists them, so 512 sizes are asked for.
    """
    from troth.tlog import note as notes
    from troth.tlog import read, snapshot, tiles

    get = fetch(source)
    if _URL.match(source):
        sizes = snapshot.thinned(range(1, size), _PROBED)
    else:
        folder = Path(source)
        there = read.history(folder) if (folder / tiles.HISTORY).is_dir() else ()
        sizes = snapshot.thinned([known for known in there if 0 < known < size], _READ)

    def one(earlier: int) -> bytes | None:
        name = f"{tiles.HISTORY}/{earlier}"
        try:
            data = get(name)
        except Unavailable as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        return data if len(notes.parse(data, field=name).signatures) > 1 else None

    with ThreadPoolExecutor(_AT_ONCE) as pool:  # each is a connection of its own
        noted = pool.map(one, sizes)
        return tuple(snapshot.thinned(tuple(filter(None, noted)), snapshot.MOST_OLDER))


def key(text: str, *, name: str) -> "VerifierKey":
    """A public key: in one line, or a file that has it.

    Raises:
        Misuse: it is none.
    """
    from troth.tlog import note as notes

    if "+" not in text and Path(text).is_file():
        text = read_source(text, limit=_MOST_KEY).decode("utf-8", "replace")
    return notes.verifier_key(text, source=name)


def signing_key(path: Path) -> "SigningKey":
    """A private key: a log's, or an owner's.

    Raises:
        Malformed: it is none.
        Unavailable: it cannot be read.
    """
    from troth.tlog.signer import SigningKey

    text = read_source(str(path), limit=_MOST_KEY).decode("utf-8", "replace")
    return SigningKey.read(text, source=str(path))


def asking(named: Sequence[str], keys: Sequence[str], *, threshold: int) -> "Asking | None":
    """The witnesses of a command line, or None where it names none.

    Args:
        named: `--witness`.
        keys: `--witness-key`, each in one line or a file that has it.
        threshold: `--witness-threshold`.

    Raises:
        Misuse: as `Asking`, or there are keys or a number of nobody.
    """
    if named:
        public = [key(text, name="--witness-key") for text in keys]
        return Asking(named, public, threshold=threshold)
    if keys or threshold:
        raise Misuse("no witness is named", fix="add --witness")
    return None


class Asking:
    """Asks several witnesses; what `Log.append` takes as `cosign`.

    Args:
        named: folders of witnesses on this machine, or addresses.
        keys: of those that are addresses, in their order.
        threshold: how many must cosign; 0 is all.

    Raises:
        Misuse: a key is missing, or is no witness's; or more must cosign than are named.
    """

    def __init__(
        self,
        named: Sequence[str],
        keys: "Sequence[VerifierKey]",
        *,
        threshold: int,
    ) -> None:
        addresses = [text for text in named if _URL.match(text)]
        if len(addresses) != len(keys):
            raise Misuse(
                f"{len(addresses)} witnesses are addresses, and {len(keys)} keys are given",
                fix="give --witness-key for each --witness that is an address, in the same order",
            )
        if not 0 <= threshold <= len(named):
            raise Misuse(f"{threshold} of {len(named)} witnesses cannot have to cosign")
        left = iter(keys)
        self._asked = [
            _at_address(text, next(left)) if _URL.match(text) else _in_folder(Path(text))
            for text in named
        ]
        if len({witness.public for witness, _ in self._asked}) != len(self._asked):
            raise Misuse("one witness is named twice", fix="name each witness once")
        self._threshold = threshold or len(named)

    @property
    def keys(self) -> "tuple[VerifierKey, ...]":
        """Those of all witnesses, in their order."""
        return tuple(witness for witness, _ in self._asked)

    def __call__(
        self, note: bytes, size: int, prove: Callable[[int], tuple[bytes, ...]]
    ) -> "list[Signature]":
        """The cosignatures of a checkpoint, each verified; says who does not cosign, and why.

        Raises:
            Unavailable: too few cosign it.
        """
        from troth.tlog import witnessing

        found: list[Signature] = []
        cosigned, why = 0, None
        for witness, send in self._asked:
            try:
                found += witnessing.cosign(
                    note, witness=witness, send=send, prove=prove, known=size
                )
                cosigned += 1
            except Unavailable as error:
                say(visible(f"{witness.name} did not cosign: {error}"))
                why = error
        if cosigned < self._threshold:
            raise Unavailable(
                f"{cosigned} of {self._threshold} witnesses cosigned; the entries are kept, and nothing was"
                " published",
                fix=(why.fix if why else "")
                or "run `troth tlog append DIR` without an entry to ask again",
            )
        return found


def _at_address(
    address: str, witness: "VerifierKey"
) -> "tuple[VerifierKey, Callable[[bytes], Answer]]":
    from troth.tlog import witnessing
    from troth.tlog.note import Kind
    from troth.trust.site import Site

    if witness.kind is not Kind.COSIGNATURE:
        raise Misuse(f"{witness.name} is no witness's key", fix="`troth tlog witness DIR` shows it")
    site = Site(address)

    def send(body: bytes) -> witnessing.Answer:
        status, kind, answer = site.post(witnessing.PATH, body, limit=witnessing.MOST_ANSWER)
        return witnessing.Answer(status=status, content_type=kind, body=answer)

    return witness, send


def _in_folder(folder: Path) -> "tuple[VerifierKey, Callable[[bytes], Answer]]":
    from troth.tlog.witness import Witness

    witness = Witness.open(folder)
    return witness.verifier, witness.add_checkpoint


def index_of(reader: "Reader", checkpoint: "Checkpoint", entry: bytes) -> int:
    """Where an entry stands in a log, at its first place.

    Raises:
        Misuse: it is not there.
    """
    end = min(checkpoint.size, _SEARCHED)
    for index, found in enumerate(reader.entries(0, end, checkpoint)):
        if found == entry:
            return index
    if end < checkpoint.size:
        raise Misuse(f"the entry is not among the first {end}", fix="name its index")
    raise Misuse(
        f"the entry is not among the {checkpoint.size} of {checkpoint.origin}",
        fix="append it first, or name the file as it was appended",
    )


def digests(folder: Path) -> frozenset[str]:
    """What its owners made: SHA-256 of the text of each `*.entry` file in a folder, signed or not yet.

    Raises:
        Misuse: there is no such folder.
        Malformed: a file is no entry.
    """
    import hashlib

    from troth.tlog import entry as entries

    if not folder.is_dir():
        raise Misuse(f"there is no folder {folder}", fix="name the folder with your *.entry files")
    found = set()
    for path in sorted(folder.glob("*.entry")):
        data = read_source(str(path), limit=1 << 17)
        try:
            text, _ = entries.draft(data, field=str(path))
        except Malformed as error:
            raise Malformed(f"is no entry: {error}", field=str(path)) from None
        found.add(hashlib.sha256(text.encode()).hexdigest())
    return frozenset(found)
