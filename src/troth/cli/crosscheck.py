"""`troth crosscheck`: what another implementation of the enclave machine measures an image to."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from troth.errors import Misuse

if TYPE_CHECKING:
    from troth.channel.client import Proof
    from troth.platforms.nitro.format import Document

_SECONDS: Final = 300.0
"""For a boot: twenty times what an idle machine takes."""
_ANSWER_SECONDS: Final = 60.0
"""For handshake and answer of a guest whose processor is emulated on a busy machine."""
UNSIGNED: Final = "G105"
"""The check that such a document must fail, among others: it has no signature of the platform's kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One register.

    Attributes:
        name: such as `pcr0`.
        ours: what troth computes, in hex.
        theirs: what QEMU's security module says.
    """

    name: str
    ours: str
    theirs: str

    @property
    def equal(self) -> bool:
        """Whether both say the same."""
        return self.ours == self.theirs


def crosscheck(image: Path, *, json: bool = False) -> int:
    """Boot an image as it is in QEMU's machine nitro-enclave, and compare what that measures with troth.

    QEMU reads the image, measures it and shows its registers to the guest, all in code that is not
    troth's. The agent asks for a document through /dev/nsm; its PCR0 to 4 and PCR8 must be what troth
    computes. QEMU does not sign it, so troth must refuse it as evidence.

    Exit 0 if all registers are equal and the document is refused; 1 if not.

        troth crosscheck app.eif
        troth crosscheck app.eif --json

    Args:
        image: an EIF that troth built, listening on one port at least.
        json: print as JSON.
    """
    from troth.cli._console import out
    from troth.wire import json as strict

    expected = expectations(image)
    proof, document = _booted(image)
    rows = compare(expected, document)
    codes = refusals(proof, expected)
    bound = document.nonce == proof.nonce and document.user_data == proof.binding
    agreed = all(row.equal for row in rows) and UNSIGNED in codes and bound
    if json:
        told = {row.name: {"ours": row.ours, "theirs": row.theirs} for row in rows}
        answer = {"registers": told, "refused": codes, "bound": bound, "agreed": agreed}
        out(strict.canonical(answer).decode())
        return 0 if agreed else 1
    for row in rows:
        out(f"{row.name}  {'equal' if row.equal else 'DIFFERS'}  {row.ours}")
        if not row.equal:
            out(f"{'':<4}  {'QEMU:':<7}  {row.theirs}")
    out(f"binds  {'this session' if bound else 'SOMETHING ELSE'}, through /dev/nsm")
    if UNSIGNED in codes:
        out(f"refused  {', '.join(codes)}: QEMU does not sign, and no verifier may accept it")
    else:
        out(f"NOT REFUSED as unsigned; codes: {', '.join(codes) or 'none'}")
    return 0 if agreed else 1


def expectations(image: Path) -> Mapping[str, str]:
    """The registers of an image in that machine, as troth computes them, in hex."""
    from troth.cli import _image
    from troth.platforms.nitro import measure
    from troth.runtime import qemu_nitro
    from troth.wire import eif

    measured = _image.measure_eif(image, eif.read(_image.read(image)))
    return {
        **measured,
        "pcr3": measure.pcr3(qemu_nitro.ROLE).hex(),
        "pcr4": measure.pcr4(qemu_nitro.PARENT).hex(),
        "pcr8": measured.get("pcr8", measure.ZERO.hex()),
    }


def _booted(image: Path) -> "tuple[Proof, Document]":
    """Evidence from a boot, unjudged."""
    from troth.channel import client, dial
    from troth.platforms.nitro import format as documents
    from troth.runtime import runs
    from troth.runtime.load import load

    loaded = load(image)
    if loaded.raw_nsm or not loaded.ports:
        raise Misuse(
            f"{image} answers on no attested channel, so nobody can ask it",
            fix="give its recipe a [[listen]], and no raw_nsm",
        )
    with runs.start(image, pki=None, on="qemu-nitro", timeout=_SECONDS) as run:
        target = dial.parse(f"https://{run.published[0].address}")
        proof = client.ask(target.dialler(), seconds=_ANSWER_SECONDS)
    return proof, documents.parse(proof.evidence)


def compare(expected: Mapping[str, str], document: "Document") -> tuple[Row, ...]:
    """Register by register, those that the machine sets."""
    return tuple(
        Row(name=name, ours=value, theirs=document.pcrs.get(int(name[3:]), b"").hex())
        for name, value in sorted(expected.items())
    )


def refusals(proof: "Proof", expected: Mapping[str, str]) -> list[str]:
    """The codes of the checks that this evidence fails where all but its signature is as asked for."""
    from troth.model.check import Outcome
    from troth.model.evidence import Evidence
    from troth.policy import Policy
    from troth.verifier import appraise

    # A policy has no zeros, which would be a debug enclave's.
    wanted = {name: frozenset({value}) for name, value in expected.items() if int(value, 16)}
    report = appraise(
        Evidence(data=proof.evidence, name="QEMU's document"),
        policy=Policy(
            name="crosscheck",
            registers={"nitro": wanted},
        ),
        at=proof.at,
        nonce=proof.nonce,
        key=proof.key,
        binding=proof.binding,
    )
    return sorted({check.code.id for check in report.checks if check.outcome is Outcome.FAILED})
