"""`troth up`: the whole life of an enclave in one go, telling each step."""

import contextlib
import json as plain_json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import Parameter

from troth.cli import _again
from troth.cli._console import out, say, write_file
from troth.cli._kernel import Name, choose
from troth.cli._progress import progress
from troth.errors import Malformed, Misuse, Unavailable
from troth.render.escape import visible

if TYPE_CHECKING:
    from troth.channel.client import AttestedStream
    from troth.channel.dial import Target
    from troth.model.report import Report
    from troth.model.roots import Root
    from troth.policy import Policy
    from troth.runtime.runs import Run

CLIENT: Final = "client.py"
"""A script beside the recipe that uses the app over a local proxy; `up` runs it."""
CHANNEL: Final = "channel.troth"
ROOT: Final = "root.pem"
_CLIENT_SECONDS: Final = 120
_MOST_OUTPUT: Final = 1 << 20
_MOST_SHOWN: Final = 240  # bytes of an app's answer

Tell = Callable[[str], object]


def up(
    app: Path,
    *,
    work: Annotated[Path | None, Parameter(name=["--work", "-w"])] = None,
    kernel: Name | None = None,
    on: Literal["simulator", "microvm", "qemu-nitro"] = "simulator",
    keep: bool = False,
    json: bool = False,
) -> int:
    """Build, run, verify and connect in one go, telling each step with its time.

    An app folder with a `client.py` has it run against the app, over the attested channel. Everything
    made is left in the work folder: image, policy, root, report, and as bundles the channel's evidence
    and the receipt.

        troth up examples/auction
        troth up examples/hello --keep
        troth up examples/hello --on microvm

    Args:
        app: folder with a troth.toml.
        work: folder for what is made; build/NAME by default.
        kernel: in the place of the recipe's. Where the recipe asks for the hardware kernel and it is
            not built yet, this command takes Debian's; naming it here builds it.
        on: where it runs: on the simulator, or booted in QEMU with its own kernel. On qemu-nitro the
            verdict must be a rejection: QEMU signs nothing.
        keep: leave the app running behind a local proxy until Ctrl-C.
        json: print a summary as JSON at the end, and the steps on stderr.
    """
    from troth.image.recipe import load
    from troth.wire import json as strict

    recipe = load(app)
    if recipe.raw_nsm:
        raise Misuse(
            f"the app of {app} has the security module itself (raw_nsm), so there is no attested "
            "channel to bring up",
            fix="set raw_nsm = false in its troth.toml, or use troth build and troth run",
        )
    folder = work or Path("build", recipe.name)
    folder.mkdir(parents=True, exist_ok=True)
    steps = Steps(tell=say if json else out)
    used = choose(app, kernel, make=kernel == "hardware")
    with live(app, folder, steps, kernel=used, on=on) as life:
        if json:
            out(strict.canonical(steps.summary).decode())
        else:
            out(f"\neverything is in {folder}; it ran on {life.run.state.on}, {life.run.says}")
        if keep:
            _keep(life)
    return 0


@dataclass(slots=True)
class Steps:
    """Says what was done and how long it took; keeps it for the summary.

    Attributes:
        tell: takes one line.
        summary: step by name, in order.
    """

    tell: Tell
    summary: dict[str, Any] = field(default_factory=dict)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """One step; the block calls what it is given with the words for what came of it."""
        words: list[str] = []
        began = time.monotonic()
        yield words.append
        took = time.monotonic() - began
        self.summary[name] = {"milliseconds": round(took * 1000), "what": "; ".join(words)}
        # What an app and its client answered is among the words.
        self.tell(f"✓ {name:<22} {took:6.2f} s   {visible('; '.join(words))}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """An app that was brought up, while it runs.

    Attributes:
        app: the folder it was built from (a copy, where it had to be locked anew).
        image: path of the image.
        policy: expects exactly that image.
        trust: the development root.
        run: the running image.
        target: where its attested channel is.
        report: the verdict on the channel's evidence.
        receipt: path of the receipt's bundle, or None where the app gave none.
    """

    app: Path
    image: Path
    policy: "Policy"
    trust: "tuple[Root, ...]"
    run: "Run"
    target: "Target"
    report: "Report"
    receipt: Path | None


@contextlib.contextmanager
def live(
    app: Path, folder: Path, steps: Steps, *, kernel: str | None = None, on: str = "simulator"
) -> Iterator[Life]:
    """Takes an app through every step; it runs for as long as the block does.

    Args:
        app: the folder with the recipe.
        folder: where what is made goes.
        steps: told each step.
        kernel: in the place of the recipe's.
        on: where it runs.

    Raises:
        Misuse, Unavailable, Malformed: a step cannot be taken.
        Rejected, Undecided: the evidence or the receipt is not accepted.
    """
    from troth.channel import client, dial
    from troth.image.check import build_twice
    from troth.policy import Policy
    from troth.runtime import development, runs
    from troth.verifier.bundle import pack

    with steps.step("lock checked") as done, progress() as tell:
        app = locked(app, folder, done, tell)
    name = app_name(app)
    image = folder / f"{name}.eif"
    with steps.step("built twice, and equal") as done:
        with progress() as tell:
            twice = build_twice(app, image, kernel=kernel, say=tell)
        if twice.differences:
            raise Unavailable(f"the two builds differ: {'; '.join(twice.differences)}")
        done(f"{image}, sha256 {twice.sha256[:16]}…")
    with steps.step("measured") as done:
        policy = Policy.for_image(twice.measurements, name=image.name)
        policy_file = folder / f"{name}.policy.toml"
        write_file(policy_file, policy.to_toml().encode())
        done(f"pcr0 {twice.measurements['nitro']['pcr0'][:16]}…")
    with contextlib.ExitStack() as stack:
        with steps.step("started") as done:
            pki = development.nitro()
            run = stack.enter_context(runs.start(image, pki=pki, on=on))
            done(f"{run.id}, {run.says}")
        if not run.published:
            raise Misuse(
                f"{name} listens on no port, so there is no channel to it",
                fix="add a [[listen]] to its troth.toml",
            )
        trust = (pki.root(),)
        target = dial.parse(f"https://{run.published[0].address}/")
        with steps.step("evidence verified") as done:
            stream = client.connect(target.dialler(), policy=policy, trust=trust, name=name)
            report = stream.verified.report
            pem = pki.root_pem().encode()
            write_file(folder / ROOT, pem)
            seen = _again.bundle_of(stream, policy=policy, pem=pem)
            write_file(folder / CHANNEL, pack(seen))
            done(f"{len(report.checks)} checks passed, under your {report.root_class} root")
        with steps.step("channel bound") as done, stream:
            done(f"session {stream.proof.exporter.hex()[:16]}…, and the certificate's key")
        life = Life(
            app=app,
            image=image,
            policy=policy,
            trust=trust,
            run=run,
            target=target,
            report=report,
            receipt=_used(app, folder, steps, policy=policy, trust=trust, target=target),
        )
        with steps.step("report written") as done:
            from troth.cli.verify import html

            page = folder / "report.html"
            again = _again.command(
                folder / CHANNEL,
                at=report.at,
                named={"policy": policy_file},
                listed={"trust": [folder / ROOT]},
            )
            write_file(page, html(report, seen.evidence, command=again).encode())
            done(str(page))
        yield life


def app_name(app: Path) -> str:
    """The name in the app's recipe."""
    from troth.image.recipe import load

    return load(app).name


def locked(app: Path, folder: Path, done: Tell, tell: Tell) -> Path:
    """The app with a lock that fits and whose packages are all at hand.

    Where a mirror has dropped a package since, a copy of the app is locked anew, and that is said.

    Args:
        app: the folder with the recipe.
        folder: where a copy may be made.
        done: takes what came of it.
        tell: takes what is going on.
    """
    from troth.image import lock as locks
    from troth.image import locking
    from troth.image.fetched import Gone
    from troth.image.recipe import load
    from troth.image.store import Store

    if not (app / locks.FILE).is_file():
        lock = locking.make(app, store=Store.of_user(), say=tell)
        done(f"made, {len(lock.all_debs) + len(lock.all_wheels)} packages by SHA-256")
        return app
    try:
        _, lock, _ = locking.ensure(app, say=tell)
    except Gone as error:
        if ".." in Path(load(app).brings).parts:
            raise  # what it brings is found from where the recipe stands, and not from a copy
        copy = folder / "app"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(app, copy)
        lock = locking.make(copy, store=Store.of_user(), say=tell)
        done(f"{error}: locked a copy anew in {copy}")
        return copy
    done(f"{len(lock.all_debs) + len(lock.all_wheels)} packages by SHA-256")
    return app


def _used(
    app: Path,
    folder: Path,
    steps: Steps,
    *,
    policy: "Policy",
    trust: "tuple[Root, ...]",
    target: "Target",
) -> Path | None:
    """Uses the app over the attested channel, and checks the receipt that it gives."""
    from troth.channel import client, http

    def opened() -> "AttestedStream":
        return client.connect(target.dialler(), policy=policy, trust=trust, name=target.authority)

    if not (app / CLIENT).is_file():
        with steps.step("used") as done, http.Connection(opened(), target.authority) as connection:
            answer = connection.request("GET", "/")
            done(f"GET / answered {answer.status}{_first_line(answer.body)}")
        return None
    with steps.step("used") as done:
        answer_text, told = _run_client(app / CLIENT, opened)
        done(told)
    with steps.step("receipt verified") as done:
        path = folder / "receipt.troth"
        report = _receipt(answer_text, path, policy=policy, trust=trust)
        done(f"{path}, {len(report.checks)} checks passed")
    return path


def _first_line(body: bytes) -> str:
    """What an app answered, as far as it fits into a line of ours."""
    text = body[:_MOST_SHOWN].decode("utf-8", "replace").strip()
    if not text:
        return f", {len(body)} bytes"
    line, *others = text.split("\n")
    more = " …" if others or len(body.strip()) > _MOST_SHOWN else ""
    return f": {visible(line)}{more}"


def _run_client(script: Path, opened: "Callable[[], AttestedStream]") -> tuple[str, str]:
    """Runs the app's own client behind a local proxy; its last line out, and its last line of talk."""
    from troth.channel.proxy import Proxy, listen_local

    with Proxy(listen_local(0), opened, tell=say) as proxy:
        threading.Thread(target=proxy.serve, daemon=True).start()
        try:
            done = subprocess.run(
                [sys.executable, str(script), proxy.address],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=_CLIENT_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(f"{script} did not end within {_CLIENT_SECONDS} s") from None
    lines, talk = done.stdout.splitlines(), done.stderr.splitlines()
    if done.returncode or not lines or len(done.stdout) > _MOST_OUTPUT:
        raise Unavailable(
            f"{script} ended with {done.returncode}: {' '.join(talk[-1:])[:300]}",
            fix="mend the client or the app, and run it again",
        )
    return lines[-1], " ".join(talk[-1:])[:200]


def _receipt(answer: str, path: Path, *, policy: "Policy", trust: "tuple[Root, ...]") -> "Report":
    """Bundles what the app signed with the evidence of the key, and judges that as anybody would."""
    from datetime import UTC, datetime

    from troth.model.report import Rejected, Undecided, Verdict
    from troth.verifier.bundle import Bundle, appraise_stored, pack, unpack
    from troth.verifier.receipt import Receipt
    from troth.wire.text import from_hex

    try:
        given = plain_json.loads(answer)
        statement, signature = str(given["statement"]), str(given["signature"])
        evidence = str(given["evidence"])
    except (ValueError, KeyError, TypeError):
        raise Malformed(
            "is no JSON object with statement, signature and evidence", field="client's last line"
        ) from None
    receipt = Receipt(
        name="receipt",
        data=statement.encode("utf-8"),
        signature=from_hex(signature, field="signature"),
    )
    bundle = Bundle(evidence=from_hex(evidence, field="evidence"), receipts=(receipt,))
    write_file(path, pack(bundle))
    report = appraise_stored(
        unpack(path.read_bytes()),
        name=path.name,
        policy=policy,
        now=datetime.now(UTC),
        trust=trust,
    )
    match report.verdict:
        case Verdict.ACCEPTED:
            return report
        case Verdict.REJECTED | Verdict.MALFORMED:
            raise Rejected(report)
        case _:
            raise Undecided(report)


def _keep(life: Life) -> None:
    """A local proxy until Ctrl-C."""
    from troth.channel import client
    from troth.channel.proxy import Proxy, listen_local

    def opened() -> "AttestedStream":
        return client.connect(
            life.target.dialler(), policy=life.policy, trust=life.trust, name=life.target.authority
        )

    with Proxy(listen_local(0), opened, tell=say) as proxy:
        say(f"{proxy.address} leads to the app over the attested channel; Ctrl-C ends it")
        proxy.serve()
