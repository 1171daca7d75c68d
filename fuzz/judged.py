"""The whole verifier as a target: nothing but a report comes out, and no other evidence is accepted."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from fuzz.simulated import NOW, Case, pinned
from fuzz.target import Target, must
from troth.model.report import Verdict
from troth.platforms import detect, nitro, nvidia, snp
from troth.platforms.dcap import quote
from troth.verifier import appraise
from troth.wire import x509

P256: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P384: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
_SNP_R: Final = slice(0x2A0, 0x2A0 + 72)
_SNP_S: Final = slice(0x2A0 + 72, 0x2A0 + 144)


def target(cases: Callable[[], Iterable[Case]], *, longest: int) -> Target:
    """A target that judges bytes as the evidence of each case, with that case's policy and collateral."""
    ready: list[tuple[Case, Callable[[bytes], Verdict], object]] = []

    def prepare() -> None:
        ready.extend((case, _judge(case), said(case.evidence)) for case in cases())
        for case, judge, _ in ready:
            must(judge(case.evidence) is Verdict.ACCEPTED, "a seed is not accepted")

    def run(data: bytes) -> None:
        if not ready:
            prepare()
        for case, judge, meant in ready:
            if judge(data) is Verdict.ACCEPTED and data != case.evidence:
                must(said(data) == meant, "other evidence is accepted as well")

    def seeds() -> Iterable[bytes]:
        if not ready:
            prepare()
        return [case.evidence for case, _, _ in ready]

    return Target(run=run, seeds=seeds, refuses=(), longest=longest)


def _judge(case: Case) -> Callable[[bytes], Verdict]:
    policy = pinned(case.evidence)

    def judge(data: bytes) -> Verdict:
        return appraise(
            data,
            policy=policy,
            at=NOW,
            nonce=case.nonce,
            trust=case.roots,
            collateral=case.collateral,
        ).verdict

    return judge


def said(data: bytes) -> object:
    """All that evidence says, in one form: what no signature can tell apart is the same here.

    That is s and n - s in an ECDSA signature of the evidence itself, framing that `detect` removes,
    line ends in PEM, and what a host sends along that the caller's own collateral makes needless.
    """
    found = detect(data)
    if found is None:
        return None
    platform, bare, _ = found
    match platform.name:
        case "nitro":
            document = nitro.PLATFORM.parse(bare)
            sign1 = replace(document.sign1, payload_offset=0, signature=b"")
            return replace(document, sign1=sign1), _low(document.sign1.signature, P384)
        case "nvidia":
            device = nvidia.PLATFORM.parse(bare)
            certificates = tuple(certificate.signed for certificate in device.chain)
            return device.signed, _low(device.signature, P384), certificates
        case "snp":
            report = snp.PLATFORM.parse(bare).data
            s = int.from_bytes(report[_SNP_S], "little")
            return report[: _SNP_S.start], min(s, P384 - s), report[_SNP_S.stop :]
        case _:
            made = quote.parse(bare)
            signature = _low(made.signature, P256)
            qe_signature = _low(made.qe_signature, P256)
            chain = tuple(_certificate(der) for der in made.pck_chain)
            bare_quote = replace(made, signature=b"", qe_signature=b"", pck_chain=())
            return bare_quote, signature, qe_signature, chain


def _low(raw: bytes, order: int) -> tuple[int, int]:
    half = len(raw) // 2
    s = int.from_bytes(raw[half:], "big")
    return int.from_bytes(raw[:half], "big"), min(s, order - s)


def _certificate(der: bytes) -> bytes:
    return x509.read(der).signed
