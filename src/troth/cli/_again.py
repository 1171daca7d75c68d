"""How a judgement is repeated: what a channel showed as a bundle, and the command line for it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from troth.channel.client import AttestedStream
    from troth.model.collateral import Collateral
    from troth.policy import Policy
    from troth.verifier.bundle import Bundle


def bundle_of(
    stream: "AttestedStream",
    *,
    policy: "Policy",
    pem: bytes,
    collateral: "Collateral | None" = None,
) -> "Bundle":
    """The evidence that a channel was opened on, with the report on it.

    Args:
        stream: an accepted channel.
        policy: what it was judged by.
        pem: the roots that were added.
        collateral: what it was judged with; what the report rests on goes along.
    """
    from troth.model.collateral import NONE
    from troth.render.json import report_json
    from troth.verifier.bundle import Bundle, Maker, used

    proof = stream.proof
    maker = Maker(
        policy=policy.to_toml(),
        roots=pem,
        at=proof.at,
        nonce=proof.nonce,
        key=proof.key,
        binding=proof.binding,
        report=report_json(stream.verified.report).encode("utf-8"),
    )
    kept = NONE if collateral is None else used(collateral, stream.verified.report)
    return Bundle(evidence=proof.evidence, maker=maker, collateral=kept)


def command(
    source: Path | str,
    *,
    at: datetime | None,
    named: Mapping[str, Path | str | None],
    listed: Mapping[str, Sequence[Path | str]],
) -> str:
    """The command line that judges a file as it was judged.

    Args:
        source: the file.
        at: the instant of judgement; None where the file brings its own.
        named: value by flag, None where the flag was not given.
        listed: values by flag, for flags that may be repeated.
    """
    import shlex

    from troth.render.words import rfc3339

    words = ["troth", "verify", str(source)]
    for name, value in named.items():
        words += [] if value is None else [f"--{name}", str(value)]
    for name, values in listed.items():
        for value in values:
            words += [f"--{name}", str(value)]
    return shlex.join(words if at is None else [*words, "--at", rfc3339(at)])
