"""Runs tests again and again, each time in a fork, for `mutants.py`: what all tests import is there already.

Reads a line of JSON for each run, `{"words": [...], "seconds": 9.0}`, and answers with a line: the exit
status, or `null` for a run that took too long. troth itself is imported in the fork alone. RSA keys, which
take seconds each, are made once and drawn anew in each fork.
"""

import json
import os
import resource
import select
import signal
import sys
from collections.abc import Callable

import cryptography.x509
import hypothesis.strategies
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

MEMORY = 4 * 1024**3  # bytes; a mutant that wants more is caught
READY = (cryptography, hypothesis, hashes, serialization, ec, ed25519, padding)
SIZE = 4096
POOL = [rsa.generate_private_key(65537, SIZE) for _ in range(6)]


def drawn(
    public_exponent: int,
    key_size: int,
    backend: object = None,
    *,
    make: Callable[..., rsa.RSAPrivateKey] = rsa.generate_private_key,
) -> rsa.RSAPrivateKey:
    """A key that this fork has not had yet."""
    if key_size == SIZE and POOL:
        return POOL.pop()
    return make(public_exponent, key_size, backend)


def main() -> None:
    """Answer until nobody asks."""
    rsa.generate_private_key = drawn
    answers = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    for line in sys.stdin:
        asked = json.loads(line)
        answers.write(json.dumps(run(asked["words"], asked["seconds"])) + "\n")
        answers.flush()


def run(words: list[str], seconds: float) -> int | None:
    """One run, in a fork that leads its own process group."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        status = 70
        try:
            status = int(pytest.main(words))
        finally:
            os._exit(status)
    handle = os.pidfd_open(child)
    try:
        ready, _, _ = select.select([handle], [], [], seconds)
        if not ready:
            os.killpg(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    finally:
        os.close(handle)
    return os.waitstatus_to_exitcode(status) if ready else None


if __name__ == "__main__":
    main()
