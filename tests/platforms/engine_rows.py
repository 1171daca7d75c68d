"""Every row of recorded evidence, as it is judged once for each engine."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.platforms.dcap import rows as intel
from tests.platforms.engines import Case
from tests.platforms.nitro import test_vectors as nitro
from tests.platforms.nvidia import made as nvidia
from tests.platforms.snp import test_vectors as snp
from tests.platforms.tokens import test_vectors as tokens
from tests.platforms.tpm import rows as tpm

import troth
from troth.crypto import issued
from troth.model.collateral import Item, Kind
from troth.model.report import Verdict
from troth.model.roots import Root, RootClass
from troth.platforms import detect
from troth.platforms.nvidia import carrier
from troth.platforms.nvidia.format import parse as parse_device
from troth.platforms.tpm import azure
from troth.trust import load, load_roots
from troth.wire import x509

NOTHING = troth.Policy(name="nothing")
# Rows of EXTRA.tsv that have no signature, or whose quote is a row of MANIFEST.tsv: event logs.
LOGS = "eventlog/"
TEST_PKI = "intel-qvl-test-pki-"


def dcap(vectors: Path, platform: str) -> Iterator[Case]:
    manifest = intel.manifest(vectors, platform)
    for row in (*manifest, *intel.mutations(vectors, platform)):
        yield _intel(row)
    like = next(row for row in manifest if row.file.startswith(("gcp-cos113", "raiko-icx")))
    for extra in intel._table(vectors / platform / "EXTRA.tsv"):
        name = extra["file"]
        if name.startswith((LOGS, TEST_PKI)):
            continue
        row = replace(like, file=name, data=(vectors / platform / name).read_bytes())
        if name.startswith("root2033"):
            row = replace(row, at=datetime(2022, 6, 1, tzinfo=UTC))
        yield _intel(row)
    yield from _test_pki(vectors / platform)


def _intel(row: intel.Row) -> Case:
    nonce = intel.reportdata(row)
    items = intel.items(row.pieces) + row.more
    arguments = {"policy": NOTHING, "at": row.at, "nonce": nonce}
    case = Case(row.id, row.data, items, arguments)
    first = case.report()
    if first.presented is not None:
        case = replace(case, arguments=arguments | {"policy": intel.accepting(row, first)})
    return case


def _test_pki(folder: Path) -> Iterator[Case]:
    """Intel's own example, under a root for tests: with that root, and under the vendor's alone."""

    def read(name: str) -> bytes:
        return (folder / f"{TEST_PKI}{name}").read_bytes()

    chain = read("tcbSignChain.pem")
    items = (
        Item(kind=Kind.INTEL_TCB_INFO, data=read("tcbInfo.json"), chain=chain),
        Item(kind=Kind.INTEL_QE_IDENTITY, data=read("qeIdentity.json"), chain=chain),
        Item(kind=Kind.INTEL_ROOT_CRL, data=read("rootCaCrl.der")),
        Item(kind=Kind.INTEL_PCK_CRL, data=read("intermediateCaCrl.der")),
        Item(kind=Kind.INTEL_PCK_CHAIN, data=read("pckCert.pem") + read("pckSignChain.pem")),
    )
    (der,) = x509.read_pem(read("trustedRootCaCert.pem"), field="root")
    root = Root(
        platform=folder.name,
        sha256=hashlib.sha256(der).hexdigest(),
        key_sha256=issued.key_sha256(issued.read(der)),
        root_class=RootClass.ADDED,
        source="a test",
    )
    at = datetime.fromisoformat(json.loads(read("tcbInfo.json"))["tcbInfo"]["issueDate"])
    for trust in ((root,), ()):
        arguments = {"policy": NOTHING, "at": at, "trust": trust}
        yield Case(f"{folder.name} test PKI, {len(trust)}", read("quote.dat"), items, arguments)


def amd(vectors: Path) -> Iterator[Case]:
    found = snp.rows(vectors)
    folder = vectors / "snp"

    def case(name: str, row: snp.Row, data: bytes = b"") -> Case:
        arguments = {"policy": snp.policy(row.data), "at": row.at}
        return Case(name, data or row.data, row.collateral().items, arguments)

    for row in found.values():
        yield case(row.name, row)
    for negative in snp.table(vectors, "NEGATIVE.tsv"):
        name = negative["certificate"]
        if negative["expected"] == "parse-only":
            data = (folder / negative["report"]).read_bytes()
            arguments = {"policy": snp.policy(data), "at": datetime(2026, 1, 1, tzinfo=UTC)}
            yield Case(negative["report"], data, (), arguments)
            continue
        row = found[negative["report"]]
        if name.endswith(".der"):
            row = replace(row, endorsement=(folder / name).read_bytes())
        elif "ARK Genoa" in name or "SEV-Milan" in name:
            product = "genoa" if "ARK Genoa" in name else "milan"
            certs = (folder / "certs" / f"{part}-{product}.pem" for part in ("sev", "ark"))
            row = replace(row, chain=b"".join(path.read_bytes() for path in certs))
        else:
            row = replace(row, at=datetime(2026, 6, 1, tzinfo=UTC))
        yield case(f"{row.name} with {name}", row)
    for mutation in snp.table(vectors, "MUTATIONS.tsv"):
        row = found[mutation["base_file"]]
        data = snp.mutated(row.data, mutation["operation"])
        yield case(f"{row.name} {mutation['operation']}", row, data)


def aws(vectors: Path) -> Iterator[Case]:
    for name, data, at, verdict in nitro.rows(vectors):
        first = troth.appraise(data, policy=NOTHING, at=at)
        bare = first.verdict is Verdict.MALFORMED or "debug" in verdict  # nothing to expect
        policy = NOTHING if bare else nitro.pinned(data, at)
        yield Case(name, data, (), {"policy": policy, "at": at})


def devices(vectors: Path) -> Iterator[Case]:
    def case(name: str, data: bytes, *items: Item) -> Case:
        found = detect(data)
        nonce = None if found is None else parse_device(found[1]).nonce
        arguments = {"policy": NOTHING, "at": nvidia.AT, "nonce": nonce}
        return Case(name, data, items, arguments)

    for name in nvidia.ALONE:
        yield case(name, nvidia.evidence(vectors, name))
    for row in nvidia.rows(vectors):
        name = row["file"]
        if name.startswith("evidence-"):
            carried = carrier.open_json(nvidia.file(vectors, name))
            assert carried is not None
            for index, data in enumerate(carried.devices):
                yield case(f"{name} {index}", data)
        elif name.startswith("rim-") and name.endswith((".xml", ".swidtag")):
            like = "switch-ls10" if "switch" in name else "gpu-h100-580.159.03"
            item = nvidia.rim_item(nvidia.file(vectors, name))
            yield case(name, nvidia.evidence(vectors, like), item)


def virtual(vectors: Path) -> Iterator[Case]:
    """TPMs, alone and in machines of Azure's."""
    held = tpm.authorities_at_hand(vectors).items
    for name in (
        "gce-cos-85/attestation.pb",
        "trustee-tpm_evidence.json",
        "eventlog/go-attestation/windows_gcp_shielded_vm.json",
    ):
        data = (vectors / "tpm" / name).read_bytes()
        yield Case(name, data, held, {"policy": NOTHING, "at": tpm.AT})
    for file in sorted((vectors / "azure").glob("*-vtpm-evidence-*.json")):
        found = azure.read(file.read_bytes())
        assert found is not None
        product = "genoa" if "genoa" in file.name else "milan"
        certs = (vectors / "snp" / "certs" / f"{part}-{product}.pem" for part in ("sev", "ark"))
        chain = b"".join(path.read_bytes() for path in certs)
        items = (Item(kind=Kind.AMD_CHAIN, data=chain), *held)
        arguments: dict[str, Any] = {
            "policy": troth.Policy(name="machine", parts={"tpm": 1}),
            "at": datetime(2025, 6, 1, tzinfo=UTC),
        }
        yield Case(file.name, found.composite(), items, arguments)


def services(vectors: Path) -> Iterator[Case]:
    folder = vectors / "tokens"
    found = tokens.rows(vectors)
    sets = sorted(name for name in found if name.endswith(".jwks.json"))
    for name in (name for name in found if name.endswith(".jwt")):
        at = datetime.fromtimestamp(int(found[name]["verify_at"]) + 1, UTC)
        data = (folder / name).read_bytes()
        for key_set in sets:
            for named in (False, True):
                arguments = {
                    "policy": NOTHING,
                    "at": at,
                    "trust": _roots(folder / key_set) if named else (),
                    "waive": tokens.WAIVED,
                    "as_of": True,
                }
                yield Case(f"{name} {key_set}", data, load(folder / key_set).items, arguments)


def _roots(path: Path) -> tuple[Root, ...]:
    return tuple(load_roots(path))
