"""The examples as a reader runs them: built, started, and asked over the attested channel."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TROTH = Path(sys.executable).with_name("troth")

pytestmark = [pytest.mark.namespaces, pytest.mark.network, pytest.mark.slow]


@pytest.fixture
def troth(tmp_path: Path):
    """Runs a command with data of its own and the user's cache of packages; stops what it left."""
    environment = os.environ | {"XDG_DATA_HOME": str(tmp_path / "data")}

    def run(*words: str) -> str:
        done = subprocess.run(
            [TROTH, *words],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"troth {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    yield run
    subprocess.run([TROTH, "stop", "--all"], env=environment, capture_output=True, check=False)


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [("hello", "/", '"name":"hello"'), ("shell", "/info", '"name":"shell"')],
)
def test_an_example_answers_over_the_attested_channel(troth, tmp_path, name, path, expected):
    troth("build", str(REPOSITORY / "examples" / name))
    state = json.loads(troth("run", f"{name}.eif", "--detach", "--json"))
    address = f"https://127.0.0.1:{state['published'][0]['host_port']}{path}"
    root = tmp_path / "data" / "troth" / "development" / "nitro" / "root.pem"
    answer = troth("connect", address, "--image", f"{name}.eif", "--trust", str(root))
    assert expected in answer
