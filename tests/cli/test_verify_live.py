"""`troth verify https://…`: a running enclave, asked with a nonce of this program's own."""

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
from tests.cli.test_connect_command import EXPECTED, Enclave

from troth.cli.main import run
from troth.render.json import schema_text
from troth.verifier.bundle import unpack


@pytest.fixture
def enclave(tmp_path: Path) -> Iterator[Enclave]:
    made = Enclave(tmp_path)
    yield made
    made.listener.close()


def test_a_running_enclave_is_accepted_for_this_session(
    enclave: Enclave, capsys: pytest.CaptureFixture[str]
) -> None:
    trust = f"--trust={enclave.root}"
    assert run(["verify", enclave.url, *EXPECTED, trust]) == 0
    text = capsys.readouterr().out
    assert text.startswith("✓ accepted   development · AWS Nitro · ")
    assert "bound to this session" in text
    assert enclave.received == b""
    assert run(["verify", enclave.url, trust]) == 4
    assert run(["verify", enclave.url, *EXPECTED]) == 1


def test_a_refused_channel_keeps_its_exit_code(
    enclave: Enclave, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, wrong = tmp_path / "b.troth", f"--measurement=pcr0={'ab' * 48}"
    flags = [f"--trust={enclave.root}", wrong, "--bundle", str(bundle), "--format", "json"]
    assert run(["verify", enclave.url, *flags]) == 1
    told = capsys.readouterr()
    document = json.loads(told.out)
    jsonschema.validate(document, json.loads(schema_text()))
    assert document["verdict"] == "rejected"
    assert "no bundle was written" in told.err
    assert not bundle.exists()


def test_the_bundle_of_a_session_is_judged_by_its_reader(enclave: Enclave, tmp_path: Path) -> None:
    bundle, page = tmp_path / "b.troth", tmp_path / "report.html"
    trust = f"--trust={enclave.root}"
    flags = ["--bundle", str(bundle), "--format", "html", "-o", str(page)]
    assert run(["verify", enclave.url, *EXPECTED, trust, *flags]) == 0
    assert f"troth verify {bundle} " in page.read_text()
    maker = unpack(bundle.read_bytes()).maker
    assert maker is not None
    assert None not in (maker.nonce, maker.key, maker.binding)
    assert run(["verify", str(bundle), "--replay", "-q"]) == 4
    assert run(["verify", str(bundle), "-q"]) == 1
    assert run(["verify", str(bundle), trust, "-q"]) == 4
    assert run(["verify", str(bundle), *EXPECTED, trust, "-q"]) == 0


@pytest.mark.parametrize(
    "flags",
    [
        ["--nonce", "00" * 32],
        ["--waive", "measurement"],
        ["--at", "2026-11-23T03:10:00Z"],
        ["--replay"],
        ["--offline"],
        ["--key", "00" * 32],
    ],
)
def test_what_makes_no_sense_live_is_misuse(enclave: Enclave, flags: list[str]) -> None:
    assert run(["verify", enclave.url, f"--trust={enclave.root}", *EXPECTED, *flags]) == 2


def test_plain_http_is_no_channel() -> None:
    """Services whose evidence travels in the clear may be there; troth's own channel never is."""
    assert run(["verify", "http://127.0.0.1:1/"]) == 5
    assert run(["verify", "http://127.0.0.1:1/", "--service", "troth"]) == 2
