"""Two other implementations, Go's and torchwood: they read what we write, we read what they write, and all proofs are equal."""

import functools
import http.server
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.conftest import leave_out
from tests.tlog.made import AT, LOG, WITNESSES, entries, log, note, opened

from troth.crypto import merkle
from troth.crypto.merkle import Frontier
from troth.tlog import checkpoint, proof, read
from troth.tlog.log import Log
from troth.tlog.note import verifier_key
from troth.tlog.read import Reader

pytestmark = [pytest.mark.toolchains]

SOURCE = Path(__file__).parents[1] / "data" / "tlogpeer"
MOST = 130
# What Go says where its modules can't be fetched, or need a newer Go.
UNREACHABLE = ("dial tcp", "lookup", "timeout", "proxyconnect", "GOPROXY", "requires go >=")


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their code, built out of its modules, whose hashes are in go.sum."""
    program = tmp_path_factory.mktemp("peer") / "tlogpeer"
    done = subprocess.run(
        ["go", "build", "-trimpath", "-o", str(program), "."],
        cwd=SOURCE,
        env=os.environ | {"GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode and any(word in done.stderr for word in UNREACHABLE):
        leave_out("toolchains", f"Go's modules can't be had: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return program


def ran(program: Path, *words: str, given: bytes = b"") -> str:
    done = subprocess.run(
        [program, *words], input=given, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def refused(program: Path, *words: str, given: bytes = b"") -> str:
    done = subprocess.run(
        [program, *words], input=given, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 1
    return done.stderr.decode()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A static file server, as any host has one."""

    class Patient(http.server.ThreadingHTTPServer):
        request_queue_size = 256  # they ask for many files at once

    class Quiet(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with Patient(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def ours(digests: list[bytes], wanted: list[tuple[int, int]]) -> list[str]:
    return [Frontier.of(digests[start:end]).root().hex() for start, end in wanted]


def test_all_proofs_of_all_small_logs_are_go_s(peer: Path) -> None:
    digests = [merkle.leaf(entry) for entry in entries(MOST)]
    roots = [Frontier.of(digests[:size]).root() for size in range(MOST + 1)]
    compared = 0
    for line in ran(peer, "proofs", str(MOST)).splitlines():
        theirs = json.loads(line)
        size, root = theirs["size"], roots[theirs["size"]]
        assert root.hex() == theirs["root"]
        for index, record in enumerate(theirs["records"]):
            assert ours(digests, merkle.path(index, size)) == record
            proof = [bytes.fromhex(word) for word in record]
            assert merkle.included(digests[index], index, size, proof, root) == ""
            compared += 1
        for old, tree in enumerate(theirs["trees"], 1):
            assert ours(digests, merkle.growth(old, size)) == tree
            proof = [bytes.fromhex(word) for word in tree]
            assert merkle.consistent(old, roots[old], size, root, proof) == ""
            compared += 1
    assert compared == MOST * (MOST + 1)


@pytest.mark.parametrize("sizes", [(1,), (3, 253), (200, 57, 600), (66_000,)])
def test_they_read_our_log(sizes: tuple[int, ...], peer: Path, tmp_path: Path) -> None:
    _, state = log(tmp_path / "log", *sizes)
    vkey = str(LOG.verifier)
    with served(tmp_path / "log") as url:
        assert ran(peer, "read", url, vkey) == f"example.com/log {state.size} {state.size}\n"
        bundle = min((tmp_path / "log/tile/entries").rglob("*[0-9]"))
        bundle = bundle if bundle.is_file() else min(bundle.iterdir())
        bundle.write_bytes(bundle.read_bytes().replace(b"entry 0", b"entry x"))
        assert "mismatch" in refused(peer, "read", url, vkey)


def everything(reader: Reader, state: checkpoint.Checkpoint) -> None:
    assert list(reader.entries(0, state.size, state)) == entries(state.size)
    for index in (0, state.size // 3, state.size - 1):
        digest = merkle.leaf(b"entry %d" % index)
        proof = reader.inclusion(index, state)
        assert merkle.included(digest, index, state.size, proof, state.root) == ""
        before = reader.root(index, state)
        proof = reader.consistency(index, state)
        assert merkle.consistent(index, before, state.size, state.root, proof) == ""


@pytest.mark.parametrize("sizes", [("1",), ("3", "256"), ("200", "257", "857"), ("66000",)])
def test_we_read_their_log_and_go_on_with_it(
    sizes: tuple[str, ...], peer: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "log"
    ran(peer, "write", str(folder), LOG.text().strip(), *sizes)
    reader = read.from_folder(folder)
    state = opened(reader.checkpoint())
    assert state.size == int(sizes[-1])
    everything(reader, state)
    with Log.open(folder, LOG) as kept:
        kept.append(entries(300, state.size))
        everything(kept.reader, kept.published)
    with served(folder) as url:
        assert ran(peer, "read", url, str(LOG.verifier)).split()[1] == str(state.size + 300)


def test_the_files_are_the_same_bytes(peer: Path, tmp_path: Path) -> None:
    """Theirs keep the parts of tiles that are whole by now; else one log is the other."""
    ran(peer, "write", str(tmp_path / "theirs"), LOG.text().strip(), "3", "256", "857")
    log(tmp_path / "ours", 3, 253, 601)
    theirs, mine = (
        {
            path.relative_to(tmp_path / whose).as_posix(): path.read_bytes()
            for path in (tmp_path / whose).rglob("*")
            if path.is_file()
        }
        for whose in ("theirs", "ours")
    )
    only_ours = {name for name in mine if name not in theirs}
    assert only_ours == {".lock", "pending", *(f"checkpoints/{n}" for n in (0, 3, 256, 857))}
    assert {theirs[name] == mine[name] for name in mine.keys() - only_ours} == {True}


def test_they_verify_our_signatures(peer: Path) -> None:
    text = f"example.com/log\n0\n{'47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='}\n"
    vkey, wkey = str(LOG.verifier), str(WITNESSES[0].verifier)
    told = ran(peer, "open", vkey, wkey, given=note(text, LOG, WITNESSES[0], WITNESSES[1]))
    assert told == f"example.com/log\nwitness.example/0 {AT}\n"
    bent = note(text, LOG, WITNESSES[0]).replace(b"\n0\n", b"\n1\n")
    assert "invalid signature" in refused(peer, "open", vkey, wkey, given=bent)


def test_we_verify_their_cosignatures(peer: Path) -> None:
    body = f"example.com/log\n0\n{'47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='}\n"
    vkey, _, signed = ran(
        peer, "cosign", "witness.example/theirs", "07" * 32, given=body.encode()
    ).partition("\n")
    line = signed.partition("\n\n")[2]
    whole = note(body, LOG) + line.encode()
    key = verifier_key(vkey)
    found = checkpoint.opened(whole, log=LOG.verifier, witnesses=[key])
    (at,) = found.times[key]
    assert abs((datetime.now(UTC) - at).total_seconds()) < 600


def test_they_verify_our_proofs_and_we_theirs(peer: Path, tmp_path: Path) -> None:
    reader, state = log(tmp_path / "log", 300)
    whole = note(state.text(), LOG, WITNESSES[0])
    vkey = str(LOG.verifier)
    for index in (0, 255, 256, 299):
        made = proof.make(reader, index, whole, state)
        told = ran(peer, "proven", vkey, f"entry {index}", given=made.encode())
        assert told.split() == ["example.com/log", "300", str(index)]
        assert refused(peer, "proven", vkey, "entry x", given=made.encode())
        theirs = ran(peer, "prove", LOG.text().strip(), "300", str(index)).encode()
        read = proof.parse(theirs)
        assert read.extra == b"extra"
        assert read.encode() == theirs
        assert read.hashes == made.hashes
        assert proof.check(read, b"entry %d" % index, log=LOG.verifier).index == index
