"""A log whose keeper lies, over HTTP, against everybody who could notice: a client, a witness, a monitor.

Its key is the true one throughout, but where it is said otherwise: signatures alone catch none of these.
"""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cli.served import serving
from tests.tlog.logs import KEY, consistency, numbered, publish, signed

from troth.cli._httpd import Asked, Told, of
from troth.cli._log_source import newest, reader
from troth.errors import Malformed, TrothError
from troth.tlog import monitor, proof, snapshot, tiles
from troth.tlog.checkpoint import NotSigned
from troth.tlog.monitor import Kind, Witnessed
from troth.tlog.monitor_state import Memory
from troth.tlog.read import from_folder
from troth.tlog.signer import SigningKey
from troth.tlog.witness import Witness
from troth.tlog.witnessing import Request

TRUE = numbered(400)
IMPOSTOR = SigningKey.generate(KEY.verifier.name)
Lie = Callable[[Path], list[bytes]]


def fork(folder: Path) -> list[bytes]:
    """Other entries in the place of those that were shown."""
    entries = [*TRUE[:200], b"other", *numbered(250, "later")]
    publish(folder, entries)
    return entries


def rollback(folder: Path) -> list[bytes]:
    """Fewer entries than were shown."""
    publish(folder, TRUE[:300])
    return TRUE[:300]


def reordered(folder: Path) -> list[bytes]:
    """The same entries in another order, under the checkpoint of the true one."""
    entries = [*TRUE[:10], TRUE[11], TRUE[10], *TRUE[12:], b"more"]
    publish(folder, entries, note=signed([*TRUE, b"more"]))
    return entries


def truncated(folder: Path) -> list[bytes]:
    """Fewer entries than the checkpoint says."""
    publish(folder, TRUE[:390], note=signed([*TRUE, b"more"]))
    return TRUE[:390]


def unsigned(folder: Path) -> list[bytes]:
    """Entries that the log never signed."""
    entries = [*TRUE, b"more"]
    publish(folder, entries, key=IMPOSTOR)
    return entries


LIES: dict[Lie, tuple[Kind, int]] = {
    fork: (Kind.FORK, 422),
    rollback: (Kind.ROLLBACK, 409),
    reordered: (Kind.ALTERED, 422),
    truncated: (Kind.TRUNCATED, 422),
    unsigned: (Kind.UNSIGNED, 403),
}


@pytest.fixture(params=LIES, ids=lambda lie: lie.__name__)
def lie(request: pytest.FixtureRequest) -> Lie:
    found: Lie = request.param
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "log"
    made.mkdir()
    publish(made, TRUE)
    return made


@pytest.fixture
def at(folder: Path) -> Iterator[str]:
    """A host that serves whatever lies there."""

    def answer(asked: Asked) -> Told:
        path = folder / asked.path.lstrip("/")
        if not path.is_file():
            return of(HTTPStatus.NOT_FOUND, b"", content_type="text/plain")
        return of(HTTPStatus.OK, path.read_bytes(), content_type="application/octet-stream")

    with serving(answer) as address:
        yield f"http://{address}"


def test_a_monitor_names_it(lie: Lie, folder: Path, at: str) -> None:
    now = datetime.now(UTC)
    memory = Memory(log=KEY.verifier)
    first = monitor.check(reader(at), memory, witnessed=Witnessed(), at=now)
    assert first.findings == ()
    shutil.rmtree(folder)
    lie(folder)
    outcome = monitor.check(reader(at), first.memory, witnessed=Witnessed(), at=now)
    assert [finding.kind for finding in outcome.findings] == [LIES[lie][0]]
    assert outcome.memory is first.memory


def test_a_witness_does_not_cosign_it(lie: Lie, folder: Path, tmp_path: Path) -> None:
    witness = Witness.create(tmp_path / "w", "w.example")
    witness.add_log(KEY.verifier)
    begun = witness.add_checkpoint(Request(old_size=0, proof=(), note=signed(TRUE)).encode())
    assert begun.status == 200
    shutil.rmtree(folder)
    entries = lie(folder)
    note = (folder / "checkpoint").read_bytes()
    statuses = set()
    for old in (0, 300, 400, 401):
        for steps in (
            consistency(entries, min(old, len(entries))),
            consistency(TRUE, min(old, 400)),
        ):
            answer = witness.add_checkpoint(Request(old_size=old, proof=steps, note=note).encode())
            statuses.add(answer.status)
    assert 200 not in statuses
    assert LIES[lie][1] in statuses
    (known,) = witness.logs()
    assert known.latest.size == 400


def test_a_client_does_not_take_it(lie: Lie, folder: Path, at: str) -> None:
    """A client that holds an older checkpoint with the log's signature, as a file of all of a log has them."""
    shutil.rmtree(folder)
    entries = lie(folder)
    with pytest.raises(TrothError):
        _client(at, entries)


def _client(at: str, lied: list[bytes]) -> None:
    """Makes a file of the whole log, with the older checkpoint, opens it, and has each entry proved."""
    found, note, tree = newest(at, KEY.verifier)
    entries = tuple(found.entries(0, tree.size, tree))
    known = signed(TRUE)
    older: tuple[bytes, ...] = (known,)
    if tree.size < len(TRUE):
        note, older = known, (note,)
    elif tree.size == len(TRUE):
        older = ()
    whole = snapshot.Snapshot(checkpoint=note, older=older, entries=entries)
    snapshot.opened(snapshot.pack(whole), log=KEY.verifier, witnesses=())
    for index, entry in enumerate(lied):
        proof.check(proof.make(found, index, note, tree), entry, log=KEY.verifier)


def test_an_honest_log_is_taken_by_all(folder: Path, at: str, tmp_path: Path) -> None:
    publish(folder, [*TRUE, b"more"])
    _client(at, [*TRUE, b"more"])
    witness = Witness.create(tmp_path / "w", "w.example")
    witness.add_log(KEY.verifier)
    for old, entries in ((0, TRUE), (400, [*TRUE, b"more"])):
        steps = consistency(entries, old)
        body = Request(old_size=old, proof=steps, note=signed(entries)).encode()
        assert witness.add_checkpoint(body).status == 200


def test_a_host_that_drowns_its_readers(folder: Path, at: str) -> None:
    for path in (tiles.CHECKPOINT, tiles.tile(0, 0), tiles.bundle(0)):
        place = folder / path
        whole = place.read_bytes()
        place.write_bytes(bytes(tiles.most(path) + 1))
        with pytest.raises(TrothError, match="more than"):
            _client(at, TRUE)
        place.write_bytes(whole)
    _client(at, TRUE)


def test_errors_say_what_is_wrong(folder: Path, at: str) -> None:
    for lie, kind in ((unsigned, NotSigned), (reordered, Malformed)):
        shutil.rmtree(folder)
        lie(folder)
        with pytest.raises(kind):
            _client(at, TRUE)


def test_no_bit_of_a_log_can_be_changed_unseen(folder: Path) -> None:
    """Signatures of others aside, every byte that is served is covered by the log's own signature."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    now = datetime.now(UTC)

    @settings(max_examples=150, deadline=None)
    @given(which=st.integers(0, len(files) - 1), at=st.integers(0, 1 << 30), bit=st.integers(0, 7))
    def judged(which: int, at: int, bit: int) -> None:
        path = files[which]
        whole = path.read_bytes()
        at %= len(whole)
        path.write_bytes(bytes([*whole[:at], whole[at] ^ 1 << bit, *whole[at + 1 :]]))
        try:
            memory = Memory(log=KEY.verifier)
            outcome = monitor.check(from_folder(folder), memory, witnessed=Witnessed(), at=now)
            assert outcome.findings != ()
            assert outcome.memory is memory
        finally:
            path.write_bytes(whole)

    judged()
