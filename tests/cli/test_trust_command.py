"""`troth trust`: what is fetched, frozen and shown, and that verdicts come out of the frozen file."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from tests.platforms.nitro.forge import document
from tests.trust.conftest import site  # noqa: F401 - the fixture
from tests.trust.server import TDX_18, Answer, Site, intel

from troth.cli.main import run
from troth.platforms.nitro.simulate_pki import DevelopmentPki
from troth.trust import cache, load

AT = datetime(2025, 12, 2, 5, 15, 35, tzinfo=UTC)
QUOTE = "tdx/automata-sdk-v4.quote.bin"
TCB = "/tdx/certification/v4/tcb"


@pytest.fixture(autouse=True)
def _own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of its own, and a clock at which the vectors are good."""
    assert home.is_dir()
    monkeypatch.setattr(cache, "utc_now", lambda: AT)


def _update(site: Site, quote: Path, output: Path, *more: str) -> int:  # noqa: F811
    words = ["trust", "update", "--for", str(quote), "--pcs", site.base, "--kds", site.base]
    return run([*words, "-o", str(output), *more])


def test_fetched_frozen_and_verified_without_a_network(
    site: Site,  # noqa: F811
    vectors: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    quote, fetched, frozen = vectors / QUOTE, tmp_path / "fetched.json", tmp_path / "frozen.json"
    site.serve(intel(vectors))
    assert _update(site, quote, fetched) == 0
    assert "4 endorsements, the first to end 2025-12-17" in capsys.readouterr().err
    assert len(site.asked) == 4
    assert run(["trust", "freeze", "--for", str(quote), "-o", str(frozen)]) == 0
    assert frozen.read_bytes() == fetched.read_bytes()
    at = ["--at", AT.isoformat()]
    assert run(["verify", str(quote), "--format", "json", *at]) == 4
    report = json.loads(capsys.readouterr().out)
    assert {c["outcome"] for c in report["checks"] if c["code"] == "R201"} == {"undecided"}
    assert run(["verify", str(quote), "--collateral", str(frozen), "--format", "json", *at]) == 4
    report = json.loads(capsys.readouterr().out)
    assert {c["outcome"] for c in report["checks"] if c["code"] in ("R201", "T101", "G204")} == {
        "passed"
    }
    assert len(report["collateral"]) == 4
    # A folder of the same, and the same twice.
    parts = tmp_path / "parts"
    parts.mkdir()
    for item in load(frozen).items:
        (parts / item.kind).write_bytes(item.data)
    (parts / "chain.pem").write_bytes(load(frozen).items[-1].chain)
    both = ["--collateral", str(parts), "--collateral", str(frozen)]
    assert run(["verify", str(quote), *both, "-q", *at]) == 4
    assert len(site.asked) == 4


def test_an_outage_is_a_note(
    site: Site,  # noqa: F811
    vectors: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    site.serve(intel(vectors))
    quote, output = vectors / QUOTE, tmp_path / "c.json"
    assert _update(site, quote, output) == 0
    site.down = True
    assert _update(site, quote, output, "--refresh", "--early") == 0
    said = capsys.readouterr().err
    assert "serves until" in said
    assert "next evaluation number" in said


def test_what_cannot_be_had(site: Site, vectors: Path, tmp_path: Path) -> None:  # noqa: F811
    quote, output = vectors / QUOTE, tmp_path / "c.json"
    assert _update(site, quote, output) == 5
    assert run(["trust", "freeze", "--for", str(quote), "-o", str(output)]) == 5
    site.serve(intel(vectors))
    site.put(TCB, Answer(body=b"<html>"))
    assert _update(site, quote, output, "--refresh") == 5
    assert not output.exists()


def test_older_collateral_is_not_handed_over(vectors: Path, tmp_path: Path) -> None:
    old = vectors / "sgx/collateral/sgxv2-00a067110000-eval17-20250615-processor.json"
    new = vectors / "sgx/collateral/sgxv2-00a067110000-eval19-20250615-processor.json"
    output = str(tmp_path / "c.json")
    assert run(["trust", "freeze", str(old), "-o", output]) == 0
    assert run(["trust", "freeze", str(new), "-o", output]) == 0
    assert run(["trust", "freeze", str(old), "-o", output]) == 5
    assert run(["trust", "freeze", str(new), str(old), "-o", output]) == 5


def test_early_documents(site: Site, vectors: Path, tmp_path: Path) -> None:  # noqa: F811
    site.serve(intel(vectors))
    site.serve(intel(vectors), early=True)
    output = tmp_path / "c.json"
    assert _update(site, vectors / QUOTE, output, "--early") == 0
    assert sorted(item.early for item in load(output).items) == [False] * 4 + [True] * 2


def test_evidence_that_needs_nothing(
    site: Site,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    nitro = tmp_path / "nitro.bin"
    nitro.write_bytes(document()[0])
    assert _update(site, nitro, tmp_path / "c.json") == 0
    assert "needs no collateral" in capsys.readouterr().err
    assert site.asked == []
    assert load(tmp_path / "c.json").items == ()


def _empty_list(issuer: str) -> bytes:
    """A CRL in the form of AMD's, of which no real one is public here, under a key of our own."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)])
    builder = x509.CertificateRevocationListBuilder().issuer_name(name)
    builder = builder.last_update(AT).next_update(AT + timedelta(days=365))
    builder = builder.add_extension(x509.CRLNumber(1), critical=False)
    key = rsa.generate_private_key(65537, 2048)
    scheme = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
    signed = builder.sign(key, hashes.SHA384(), rsa_padding=scheme)
    return signed.public_bytes(Encoding.DER)


def test_amds_certificates_by_the_report(
    site: Site,  # noqa: F811
    vectors: Path,
    tmp_path: Path,
) -> None:
    report = vectors / "snp" / "oak-milan-v3.report.bin"
    certs = vectors / "snp" / "certs"
    chain = (certs / "sev-milan.pem").read_bytes() + (certs / "ark-milan.pem").read_bytes()
    site.put("/vcek/v1/Milan/cert_chain", Answer(body=chain))
    assert _update(site, report, tmp_path / "c.json") == 5
    chips = [path for path in site.asked if path.startswith("/vcek/v1/Milan/") and "?" in path]
    assert len(chips) == 1
    assert "blSPL=" in chips[0] and "ucodeSPL=" in chips[0]
    vcek = (certs / "oak-milan-v3.vcek.der").read_bytes()
    site.put(chips[0].partition("?")[0], Answer(body=vcek))
    site.put("/vcek/v1/Milan/crl", Answer(body=_empty_list("SEV-Other-1")))
    assert _update(site, report, tmp_path / "c.json", "--refresh") == 5
    site.put("/vcek/v1/Milan/crl", Answer(body=_empty_list("ARK-Milan")))
    assert _update(site, report, tmp_path / "c.json", "--refresh") == 0
    kinds = sorted(item.kind for item in load(tmp_path / "c.json").items)
    assert kinds == ["amd-chain", "amd-crl", "amd-endorsement"]
    words = ["verify", str(report), "--collateral", str(tmp_path / "c.json"), "-q"]
    assert run([*words, "--at", AT.isoformat()]) in (1, 4)  # that list is not AMD's
    # A version 2 report does not say which product it is of.
    old = vectors / "snp" / "google-milan-v2.report.bin"
    assert _update(site, old, tmp_path / "old.json") == 2
    assert _update(site, old, tmp_path / "old.json", "--product", "Rome") == 2
    assert _update(site, old, tmp_path / "old.json", "--product", "milan") == 5
    assert site.asked[-3:][0].startswith("/vcek/v1/Milan/")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (2, ["update", "-o", "x"]),
        (2, ["freeze", "-o", "x"]),
        (2, ["update", "--for", "{quote}", "-o", "x", "--pcs", "http://pcs.example"]),
        (2, ["update", "--for", "{quote}", "-o", "x", "--pcs", "https://a", "--pccs", "https://b"]),
        (2, ["update", "--for", "{quote}", "-o", "x", "--pccs-authority", "ca.pem"]),
        (2, ["update", "--for", "{quote}", "-o", "x", "--pccs", "https://u:p@a"]),
        (5, ["update", "--for", "absent", "-o", "x"]),
        (3, ["update", "--for", "{junk}", "-o", "x"]),
        (3, ["freeze", "{junk}", "-o", "x"]),
        (3, ["show", "{junk}"]),
        (2, ["show", "{quote}", "--at", "yesterday"]),
        (5, ["list", "--collateral", "absent"]),
    ],
)
def test_exit_codes(vectors: Path, tmp_path: Path, code: int, words: list[str]) -> None:
    junk = tmp_path / "junk"
    junk.write_bytes(b"junk")
    filled = [
        w.replace("{quote}", str(vectors / QUOTE)).replace("{junk}", str(junk)) for w in words
    ]
    assert run(["trust", *filled]) == code
    assert not Path("x").exists()


def test_what_expires_when(vectors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(vectors / TDX_18)
    assert run(["trust", "show", path, "--at", "2025-12-02T05:15:35Z"]) == 0
    text = capsys.readouterr().out
    assert "TDX 00806f050000, evaluation number 18" in text
    assert "15 days left" in text
    assert "51 revoked" in text
    assert run(["trust", "show", path, "--at", "2025-12-18T00:00:00Z", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["kind"]: row["state"] for row in rows} == {
        "intel-tcb-info": "over",
        "intel-qe-identity": "over",
        "intel-pck-crl": "over",
        "intel-root-crl": "good",
    }
    assert [row["ends"] for row in rows] == sorted(row["ends"] for row in rows)
    assert run(["trust", "show", path, "--at", "2024-01-01T00:00:00Z"]) == 0
    assert "not yet" in capsys.readouterr().out
    assert run(["trust", "list", "--collateral", path, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {root["platform"] for root in listed["roots"]} >= {"nitro", "sgx", "tdx"}
    assert len(listed["collateral"]) == 4
    assert run(["trust", "list", "--collateral", path]) == 0
    assert "to review by" in capsys.readouterr().out


def test_what_cannot_be_read_is_listed_first(
    vectors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.json").write_text('{"tcbInfo":{"\\u001b[31m":1},"signature":"00"}')
    (tmp_path / "good.json").write_bytes((vectors / TDX_18).read_bytes())
    assert run(["trust", "show", str(tmp_path)]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("unreadable")
    assert "\x1b" not in first


def test_roots_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pki = DevelopmentPki.create(AT)
    path = tmp_path / "root.pem"
    path.write_text(pki.root_pem())
    assert run(["trust", "show", str(path), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {(root["class"], root["sha256"]) for root in listed} == {
        ("development", pki.root().sha256)
    }
    assert run(["trust", "show", str(path)]) == 0
    assert "class: development" in capsys.readouterr().out
    assert run(["trust", "show", "641a", "--json"]) == 0


def test_this_users_development_root_is_listed(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from troth.runtime import development

    assert home.is_dir()
    development.nitro()
    assert run(["trust", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("development")
    assert "ends 2" in lines[-1]
