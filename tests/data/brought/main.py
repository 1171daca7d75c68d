"""Runs in a root that was brought, under another Python, and answers what it sees there."""

import http.client
import json
import os
import platform
import signal
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

AGENTS = (
    "/usr/lib/troth",
    "/etc/troth",
    "/init",
    "/rootfs",
    "/usr/bin/python3.13",
    "/usr/lib/modules",
)


def attempt(step):
    try:
        return f"done: {step()}"
    except (OSError, subprocess.SubprocessError) as error:
        return f"{type(error).__name__}: {error}"


def write(path):
    with open(path, "wb") as out:
        return out.write(b"#!/bin/busybox sh\n")


def execute(path):
    write(path)
    os.chmod(path, 0o755)
    return subprocess.run([path], capture_output=True, check=True).stdout


def walk_out():
    """Through every folder that a process has for a root or for its own."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            for link in ("root", "cwd"):
                try:
                    found += [p for p in os.listdir(f"/proc/{name}/{link}/usr/lib") if p == "troth"]
                except OSError:
                    continue
    return found


class Agent(http.client.HTTPConnection):
    def __init__(self):
        super().__init__("agent")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/run/troth/agent.sock")


def ask(method, path, body=None):
    agent = Agent()
    agent.request(method, path, body=None if body is None else json.dumps(body))
    return json.loads(agent.getresponse().read())


def seen():
    return {
        "python": sys.version.split()[0],
        "libc": platform.libc_ver()[1],
        "arguments": sys.argv,
        "folder": os.getcwd(),
        "user": os.getuid(),
        "environment": dict(os.environ),
        "root": sorted(os.listdir("/")),
        "devices": sorted(os.listdir("/dev")),
        "run": sorted(os.listdir("/run")),
        "processes": [int(name) for name in os.listdir("/proc") if name.isdigit()],
        "agents": [path for path in AGENTS if os.path.exists(path)],
        "mounts": [line.split()[4] for line in open("/proc/self/mountinfo")],
        "hosts": open("/etc/hosts").read(),
        "localhost": socket.gethostbyname("localhost"),
        "root_written": attempt(lambda: write("/new")),
        "opt_written": attempt(lambda: write("/opt/main.py")),
        "tmp_written": attempt(lambda: write("/tmp/new")),
        "run_written": attempt(lambda: write("/run/lock/new")),
        "tmp_executed": attempt(lambda: execute("/tmp/program")),
        "run_executed": attempt(lambda: execute("/run/program")),
        "shell": attempt(
            lambda: subprocess.run(["sh", "-c", "echo $0"], capture_output=True).stdout
        ),
        "walked_out": walk_out(),
        "chroot": attempt(lambda: os.chroot("/tmp")),
        "namespace": attempt(
            lambda: subprocess.run(["busybox", "unshare", "-U", "true"], check=True)
        ),
        "info": ask("GET", "/v1/info"),
        "evidence": ask("POST", "/v1/attest", {"nonce": "00" * 32, "app_data": "ab"})["platform"],
    }


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        data = json.dumps(seen()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Nothing to say."""


def end(number, _):
    print(f"asked to end by {number}", flush=True)
    os._exit(7)


signal.signal(signal.SIGQUIT, end)
HTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
