"""A TPM's quotes: troth's own form, others' forms, and the structures inside."""

import json
from collections.abc import Callable, Iterable

from tests.platforms.tpm import made

from fuzz.target import Target, attempt, same
from fuzz.vectors import vectors
from troth.platforms.tpm import PLATFORM, azure, carrier, format  # noqa: A004
from troth.wire import tpm


def _run(data: bytes) -> None:
    readers: tuple[Callable[[bytes], object], ...]
    readers = (tpm.attest, tpm.signature, tpm.public, azure.read, carrier.log_in)
    for read in readers:
        attempt(read, data)
    found = PLATFORM.unwrap(data)
    bare = data if found is None else found[0]
    document = PLATFORM.parse(bare)
    again = format.pack(
        attest=document.attest.data,
        signature=_signature(document.signature),
        pcrs=document.pcrs,
        ak=document.given,
        public=None if document.public is None else document.public.data,
        certificates=[certificate.der for certificate in document.certificates],
    )
    same(bare, again, "a quote written again")
    PLATFORM.claims(document, None)
    list(PLATFORM.fields(bare))


def _signature(found: tpm.Signature) -> bytes:
    head = found.scheme.to_bytes(2, "big") + found.hash.to_bytes(2, "big")
    return head + b"".join(len(v).to_bytes(2, "big") + v for v in found.values)


def _seeds() -> Iterable[bytes]:
    for scheme in (tpm.RSASSA, tpm.ECDSA):
        machine = made.booted(scheme)
        yield machine.evidence(made.NONCE)
        yield machine.evidence(made.NONCE, certificates=[made.certificate(scheme=scheme)])
        yield machine.attest(made.NONCE)
        yield machine.public
    machine = made.booted()
    value = {"version": 1, "hcl_report": "", "tpm_quote": {}, "vcek": ""}
    yield json.dumps(value).encode()
    yield machine.runtime()
    yield from vectors("tpm/gce-cos-85/attestation.pb")
    yield from vectors("tpm/trustee-tpm_evidence.json")
    yield from vectors("azure/*.json")


TARGET = Target(run=_run, seeds=_seeds, words=(b"\xffTCG\x80\x18", b"\0\x0b\3\xff\xff\xff"))
