"""`troth verify` as people call it: exit 0 for nothing but the good one."""

import json
import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.platforms.nitro.test_vectors import pinned, rows

import troth
from troth.cli.main import run
from troth.platforms.nitro.simulate import DevelopmentPki, SimulatedNsm, new_instance
from troth.verifier.bundle import Bundle, Maker, looks_like, pack
from troth.wire import cbor

NOW = datetime.now(UTC)
NONCE = bytes(range(32))
PCRS = {0: b"\x01" * 48, 1: b"\x02" * 48, 2: b"\x03" * 48}
SCHEMA = json.loads(files("troth.render").joinpath("schema/report-v1.json").read_text("utf-8"))


@dataclass(frozen=True)
class Made:
    folder: Path
    evidence: bytes
    policy: Path
    root: Path
    file: Path

    @property
    def flags(self) -> list[str]:
        return ["--policy", str(self.policy), "--trust", str(self.root)]

    def verify(self, *flags: str, source: bytes | None = None) -> int:
        if source is not None:
            self.file.write_bytes(source)
        return run(["verify", str(self.file), *flags])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("verify")
    pki = DevelopmentPki.create(NOW)
    nsm = SimulatedNsm(pki, PCRS, new_instance(), lambda: datetime.now(UTC))
    request = {"Attestation": {"user_data": None, "nonce": NONCE, "public_key": None}}
    reply = cbor.decode(nsm.request(cbor.encode_in_order(request)), field="reply")
    evidence = reply["Attestation"]["document"]
    registers = {f"pcr{i}": v.hex() for i, v in PCRS.items()}
    policy = troth.Policy.for_image({"nitro": registers}, name="mine")
    (folder / "mine.toml").write_text(policy.to_toml())
    (folder / "root.pem").write_text(pki.root_pem())
    return Made(
        folder, evidence, folder / "mine.toml", folder / "root.pem", folder / "evidence.bin"
    )


def test_the_good_one(made: Made) -> None:
    assert made.verify(*made.flags, "-q", source=made.evidence) == 0
    assert made.verify(*made.flags, "--nonce", NONCE.hex(), "-q") == 0
    registers = [f"--measurement=pcr{i}={v.hex()}" for i, v in PCRS.items()]
    assert made.verify(*registers, "--trust", str(made.root), "-q") == 0


def test_mutated_evidence_never_exits_zero(made: Made) -> None:
    draw = random.Random(7)
    changes: list[bytes] = [
        b"", made.evidence[:-1], made.evidence + b"\0", made.evidence[1:], made.evidence * 2,
        bytes(16 * 1024), b"\xff" * 100, made.evidence[::-1],
    ]  # fmt: skip
    for _ in range(400):
        changed = bytearray(made.evidence)
        bit = draw.randrange(len(changed) * 8)
        changed[bit // 8] ^= 1 << bit % 8
        changes.append(bytes(changed))
    for _ in range(100):
        at, size = draw.randrange(len(made.evidence)), draw.randrange(1, 64)
        changes.append(made.evidence[:at] + draw.randbytes(size) + made.evidence[at + size :])
    for changed in changes:
        if changed != made.evidence:
            code = made.verify(*made.flags, "-q", source=changed)
            assert code in (1, 3), (code, changed.hex()[:80])


EXITS: list[tuple[int, list[str]]] = [
    (4, []),
    (6, ["--waive", "measurement"]),
    (6, ["--waive", "measurement", "--waive", "freshness"]),
    (1, ["--waive", "measurement", "--at", "2001-01-01T00:00:00Z"]),
    (1, ["--measurement", f"pcr0={'ab' * 48}"]),
    (4, ["--measurement", f"pcr0={'01' * 48}"]),
    (1, ["--nonce", "01" * 32, "--waive", "measurement"]),
    (2, ["--nonce", "01" * 32, "--waive", "freshness"]),
    (2, ["--nonce", "01"]),
    (2, ["--nonce", "zz"]),
    (2, ["--at", "2026-11-23T03:10:00"]),
    (2, ["--at", "yesterday"]),
    (2, ["--waive", "debug"]),
    (2, ["--waive", "signature"]),
    (2, ["--surprise"]),
    (2, ["--policy", "no-such-profile"]),
    (2, ["--measurement", "pcr0"]),
    (2, ["--measurement", "pcr0=00"]),
    (2, ["--measurement", f"pcr0={'00' * 48}"]),
    (2, ["--replay"]),
    (5, ["--collateral", "no-such-file"]),
    (5, ["--image", "/no/such/file.eif"]),
    (5, ["--trust", "/no/such/file.pem"]),
]


@pytest.mark.parametrize(("code", "flags"), EXITS)
def test_exit_codes(made: Made, code: int, flags: list[str]) -> None:
    made.file.write_bytes(made.evidence)
    assert run(["verify", str(made.file), "--trust", str(made.root), *flags, "-q"]) == code


def test_sources_that_are_none(made: Made) -> None:
    assert run(["verify", str(made.folder / "absent.bin")]) == 5
    assert run(["verify", str(made.folder)]) == 5
    assert made.verify(source=bytes(16 * 1024)) == 3
    assert run(["verify"]) == 2
    assert run(["verify", "https://127.0.0.1:1/", "--policy", str(made.policy)]) == 5
    assert run(["verify", "https://127.0.0.1:1/", "--offline"]) == 2


def test_production_refuses_development(made: Made) -> None:
    registers = [f"--measurement=pcr{i}={v.hex()}" for i, v in PCRS.items()]
    flags = ["--policy", "production-2026-11", "--trust", str(made.root), *registers, "-q"]
    assert made.verify(*flags, source=made.evidence) == 1
    assert made.verify(*registers, "-q") == 1  # the root was not passed by name


def test_a_clock_that_is_off_is_named(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    made.file.write_bytes(made.evidence)
    for days in (-2, 2):
        at = (NOW + timedelta(days=days)).isoformat()
        assert run(["verify", str(made.file), *made.flags, "--at", at]) == 1
        assert "clock" in capsys.readouterr().out


def test_bundles_do_not_accept_themselves(made: Made) -> None:
    maker = Maker(
        policy=made.policy.read_text(),
        roots=made.root.read_bytes(),
        at=datetime.now(UTC),
        nonce=NONCE,
        key=None,
        binding=None,
        report=b"{}",
    )
    good = Bundle(evidence=made.evidence, maker=maker)
    for bundle in (
        good,
        replace(good, maker=None),
        replace(good, maker=replace(maker, nonce=None)),
    ):
        assert made.verify("-q", source=pack(bundle)) == 1
        assert made.verify("-q", "--trust", str(made.root)) == 4
        assert made.verify("-q", *made.flags) == 0
    assert made.verify("--replay", "-q", source=pack(good)) == 4
    assert made.verify("--replay", *made.flags, "-q") == 4
    liar = replace(good, evidence=made.evidence[:-1] + b"\0")
    assert made.verify("--replay", "-q", source=pack(liar)) == 1
    late = (NOW + timedelta(hours=2)).isoformat()
    assert made.verify("-q", *made.flags, "--at", late, source=pack(good)) == 1
    data, draw = pack(good), random.Random(11)
    for _ in range(300):
        changed = bytearray(data)
        bit = draw.randrange(len(changed) * 8)
        changed[bit // 8] ^= 1 << bit % 8
        assert made.verify("-q", source=bytes(changed)) in (1, 3, 4)
        misused = () if looks_like(changed) else (2,)  # what is no bundle can't be replayed
        assert made.verify("-q", "--replay") in (1, 3, 4, *misused)
    assert good.maker is not None
    brief = replace(good, maker=replace(good.maker, nonce=b"brief"))
    assert made.verify("--replay", "-q", source=pack(brief)) == 3


def test_a_bundle_written_and_judged_again(made: Made, tmp_path: Path) -> None:
    made.file.write_bytes(made.evidence)
    bundle = tmp_path / "b.troth"
    flags = [*made.flags, "--nonce", NONCE.hex(), "-q"]
    assert run(["verify", str(made.file), *flags, "--bundle", str(bundle)]) == 0
    assert run(["verify", str(bundle), *flags]) == 0
    assert run(["verify", str(bundle), "--replay", "-q"]) == 4
    assert run(["inspect", str(bundle)]) == 0


def printed(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, Any]:
    code = run(["verify", *argv, "--format", "json"])
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, SCHEMA)
    return code, document


def test_json_is_written_whatever_happens(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    made.file.write_bytes(made.evidence)
    code, document = printed(capsys, str(made.file), *made.flags)
    assert (code, document["verdict"], document["exit_code"]) == (0, "accepted", 0)
    code, document = printed(capsys, str(made.file))
    assert (code, document["verdict"]) == (1, "rejected")
    made.file.write_bytes(b"junk")
    code, document = printed(capsys, str(made.file), *made.flags)
    assert (code, document["exit_code"]) == (3, 3)
    code, document = printed(capsys, str(made.folder / "absent"))
    assert (code, document["exit_code"]) == (5, 5)
    code, document = printed(capsys, str(made.file), "--at", "yesterday")
    assert (code, document["exit_code"]) == (2, 2)


def test_html_and_files(made: Made, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert made.verify(*made.flags, "--format", "html", "-o", str(page), source=made.evidence) == 0
    text = page.read_text()
    assert "<script" not in text
    assert "accepted" in text
    assert len(text) < 60_000


def test_real_documents(vectors: Path, tmp_path: Path) -> None:
    for name, data, at, verdict in rows(vectors):
        source = tmp_path / name
        source.write_bytes(data)
        flags = ["--at", at.isoformat(), "-q"]
        bare = run(["verify", str(source), *flags])
        if name.startswith("blocky-selfsigned"):
            assert bare == 3
        elif "debug" in verdict or name.startswith("veracruz-badsig"):
            assert bare == 1
        else:
            assert bare == 4
            assert run(["verify", str(source), *flags, "--waive", "measurement"]) == 6
            policy = tmp_path / "p.toml"
            policy.write_text(pinned(data, at).to_toml())
            assert run(["verify", str(source), *flags, "--policy", str(policy)]) == 0
            assert run(["verify", str(source), "--policy", str(policy), "-q"]) == 1
            assert run(["inspect", str(source)]) == 0


def test_pinning_is_unreviewed(made: Made, tmp_path: Path) -> None:
    made.file.write_bytes(made.evidence)
    policy = tmp_path / "pinned.toml"
    assert run(["policy", "pin", str(made.file), "--trust", str(made.root), "-o", str(policy)]) == 0
    assert run(["policy", "check", str(policy)]) == 0
    flags = ["--policy", str(policy), "--trust", str(made.root), "-q"]
    assert made.verify(*flags) == 4
    policy.write_text(
        "".join(s for s in policy.read_text().splitlines(True) if "unreviewed" not in s)
    )
    assert made.verify(*flags) == 0
    assert run(["policy", "pin", str(made.file)]) == 1  # no root was passed: not genuine
    made.file.write_bytes(b"junk")
    assert run(["policy", "pin", str(made.file), "--trust", str(made.root)]) == 3
