"""Intel's TCB Info, as it is served."""

from collections.abc import Iterable

from fuzz.simulated import intel
from fuzz.target import Target, must
from fuzz.vectors import vectors
from troth.errors import Malformed
from troth.platforms.dcap import collateral
from troth.trust.collateral import load


def _run(data: bytes) -> None:
    value, signed, signature = collateral.cut(data, "tcbInfo")
    must(signed in data and len(signature) == 64, "what is signed is not what was given")
    collateral.tcb_info(value)


def _seeds() -> Iterable[bytes]:
    yield from (intel().tcb_info(tdx=tdx).data for tdx in (False, True))
    yield from bodies("tcbInfo")


def bodies(member: str) -> Iterable[bytes]:
    """The bodies with this member in the real collateral."""
    for data in vectors("sgx/collateral/*.json", "tdx/collateral/*.json", "tdx/*-tcbInfo.json"):
        try:
            items = load(data).items
        except Malformed:
            continue
        yield from (item.data for item in items if item.data.startswith(b'{"%s"' % member.encode()))


WORDS = (b'"', b"{", b"}", b"[", b"]", b",", b":", b"null", b"-1", b"1e9", b"\\u0000", b"\\ud800")
TARGET = Target(
    run=_run, seeds=_seeds, longest=48 * 1024, words=(*WORDS, b'"tdxModule":', b'"svn":')
)
