"""Attacks by addresses: names that no resolver takes, and names with more addresses than anybody waits for."""

import socket
import time
from typing import Any

import pytest

from troth.channel import dial, services
from troth.errors import Unavailable


@pytest.mark.parametrize("host", ["a" * 64 + ".com", "a..b", ".a"])
def test_a_name_that_no_resolver_takes(host: str) -> None:
    with pytest.raises(Unavailable, match="cannot connect"):
        services.ask(f"https://{host}", services.SERVICES, seconds=2)


def test_a_name_with_many_addresses_that_do_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Any] = []

    class Silent(socket.socket):
        def connect(self, address: Any) -> None:
            tried.append(address)
            time.sleep(0.05)
            raise TimeoutError("timed out")

    one = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [one] * 1000)
    monkeypatch.setattr(socket, "socket", Silent)
    with pytest.raises(OSError, match="timed out"):
        dial.parse("https://many.example").dialler(seconds=0.05)()
    assert 1 <= len(tried) <= 4
