"""What endorsements say of themselves, for lists and alarms."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.trust.server import intel

from troth.errors import Malformed
from troth.model.collateral import Item, Kind
from troth.trust.collateral import load
from troth.trust.stated import read


def test_windows_and_numbers_of_every_vector(vectors: Path) -> None:
    """Against the table that says where the vectors came from."""
    seen = 0
    for folder in ("sgx", "tdx"):
        lines = (vectors / folder / "collateral" / "SOURCES.tsv").read_text().splitlines()
        for line in lines[1:]:
            name, piece, _, window, *_ = line.split("\t")
            kind = {
                "tcbInfo": Kind.INTEL_TCB_INFO, "qeIdentity": Kind.INTEL_QE_IDENTITY,
                "pckCrl": Kind.INTEL_PCK_CRL, "rootCaCrl": Kind.INTEL_ROOT_CRL,
            }[piece]  # fmt: skip
            (item,) = load(vectors / folder / "collateral" / name).of(kind)
            said = read(item)
            begins, _, rest = window.partition("..")
            ends, _, rest = rest.partition(" ")
            assert said.begins == datetime.fromisoformat(begins), line
            assert said.ends == datetime.fromisoformat(ends), line
            if rest.startswith("eval="):
                assert said.number == int(rest.split()[0].removeprefix("eval="))
                assert said.tee == folder
            else:
                assert said.revoked == int(rest.removeprefix("n="))
            seen += 1
    assert seen > 60


def test_certificates(vectors: Path) -> None:
    (vcek,) = load(vectors / "snp" / "certs" / "oak-milan-v3.vcek.der").items
    assert read(vcek).about == "SEV-VCEK"
    certs = vectors / "snp" / "certs"
    chain = (certs / "sev-milan.pem").read_bytes() + (certs / "ark-milan.pem").read_bytes()
    said = read(load(chain).items[0])
    assert said.about == "SEV-Milan < ARK-Milan"
    assert said.begins < said.ends


def test_the_list_of_evaluation_numbers() -> None:
    row = {"tcbEvaluationDataNumber": 21, "tcbRecoveryEventDate": "2026-08-11T00:00:00Z"}
    body = {
        "id": "TDX", "version": 1, "issueDate": "2026-08-12T23:57:43Z",
        "nextUpdate": "2026-09-11T23:57:43Z", "tcbEvalNumbers": [row],
    }  # fmt: skip
    data = json.dumps({"tcbEvaluationDataNumbers": body, "signature": "00" * 64})
    data = data.replace(", ", ",").replace(": ", ":")
    said = read(Item(kind=Kind.INTEL_EVALUATION_NUMBERS, data=data.encode()))
    assert said.numbers == ((21, "2026-08-11"),)
    assert said.ends == datetime(2026, 9, 11, 23, 57, 43, tzinfo=UTC)
    for wrong in (data.replace("[{", "[[{").replace("}]", "}]]"), data.replace("21", '"21"')):
        with pytest.raises(Malformed):
            read(Item(kind=Kind.INTEL_EVALUATION_NUMBERS, data=wrong.encode()))


def test_what_says_no_window(vectors: Path) -> None:
    for item in intel(vectors):
        for data in (b"", item.data[:-1], item.data[1:], b"{}"):
            with pytest.raises(Malformed):
                read(replace(item, data=data))
    (info,) = (item for item in intel(vectors) if item.kind is Kind.INTEL_TCB_INFO)
    for old, new in (
        (b'"nextUpdate"', b'"nextUpdated"'),
        (b'"fmspc":"00806F050000"', b'"fmspc":"00806F05000"'),
        (b'"fmspc":"00806F050000"', b'"fmspc":128'),
        (b'"tcbEvaluationDataNumber":18', b'"tcbEvaluationDataNumber":-1'),
        (b'"tcbEvaluationDataNumber":18', b'"tcbEvaluationDataNumber":true'),
        (b'"id":"TDX"', b'"id":"SNP"'),
        (b'"issueDate":"2', b'"issueDate":"x'),
    ):
        assert old in info.data
        with pytest.raises(Malformed):
            read(replace(info, data=info.data.replace(old, new, 1)))
    with pytest.raises(Malformed):
        read(replace(info, chain=b"nothing"))
