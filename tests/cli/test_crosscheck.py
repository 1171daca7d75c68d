"""QEMU's enclave machine measures an image to what troth computes, and its unsigned document is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from tests.agent.conftest import PROBE
from tests.platforms.nitro.signer import DAY, identity
from tests.runtime.test_load import GOOD, image, kept

from troth.channel.client import Proof
from troth.cli import crosscheck
from troth.cli.main import run
from troth.image import build as builder
from troth.platforms.nitro import format as documents
from troth.platforms.nitro.measure import ZERO, measure, pcr3, pcr4, pcr8
from troth.platforms.nitro.simulate import SimulatedNsm, new_instance
from troth.platforms.nitro.simulate_pki import DevelopmentPki
from troth.release.pcr8 import attach, sign
from troth.runtime import runs
from troth.runtime.qemu_nitro import PARENT, ROLE
from troth.wire import cbor, eif

NOW = datetime.now(UTC)


def real(test: Callable[..., None]) -> Callable[..., None]:
    """Marks a test that boots an image in QEMU's enclave machine."""
    for name in ("qemu_nitro", "hardware_kernel", "network", "slow"):
        test = getattr(pytest.mark, name)(test)
    return test


def proof_of(registers: dict[int, bytes], *, nonce: bytes = b"n" * 32) -> Proof:
    """Evidence that is signed, under a root that nobody trusts."""
    pki = DevelopmentPki.create(NOW)
    proof = Proof(evidence=b"", nonce=nonce, exporter=b"e" * 32, key=b"k" * 91, at=NOW)
    nsm = SimulatedNsm(pki, registers, new_instance(), lambda: NOW)
    asked = {"user_data": proof.binding, "nonce": nonce, "public_key": proof.key}
    answer = cbor.decode(nsm.request(cbor.encode_in_order({"Attestation": asked})), field="reply")
    return replace(proof, evidence=answer["Attestation"]["document"])


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return kept(tmp_path, image())


def test_what_is_expected(small: Path) -> None:
    registers = measure(eif.read(small.read_bytes()))
    assert crosscheck.expectations(small) == {
        **registers.hex(),
        "pcr3": pcr3(ROLE).hex(),
        "pcr4": pcr4(PARENT).hex(),
        "pcr8": ZERO.hex(),
    }


def test_what_is_expected_of_a_signed_image(tmp_path: Path) -> None:
    made, signer = image(), identity(begin=NOW - DAY, end=NOW + DAY)
    section = sign(measure(made).pcr0, pem=signer.pem, key=signer.key, at=NOW)
    path = kept(tmp_path, attach(made, section, at=NOW))
    assert crosscheck.expectations(path)["pcr8"] == pcr8(signer.der).hex()


def stand_in(monkeypatch: pytest.MonkeyPatch, proof: Proof) -> None:
    document = documents.parse(proof.evidence)
    monkeypatch.setattr(crosscheck, "_booted", lambda _: (proof, document))


def registers_of(path: Path) -> dict[int, bytes]:
    return {
        int(name[3:]): bytes.fromhex(value) for name, value in crosscheck.expectations(path).items()
    }


def test_a_document_that_is_not_refused_as_unsigned_is_a_difference(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(monkeypatch, proof_of(registers_of(small)))
    assert run(["crosscheck", str(small)]) == 1
    printed = capsys.readouterr().out
    assert "DIFFERS" not in printed
    assert "NOT REFUSED as unsigned; codes: G101" in printed


def test_each_register_counts(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for index, value in registers_of(small).items():
        other = registers_of(small) | {index: bytes(47) + bytes([value[-1] ^ 1])}
        stand_in(monkeypatch, proof_of(other))
        assert run(["crosscheck", str(small), "--json"]) == 1
        answer = json.loads(capsys.readouterr().out)
        told = answer["registers"]
        assert [n for n, r in told.items() if r["ours"] != r["theirs"]] == [f"pcr{index}"]
    stand_in(monkeypatch, proof_of(other))
    assert run(["crosscheck", str(small)]) == 1
    assert "DIFFERS" in capsys.readouterr().out


def test_another_sessions_document(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(monkeypatch, replace(proof_of(registers_of(small)), nonce=b"m" * 32))
    assert run(["crosscheck", str(small)]) == 1
    assert "SOMETHING ELSE" in capsys.readouterr().out


def test_an_image_that_nobody_can_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TROTH_QEMU_NITRO", str(tmp_path / "absent"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    for config in (GOOD | {"listen": []}, GOOD | {"raw_nsm": True}):
        assert run(["crosscheck", str(kept(tmp_path, image(config)))]) == 2
        assert "nobody can ask it" in capsys.readouterr().err
    assert run(["crosscheck", str(kept(tmp_path, image()))]) == 5
    assert "TROTH_QEMU_NITRO names" in capsys.readouterr().err


@pytest.fixture(scope="module")
def hardware() -> eif.Eif:
    return builder.build(PROBE, kernel="hardware").image


def agreed(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """QEMU's registers of a real image, which are ours."""
    capsys.readouterr()
    code = run(["crosscheck", str(path), "--json"])
    shown = capsys.readouterr()
    assert code == 0, shown.out + shown.err
    answer = json.loads(shown.out)
    assert (answer["agreed"], answer["bound"]) == (True, True)
    assert {"G101", "G105"} <= set(answer["refused"])
    return {name: both["theirs"] for name, both in answer["registers"].items()}


@real
@pytest.mark.parametrize("kernel", ["hardware", "debian"])
def test_qemu_measures_the_same(
    hardware: eif.Eif, tmp_path: Path, kernel: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = hardware if kernel == "hardware" else builder.build(PROBE, kernel=kernel).image
    assert agreed(kept(tmp_path, made), capsys)["pcr8"] == ZERO.hex()


@real
def test_qemu_measures_a_signed_image_the_same(
    hardware: eif.Eif, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signer = identity(begin=NOW - DAY, end=NOW + DAY)
    section = sign(measure(hardware).pcr0, pem=signer.pem, key=signer.key, at=NOW)
    path = kept(tmp_path, attach(hardware, section, at=NOW))
    assert agreed(path, capsys)["pcr8"] == pcr8(signer.der).hex()


@real
def test_up_ends_at_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(runs, "start", partial(runs.start, timeout=300))  # beside other tests
    work = tmp_path / "work"
    argv = ["up", str(PROBE), "--on", "qemu-nitro", "--kernel", "hardware", "--work", str(work)]
    assert run(argv) == 1
    shown = capsys.readouterr()
    assert "✓ started" in shown.out
    assert "evidence verified" not in shown.out
    assert "G105" in shown.out + shown.err
