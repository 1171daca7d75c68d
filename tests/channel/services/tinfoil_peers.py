"""How the tests drive Tinfoil's own client: the process it runs in, and what it fetches, on loopback."""

import http.server
import json
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.conftest import peer_python

from troth.channel.services.tinfoil_release import Identity

HERE = Path(__file__).parent
Answer = tuple[bytes, dict[str, str]] | None


class Fetched:
    """Where releases and endorsements are fetched: (path, the case that was named last) to an answer."""

    def __init__(self, answer: Callable[[str, str], Answer]) -> None:
        case = ""

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                nonlocal case
                if self.path.startswith("/case/"):
                    case = unquote(self.path.removeprefix("/case/"))
                    found: Answer = (b"", {})
                else:
                    found = answer(self.path, case)
                self.send_response(404 if found is None else 200)
                body, headers = found or (b"", {})
                for name, value in (headers | {"Content-Length": str(len(body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def github(path: str, who: Identity, digest: str, bundle: bytes) -> Answer:
    """What their client asks GitHub of one repository: its newest release, and that one's bundle."""
    if path == f"/repos/{who.repository}/releases/latest":
        said: dict[str, Any] = {"tag_name": who.tag, "body": f"Digest: `{digest}`"}
    elif path == f"/repos/{who.repository}/attestations/sha256:{digest}":
        said = {"attestations": [{"bundle": json.loads(bundle)}]}
    else:
        return None
    return json.dumps(said).encode(), {}


def driven(given: dict[str, Any], certificates: bytes, folder: Path) -> dict[str, Any]:
    """Their client over these cases, in a process and a home of its own."""
    authorities = folder / "authorities.pem"
    authorities.write_bytes(certificates)
    environment = {
        "HOME": str(folder),
        "SSL_CERT_FILE": str(authorities),
        "REQUESTS_CA_BUNDLE": str(authorities),
    }
    return run("tinfoil", "tinfoil_client.py", given, environment)


def run(
    package: str, script: str, given: dict[str, Any], environment: dict[str, str]
) -> dict[str, Any]:
    """A script of `peers/`, with nothing of this process's environment that could reach the network."""
    done = subprocess.run(
        [peer_python(package), str(HERE / "peers" / script)],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": os.environ["PATH"], "NO_PROXY": "*"} | environment,
    )
    assert done.returncode == 0, done.stderr
    # Their code prints of its own; what was asked for is the last line.
    return json.loads(done.stdout.splitlines()[-1])
