"""A log and a witness over HTTP: what is served, what never is, and the whole way between them."""

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.served import serving
from tests.tlog.logs import KEY, consistency, numbered, publish, signed

from troth.cli import _log_witness
from troth.cli._httpd import Asked, Told
from troth.cli._log_files import Files
from troth.errors import Misuse, Unavailable
from troth.tlog import note, read, tiles, witnessing
from troth.tlog.note import Kind
from troth.tlog.signer import SigningKey
from troth.tlog.witness import Witness
from troth.tlog.witnessing import Answer, Refused
from troth.trust.site import Site

MANY = numbered(600)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "log"
    made.mkdir()
    publish(made, MANY)
    (made / "checkpoints").mkdir()
    (made / "checkpoints" / "512").write_bytes(signed(MANY[:512]))
    return made


@pytest.fixture
def at(folder: Path) -> Iterator[str]:
    with serving(Files(folder)) as address:
        yield address


def ask(at: str, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(at, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def test_each_file_of_a_log(at: str, folder: Path) -> None:
    for path in (p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        status, headers, body = ask(at, f"/{name}")
        assert (status, body) == (200, path.read_bytes())
        tile = name.startswith("tile/")
        assert headers["Content-Type"].startswith("application/" if tile else "text/plain")
        assert ("immutable" in headers["Cache-Control"]) == tile
        assert tile or headers["Cache-Control"] == "no-cache"
        assert ask(at, f"/{name}", "HEAD")[2] == b""


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/key", "/.lock", "/pending", "/tile", "/tile/", "/tile/0", "/checkpoints"),
        *(
            "/../secret",
            "/tile/../key",
            "/%2e%2e/secret",
            "/tile/0/000/../../../key",
            "//checkpoint",
        ),
        *("/checkpoint?x", "/checkpoint/", "/checkpoint%00", "/tile/0/0", "/tile/64/000"),
        *("/tile/0/000.p/256", "/tile/0/000.p/0", "/checkpoints/01", "/checkpoints/513"),
        *("/tile/0/x001/000", "/tile/0/003", "/tile/entries/002.p/89", "/tile/5/000"),
        "/tile/9/" + "x999/" * 6 + "999",
    ],
)
def test_what_is_no_file_of_a_log(at: str, folder: Path, path: str) -> None:
    (folder / "key").write_text("secret")
    (folder.parent / "secret").write_text("secret")
    status, headers, body = ask(at, path)
    assert status == 404
    assert b"secret" not in body
    assert headers["Cache-Control"] == "no-store"


def test_what_the_checkpoint_does_not_cover_is_not_served(at: str, folder: Path) -> None:
    publish(folder, numbered(1100), note=signed(MANY))
    for path in (tiles.tile(0, 2), tiles.tile(0, 3), tiles.bundle(2), tiles.tile(1, 0, 4)):
        assert (folder / path).is_file()
        assert ask(at, f"/{path}")[0] == 404
    for path in (tiles.tile(0, 1), tiles.bundle(1), tiles.tile(1, 0, 2)):
        assert ask(at, f"/{path}")[0] == 200
    publish(folder, numbered(1100))
    assert ask(at, f"/{tiles.tile(0, 3)}")[0] == 200


def test_links_pipes_and_folders_are_no_files(at: str, folder: Path) -> None:
    secret = folder.parent / "secret"
    secret.write_text("secret")
    place = folder / tiles.tile(0, 0)
    place.unlink()
    place.symlink_to(secret)
    assert ask(at, f"/{tiles.tile(0, 0)}")[0] in {404, 503}
    place.unlink()
    os.mkfifo(place)
    assert ask(at, f"/{tiles.tile(0, 0)}")[0] == 404
    place.unlink()
    place.mkdir()
    assert ask(at, f"/{tiles.tile(0, 0)}")[0] in {404, 503}
    (folder / "tile" / "1").rename(folder.parent / "away")
    (folder / "tile" / "1").symlink_to(folder.parent / "away")
    assert ask(at, f"/{tiles.tile(1, 0, 2)}")[0] in {404, 503}


def test_a_log_is_only_read(at: str) -> None:
    for method in ("DELETE", "PUT", "OPTIONS"):
        assert ask(at, "/checkpoint", method)[0] == 405


def test_there_must_be_a_log(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="no log"):
        Files(tmp_path)


def test_a_site(at: str) -> None:
    site = Site(f"http://{at}/")
    assert site.get("checkpoint", limit=10_000) == signed(MANY)
    reader = read.Reader(lambda path: site.get(path, limit=tiles.most(path)))
    from troth.tlog import checkpoint

    tree = checkpoint.opened(reader.checkpoint(), log=KEY.verifier).checkpoint
    assert list(reader.entries(250, 520, tree)) == MANY[250:520]
    with pytest.raises(Unavailable) as caught:
        site.get("tile/0/009", limit=10)
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    with pytest.raises(Unavailable, match="more than 5 bytes"):
        site.get("checkpoint", limit=5)
    with pytest.raises(Unavailable, match="cannot reach") as caught:
        Site("http://127.0.0.1:1").get("checkpoint", limit=5)
    assert caught.value.__cause__ is None
    for bad in ("ftp://x", "http://example.com", "https://u@example.com", "https://example.com/?q"):
        with pytest.raises(Misuse):
            Site(bad)


def answering(witness: Witness) -> Callable[[Asked], Told]:
    return lambda asked: _log_witness.answer(witness, _log_witness.Once(), asked)


def send(at: str) -> Callable[[bytes], Answer]:
    site = Site(f"http://{at}")

    def sent(body: bytes) -> Answer:
        status, kind, data = site.post(witnessing.PATH, body, limit=10_000)
        return Answer(status=status, content_type=kind, body=data)

    return sent


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    made = Witness.create(tmp_path / "w", "w.example")
    made.add_log(KEY.verifier)
    return made


def cosign(at: str, witness: Witness, entries: list[bytes], known: int = 0) -> int:
    found = witnessing.cosign(
        signed(entries),
        witness=witness.verifier,
        send=send(at),
        prove=lambda old: consistency(entries, old),
        known=known,
    )
    whole = signed(entries) + b"".join(s.line().encode() for s in found)
    return len(note.signers(note.parse(whole), [witness.verifier])[witness.verifier])


def test_a_witness_is_asked(witness: Witness) -> None:
    with serving(answering(witness), most_body=witnessing.MOST_REQUEST) as at:
        # Whatever is believed of it: it says itself how much it has seen.
        for size, known in ((0, 0), (10, 0), (10, 10), (300, 7), (600, 300), (600, 0), (600, 999)):
            assert cosign(at, witness, MANY[:size], known) == 1
        with pytest.raises(Refused, match="has seen 600 entries of this log, which has 300") as e:
            cosign(at, witness, MANY[:300])
        assert "lost entries" in e.value.fix
        with pytest.raises(Refused, match="another tree of 600"):
            cosign(at, witness, [b"other", *MANY[1:]])
        with pytest.raises(Refused, match="does not cosign: 422"):
            cosign(at, witness, [b"other", *MANY[1:], b"more"])
        assert ask(at, "/add-checkpoint")[0] == 405
        assert ask(at, "/else")[0] == 404
        huge = Site(f"http://{at}")
        status, _, _ = huge.post(witnessing.PATH, bytes(witnessing.MOST_REQUEST + 1), limit=1000)
        assert status == 413


def test_the_same_finding_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    tell = _log_witness.Once()
    for finding in ("FORK: a", "FORK: a", "FORK: b\x1b[2J"):
        tell(finding)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "\x1b" not in said[1]


def test_a_witness_that_lies_to_its_log(witness: Witness) -> None:
    entries = MANY[:10]
    text = note.parse(signed(entries)).text
    key = SigningKey.generate("w.example", Kind.COSIGNATURE)
    other = key.sign(text, time=1).line().encode()
    mine = witness._key.sign(text, time=1).line().encode()
    elsewhere = witness._key.sign(text + "x\n", time=1).line().encode()
    lies = [
        *(Answer(status=200, content_type="", body=body) for body in (b"", b"junk", other)),
        *(Answer(status=200, content_type="", body=b) for b in (elsewhere, mine + elsewhere)),
        Answer(status=200, content_type="", body=b"\n\n" + mine),
        Answer(status=200, content_type="", body=mine + bytes(100_000)),
        Answer(status=409, content_type="", body=b"-1\n"),
        Answer(status=409, content_type="", body=b"5"),
        Answer(status=409, content_type="", body=b"11\n"),
        Answer(status=302, content_type="", body=b"\x1b[31m\xff"),
    ]
    for lie in lies:
        with pytest.raises(Refused):
            witnessing.cosign(
                signed(entries),
                witness=witness.verifier,
                send=lambda _, lie=lie: lie,
                prove=lambda old: consistency(entries, old),
            )
    sizes = iter(range(1, 10))
    with pytest.raises(Refused, match="moves on"):
        witnessing.cosign(
            signed(entries),
            witness=witness.verifier,
            send=lambda _: Answer(status=409, content_type="", body=b"%d\n" % next(sizes)),
            prove=lambda old: consistency(entries, old),
        )
    ours = witnessing.cosignatures(text, other + mine, witness=witness.verifier)
    assert [s.line().encode() for s in ours] == [mine]


def test_the_programs_serve_and_end(folder: Path, witness: Witness) -> None:
    del witness
    folder.parent.joinpath("log.pub").write_text(str(KEY.verifier))
    for words, line in (
        (["serve", "log", "--listen", "127.0.0.1:0"], "serves log on http://127.0.0.1:"),
        (["witness", "w", "--serve", "127.0.0.1:0", "--log", "log.pub"], "answers on http://"),
    ):
        with subprocess.Popen(
            [sys.executable, "-m", "troth", "tlog", *words],
            cwd=folder.parent,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            said = process.stderr.readline()
            assert line in said
            at = said.strip().rpartition("//")[2]
            assert ask(at, "/checkpoint")[0] == (200 if "serves" in line else 404)
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
