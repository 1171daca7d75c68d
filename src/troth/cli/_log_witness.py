"""`troth tlog witness`: see a log's checkpoints, and cosign those that only add to what was seen."""

from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from troth.cli import _log_source
from troth.cli._console import out, read_source, say
from troth.errors import Malformed, Misuse, TrothError, Unavailable
from troth.render.escape import visible

if TYPE_CHECKING:
    from troth.cli._httpd import Asked, Told
    from troth.tlog.witness import Witness

_Many = Annotated[Sequence[str], Parameter(consume_multiple=True)]
_REJECTED: Final = 1
_MOST_SAID: Final = 10_000


def witness(
    folder: Path,
    *,
    new: str | None = None,
    log: _Many = (),
    serve: str | None = None,
    once: str | None = None,
    json: bool = False,
) -> int:
    """Witness logs: cosign what only adds to what was seen before, refuse all else and keep it as evidence.

    The witness's key is made in its folder and stays there, beside what it has seen. A witness that has lost
    its folder has lost its key, and cannot cosign another history by beginning again; nor may the folder
    be brought back from a copy. Without --serve and --once the key is printed, and what is known of each log.

        troth tlog witness w1 --new w1.example/witness --log log.pub
        troth tlog witness w1 --serve 127.0.0.1:8081
        troth tlog witness w1 --once request

    Args:
        folder: the witness's.
        new: make a witness of this name, in a new folder.
        log: the public key of a log that shall be witnessed from now on, or a file with it; may be repeated.
        serve: answer requests (c2sp.org/tlog-witness) on this host and port, until interrupted. Put a server that
            speaks TLS before it.
        once: answer one request out of a file, or `-` for stdin; the cosignature is printed. Exit code 1 where the log
            contradicts what was seen.
        json: print key and logs as JSON.
    """
    from troth.tlog.witness import Witness

    if serve is not None and once is not None:
        raise Misuse("it serves, or answers once", fix="leave --serve or --once away")
    if json and (serve is not None or once is not None):
        raise Misuse("an answer has a form of its own", fix="leave --json away")
    keys = [_log_source.key(text, name="--log") for text in log]
    made = Witness.open(folder) if new is None else Witness.create(folder, new)
    for key in keys:
        made.add_log(key)
    if once is not None:
        return _once(made, once)
    if serve is not None:
        return _serve(made, serve)
    return _show(made, json=json)


def _show(witness: "Witness", *, json: bool) -> int:
    from troth.wire import json as strict

    logs = witness.logs()
    if json:
        document = {
            "schema": "troth/tlog-witness/1",
            "key": str(witness.verifier),
            "logs": [
                {"key": str(known.log), "size": known.latest.size, "time": known.time}
                for known in logs
            ],
        }
        out(strict.canonical(document).decode())
        return 0
    out(str(witness.verifier))
    for known in logs:
        say(f"{visible(known.log.name)}: {known.latest.size} entries seen")
    return 0


def _once(witness: "Witness", source: str) -> int:
    from troth.tlog.witnessing import MOST_REQUEST

    answer = witness.add_checkpoint(read_source(source, limit=MOST_REQUEST))
    words = answer.body.decode("utf-8", "replace").strip()
    if answer.status == HTTPStatus.OK:
        out(words)
        return 0
    if answer.finding:
        say(visible(answer.finding))
    match answer.status:
        case HTTPStatus.BAD_REQUEST:
            raise Malformed(words, field=source)
        case HTTPStatus.NOT_FOUND:
            raise Misuse(words, fix="add --log with the log's public key")
        case HTTPStatus.SERVICE_UNAVAILABLE:
            raise Unavailable(words)
        case HTTPStatus.CONFLICT:
            say(f"not cosigned: this witness has seen {words} entries")
        case _:
            say(f"not cosigned: {visible(words)}")
    return _REJECTED


def _serve(witness: "Witness", listen: str) -> int:
    from troth.cli import _httpd
    from troth.tlog import witnessing

    def ready(at: str) -> None:
        say(f"{witness.verifier} answers on http://{at}")

    _httpd.serve(
        _httpd.listen(listen),
        partial(answer, witness, Once()),
        most_body=witnessing.MOST_REQUEST,
        ready=ready,
        complain=_complain,
    )
    return 0


class Once:
    """Says what a keeper must be told, each once: anybody can send the same again and again."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, finding: str) -> None:
        """Says it, or not."""
        if finding not in self._said and len(self._said) < _MOST_SAID:
            self._said.add(finding)
            say(visible(finding))


def answer(witness: "Witness", tell: Callable[[str], object], asked: "Asked") -> "Told":
    """What a witness answers over HTTP. Raises as `Witness.add_checkpoint` does."""
    from troth.cli import _httpd
    from troth.tlog import witnessing

    if asked.path != f"/{witnessing.PATH}":
        return _httpd.words(HTTPStatus.NOT_FOUND, f"a witness answers on /{witnessing.PATH}")
    if asked.method != "POST":
        return _httpd.words(HTTPStatus.METHOD_NOT_ALLOWED, "requests are sent by POST")
    told = witness.add_checkpoint(asked.body)
    if told.finding:
        tell(told.finding)
    return _httpd.of(HTTPStatus(told.status), told.body, content_type=told.content_type)


def _complain(error: TrothError) -> None:
    say(f"nothing was cosigned: {visible(str(error))}")
