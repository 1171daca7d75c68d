"""Authorities of clouds' virtual TPMs in files, real and simulated, and back out of troth's own file."""

import re
from pathlib import Path

from tests.platforms.tpm import made

from troth.errors import Malformed
from troth.model.collateral import Collateral, Kind
from troth.trust import collateral as files
from troth.trust import stated


def test_real_authorities_are_known_by_their_names(vectors: Path) -> None:
    paths = sorted((vectors / "tpm" / "ca").iterdir())
    paths += sorted((vectors / "azure").glob("tpm-*.pem"))
    assert len(paths) == 8
    for path in paths:
        data = path.read_bytes()
        # Azure's have a comment before the certificate, which is no PEM to us.
        start = max(data.find(b"-----BEGIN"), 0)
        (item,) = files.load(data[start:]).items
        assert item.kind is Kind.TPM_CHAIN, path.name
        assert stated.read(item).ends.year > 2024


def test_there_and_back() -> None:
    pki = made.pki("google")
    for data in (pki.pem, *pki.chain):
        found = files.load(data)
        assert [item.kind for item in found.items] == [Kind.TPM_CHAIN]
        assert files.freeze(files.load(files.freeze(found))) == files.freeze(found)
    both = Collateral(items=(*files.load(pki.chain[0]).items, *files.load(pki.chain[1]).items))
    evidence = made.booted().evidence(made.NONCE, certificates=[made.certificate("google")])
    report = made.appraised(evidence, cloud="google", collateral=both)
    assert made.failing(report) | made.still_open(report) == set()


def test_an_attestation_keys_own_certificate_is_no_authority() -> None:
    leaf = made.certificate()
    assert re.search(rb"ConfidentialVM", leaf)
    try:
        found = files.load(leaf)
    except Malformed:
        return
    assert [item.kind for item in found.items] != [Kind.TPM_CHAIN]
