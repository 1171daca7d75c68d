"""The examples as a reader runs them: built, started, and asked over the attested channel."""

import json
import secrets
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.examples import surface_page

import troth as library
from troth.model.report import Verdict
from troth.policy import Policy
from troth.trust import load_roots
from troth.verifier.binding import Tag, bind

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = [pytest.mark.namespaces, pytest.mark.network, pytest.mark.slow]


def started(
    troth: Callable[..., str], folder: Path, app: Path, on: str = "simulator"
) -> Callable[[str], str]:
    """Builds and starts an app; what it gives asks over the attested channel."""
    name = app.name
    troth("build", str(app))
    state = json.loads(troth("run", f"{name}.eif", "--on", on, "--detach", "--json"))
    address = f"https://127.0.0.1:{state['published'][0]['host_port']}"
    trust = ("--trust", str(root_of(folder)))
    return lambda path: troth("connect", address + path, "--image", f"{name}.eif", *trust)


def root_of(folder: Path) -> Path:
    return folder / "data" / "troth" / "development" / "nitro" / "root.pem"


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [("hello", "/", '"name":"hello"'), ("shell", "/info", '"name":"shell"')],
)
def test_an_example_answers_over_the_attested_channel(troth, tmp_path, name, path, expected):
    assert expected in started(troth, tmp_path, EXAMPLES / name)(path)
    surface_page.check(name, tmp_path / f"{name}.build.json")


@pytest.mark.toolchains
@pytest.mark.parametrize(
    ("name", "said", "on"),
    [
        ("hello-node", "hello from node", "simulator"),
        # Static programs that need nothing of the image, under a kernel of their own.
        pytest.param("hello-go", "hello from go", "microvm", marks=pytest.mark.microvm),
        pytest.param("hello-rust", "hello from rust", "microvm", marks=pytest.mark.microvm),
        ("hello-oci", "hello from perl", "simulator"),
    ],
)
def test_in_any_language_an_app_gets_evidence_that_is_accepted(troth, tmp_path, name, said, on):
    ignored = shutil.ignore_patterns("bin", "image.tar", "target")
    app = shutil.copytree(EXAMPLES / name, tmp_path / name, ignore=ignored)
    compiled = ""
    if (app / "compile").exists():
        done = subprocess.run(
            [app / "compile"], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        compiled = done.stdout.decode()
    if not (app / "troth.lock").exists():  # of a container image, which it would pin
        troth("lock", str(app))
    ask = started(troth, tmp_path, app, on)
    assert f'"name":"{name}"' in ask("/").removeprefix(f"{said}: ")
    assert len(json.loads(ask("/random"))["random"]) == 32
    assert bytes.fromhex(json.loads(ask("/identity"))["public_key"])
    nonce = secrets.token_bytes(32)
    evidence = bytes.fromhex(json.loads(ask(f"/evidence/{nonce.hex()}"))["evidence"])
    if name != "hello-oci":  # made of packages that nothing pins
        surface_page.check(name, tmp_path / f"{name}.build.json", compiled)
    surface = json.loads((tmp_path / f"{name}.build.json").read_bytes())["surface"]
    assert ("/app/hello" in surface["named"].get("static", ())) == (on == "microvm")
    measured = json.loads((tmp_path / f"{name}.measurements.json").read_bytes())
    report = library.appraise(
        evidence,
        policy=Policy.for_image({"nitro": measured["nitro"]}),
        at=datetime.now(UTC),
        nonce=nonce,
        binding=bind(Tag.APP, said.encode(), nonce),
        trust=load_roots(root_of(tmp_path)),
    )
    assert report.verdict is Verdict.ACCEPTED
