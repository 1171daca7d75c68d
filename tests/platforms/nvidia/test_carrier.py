"""What is around a report: NVIDIA's JSON, hex text, several devices in one file."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from tests.platforms.nvidia.made import ALONE, evidence, file, report

from troth.errors import Malformed
from troth.platforms.nvidia import carrier
from troth.platforms.nvidia.format import parse

FOUR = "evidence-4xh100.json"
ONE = "evidence-h100-590.12.json"
SWITCH = "evidence-switch-ls10.json"


def entries(vectors: Path, name: str) -> list[dict[str, Any]]:
    return list(json.loads(file(vectors, name)))


def nras(rows: list[dict[str, Any]]) -> dict[str, Any]:
    inner = [{k: row[k] for k in ("evidence", "certificate")} for row in rows]
    return {"nonce": rows[0]["nonce"], "arch": rows[0]["arch"], "evidence_list": inner}


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize("name", [ONE, SWITCH])
def test_the_same_bytes_come_out_of_every_carrier(vectors: Path, name: str) -> None:
    rows = entries(vectors, name)
    bare, words = carrier.unwrap(file(vectors, name)) or (b"", "")
    assert words == carrier.SDK
    assert carrier.unwrap(bare) == (bare, "")
    assert carrier.unwrap(dumped(rows[0])) == (bare, carrier.SDK)
    assert carrier.unwrap(dumped(nras(rows))) == (bare, carrier.NRAS)
    pem = base64.b64decode(rows[0]["certificate"])
    hexed = base64.b64decode(rows[0]["evidence"]).hex().encode()
    for text in (hexed, hexed.upper(), hexed + b"\n", hexed[:80] + b"\r\n" + hexed[80:] + b"\n"):
        assert carrier.unwrap(text + pem) == (bare, "hexadecimal text")
    assert len(parse(bare).chain) == 5


@pytest.mark.parametrize("name", ALONE)
def test_hex_with_its_chain(vectors: Path, name: str) -> None:
    text = file(vectors, f"{name}.report.hex") + file(vectors, f"{ALONE[name]}.chain.pem")
    assert carrier.unwrap(text) == (evidence(vectors, name), "hexadecimal text")
    alone = file(vectors, f"{name}.report.hex")
    assert carrier.unwrap(alone) == (report(vectors, name), "hexadecimal text")


def test_several_devices_are_a_composite(vectors: Path) -> None:
    data = file(vectors, FOUR)
    with pytest.raises(Malformed, match="holds 4 devices") as raised:
        carrier.unwrap(data)
    assert raised.value.fix
    for whole in (data, dumped(nras(entries(vectors, FOUR)))):
        found = carrier.composite(whole)
        assert found is not None
        assert [part.name for part in found.parts] == ["gpu-0", "gpu-1", "gpu-2", "gpu-3"]
        documents = [parse(part.evidence) for part in found.parts]
        assert {document.nonce for document in documents} == {documents[0].nonce}
        assert {part.nonce for part in found.parts} == {None}
        assert len({document.chain[0].serial for document in documents}) == 4
    assert carrier.composite(file(vectors, ONE)) is None
    assert carrier.composite(evidence(vectors, "switch-ls10")) is None


def test_a_gpu_and_a_switch_in_one_file(vectors: Path) -> None:
    gpu, switch = evidence(vectors, "gpu-h100-550.90.07"), entries(vectors, SWITCH)[0]
    size = len(report(vectors, "gpu-h100-550.90.07"))
    entry = {
        "arch": "HOPPER",
        "evidence": base64.b64encode(gpu[:size]).decode(),
        "certificate": base64.b64encode(gpu[size:]).decode(),
    }
    assert parse(gpu).nonce.hex() == switch["nonce"]  # both were recorded with NVIDIA's example
    found = carrier.composite(dumped([entry, switch]))
    assert found is not None
    assert [part.name for part in found.parts] == ["gpu-0", "switch-0"]


def test_a_file_for_several_nonces(vectors: Path) -> None:
    with pytest.raises(Malformed, match="several nonces"):
        carrier.composite(dumped([*entries(vectors, ONE), *entries(vectors, SWITCH)]))


def test_a_file_that_contradicts_its_reports(vectors: Path) -> None:
    row = entries(vectors, ONE)[0]
    both = base64.b64decode(row["evidence"]) + base64.b64decode(row["certificate"])
    beside = base64.b64encode(both).decode()
    for change, words in (
        ({"nonce": "00" * 32}, "names the nonce"),
        ({"nonce": row["nonce"][2:]}, "names the nonce"),
        ({"nonce": "zz"}, "not hexadecimal"),
        ({"nonce": 7}, "no text of ASCII"),
        ({"arch": "BLACKWELL"}, "names the architecture"),
        ({"arch": "ls10"}, "names the architecture"),
        ({"arch": "VOLTA"}, "names the architecture"),
        ({"evidence": row["evidence"][:-4]}, "needs 96 bytes"),
        ({"evidence": row["evidence"] + "\n\n"}, "base64"),
        ({"evidence": "é"}, "no text of ASCII"),
        ({"certificate": base64.b64encode(b"x").decode()}, "no PEM"),
        ({"certificate": row["certificate"][:80]}, "PEM"),
        ({"evidence": beside}, "holds certificates beside the report"),
    ):
        with pytest.raises(Malformed, match=words):
            carrier.unwrap(dumped([{**row, **change}]))


def test_a_trailing_byte_in_json_has_its_name(vectors: Path) -> None:
    row = entries(vectors, ONE)[0]
    longer = base64.b64encode(base64.b64decode(row["evidence"]) + b"\0").decode()
    with pytest.raises(Malformed, match="one trailing byte"):
        carrier.unwrap(dumped([{**row, "evidence": longer}]))


def test_json_that_is_not_ours_is_left_to_others(vectors: Path) -> None:
    row = entries(vectors, ONE)[0]
    for value in ([], {}, [1], {"evidence_list": []}, {"evidence_list": [1]}, [[]], [{}], 7, "x"):
        assert carrier.unwrap(dumped(value)) is None
    assert carrier.unwrap(dumped([{"evidence": row["evidence"]}])) is None
    assert carrier.unwrap(b'[{"evidence":1.5,"certificate":""}]') is None
    assert carrier.unwrap(b'[{"evidence":"","evidence":"","certificate":""}]') is None
    assert carrier.unwrap(b"[" * 100_000) is None
    assert carrier.unwrap(b"") is None
    assert carrier.unwrap(b"\x11\xe1") is None


def test_too_many_and_too_large(vectors: Path) -> None:
    row = entries(vectors, ONE)[0]
    with pytest.raises(Malformed, match="holds 33 devices, at most 32"):
        carrier.open_json(dumped([row] * 33))
    assert carrier.open_json(dumped([row]) + b" " * (4 << 20)) is None
    with pytest.raises(Malformed, match="larger"):
        carrier.unwrap(b"11e001ff" + b"0" * (4 << 20))
    with pytest.raises(Malformed, match="hexadecimal"):
        carrier.unwrap(b"11e001ff\xff\xff")
