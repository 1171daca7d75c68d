"""`troth connect`: an attested channel to an enclave, for one request or as a local door."""

import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from troth.cli import _again, _expect, _release_log
from troth.cli._console import coloured, out, read_source, say, write_file
from troth.errors import Misuse, TrothError, Unavailable

if TYPE_CHECKING:
    from troth.channel.client import AttestedStream
    from troth.channel.http import Response
    from troth.model.collateral import Collateral
    from troth.policy import Policy

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SCHEMA: Final = "troth/connect/1"


def connect(
    url: str,
    *,
    image: Path | None = None,
    measurement: Sequence[str] = (),
    policy: str | None = None,
    trust: Sequence[str] = (),
    log: str | None = None,
    at_most_age: str | None = None,
    request: str | None = None,
    data: str | None = None,
    header: Sequence[str] = (),
    proxy: str | None = None,
    save_bundle: Path | None = None,
    json: bool = False,
) -> int:
    """Open an attested channel to an enclave; nothing is sent to the app before the verdict.

    One request: the verdict goes to stderr and the answer's body to stdout. Exit 0 means that the
    evidence was accepted and the app answered with success.

    A local door (--proxy): programs then speak plain HTTP to it, and each connection is verified anew.

        troth connect https://127.0.0.1:8443/ --image app.eif --trust root.pem
        troth connect https://127.0.0.1:8443/bids --image app.eif --data @bid.json
        troth connect https://127.0.0.1:8443 --policy app.policy.toml --proxy 127.0.0.1:0
        troth connect https://127.0.0.1:8443 --policy app.policy.toml --proxy unix:app.sock

    Args:
        url: https://HOST:PORT/PATH of the published port.
        image: the EIF that should run; it is measured here. Or a *.measurements.json that you trust.
        measurement: an expected register, such as pcr0=HEX; may be repeated.
        policy: a policy file, or the name of a built-in profile.
        trust: a PEM file with a root to trust beside the vendors', or nitro:FILE where it shall count for
            that platform alone; may be repeated.
        log: the log of releases, where the policy asks for one: a file of `troth tlog prove --whole`, or folder or
            address of the log. It is read anew for each connection.
        at_most_age: how old evidence may be, such as 90s or 5m; only shortens what the policy says.
        request: the HTTP method; GET by default, POST where there is --data.
        data: the request's body: text, @FILE, or @- for stdin.
        header: a header of the request, such as 'Content-Type: application/json'; may be repeated.
        proxy: unix:PATH, or 127.0.0.1:PORT (0 takes a free port); serves until interrupted.
        save_bundle: write evidence and judgement there, for `troth verify`.
        json: print verdict and answer as JSON.
    """
    from troth.channel import client, dial
    from troth.verifier.bundle import pack

    target = dial.parse(url)
    wanted = _aged(_expect.policy(policy, image=image, measurement=measurement), at_most_age)
    roots, pem = _expect.roots(trust)
    if proxy is not None and (request or data or header or json):
        raise Misuse(
            "a proxy makes no request of its own",
            fix="leave --request, --data, --header and --json away, or --proxy",
        )

    logged = partial(_release_log.load, log, wanted, offline=False)

    def opened(held: "Collateral") -> "AttestedStream":
        return client.connect(
            target.dialler(),
            policy=wanted,
            trust=roots,
            collateral=held,
            name=target.authority,
        )

    def first() -> "AttestedStream":
        held = logged()
        stream = opened(held)
        _say_verdict(stream)
        if save_bundle is not None:
            made = _again.bundle_of(stream, policy=wanted, pem=pem, collateral=held)
            write_file(save_bundle, pack(made))
        return stream

    if proxy is not None:
        return _serve(proxy, first=first, opened=lambda: opened(logged()))
    method = request or ("GET" if data is None else "POST")
    body, headers = _body(data), _headers(header)
    try:
        with first() as stream:
            from troth.channel.http import Connection

            response = Connection(stream, target.authority).request(
                method, target.path, body=body, headers=headers
            )
            verdict = _report(stream)
    except TrothError as error:
        if json:
            _print_json(report=_error(error, target.authority), response=None)
        raise
    if json:
        _print_json(report=verdict, response=response)
    else:
        _print_body(response.body)
    if not response.ok:
        raise Unavailable(f"the app answered {response.status} {response.reason}".rstrip())
    return 0


def _aged(policy: "Policy", text: str | None) -> "Policy":
    if text is None:
        return policy
    match = re.fullmatch(r"([1-9][0-9]{0,6})([smhd])", text)
    if match is None:
        raise Misuse(f"{text[:40]!r} is not a length of time", fix="write it like 90s, 5m or 3h")
    age = timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
    return replace(policy, max_age=age if policy.max_age is None else min(age, policy.max_age))


def _body(data: str | None) -> bytes:
    if data is None:
        return b""
    if data.startswith("@"):
        return read_source(data[1:])
    return data.encode("utf-8")


def _headers(items: Sequence[str]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for item in items:
        name, colon, value = item.partition(":")
        if not colon or not name.strip():
            raise Misuse(f"{item[:60]!r} is not a header", fix="write --header 'Name: value'")
        found[name.strip()] = value.strip()
    return found


def _say_verdict(stream: "AttestedStream") -> None:
    """The first line of the report: verdict, class of root, platform, policy, instant."""
    from troth.render.text import report_text

    text = report_text(stream.verified.report, colour=coloured(sys.stderr))
    say(text.partition("\n")[0])


def _serve(
    where: str, *, first: "Callable[[], AttestedStream]", opened: "Callable[[], AttestedStream]"
) -> int:
    from troth.channel.proxy import Proxy, listen_local, listen_unix

    kind, _, rest = where.partition(":")
    if kind == "unix" and rest:
        listener = listen_unix(rest)
    elif kind == "127.0.0.1" and re.fullmatch(r"[0-9]{1,5}", rest) and int(rest) < 65536:
        listener = listen_local(int(rest))
    else:
        raise Misuse(
            f"{where[:60]!r} is no place for a proxy", fix="write unix:PATH or 127.0.0.1:0"
        )
    with Proxy(listener, opened, tell=_tell) as door:
        # Once now, so that a wrong image is told at the start and not to the first program.
        first().close()
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        out(door.address)
        sys.stdout.flush()
        say("each connection is verified anew; Ctrl-C ends")
        door.serve()
    return 0


def _tell(words: str) -> None:
    from troth.render.escape import visible

    say(f"refused: {visible(words)}")


def _report(stream: "AttestedStream") -> str:
    from troth.render.json import report_json

    return report_json(stream.verified.report)


def _error(error: TrothError, subject: str) -> str:
    from troth.model.report import Rejected, Undecided
    from troth.render.json import error_json, report_json

    if isinstance(error, Rejected | Undecided):
        return report_json(error.report)
    return error_json(error, subject=subject)


def _print_json(*, report: str, response: "Response | None") -> None:
    import json

    answer: dict[str, Any] | None = None
    if response is not None:
        answer = {
            "status": response.status,
            "reason": response.reason,
            "headers": [list(pair) for pair in response.headers],
            "body": response.body.hex(),
        }
    document = {"schema": _SCHEMA, "report": json.loads(report), "response": answer}
    out(json.dumps(document, indent=2))


def _print_body(body: bytes) -> None:
    """As it is into a file or a pipe; on a terminal with control sequences spelled out."""
    if not sys.stdout.isatty():
        sys.stdout.flush()
        sys.stdout.buffer.write(body)
        return
    from troth.render.escape import visible

    for line in body.decode("utf-8", "replace").splitlines():
        out(visible(line, limit=len(line)))
