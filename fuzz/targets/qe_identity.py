"""Intel's identities of quoting enclaves, as they are served."""

from collections.abc import Iterable

from fuzz.simulated import intel
from fuzz.target import Target
from fuzz.targets.tcb_info import WORDS, bodies
from troth.platforms.dcap import collateral


def _run(data: bytes) -> None:
    value, _, _ = collateral.cut(data, "enclaveIdentity")
    collateral.enclave_identity(value)


def _seeds() -> Iterable[bytes]:
    yield from (intel().qe_identity(tdx=tdx).data for tdx in (False, True))
    yield from bodies("enclaveIdentity")


TARGET = Target(run=_run, seeds=_seeds, words=(*WORDS, b'"tcbLevels":', b'"isvsvn":'))
