"""Talk to the agent: HTTP over a unix socket, JSON, bytes as lower-case hex."""

import http.client
import json
import socket

SOCKET = "/run/troth/agent.sock"
TIMEOUT = 10.0


class _Connection(http.client.HTTPConnection):
    """An HTTP connection whose address is a path."""

    def __init__(self, path: str) -> None:
        super().__init__("agent", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self._path)


def ask(method: str, path: str, body: dict[str, object] | None = None) -> dict[str, object]:
    """One request; an answer other than 200 is an `OSError` with what the agent said."""
    connection = _Connection(SOCKET)
    try:
        data = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, data, headers)
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        raise OSError(f"agent: {response.status} {text[:200]!r}")
    answer: dict[str, object] = json.loads(text)
    return answer


def _hex(answer: dict[str, object], name: str) -> str:
    value = answer[name]
    if not isinstance(value, str):
        raise OSError(f"agent: {name} is no text")
    return value


def random(size: int) -> bytes:
    """Unpredictable bytes from the platform."""
    return bytes.fromhex(_hex(ask("POST", "/v1/random", {"size": size}), "random"))


def sign(data: bytes) -> str:
    """The identity key's Ed25519 signature over `troth/sign/1`, a zero byte and the data; hex."""
    return _hex(ask("POST", "/v1/sign", {"data": data.hex()}), "signature")


def public_key() -> str:
    """The identity key, made at this start of the enclave: SubjectPublicKeyInfo, hex."""
    return _hex(ask("GET", "/v1/identity"), "public_key")


def identity_evidence(nonce: str) -> str:
    """Evidence that the identity key was made in here, over the asker's nonce; hex."""
    return _hex(ask("POST", "/v1/identity/attest", {"nonce": nonce}), "evidence")
