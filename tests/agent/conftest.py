"""One real run of the probe for all tests here: built from its lock, started on each ground there is here.

What holds in the simulator's namespaces must hold under a kernel of the image's own.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import troth
from troth.image import build as builder
from troth.platforms.nitro.measure import measure
from troth.runtime import development, runs
from troth.wire import eif

PROBE = Path(__file__).parent.parent / "data" / "probe"


@dataclass(frozen=True)
class Probe:
    run: runs.Run
    policy: troth.Policy
    trust: tuple[troth.Root, ...]

    @property
    def url(self) -> str:
        return f"https://{self.run.published[0].address}/"

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        with troth.connect(self.url, policy=self.policy, trust=self.trust) as connection:
            response = connection.request(method, path, body=data)
            return response.status, json.loads(response.body)

    def ask(self, name: str) -> Any:
        """One experiment, from inside."""
        status, answer = self.request("GET", f"/{name}")
        assert status == 200, name
        return answer

    def agent(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One request to the agent, made by the app."""
        return self.request("POST", "/agent", {"method": method, "path": path, "body": body})


@pytest.fixture(scope="session")
def probe_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("probe") / "probe.eif"
    builder.write(builder.build(PROBE), path)
    return path


@pytest.fixture(
    scope="session",
    params=["simulator", pytest.param("microvm", marks=pytest.mark.microvm)],
)
def probe(probe_image: Path, request: pytest.FixtureRequest) -> Iterator[Probe]:
    # What a hostile host might hope to pass in.
    os.environ.update(PYTHONPATH="/tmp", LD_PRELOAD_HINT="x", TROTH_TEST_SECRET="host")
    try:
        pki = development.nitro()
        free = {"hint": b"from the host"}
        with runs.start(probe_image, pki=pki, on=request.param, free=free) as run:
            registers = measure(eif.read(probe_image.read_bytes())).hex()
            policy = troth.Policy.for_image({"nitro": registers}, name="probe")
            yield Probe(run, policy, (pki.root(),))
    finally:
        for name in ("PYTHONPATH", "LD_PRELOAD_HINT", "TROTH_TEST_SECRET"):
            os.environ.pop(name, None)
