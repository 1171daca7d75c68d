"""What `make demo` shows: one enclave brought up and used, then five that are refused, and why.

    .venv/bin/python scripts/demo.py [APP]

Nothing here is edited evidence but where the attack is the edit: every refused document was really made
and signed under the user's own development root.
"""

import contextlib
import secrets
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import troth
from troth.channel import client
from troth.channel.frames import Question, read_answer
from troth.channel.server import accept, make_credentials
from troth.channel.session import Session, context
from troth.cli.up import Life, Steps, live
from troth.image import build as builder
from troth.model.check import Outcome
from troth.model.report import Rejected, Report
from troth.policy.profiles import profile
from troth.runtime import development, runs

WORK = Path("build")


def main(app: Path) -> int:
    """Runs the demo; 0 if everything that must be accepted was, and everything else refused."""
    began = time.monotonic()
    folder = WORK / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    print(f"\n— the whole life of {app} —\n")
    refused = []
    with live(app, folder, Steps(tell=print)) as life:
        print("\n— and what is refused —\n")
        evidence, nonce = asked(life)
        refused += [
            changed_source(life, folder),
            debug_enclave(life),
            replayed(life, evidence),
            other_session(life),
            production_profile(life, evidence, nonce),
        ]
    missed = sum(not ok for ok in refused)
    print(
        f"\n{len(refused) - missed} of {len(refused)} attacks refused, {time.monotonic() - began:.0f} s in all"
    )
    print(f"the report reads in any browser: {folder / 'report.html'}")
    return 1 if missed else 0


def asked(life: Life) -> tuple[bytes, bytes]:
    """Evidence of one session with the enclave, and the nonce it answers."""
    with client.connect(life.target.dialler(), policy=life.policy, trust=life.trust) as stream:
        return stream.proof.evidence, stream.proof.nonce


def show(title: str, wanted: str, judge: Callable[[], Report]) -> bool:
    """Judges, prints the first finding that has the wanted code, and says whether it was refused so."""
    report = judge()
    found = [c for c in report.checks if c.outcome is Outcome.FAILED and c.code.id == wanted]
    codes = sorted({c.code.id for c in report.checks if c.outcome is Outcome.FAILED})
    if report.verdict.exit_code != 1 or not found:
        print(f"! {title}: {report.verdict} with {codes}, should be rejected with {wanted}")
        return False
    print(f"✗ {title}")
    print(f"    error[{wanted}]: {found[0].code.title}   (all: {', '.join(codes)})")
    return True


def changed_source(life: Life, folder: Path) -> bool:
    """One byte of the app's source changed, rebuilt and run: held against the policy of the original."""
    copy = folder / "changed"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(life.app, copy)
    source = next(p for p in sorted((copy / "app").rglob("*.py")) if b"a" in p.read_bytes())
    data = source.read_bytes()
    at = data.index(b"a")  # in the docstring or comment that each source begins with
    source.write_bytes(data[:at] + b"A" + data[at + 1 :])
    image = folder / "changed.eif"
    builder.write(builder.build(copy), image)
    with runs.start(image, pki=development.nitro()) as run:
        return show(
            f"one byte of {source.name} changed, rebuilt and run",
            "M201",
            lambda: channel_report(life, run),
        )


def debug_enclave(life: Life) -> bool:
    """The right image, started in debug mode."""
    with runs.start(life.image, pki=development.nitro(), debug=True) as run:
        return show("the right image as a debug enclave", "P101", lambda: channel_report(life, run))


def channel_report(life: Life, run: runs.Run) -> Report:
    """The verdict on a live channel to another run, under the policy of the demo's own image."""
    host, port = run.published[0].host, run.published[0].host_port
    try:
        stream = client.connect(
            lambda: socket.create_connection((host, port), 5), policy=life.policy, trust=life.trust
        )
    except Rejected as rejected:
        return rejected.report
    with stream:
        return stream.verified.report


def replayed(life: Life, evidence: bytes) -> bool:
    """A genuine document of this enclave, played again for a new question."""
    return show(
        "a genuine document, replayed for a new question",
        "B101",
        lambda: troth.appraise(
            evidence,
            policy=life.policy,
            at=datetime.now(UTC),
            nonce=secrets.token_bytes(32),
            trust=life.trust,
        ),
    )


def other_session(life: Life) -> bool:
    """A host that ends TLS itself and relays the enclave's evidence of its own session."""
    credentials = make_credentials()
    listener = socket.create_server(("127.0.0.1", 0))

    def relayed(_exporter: bytes, _key: bytes, nonce: bytes) -> bytes:
        from OpenSSL import SSL

        tls = context()
        tls.set_alpn_protos([b"troth/1"])
        tls.set_verify(SSL.VERIFY_NONE, lambda *_: True)
        connection = SSL.Connection(tls, None)
        connection.set_connect_state()
        session = Session(life.target.dialler()(), connection, idle=10)
        try:
            session.handshake(seconds=10)
            session.write(Question(nonce=nonce).encode())
            return read_answer(session.take).evidence
        finally:
            session.close()

    def host() -> None:
        sock, _ = listener.accept()
        with contextlib.suppress(troth.TrothError):  # the client hangs up on us, as it should
            accept(sock, credentials, relayed, platform="nitro").close()

    threading.Thread(target=host, daemon=True).start()

    def judge() -> Report:
        try:
            stream = client.connect(
                lambda: socket.create_connection(listener.getsockname(), 5),
                policy=life.policy,
                trust=life.trust,
            )
        except Rejected as rejected:
            return rejected.report
        with stream:
            return stream.verified.report

    with listener:
        return show("a host that relays evidence of another session", "B301", judge)


def production_profile(life: Life, evidence: bytes, nonce: bytes) -> bool:
    """The same good evidence, under a profile that admits vendors' roots alone."""
    policy = replace(profile("production-2026-11"), registers=life.policy.registers)
    return show(
        "the same good evidence under a production profile",
        "P102",
        lambda: troth.appraise(
            evidence, policy=policy, at=datetime.now(UTC), nonce=nonce, trust=life.trust
        ),
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "examples/auction")))
