"""The API's socket: bounded HTTP/1.1 over a unix socket, a thread for each connection."""

import re
import socket
import socketserver
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

from troth.agent.api import MAX_BODY, Answer, Api
from troth.wire import json

SECONDS: Final = 10.0
MOST_CONNECTIONS: Final = 64


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Serves one API on one socket; see `troth.agent.late`.

    Args:
        listener: listens already.
        api: what answers.
    """

    daemon_threads = True

    def __init__(self, listener: socket.socket, api: Api) -> None:
        self.api = api
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()  # the one that the base class makes
        self.socket = listener

    def process_request(self, request: Any, client_address: Any) -> None:
        """Takes a connection; waits while too many are open, so that an app cannot exhaust the agent."""
        self._room.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One connection, on its own thread, until it ends."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is the peer's affair; the agent goes on."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = default_request_version = "HTTP/1.1"
    server_version = "troth-agent"
    sys_version = ""
    timeout = SECONDS
    server: Server

    def do_GET(self) -> None:
        if self.headers.get("Content-Length", "0") != "0" or self.headers.get("Transfer-Encoding"):
            self._refuse(HTTPStatus.BAD_REQUEST, "a GET has no body")
            return
        self._send(*self.server.api.answer("GET", self.path, b""))

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Transfer-Encoding") or not re.fullmatch(r"[0-9]{1,8}", length):
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "Content-Length is needed")
            return
        size = int(length)
        if size > MAX_BODY:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is over {MAX_BODY} bytes")
            return
        body = self.rfile.read(size)
        if len(body) < size:
            self.close_connection = True
            return
        self._send(*self.server.api.answer("POST", self.path, body))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses (other methods, requests that are no HTTP), in our form."""
        del explain  # a text about the status, for a page of HTML
        self._refuse(HTTPStatus(code), message or HTTPStatus(code).phrase)

    def _refuse(self, status: HTTPStatus, error: str) -> None:
        """Answers without having read the body, and so ends the connection."""
        self.close_connection = True
        self._send(status, {"error": error, "fix": "mend the request"})

    def _send(self, status: HTTPStatus, answer: Answer) -> None:
        data = json.canonical(answer)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Says nothing: what an app asks is its own affair."""
