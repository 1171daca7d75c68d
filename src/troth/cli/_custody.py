"""`--key` as somebody's claim: does the evidence bind it, by what, and who else could hold it?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from troth.cli import _expect
from troth.cli._console import exists, read_source
from troth.errors import Misuse

if TYPE_CHECKING:
    from troth.model.report import Report
    from troth.verifier.claimed import Chain, Claimed

_MAX_CHAIN: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What the flags say of a key.

    Attributes:
        key: that is claimed.
        chain: of a dstack key service, or None.
        roots: of key services that the caller trusts.
    """

    key: "Claimed"
    chain: "Chain | None"
    roots: "tuple[Claimed, ...]"

    @property
    def only_here(self) -> bool:
        """Whether no field of evidence holds it as it stands, so that it must be found by its tag."""
        return self.chain is not None or not (self.key.point or self.key.raw or self.key.spki)


def claim(text: str | None, *, chain: Path | None, roots: Sequence[str]) -> Claim | None:
    """What is claimed; None where no key was given, or bytes that are no key of a kind that is known.

    Raises:
        Misuse: a chain or a root without a key, or a root that is none.
        Unavailable, Malformed: a file cannot be read.
    """
    if text is None:
        if chain is not None or roots:
            raise Misuse("a chain of signatures is for a key", fix="name it with --key")
        return None
    from troth.verifier import claimed

    try:
        key = claimed.read(_text(text))
    except Misuse:
        if chain is not None or text.startswith("0x"):
            raise
        return None
    signed = None if chain is None else read_source(str(chain), limit=_MAX_CHAIN)
    return Claim(
        key=key,
        chain=None if signed is None else claimed.read_chain(signed),
        roots=tuple(claimed.read(root) for root in roots),
    )


def told(
    report: "Report",
    claim: Claim | None,
    *,
    keys: Mapping[str, bytes] | None = None,
    nonce: bytes | None,
) -> "Report":
    """The report with what it lets one say of the key; the same where none was claimed."""
    if claim is None:
        return report
    from troth.verifier import custody

    known = custody.Known(chain=claim.chain, roots=claim.roots, keys=keys, nonce=nonce)
    return custody.joined(report, custody.custody(claim.key, report, known))


def _text(text: str) -> str:
    """As it was written, so that a checksum in its capitals counts; a file's key in hex."""
    if exists(Path(text.removeprefix("@"))):
        return (_expect.key(text) or b"").hex()
    return text
