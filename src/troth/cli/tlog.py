"""`troth tlog`: keep a log, witness one, watch one."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from troth.cli import _log_source
from troth.cli._console import exists, out, read_source, say, write_file
from troth.cli._log_check import check
from troth.cli._log_witness import witness
from troth.errors import Malformed, Misuse, TrothError
from troth.render.escape import visible

if TYPE_CHECKING:
    from troth.tlog.signer import SigningKey

_MOST_KEY: Final = 4096

app = App(
    name="tlog",
    help="""Keep a log that nobody can rewrite unseen; witness one; watch one.

A log is a folder of plain files, which any host can serve. Its key signs how large it is and what is in it.
Witnesses cosign that it only grew, and when they saw it. The formats are public (C2SP tlog-tiles, tlog-witness).

    troth tlog init log --name example.com/log --key log.key
    troth tlog append log app.entry --key log.key
    troth tlog check log --log log.pub
""",
)
_Out = Annotated[Path | None, Parameter(name=["--output", "-o"])]
_OutFile = Annotated[Path, Parameter(name=["--output", "-o"])]
_Many = Annotated[Sequence[str], Parameter(consume_multiple=True)]


@app.command
def key(name: str | None = None, *, output: _Out = None, of: Path | None = None) -> int:
    """Make a key that signs a log or its entries, or show the public half of one.

        troth tlog key owner.example/anna -o anna.key
        troth tlog key --of anna.key

    Args:
        name: like a host with a path. It belongs to the key, and stands beside each signature.
        output: file to write; it must not exist. It is a secret. The public key is printed.
        of: a key's file, to show its public half.
    """
    from troth.tlog.signer import SigningKey

    if of is not None and name is None and output is None:
        out(str(_key(of).verifier))
        return 0
    if of is not None or name is None or output is None:
        raise Misuse("a new key needs a name and a file", fix="troth tlog key NAME -o FILE")
    made = SigningKey.generate(name)
    _write_key(output, made.text())
    out(str(made.verifier))
    return 0


@app.command
def init(folder: Path, *, name: str, key: Path) -> int:
    """Begin a log, with a key of its own.

        troth tlog init log --name example.com/log --key log.key

    Args:
        folder: where it will lie; new or empty.
        name: of the log, like a host with a path. It can never change.
        key: file to write; it must not exist, since one key signs one log. It is a secret: keep a copy elsewhere,
            but never append to two copies of the log. The public key is printed.
    """
    from troth.tlog.log import Log
    from troth.tlog.signer import SigningKey

    if exists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise Misuse(f"{folder} is not empty", fix="name a new folder")
    made = SigningKey.generate(name)
    _write_key(key, made.text())
    try:
        with Log.create(folder, made):
            pass
    except TrothError:
        key.unlink(missing_ok=True)
        raise
    out(str(made.verifier))
    return 0


@app.command
def append(
    folder: Path,
    *entries: Path,
    key: Path,
    witness: _Many = (),
    witness_key: _Many = (),
    witness_threshold: int = 0,
    json: bool = False,
) -> int:
    r"""Add entries to a log; with no entry, ask its witnesses anew.

    Once it returns, the entries are on the disk and published. With witnesses they are published only after
    enough of these have cosigned; until then they are kept, and the next `append` asks again. An entry that is among
    the last 4,096 is not added again, so a command that was interrupted can be repeated.

        troth tlog append log app.entry --key log.key
        troth tlog append log app.entry --key log.key --witness ../w1 --witness https://w2.example \
            --witness-key w2.example+1a2b3c4d+BD…
        troth tlog append log --key log.key --witness ../w1

    Args:
        folder: the log's.
        entries: files, each of at most 65,535 bytes.
        key: the log's key.
        witness: an address, or the folder of a witness on this machine; may be repeated.
        witness_key: for each witness that is an address its public key, in the same order.
        witness_threshold: how many must cosign. Default: all.
        json: print as JSON.
    """
    from troth.tlog import tiles
    from troth.tlog.log import Log
    from troth.wire import json as strict

    read = [read_source(str(path), limit=tiles.MOST_ENTRY) for path in entries]
    asking = None
    if witness:
        keys = [_log_source.key(text, name="--witness-key") for text in witness_key]
        asking = _log_source.Asking(witness, keys, threshold=witness_threshold, tell=_tell)
    elif witness_key or witness_threshold:
        raise Misuse("no witness is named", fix="add --witness")
    if not read and asking is None:
        raise Misuse("there is nothing to append", fix="name a file, or --witness to ask anew")
    with Log.open(folder, _key(key)) as log:
        places: Sequence[int] = ()
        if read:
            places = log.append(read, cosign=asking, dedupe=True)
        elif asking is not None:
            log.refresh(asking)
        published = log.published
    if json:
        rows = [{"entry": str(p), "index": n} for p, n in zip(entries, places, strict=True)]
        document = {
            "schema": "troth/tlog-append/1",
            "log": published.origin,
            "size": published.size,
            "root": published.root.hex(),
            "entries": rows,
        }
        out(strict.canonical(document).decode())
        return 0
    for path, index in zip(entries, places, strict=True):
        out(f"{index}  {path}")
    sys.stdout.flush()  # talk comes after the data, in a pipe as well
    say(f"{published.origin} has {published.size} entries, root {published.root.hex()[:16]}…")
    return 0


@app.command
def prove(
    source: str,
    entry: str | None = None,
    *,
    output: _OutFile,
    log: str | None = None,
    whole: bool = False,
) -> int:
    """Write a proof that an entry is in a log; or all of the log into one file, for `troth verify --log`.

    A proof is checked by whoever gets it, with `troth tlog check PROOF`.

        troth tlog prove log app.entry -o app.tlog-proof
        troth tlog prove https://log.example/2026 12 -o app.tlog-proof
        troth tlog prove log --whole -o app.troth-log

    Args:
        source: folder or address of the log.
        entry: its index, or the file as it was appended.
        output: file to write.
        log: the log's public key, or a file with it. With it the checkpoint is verified before anything is written.
        whole: write all entries, with the checkpoints that witnesses cosigned.
    """
    from troth.tlog import proof, snapshot, tiles

    if whole == (entry is not None):
        raise Misuse(
            "one of an entry and --whole is proved", fix="name an index, a file, or --whole"
        )
    public = None if log is None else _log_source.key(log, name="--log")
    reader, note, checkpoint = _log_source.newest(source, public)
    if entry is None:
        older = _log_source.history(source, checkpoint.size)
        entries = reader.entries(0, checkpoint.size, checkpoint)
        write_file(output, snapshot.whole(note, older, entries))
        say(f"wrote {output}: all {checkpoint.size} entries of {checkpoint.origin}")
        return 0
    if entry.isascii() and entry.isdigit() and not exists(Path(entry)):
        index = int(entry[:20])
    else:
        wanted = read_source(entry, limit=tiles.MOST_ENTRY)
        index = _log_source.index_of(reader, checkpoint, wanted)
    made = proof.make(reader, index, note, checkpoint)
    write_file(output, made.encode())
    say(f"wrote {output}: entry {index} of the {checkpoint.size} of {checkpoint.origin}")
    return 0


@app.command
def serve(folder: Path, *, listen: str) -> int:
    """Serve a log's files to readers, until interrupted. Any static host does as well.

    What its checkpoint does not cover is not served. Nothing but the log is: its key may lie in the same folder, but
    better does not.

        troth tlog serve log --listen 127.0.0.1:8080

    Args:
        folder: the log's.
        listen: host and port; port 0 takes a free one. Put a server that speaks TLS before it.
    """
    from troth.cli import _httpd, _log_files

    files = _log_files.Files(folder)
    address = _httpd.listen(listen)
    _httpd.serve(
        address, files, ready=lambda at: say(f"serves {folder} on http://{at}"), complain=_complain
    )
    return 0


app.command(witness)
app.command(check)


def _tell(words: str) -> None:
    say(visible(words))


def _complain(error: TrothError) -> None:
    say(f"an answer could not be given: {visible(str(error))}")


def _key(path: Path) -> "SigningKey":
    from troth.tlog.signer import SigningKey

    data = read_source(str(path), limit=_MOST_KEY)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("is no signing key of a log", field=str(path)) from None
    return SigningKey.read(text, source=str(path))


def _write_key(path: Path, text: str) -> None:
    """A file that is its owner's alone from its first byte on, and takes no other's place."""
    import os

    from troth.errors import Unavailable

    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise Misuse(f"{path} exists", fix="name another file for the new key") from None
    except OSError as error:
        raise Unavailable(
            f"cannot write {path}: {(error.strerror or str(error)).lower()}"
        ) from None
