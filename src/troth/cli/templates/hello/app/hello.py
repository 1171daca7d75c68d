"""Say hello, and what the agent knows of this image."""

import socket
from http.server import BaseHTTPRequestHandler, HTTPServer


class Hello(BaseHTTPRequestHandler):  # noqa: D101
    def do_GET(self) -> None:  # noqa: D102
        with socket.socket(socket.AF_UNIX) as agent:
            agent.connect("/run/troth/agent.sock")
            agent.sendall(b"GET /v1/info HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n")
            info = agent.makefile("rb").read().partition(b"\r\n\r\n")[2]
        self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\nhello from " + info + b"\n")


HTTPServer(("127.0.0.1", 8080), Hello).serve_forever()
