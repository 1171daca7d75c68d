"""A confidential VM of Azure, simulated: SNP's report over the paravisor's claims, and the vTPM's quote."""

import functools
from dataclasses import dataclass

from tests.platforms.snp import made as snp
from tests.platforms.tpm import made
from tests.platforms.tpm.made import NONCE

import troth
from troth.model.collateral import Collateral
from troth.model.report import Report
from troth.model.roots import RootClass
from troth.platforms.snp.product import Product
from troth.platforms.snp.simulate import DevelopmentPki, Processor
from troth.platforms.tpm import azure, hcl
from troth.platforms.tpm.simulate import SimulatedTpm
from troth.policy.requirements import Requirements


@functools.cache
def processor() -> Processor:
    return Processor.create(DevelopmentPki.create(Product.MILAN, snp.START), snp.START)


@dataclass(frozen=True)
class Machine:
    """One machine: its TPM, and what its paravisor and chip say of it."""

    tpm: SimulatedTpm
    runtime: bytes
    report: bytes

    def evidence(self, nonce: bytes = NONCE, **changes: bytes) -> bytes:
        said = {"hardware": self.report, "runtime": self.runtime} | changes
        return self.tpm.azure(nonce, vcek=processor().endorsement, **said)


def machine(number: int = 0, **boot: object) -> Machine:
    tpm = made.booted(number=number, **boot)
    runtime = tpm.runtime()
    report = processor().report(report_data=hcl.report_data(runtime), measurement=snp.CODE)
    return Machine(tpm=tpm, runtime=runtime, report=report)


def policy(like: Machine, **changes: object) -> troth.Policy:
    registers = made.policy(like.tpm.evidence(NONCE)).registers["tpm"]
    asked = {
        "name": "machine",
        "registers": {"snp": {"measurement": frozenset({snp.CODE.hex()})}, "tpm": registers},
        "requirements": {
            "snp": Requirements(minimum={"snp": 4}),
            "tpm": Requirements(ak=frozenset({"bound"})),
        },
        "roots_allow": frozenset({RootClass.DEVELOPMENT}),
        "parts": {"tpm": 1},
    }
    return troth.Policy(**(asked | changes))  # type: ignore[arg-type]


def judged(
    data: bytes,
    *,
    pinned: troth.Policy | None = None,
    nonce: bytes = NONCE,
    event_log: bytes | None = None,
) -> Report:
    found = azure.read(data)
    assert found is not None
    return troth.appraise(
        found.composite(event_log=event_log),
        policy=pinned or policy(machine()),
        at=snp.AT,
        nonce=nonce,
        trust=[processor().pki.root()],
        collateral=Collateral(items=snp.held(processor())),
    )
