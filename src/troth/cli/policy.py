"""`troth policy`: write, check, show, pin and import policies."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from troth.cli import _expect, _image, _import
from troth.cli._console import out, read_source, refuse_existing, say, write_file
from troth.errors import Misuse
from troth.model.channel import Binding

app = App(
    name="policy",
    help="""Write, check, show, pin and import policies.

A policy is a TOML file that says which image, which roots and which age are acceptable. What it does
not expect is undecided, never accepted.

    troth policy new --image app.eif -o app.policy.toml
    troth policy check app.policy.toml
    troth verify evidence.bin --policy app.policy.toml
""",
)
_Many = Annotated[Sequence[str], Parameter(consume_multiple=True)]
_Out = Annotated[Path | None, Parameter(name=["--output", "-o"])]


@app.command
def new(
    *, image: Path | None = None, profile: str = "production-2026-11", output: _Out = None
) -> int:
    """Start a policy from a built-in profile, for an image where one is given.

        troth policy new --image app.eif -o app.policy.toml

    Args:
        image: the EIF that should run, or a *.measurements.json that you trust; its measurements go
            into the policy.
        profile: a built-in profile.
        output: file to write; it must not exist. Default: stdout.
    """
    from dataclasses import replace

    from troth.policy.profiles import profile as built_in

    policy = built_in(profile)
    if image is not None:
        policy = policy.expecting(_image.expected(image), name=image.name)
        policy = replace(policy, name=_image.name_of(image))
    _give(policy.to_toml(), output)
    return 0


@app.command
def check(policy: Path) -> int:
    """Read a policy strictly, and say what it leaves open. Exit 2 if it is not one.

        troth policy check app.policy.toml

    Args:
        policy: a policy file.
    """
    chosen = _expect.named_policy(str(policy))
    if chosen.release is not None:
        say(f"it takes what a release of {chosen.release.app} in {chosen.release.log.name} names")
    elif not chosen.registers:
        say("it expects no image: every verdict under it is undecided until one is given")
    if chosen.unreviewed:
        say("it is unreviewed: every verdict under it is undecided until the mark is deleted")
    if chosen.expires is None:
        say("it names no end")
    out(f"{policy}: a policy, sha256 {chosen.sha256}")
    return 0


@app.command
def show(policy: str) -> int:
    """Print a policy, or a built-in profile, as a document.

        troth policy show production-2026-11

    Args:
        policy: a policy file, or the name of a profile.
    """
    out(_expect.named_policy(policy).to_toml().rstrip("\n"))
    return 0


@app.command
def machines(
    policy: str, listed: Path, *, key: Sequence[str], level: int = 1, output: _Out = None
) -> int:
    """Add the machines of a signed list to a policy, which then counts for no others.

        troth policy machines app.policy.toml seen.jsonl --key 5ea6… -o guarded.policy.toml

    The policy expires with the list.

    Args:
        policy: a policy file, or the name of a profile.
        listed: the list: JSON lines with signatures at the end.
        key: an Ed25519 public key in hex that must have signed it; may be repeated, and then all must.
        level: the lowest level, 1 to 3, at which a machine counts.
        output: file to write; it must not exist. Default: stdout.
    """
    from troth.policy import machines as lists
    from troth.wire.text import from_hex

    keys = [from_hex(text, field="--key") for text in key]
    found = lists.read(read_source(str(listed)), keys=keys, level=level, field=listed.name)
    _give(lists.onto(_expect.named_policy(policy), found).to_toml(), output)
    return 0


@app.command
def releases(
    policy: str,
    *,
    app: str,
    log: str,
    witness: _Many,
    witness_threshold: int,
    owner: _Many,
    owner_threshold: int,
    notice: str,
    max_checkpoint_age: str = "24h",
    output: _Out = None,
) -> int:
    r"""Let a policy take what a release in a log names, and nothing else.

        troth policy releases production-2026-11 --app auction --log log.pub \
            --witness w1.pub --witness w2.pub --witness w3.pub --witness-threshold 2 \
            --owner anna.pub --owner bert.pub --owner cleo.pub --owner-threshold 2 \
            --notice 72h -o app.policy.toml

    Args:
        policy: a policy file, or the name of a profile.
        app: the app's name in the log.
        log: the log's public key, or a file with it.
        witness: a witness's public key, or a file with it; may be repeated.
        witness_threshold: how many of them must have seen the log.
        owner: an owner's public key, or a file with it; may be repeated.
        owner_threshold: how many of them must have signed a release.
        notice: for how long a release must have been known before it counts, such as 72h; 0s for not at all.
        max_checkpoint_age: how long ago the witnesses may have seen the log, such as 24h.
        output: file to write; it must not exist. Default: stdout.
    """
    from dataclasses import replace

    from troth.cli import _log_source
    from troth.policy import release_toml

    section = {
        "logged": True,
        "app": app,
        "log": str(_log_source.key(log, name="--log")),
        "witnesses": [str(_log_source.key(key, name="--witness")) for key in witness],
        "witness_threshold": witness_threshold,
        "owners": [str(_log_source.key(key, name="--owner")) for key in owner],
        "owner_threshold": owner_threshold,
        "notice": notice,
        "max_checkpoint_age": max_checkpoint_age,
    }
    terms = release_toml.read(section, "policy releases")
    _give(replace(_expect.named_policy(policy), release=terms, name=app).to_toml(), output)
    return 0


@app.command
def pin(
    source: str,
    *,
    event_log: Path | None = None,
    policy: str | None = None,
    nonce: str | None = None,
    trust: Sequence[str] = (),
    collateral: Sequence[Path] = (),
    at: str | None = None,
    output: _Out = None,
) -> int:
    """Write a policy from what is there now, out of genuine evidence only, and mark it unreviewed.

        troth policy pin evidence.bin -o app.policy.toml
        troth policy pin quote.bin --event-log log.json --collateral DIR -o app.policy.toml

        troth policy pin https://ai.example --collateral DIR -o ai.policy.toml

    With the log of a dstack guest its events are pinned, and not RTMR3, which no two machines share.
    Of a service, each part is pinned and counted, and how firmly the way to it is tied to them.

    Args:
        source: evidence, a dstack guest agent's answer, `-`, or the address of an attested service.
        event_log: what a TDX guest logged of its boot; it must replay.
        policy: a policy file or profile whose other requirements must hold, and are kept.
        nonce: your nonce, in hex, or @FILE; the evidence must carry it.
        trust: a PEM file with a root to trust beside the vendors', or nitro:FILE where it shall count for
            that platform alone; may be repeated.
        collateral: endorsements from Intel or AMD, a file or a folder of them; may be repeated.
        at: the instant of judgement.
        output: file to write; it must not exist. Default: stdout.
    """
    from troth.cli import _collateral, _judge
    from troth.cli._pin import pinned
    from troth.policy import Policy

    instant, as_of = _expect.instant(at)
    roots, _ = _expect.roots(trust)
    base = Policy(name="pin") if policy is None else _expect.named_policy(policy)
    if base.release is not None:
        raise Misuse(
            f"{base.name} asks a log what may run, and so pins nothing",
            fix="name another policy, or none",
        )
    held = _collateral.load(collateral)
    if _judge.is_live(source):
        from troth.channel import services

        if as_of or nonce is not None or event_log is not None:
            raise Misuse(
                "a live source is pinned now, with a nonce of this program's own",
                fix="leave --nonce, --event-log and --at away",
            )
        found = services.ask(source, services.SERVICES).found
        made = pinned(
            found.composite,
            base=base,
            name=f"pinned from {source}",
            event_log=None,
            nonce=found.nonce,
            trust=roots,
            collateral=held + found.collateral,
            at=_expect.instant(None)[0],
            as_of=False,
            channel=found.binding,
        )
    else:
        made = pinned(
            read_source(source),
            base=base,
            name=f"pinned from {Path(source).name}",
            event_log=_expect.event_log(event_log),
            nonce=_expect.nonce(nonce),
            trust=roots,
            collateral=held,
            at=instant,
            as_of=as_of,
        )
    _give(made.to_toml(), output)
    return 0


@app.command(name="import")
def import_(
    source: str,
    *,
    from_: Annotated[_import.Kind, Parameter(name="--from")],
    entry: str = "",
    hardware: Path | None = None,
    hardware_tag: str = "",
    sigstore_root: Path | None = None,
    repository: str = "",
    tag: str = "",
    workflow: str = "",
    mrtd: str = "",
    channel: Binding | None = None,
    output: _Out = None,
) -> int:
    r"""Write a policy from another project's document of what its images measure to.

        troth policy import measurements.json --from flashbots --entry release-7 -o app.policy.toml
        troth policy import release.sigstore.json --from tinfoil --repository owner/model --tag v1.2.3 \
            --sigstore-root trusted_root.json --channel key -o ai.policy.toml

    An entry that expects nothing is refused, and never taken for «any». Signatures are checked offline,
    under the root that you give.

    Args:
        source: a list of Flashbots' measurements, or the Sigstore bundle of a release of Tinfoil's.
        from_: whose document it is: flashbots or tinfoil.
        entry: of a list of several.
        hardware: Sigstore bundle of Tinfoil's list of hardware; without it the policy is for SEV-SNP alone.
        hardware_tag: of the release of that list.
        sigstore_root: Sigstore's trusted root (JSON), from where you trust it.
        repository: whose workflow must have signed, as owner/name.
        tag: of the release.
        workflow: the file under .github/workflows; any of that repository's if not given.
        mrtd: what the evidence at hand presents, where the list of hardware has several.
        channel: how firmly the way to the service must be tied to the evidence; session if not given.
        output: file to write; it must not exist. Default: stdout.
    """
    from dataclasses import replace

    if from_ == "flashbots":
        if hardware or hardware_tag or sigstore_root or repository or tag or workflow or mrtd:
            raise Misuse(
                "these flags are for a release of Tinfoil's", fix="leave all but --entry away"
            )
        made = _import.flashbots(source, entry=entry)
    else:
        if entry:
            raise Misuse("a release has no entries", fix="leave --entry away")
        made = _import.tinfoil(
            source,
            hardware=hardware,
            hardware_tag=hardware_tag,
            sigstore_root=sigstore_root,
            repository=repository,
            tag=tag,
            workflow=workflow,
            mrtd=mrtd.lower(),
        )
    _give((made if channel is None else replace(made, channel=channel)).to_toml(), output)
    return 0


def _give(text: str, output: Path | None) -> None:
    if output is None:
        out(text.rstrip("\n"))
        return
    refuse_existing(output)
    write_file(output, text.encode("utf-8"), replace=False)
    say(f"wrote {output}")
