"""Running evidence beside a rebuild: judged by the production verifier, which expects what the rebuild measures to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Parameter

from troth.errors import Misuse
from troth.model.check import Outcome, Waiver

if TYPE_CHECKING:
    from troth.model.report import Report
    from troth.policy import Policy

_PLATFORM: Final = "nitro"


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """What the evidence is, and how it is judged."""

    against: str | None = None
    "Evidence of what runs: https://HOST:PORT, or a file. It is verified first, and the rebuild is what it must be."
    policy: str | None = None
    "Policy file or profile for that evidence; which image it is the rebuild says."
    trust: Annotated[Sequence[str], Parameter(negative=())] = ()
    "PEM file with a root to trust beside the vendors'; may be repeated."
    collateral: Annotated[Sequence[Path], Parameter(negative=())] = ()
    "Endorsements, a file or a folder of them; may be repeated."
    nonce: str | None = None
    "Of evidence in a file: your nonce, in hex, or @FILE."
    key: str | None = None
    "Of evidence in a file: the key that must be bound."
    waive: Annotated[Sequence[Literal["freshness", "key"]], Parameter(negative=())] = ()
    "Give up an expectation by name; the exit code is then 6, never 0."
    at: str | None = None
    "Of evidence in a file: the instant of judgement; your own claim if it is in the past."

    def check(self) -> None:
        """Refuses what has no meaning without evidence, before anything is built.

        Raises:
            Misuse: it is given.
        """
        if self.against is None and self != NOWHERE:
            raise Misuse(
                "a policy, roots, a nonce, a key, an instant and waivers are for evidence, and none is named",
                fix="name it: --against https://HOST",
            )


NOWHERE: Final = Against()


def judge(source: str, flags: Against, measured: Mapping[str, str], *, name: str) -> "Report":
    """The report on the evidence, by a policy that expects these registers and no others of them.

    Args:
        source: of the evidence, as `--against` names it.
        flags: how it is judged.
        measured: registers of the rebuild, in hex.
        name: of the rebuild, for reports.

    Raises:
        Misuse: the policy expects another image than the rebuild; see also `_judge.judge`.
        Malformed, Unavailable: as there.
    """
    from troth.cli import _collateral, _custody, _expect, _judge
    from troth.policy import Policy

    roots, pem = _expect.roots(flags.trust)
    policy = (
        Policy.for_image({_PLATFORM: measured}, name=name)
        if flags.policy is None
        else expecting(_expect.named_policy(flags.policy), measured, name=name)
    )
    asked = _judge.Flags(
        policy=policy,
        trust=roots,
        pem=pem,
        collateral=_collateral.load(flags.collateral),
        event_log=None,
        service="",
        nonce=_expect.nonce(flags.nonce),
        key=_expect.key(flags.key),
        claim=_custody.claim(flags.key, chain=None, roots=()),
        waive=frozenset(Waiver(one) for one in flags.waive),
        at=_expect.instant(flags.at),
        offline=False,
        replay=False,
    )
    report, _, _ = _judge.judge(source, asked)
    return report


def expecting(policy: "Policy", measured: Mapping[str, str], *, name: str) -> "Policy":
    """The policy with the rebuild's registers in the place of the images that it allows.

    What it says of other platforms goes: evidence of those says nothing of this image.

    Raises:
        Misuse: it allows other images, and not this one.
    """
    pinned = dict(policy.registers.get(_PLATFORM, {}))
    for register, value in measured.items():
        allowed = pinned.pop(register, frozenset({value}))
        if value not in allowed:
            raise Misuse(
                f"{policy.name} allows other values of {register} than the rebuild's, {value}",
                fix="this is not the image that the policy is about; leave --policy away to compare all the same",
            )
    registers = {_PLATFORM: pinned} if pinned else {}
    return replace(policy, registers=registers).expecting({_PLATFORM: measured}, name=name)


_HOLDS: Final = {
    "pcr1": "kernel, command line, or the ramdisk with troth's own part",
    "pcr2": "the ramdisk with the app and its packages",
}


def elsewhere(report: "Report", measured: Mapping[str, str]) -> list[str]:
    """Where what runs is another image, in words; nothing where more than that is wrong with its evidence."""
    failed = {check.code.id for check in report.checks if check.outcome is Outcome.FAILED}
    if report.presented is None or not failed or not all(code.startswith("M") for code in failed):
        return []
    said = report.presented.registers
    return [
        f"what runs has another {name}: {what}"
        for name, what in _HOLDS.items()
        if said.get(name) != measured.get(name)
    ]


def is_of(report: "Report", measured: Mapping[str, str]) -> bool:
    """Whether the evidence that was judged is of this image: its platform's, and register by register.

    The policy asked for that. It is looked at once more, because a report is about what the policy asks.
    """
    said = report.presented
    return (
        said is not None
        and report.platform == _PLATFORM
        and all(said.registers.get(name) == value for name, value in measured.items())
    )
