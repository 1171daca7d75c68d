"""Azure's HCL reports: the paravisor's claims around a hardware report."""

from collections.abc import Iterable

from tests.platforms.tpm import made

from fuzz.target import Target, must
from fuzz.vectors import vectors
from troth.platforms.tpm import hcl
from troth.platforms.tpm.simulate import hcl_report


def _run(data: bytes) -> None:
    found = hcl.read(data)
    must(found.runtime in data, "the claims are not bytes of the report")
    must(found.report_data[32:] == bytes(32) or found.report_data != bytes(64), "no hash")
    if found.kind in (hcl.Kind.SNP, hcl.Kind.TDX):
        must(len(found.presented) == 64, "REPORT_DATA of another size")


def _seeds() -> Iterable[bytes]:
    runtime = made.booted().runtime()
    for kind in (hcl.Kind.SNP, hcl.Kind.TDX):
        yield hcl_report(bytes(1024), runtime, kind)
    yield from vectors("azure/hcl-*.bin")


TARGET = Target(run=_run, seeds=_seeds, longest=hcl.MAX_REPORT + 1, words=(b"HCLA", b"HCLAkPub"))
