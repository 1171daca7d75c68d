"""Quotes of SGX and TDX, reports of SEV-SNP: against the bare signature checks, and against dcap-qvl.

Both sides start from the same bytes: the quote, and collateral as JSON. «Nothing known» empties all that
troth remembers of earlier bytes before each call; «collateral verified» hands the same object to each, for
quotes of a platform whose PCK chain and attestation key were seen before: one signature check remains of
nine. «A new attestation key» is the same with that key, and what vouches for it, not seen before.
The policy admits what the platform stands at, so that the verdict is accepted and every check is taken.

Limits are for a machine with `troth_native`, which uses a second core; what it takes without is told beside,
and what all cores work for a verdict. Floors are checks by OpenSSL, one after the other, as `cryptography` offers
them; those by AWS-LC, which troth_native brings, are told as well.
"""

import importlib.util
import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.timing import Line, best
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

import troth
from troth.crypto import beside, issued, keys
from troth.crypto.beside import Asked
from troth.model.collateral import Collateral, Item, Kind
from troth.platforms import detect
from troth.platforms.dcap import chain, who
from troth.platforms.dcap.quote import Quote
from troth.policy import Policy
from troth.policy.requirements import Requirements
from troth.trust import collateral as files
from troth.wire import crl, x509

PEER = "dcap_qvl"
LATE = datetime(2099, 1, 1, tzinfo=UTC).date()


@dataclass(frozen=True)
class Sample:
    """A real quote, the collateral of its time, and the instant."""

    what: str
    quote: str
    collateral: str
    at: int
    status: str


TDX = Sample(
    "TDX quote",
    "tdx/phala-tdx-v4.quote.bin",
    "tdx/collateral/tdx-b0c06f000000-eval18-20260311-platform.json",
    1773198539,
    "UpToDate",
)
SGX = Sample(
    "SGX quote",
    "sgx/automata-v3-icx-a.quote.bin",
    "sgx/collateral/sgx-00606a000000-eval17-20250830-platform.json",
    1756530546,
    "SWHardeningNeeded",
)
SNP = ("snp/ms-milan-v3", "snp/certs/sev-milan.pem", "snp/certs/ark-milan.pem")
SNP_AT = datetime(2025, 12, 1, tzinfo=UTC)


def _forget() -> None:
    issued.forget()
    chain.forget()


def _plain(step: Callable[[], object]) -> Callable[[], object]:
    """The same as if `troth_native` were not there."""

    def without() -> object:
        there = beside.native
        beside.native = lambda: None
        try:
            return step()
        finally:
            beside.native = there

    return without


def _policy(evidence: bytes, sample: Sample, collateral: Collateral) -> tuple[Policy, bytes]:
    """A policy under which this quote is accepted, and the nonce that it carries."""
    at = datetime.fromtimestamp(sample.at, UTC)
    claims = troth.appraise(
        evidence, policy=Policy(name="look"), at=at, collateral=collateral
    ).presented
    assert claims is not None
    assert claims.tcb is not None
    assert claims.user_data is not None
    allowed = {name: frozenset({claims.registers[name]}) for name in claims.identity}
    policy = Policy(
        name="bench",
        registers={claims.platform: allowed},
        requirements={
            claims.platform: Requirements(
                tcb_status=frozenset({sample.status}),
                advisories=dict.fromkeys(claims.tcb.advisories, LATE),
            )
        },
    )
    return policy, claims.user_data


def _ours(
    evidence: bytes, sample: Sample, raw: bytes
) -> tuple[Callable[[], object], Callable[[], object], Callable[[], object]]:
    at = datetime.fromtimestamp(sample.at, UTC)
    known = files.load(raw)
    policy, nonce = _policy(evidence, sample, known)

    def cold() -> object:
        _forget()
        collateral = files.load(raw)
        return troth.appraise(evidence, policy=policy, at=at, nonce=nonce, collateral=collateral)

    def warm() -> object:
        return troth.appraise(evidence, policy=policy, at=at, nonce=nonce, collateral=known)

    def new_key() -> object:
        who.forget()
        keys.load.cache_clear()
        return warm()

    for report in (cold(), warm(), new_key()):
        assert isinstance(report, troth.Report)
        assert report.verdict is troth.Verdict.ACCEPTED, report.checks
    return cold, warm, new_key


def _bare(evidence: bytes, raw: bytes) -> tuple[Callable[[], object], Callable[[], object]]:
    """The nine signature checks of a quote with keys already read; and the two that stay."""
    found = detect(evidence)
    assert found is not None
    quote: Quote = found[0].parse(found[1]).quote
    leaf, authority, root = (issued.read(der) for der in quote.pck_chain)
    collateral = files.load(raw)
    signed = []
    for kind, member in (
        (Kind.INTEL_TCB_INFO, "tcbInfo"),
        (Kind.INTEL_QE_IDENTITY, "enclaveIdentity"),
    ):
        (item,) = collateral.of(kind)
        signed.append((item, *_cut(item, member)))
    signer = issued.read(x509.read_pem(signed[0][0].chain, "chain")[0])
    root_list, pck_list = (
        crl.read(collateral.of(kind)[0].data) for kind in (Kind.INTEL_ROOT_CRL, Kind.INTEL_PCK_CRL)
    )
    jobs = [
        (keys.load(above.key), below.signature, below.signed)
        for above, below in (
            *((root, authority), (authority, leaf), (root, signer)),
            *((root, root_list), (authority, pck_list)),
        )
    ]
    jobs += [(keys.load(signer.key), _der(signature), body) for _, body, signature in signed]
    own = [
        (keys.load(leaf.key), _der(quote.qe_signature), quote.qe_body),
        (keys.load(keys.p256(quote.attestation_key)), _der(quote.signature), quote.signed),
    ]
    algorithm = ec.ECDSA(hashes.SHA256())

    def all_of_them() -> None:
        for key, signature, body in (*jobs, *own):
            key.verify(signature, body, algorithm)

    def only_its_own() -> None:
        for key, signature, body in own:
            key.verify(signature, body, algorithm)

    return all_of_them, only_its_own


def _cut(item: Item, member: str) -> tuple[bytes, bytes]:
    from troth.platforms.dcap import collateral

    _, body, signature = collateral.cut(item.data, member)
    return body, signature


def _der(raw: bytes) -> bytes:
    return utils.encode_dss_signature(
        int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    )


def intel(vectors: Path) -> list[Line] | str:
    """TDX and SGX, beside the floor and beside the peer."""
    lines = []
    for sample in (TDX, SGX):
        evidence = (vectors / sample.quote).read_bytes()
        raw = (vectors / sample.collateral).read_bytes()
        cold, warm, new_key = _ours(evidence, sample, raw)
        every, own = _bare(evidence, raw)
        steps = {"cold": cold, "warm": warm, "new": new_key, "nine": every, "two": own}
        if importlib.util.find_spec(PEER) is not None:
            steps["peer"] = _peer(evidence, raw, sample)
        steps["plain"] = _plain(cold)
        took = best(steps)
        what = sample.what
        lines += [
            Line(f"{what}, nothing known", took["cold"], "its nine P-256 checks", took["nine"]),
            Line(f"{what}, a new attestation key", took["new"], "two P-256 checks", took["two"]),
        ]
        if "peer" in took:
            lines += [
                Line(f"{what}, nothing known", took["cold"], "dcap-qvl", took["peer"], 1.3),
                Line(f"{what}, collateral verified", took["warm"], "dcap-qvl", took["peer"], 0.35),
                Line(
                    f"{what}, nothing known, OpenSSL alone", took["plain"], "dcap-qvl", took["peer"]
                ),
            ]
            work = best({n: steps[n] for n in ("cold", "peer")}, clock=time.process_time)
            lines.append(
                Line(f"{what}, nothing known, all cores", work["cold"], "dcap-qvl", work["peer"])
            )
    return lines


def _peer(evidence: bytes, raw: bytes, sample: Sample) -> Callable[[], object]:
    import dcap_qvl

    text = raw.decode()

    def theirs() -> object:
        collateral = dcap_qvl.QuoteCollateralV3.from_json(text)
        return dcap_qvl.verify(evidence, collateral, sample.at)

    return theirs


def amd(vectors: Path) -> list[Line]:
    """An SNP report with its whole chain, and with the chain known."""
    from troth.platforms.snp import endorsement

    name, ask_name, ark_name = SNP
    evidence = (vectors / f"{name}.report.bin").read_bytes()
    vcek = (vectors / "snp" / "certs" / f"{Path(name).name}.vcek.der").read_bytes()
    pem = (vectors / ask_name).read_bytes() + (vectors / ark_name).read_bytes()
    items = (Item(kind=Kind.AMD_ENDORSEMENT, data=vcek), Item(kind=Kind.AMD_CHAIN, data=pem))
    known = Collateral(items=items)
    policy = Policy(name="bench")

    def cold() -> object:
        _forget()
        endorsement.read.cache_clear()
        return troth.appraise(
            evidence, policy=policy, at=SNP_AT, collateral=Collateral(items=items)
        )

    def warm() -> object:
        return troth.appraise(evidence, policy=policy, at=SNP_AT, collateral=known)

    leaf = issued.read(vcek)
    ask, ark = (issued.read(der) for der in x509.read_pem(pem, "chain"))
    key = keys.load(leaf.key)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    r, s = (int.from_bytes(evidence[at : at + 72], "little") for at in (0x2A0, 0x2E8))
    signature, body = utils.encode_dss_signature(r, s), evidence[:0x2A0]
    algorithm = ec.ECDSA(hashes.SHA384())
    salt = padding.PSS(padding.MGF1(hashes.SHA384()), salt_length=48)

    def three() -> None:
        key.verify(signature, body, algorithm)
        for above, below in ((ask, leaf), (ark, ask)):
            rsa_key = keys.load(above.key)
            rsa_key.verify(below.signature, below.signed, salt, hashes.SHA384())

    def one() -> None:
        key.verify(signature, body, algorithm)

    steps = {"cold": cold, "warm": warm, "three": three, "one": one, "plain": _plain(cold)}
    if beside.native() is not None:
        asked = Asked(leaf.key, keys.P384_RAW, _raw384(r, s), body)
        links = tuple(issued.asked((ark, ask, leaf)))

        def by_aws_lc() -> None:
            assert all(beside.verifies(one) for one in (asked, *links))

        steps["aws-lc"] = by_aws_lc
    took = best(steps)
    return [
        Line(
            "SNP report, nothing known",
            took["cold"],
            "one P-384 and two RSA-4096 checks",
            took["three"],
            1.3,
        ),
        Line("SNP report, chain known", took["warm"], "one P-384 check", took["one"]),
        Line("SNP report, nothing known, OpenSSL alone", took["plain"], "the three", took["three"]),
        *(
            [Line("SNP report, nothing known", took["cold"], "the three, AWS-LC", took["aws-lc"])]
            if "aws-lc" in took
            else []
        ),
    ]


def _raw384(r: int, s: int) -> bytes:
    return r.to_bytes(48, "big") + s.to_bytes(48, "big")


def many(vectors: Path) -> list[Line]:
    """Batches on one core and on two, and what ten thousand verdicts do to memory."""
    evidence = (vectors / TDX.quote).read_bytes()
    known = files.load((vectors / TDX.collateral).read_bytes())
    policy, nonce = _policy(evidence, TDX, known)
    at = datetime.fromtimestamp(TDX.at, UTC)

    def judge(count: int, processes: int) -> float:
        asked = (troth.Question(evidence=evidence, nonce=nonce) for _ in range(count))
        begin = time.perf_counter()
        answers = troth.verify_many(
            asked, policy=policy, at=at, collateral=known, processes=processes
        )
        accepted = sum(answer.verdict is troth.Verdict.ACCEPTED for answer in answers)
        assert accepted == count
        return time.perf_counter() - begin

    count = 10_000
    one = min(judge(count, 1) for _ in range(2))
    lines = []
    if multiprocessing.cpu_count() >= 2:
        two = min(judge(count, 2) for _ in range(3))
        lines.append(Line("10,000 TDX quotes, one core", one, "two cores", two, 1.8, at_least=True))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    judge(count, 1)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    lines.append(
        Line(
            "peak memory after 10,000 more",
            after * 1024.0,
            "before",
            before * 1024.0,
            1.02,
            unit="bytes",
        )
    )
    return lines
