"""`troth verify`: is it genuine, and is it what I expect?"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from troth.cli import _again, _collateral, _custody, _expect, _judge, _release_log
from troth.cli._console import coloured, out, say, width, write_file
from troth.errors import Malformed, TrothError
from troth.model.check import Waiver

if TYPE_CHECKING:
    from troth.model.report import Report
    from troth.verifier.bundle import Bundle

Format = Literal["text", "json", "json-v1", "html"]


def verify(
    source: str,
    *,
    image: Path | None = None,
    measurement: Sequence[str] = (),
    nonce: str | None = None,
    key: str | None = None,
    key_chain: Path | None = None,
    key_root: Sequence[str] = (),
    policy: str | None = None,
    trust: Sequence[str] = (),
    collateral: Sequence[Path] = (),
    log: str | None = None,
    event_log: Path | None = None,
    service: str = "",
    waive: Sequence[Waiver] = (),
    at: str | None = None,
    offline: bool = False,
    replay: bool = False,
    format: Format = "text",  # noqa: A002 - the flag's name
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    bundle: Path | None = None,
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"])] = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"])] = False,
) -> int:
    r"""Is it genuine, and is it what I expect? Exit 0 means accepted, and nothing else does.

    SOURCE is a file, `-` for stdin, a bundle (`.troth`), a dstack guest agent's answer, or the address
    of a running enclave or of an attested service (`https://HOST:PORT`): what it speaks is found out.
    What you do not expect is undecided: a document alone exits 4.

        troth verify evidence.bin --image app.eif --nonce 00112233445566778899aabbccddeeff
        troth verify https://127.0.0.1:8443 --image app.eif --trust root.pem
        troth verify https://agent.example --policy agent.policy.toml --collateral now/ --key 0x12…ef
        troth verify old.bin --measurement pcr0=… --measurement pcr1=… --measurement pcr2=… \
            --at 2026-11-23T03:10:00Z

    Args:
        source: what to judge.
        image: the EIF that should run; it is measured here. Or a *.measurements.json that you trust.
        measurement: an expected register, such as pcr0=HEX; may be repeated.
        nonce: your nonce, in hex, or @FILE.
        key: the key that must be bound: a PEM file or hex; or an address (0x…) that somebody claims.
            Of a service, and of an address, the report also says who else could hold it.
        key_chain: signatures from a dstack key service's root to that key, as its agent gave them (JSON).
        key_root: root key or address of a key service that you trust; may be repeated.
        policy: a policy file, or the name of a built-in profile.
        trust: a PEM file with a root to trust beside the vendors', or nitro:FILE where it shall count for
            that platform alone; may be repeated.
        collateral: endorsements from Intel or AMD, a file or a folder of them; may be repeated.
            `troth trust update` fetches them; nothing is fetched here. Nitro needs none.
        log: the log of releases, where the policy asks for one: a file of `troth tlog prove --whole`, or folder or
            address of the log.
        event_log: what a TDX guest logged of its boot: a CCEL log, or dstack's. It must replay to the
            quote's registers.
        service: the protocol by which a live service attests itself, where it is not to be found out.
        waive: give up an expectation by name; the exit code is then 6, never 0.
        at: the instant of judgement; your own claim if it is in the past. Default: now.
        offline: use no network; only a live https source needs it.
        replay: show what a bundle's maker saw, with the maker's own policy; exit 4 at best.
        format: text, json (the newest), json-v1 or html.
        output: write the report there and not to stdout.
        bundle: write a bundle of evidence and judgement there.
        verbose: show every check.
        quiet: print nothing; the exit code tells.
    """
    try:
        roots, pem = _expect.roots(trust)
        chosen = _expect.policy(policy, image=image, measurement=measurement)
        flags = _judge.Flags(
            policy=chosen,
            trust=roots,
            pem=pem,
            collateral=_collateral.load(collateral)
            + _release_log.load(log, chosen, offline=offline),
            event_log=_expect.event_log(event_log),
            service=service,
            nonce=_expect.nonce(nonce),
            key=_expect.key(key),
            claim=_custody.claim(key, chain=key_chain, roots=key_root),
            waive=frozenset(waive),
            at=_expect.instant(at),
            offline=offline,
            replay=replay,
        )
        report, evidence, made = _judge.judge(source, flags)
        if bundle is not None:
            _write_bundle(bundle, report, made)
    except TrothError as error:
        _say_error(error, source, format=format, output=output)
        raise
    if not quiet:
        again = _line(
            source,
            report,
            bundle=bundle,
            named={
                "policy": policy,
                "image": image,
                "log": log,
                "event-log": event_log,
                "nonce": nonce,
                "key": key,
                "key-chain": key_chain,
            },
            listed={
                "measurement": measurement,
                "key-root": key_root,
                "trust": trust,
                "collateral": collateral,
                "waive": waive,
            },
            replay=replay,
        )
        _print(report, evidence, again, format=format, output=output, verbose=verbose)
    return report.verdict.exit_code


def _line(
    source: str,
    report: "Report",
    *,
    bundle: Path | None,
    named: Mapping[str, str | Path | None],
    listed: Mapping[str, Sequence[str | Path]],
    replay: bool,
) -> str:
    """The command line that repeats this judgement from a file; empty where there is no file."""
    if source == "-" or _judge.is_live(source):
        if bundle is None:
            return ""
        source = str(bundle)
    if replay:
        return f"{_again.command(source, at=None, named={}, listed={})} --replay"
    return _again.command(source, at=report.at, named=named, listed=listed)


def _write_bundle(path: Path, report: "Report", made: "Bundle") -> None:
    from troth.render.json import report_json
    from troth.verifier.bundle import pack

    if not made.evidence:
        # A channel that was refused hands nothing on; the verdict is still told, and is the exit code.
        say(f"no bundle was written to {path}: the channel was refused")
        return
    if made.maker is not None:
        made = replace(made, maker=replace(made.maker, report=report_json(report).encode()))
    write_file(path, pack(made))


def _print(
    report: "Report",
    evidence: bytes,
    again: str,
    *,
    format: Format,  # noqa: A002
    output: Path | None,
    verbose: bool,
) -> None:
    if format == "text":
        from troth.render.text import report_text

        colour = output is None and coloured(sys.stdout)
        text = report_text(report, verbose=verbose, colour=colour, width=width(sys.stdout, 96))
    elif format == "html":
        text = html(report, evidence, command=again)
    else:
        from troth.render.json import report_json

        text = report_json(report)
    if output is None:
        out(text.rstrip("\n"))
    else:
        write_file(output, text.encode("utf-8"))


def html(report: "Report", evidence: bytes, *, command: str = "") -> str:
    """The report as one page, with the chain and the fields of the evidence where they can be read.

    Args:
        report: what was judged.
        evidence: the presented bytes.
        command: the line that repeats the judgement, if there is one.
    """
    from troth.platforms import detect
    from troth.render.certificates import describe
    from troth.render.html import Appendix, report_html

    rows, certificates = [], []
    try:
        found = detect(evidence)
        if found is not None:
            platform, evidence, _ = found  # without framing: the bytes whose digest the page names
            rows = list(platform.fields(evidence))
            ders = [bytes.fromhex(v) for k, v in rows if k.startswith(("cabundle", "certificate"))]
            certificates = [describe(der) for der in reversed(ders)]
    except Malformed:
        pass  # the report says so; the page then shows the bytes alone
    return report_html(
        report,
        Appendix(evidence=evidence, certificates=certificates, fields=rows, command=command),
    )


def _say_error(error: TrothError, source: str, *, format: Format, output: Path | None) -> None:  # noqa: A002
    """JSON is written on failure above all."""
    from troth.model.report import Rejected, Undecided

    if format in ("json", "json-v1") and not isinstance(error, Rejected | Undecided):
        from troth.render.json import error_json

        text = error_json(error, subject=source)
        if output is None:
            out(text.rstrip("\n"))
        else:
            write_file(output, text.encode("utf-8"))
