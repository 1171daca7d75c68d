"""Intel's sample files for its own verifier: a family under a root that is nobody's but the caller's.

Both sample quotes carry certification data in a form that no quoting library writes (type 1 without a
PCE-ID; certificates in DER, root first), and are refused as they are. That data is signed by nobody, so
the tests put the same certificates in their true form and judge the rest, which is another maker's whole
set of quote, certificates, CRLs and documents.
"""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.platforms.dcap.rows import Row, codes, look

import troth
from troth.crypto import issued
from troth.model.check import Outcome
from troth.model.collateral import Collateral, Item, Kind
from troth.model.report import Verdict
from troth.model.roots import RootClass
from troth.platforms.dcap import codes as required
from troth.trust.roots import parse_roots
from troth.wire import x509

_MARK = b"-----BEGIN CERTIFICATE-----"
AT = {"sgx": datetime(2020, 6, 1, tzinfo=UTC), "tdx": datetime(2022, 6, 1, tzinfo=UTC)}
# Where the length of the QE's authentication data stands: versions 3 and 4.
AUTH = {"sgx": 432 + 4 + 128 + 384 + 64, "tdx": 632 + 4 + 128 + 6 + 384 + 64}


def leaf_first(pem: bytes) -> bytes:
    """The SGX sample's chains are so already; the TDX sample's begin with the root."""
    first = issued.read(x509.read_pem(pem, field="chain")[0])
    if first.subject != first.issuer:
        return pem
    blocks = [_MARK + part.rstrip() + b"\n" for part in pem.split(_MARK)[1:]]
    return b"".join(reversed(blocks))


def sample(vectors: Path, platform: str, name: str) -> bytes:
    return (vectors / platform / f"intel-qvl-test-pki-{name}").read_bytes()


def collateral(vectors: Path, platform: str, *, supplied: bool) -> Collateral:
    chain = leaf_first(sample(vectors, platform, "tcbSignChain.pem"))
    files = {
        Kind.INTEL_TCB_INFO: "tcbInfo.json",
        Kind.INTEL_QE_IDENTITY: "qeIdentity.json",
        Kind.INTEL_ROOT_CRL: "rootCaCrl.der",
        Kind.INTEL_PCK_CRL: "intermediateCaCrl.der",
    }
    items = [Item(kind=k, data=sample(vectors, platform, n), chain=chain) for k, n in files.items()]
    if supplied:
        items.append(Item(kind=Kind.INTEL_PCK_CHAIN, data=pck_chain(vectors, platform)))
    return Collateral(items=tuple(items))


def pck_chain(vectors: Path, platform: str) -> bytes:
    above = leaf_first(sample(vectors, platform, "pckSignChain.pem"))
    return sample(vectors, platform, "pckCert.pem").rstrip() + b"\n" + above


def with_certification(data: bytes, platform: str, kind: int, certification: bytes) -> bytes:
    """The quote with other certification data and all lengths right."""
    at = AUTH[platform]
    auth = int.from_bytes(data[at : at + 2], "little")
    tail = kind.to_bytes(2, "little") + len(certification).to_bytes(4, "little") + certification
    if platform == "sgx":
        head, body = data[:432], data[436 : at + 2 + auth] + tail
    else:
        inner = data[632 + 4 + 128 + 6 : at + 2 + auth] + tail
        head = data[:632]
        body = data[636:764] + b"\6\0" + len(inner).to_bytes(4, "little") + inner
    return head + len(body).to_bytes(4, "little") + body


def judge(vectors: Path, platform: str, data: bytes, *, supplied: bool, own: bool) -> troth.Report:
    root = sample(vectors, platform, "trustedRootCaCert.pem")
    return look(
        Row(platform, "intel-qvl", data, {}, AT[platform]),
        collateral=collateral(vectors, platform, supplied=supplied),
        trust=parse_roots(root, source="Intel's samples") if own else (),
    )


@pytest.mark.parametrize("platform", ["sgx", "tdx"])
def test_the_samples_are_refused_as_they_are(vectors: Path, platform: str) -> None:
    data = sample(vectors, platform, "quote.dat")
    report = judge(vectors, platform, data, supplied=True, own=True)
    assert report.verdict is Verdict.MALFORMED


@pytest.mark.parametrize("platform", ["sgx", "tdx"])
@pytest.mark.parametrize("supplied", [False, True])
def test_they_count_under_their_own_root_alone(
    vectors: Path, platform: str, *, supplied: bool
) -> None:
    data = sample(vectors, platform, "quote.dat")
    if supplied:
        data = with_certification(data, platform, 1, bytes(16 + 16 + 2 + 2))
    else:
        data = with_certification(data, platform, 5, pck_chain(vectors, platform))
    report = judge(vectors, platform, data, supplied=supplied, own=True)
    assert report.root_class is RootClass.ADDED
    unread = {"R201", "G203", "G204", "G205", "R202", "T110"} if platform == "tdx" else set()
    genuine = {code.id for code in (required.TDX if platform == "tdx" else required.SGX)}
    assert codes(report, Outcome.PASSED) & genuine == genuine - unread
    assert codes(report) & genuine == set()
    # All its measurements are zero, which no policy can name.
    assert report.verdict is not Verdict.ACCEPTED
    assert report.presented is not None
    if platform == "sgx":
        assert report.presented.tcb is not None
        assert report.presented.tcb.status == "UpToDate"
    alone = judge(vectors, platform, data, supplied=supplied, own=False)
    assert alone.verdict is Verdict.REJECTED
    assert codes(alone) - codes(report) == {"G101"}
