"""Authorities of tokens' keys that are not what was pinned, or not for tokens at all."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from tests.platforms.tokens.made import AT, KINDS, MADE, NONCE, START, evidence, failing, judged
from tests.platforms.tpm import made as tpms

import troth
from troth.model.collateral import Collateral
from troth.model.report import Verdict
from troth.platforms.tokens import simulate_pki as pki
from troth.platforms.tokens.issuers import GCS, MAA, NRAS, Issuer
from troth.platforms.tokens.simulate import NAMES, Service
from troth.trust import parse_roots

LONG_AGO = START - timedelta(days=400)


def rewritten(holder: pki.Holder, ends: datetime) -> pki.Holder:
    """The same names, key and extensions under another end, signed by whoever wants it to be so."""
    old = holder.certificate
    builder = x509.CertificateBuilder(
        issuer_name=old.issuer,
        subject_name=old.subject,
        public_key=holder.key.public_key(),
        serial_number=5,
        not_valid_before=LONG_AGO,
        not_valid_after=ends,
    )
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return replace(holder, certificate=builder.sign(pki.p384_key(), hashes.SHA384()))


def test_an_authority_that_ended_with_its_end_rewritten() -> None:
    """Authorities are pinned by their keys, and NVIDIA's first one has ended."""
    root = pki.issue("Service CA", pki.p384_key(), begin=LONG_AGO, authority=True)
    short = timedelta(days=300)
    middle = pki.issue(
        "Intermediate", pki.p384_key(), begin=LONG_AGO, above=root, authority=True, life=short
    )
    key = pki.p384_key()
    leaf = pki.issue("GPU", key, begin=START, above=middle, authority=None)
    honest = Service(issuer=NRAS, iss=NAMES["nras"], key=key, kid="k", path=(leaf, middle))
    forged = replace(honest, path=(leaf, rewritten(middle, START + timedelta(days=400))))
    kind, trust = KINDS["nras"], (honest.authority(),)
    data = evidence(kind, honest)
    for service, code in ((honest, "G103"), (forged, "G102")):
        report = judged(data, kind, service, trust=trust)
        assert (report.verdict, failing(report)) == (Verdict.REJECTED, {code})


@pytest.mark.parametrize("cloud", ["azure", "google"])
@pytest.mark.parametrize(
    ("issuer", "name"), [(GCS, "gcs-pki"), (MAA, "maa-snp")], ids=["gcs", "maa"]
)
def test_a_token_that_a_tpm_signed(cloud: str, issuer: Issuer, name: str) -> None:
    """A root that the caller named for TPMs counts for tokens, too; its keys sign what they are given.

    A restricted key refuses only what begins as a TPM's own structures do, and a token does not.
    """
    above, tpm = tpms.pki(cloud), tpms.key()
    certificate = x509.load_der_x509_certificate(above.certify(tpm.ak, at=START))
    path = (
        pki.Holder(certificate=certificate, key=tpm.key),
        pki.Holder(certificate=above.intermediate.certificate, key=above.intermediate.key),
        pki.Holder(certificate=above.root.certificate, key=above.root.key),
    )
    service = Service(
        issuer=issuer, iss=NAMES[issuer.name], key=tpm.key, kid="k", path=path, certified=path
    )
    kind = KINDS[name]
    report = troth.appraise(
        service.token(kind.claims(NONCE), MADE, certified=kind.certified),
        policy=kind.policy,
        at=AT,
        nonce=NONCE,
        trust=parse_roots(above.root.certificate.public_bytes(Encoding.PEM), source="for TPMs"),
        collateral=Collateral(items=(service.collateral(),)),
    )
    assert (report.verdict, failing(report)) == (Verdict.REJECTED, {"G102"})
