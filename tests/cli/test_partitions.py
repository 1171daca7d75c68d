"""Roots of other partitions of AWS's, by file: they count where they are named, for what they are named for."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.platforms.nitro.forge import NONCE, NOW, PCRS, document, specs

from troth.cli import _expect
from troth.cli.main import run
from troth.platforms.nitro.format import parse
from troth.trust import parse_roots

PARTITIONS = {
    "aws-cn": ("cn-north-1", "cnn1-az1"),
    "aws-us-gov": ("us-gov-west-1", "usgw1-az1"),
}


@dataclass(frozen=True)
class Partition:
    """Evidence of an enclave there, and the root of the partition."""

    folder: Path

    def put(self, name: str, data: bytes) -> str:
        (self.folder / name).write_bytes(data)
        return str(self.folder / name)

    def verify(self, *more: str, evidence: str = "evidence.bin") -> int:
        return run(["verify", str(self.folder / evidence), *MEANS, *more])

    @property
    def root(self) -> str:
        return str(self.folder / "root.pem")


EXPECTED = [
    word for i, value in PCRS.items() for word in ("--measurement", f"pcr{i}={value.hex()}")
]
MEANS = ["--at", NOW.isoformat(), "--nonce", NONCE.hex()]


@pytest.fixture(params=PARTITIONS)
def partition(request: pytest.FixtureRequest, tmp_path: Path) -> Partition:
    """Named as AWS names its own: CN=aws.nitro-enclaves, then region, zone, instance and enclave below."""
    name, (region, zone) = request.param, PARTITIONS[request.param]
    wanted = specs()
    suffix = f"{name}.nitro-enclaves"
    names = (
        suffix,
        f"0123.{region}.{suffix}",
        f"45.zonal.{zone}.{suffix}",
        f"i-0.{region}",
        "leaf",
    )
    for spec, title in zip(wanted, names, strict=True):
        spec.name = title
    data, _ = document(wanted)
    made = Partition(tmp_path)
    made.put("evidence.bin", data)
    first = x509.load_der_x509_certificate(parse(data).cabundle[0])
    assert first.subject.rfc4514_string() == f"CN={suffix}"
    made.put("root.pem", first.public_bytes(Encoding.PEM))
    return made


def test_it_counts_where_it_is_named(
    partition: Partition, capsys: pytest.CaptureFixture[str]
) -> None:
    assert partition.verify(*EXPECTED) == 1
    assert "G101" in capsys.readouterr().out
    for named in (partition.root, f"nitro:{partition.root}"):
        assert partition.verify(*EXPECTED, "--trust", named) == 0
        said = capsys.readouterr().out
        assert "added" in said
        assert "vendor" not in said


def test_it_does_not_count_for_another_platform(
    partition: Partition, capsys: pytest.CaptureFixture[str]
) -> None:
    assert partition.verify(*EXPECTED, "--trust", f"snp:{partition.root}") == 1
    assert "G101" in capsys.readouterr().out
    both = ("--trust", f"snp:{partition.root}", "--trust", f"nitro:{partition.root}")
    assert partition.verify(*EXPECTED, *both) == 0


def test_a_policy_says_whether_such_roots_count(
    partition: Partition, capsys: pytest.CaptureFixture[str]
) -> None:
    trust = ("--trust", f"nitro:{partition.root}")
    assert partition.verify(*EXPECTED, *trust, "--policy", "production-2026-11") == 1
    assert "P102" in capsys.readouterr().out
    registers = "".join(f'pcr{i} = ["{value.hex()}"]\n' for i, value in PCRS.items())
    head = 'schema = "troth/policy/1"\nname = "partition"\n'
    tail = f'[roots]\nallow = ["added"]\n[binding]\nkey = "optional"\n[nitro]\n{registers}'
    policy = partition.put("partition.policy.toml", (head + tail).encode())
    assert partition.verify("--policy", policy, *trust) == 0
    assert partition.verify("--policy", policy) == 1


def test_a_bundle_keeps_what_they_count_for(
    partition: Partition, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = str(partition.folder / "kept.troth")
    both = ("--trust", f"snp:{partition.root}", "--trust", f"nitro:{partition.root}")
    assert partition.verify(*EXPECTED, *both, "--bundle", bundle) == 0
    capsys.readouterr()
    assert run(["verify", bundle, "--replay"]) == 4
    assert "P104" in capsys.readouterr().out
    wrong = str(partition.folder / "wrong.troth")
    narrowed = ("--trust", f"snp:{partition.root}")
    assert partition.verify(*EXPECTED, *narrowed, "--bundle", wrong) == 1
    capsys.readouterr()
    assert run(["verify", wrong, "--replay"]) == 1
    assert "G101" in capsys.readouterr().out


def test_a_file_that_narrows_its_roots_narrows_no_other_ones(partition: Partition) -> None:
    own = partition.put("own.pem", b"# platform: snp\n" + Path(partition.root).read_bytes())
    for files in ((own, partition.root), (partition.root, own)):
        counted, text = _expect.roots(files)
        again = parse_roots(text, source="in a bundle")
        assert {(root.platform, root.sha256) for root in again} == {
            (root.platform, root.sha256) for root in counted
        }
        assert "nitro" in {root.platform for root in again}


def test_what_stands_before_the_colon(
    partition: Partition, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for named, code, words in (
        (f"nitros:{partition.root}", 2, "nitros is no platform"),
        ("nitro:", 2, "names no file"),
        (f"nitro:{partition.root}.absent", 5, "there is no file"),
        (f"maa:{partition.put('keys.json', b'{}')}", 2, "whose it is"),
    ):
        assert partition.verify(*EXPECTED, "--trust", named) == code
        said = capsys.readouterr().err
        assert words in said
        assert "fix: " in said
    # A file with such a name is named with its folder.
    monkeypatch.chdir(partition.folder)
    partition.put("snp:root.pem", Path(partition.root).read_bytes())
    assert partition.verify(*EXPECTED, "--trust", "./snp:root.pem") == 0
    partition.put("other:root.pem", Path(partition.root).read_bytes())
    assert partition.verify(*EXPECTED, "--trust", "other:root.pem") == 0
