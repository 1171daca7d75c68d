"""The package `openai` over our transport, on simulated services: what its tests share."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

import troth
from troth.channel.openai import openai
from troth.channel.services.simulate._guest import Guest
from troth.channel.services.simulate.aci import Aci
from troth.channel.services.simulate.phala import Phala
from troth.model.channel import Binding

GUEST = Guest.create(datetime.now(UTC))
PROMPT = [{"role": "user", "content": "a secret prompt"}]
SAID = "You said: a secret prompt"
POLICY = replace(troth.Policy.for_image({"tdx": dict(GUEST.registers)}), channel=Binding.KEY)


def client(service: Aci | Phala, **changes: Any) -> Any:
    given: dict[str, Any] = {
        "policy": POLICY,
        "trust": GUEST.roots,
        "collateral": GUEST.collateral,
        "api_key": "sk-development",
        "max_retries": 0,
    }
    return openai(f"{service.url}/v1", **(given | changes))


def say(made: Any, **more: Any) -> str:
    answer = made.chat.completions.create(model="echo", messages=PROMPT, **more)
    return str(answer.choices[0].message.content)


def stream(made: Any, **more: Any) -> Iterator[str]:
    pieces = made.chat.completions.create(model="echo", messages=PROMPT, stream=True, **more)
    for piece in pieces:
        yield piece.choices[0].delta.content or ""


def unread(service: Aci | Phala) -> bool:
    """Whether no body holds the prompt."""
    return not any(b"secret" in body for body in service.prompts)


@contextmanager
def refused(*codes: str) -> Iterator[None]:
    with pytest.raises(troth.AnswerRefused) as caught:
        yield
    found = {c.code.id for c in caught.value.checks if c.outcome != "passed"}
    assert found >= set(codes), caught.value
    assert caught.value.exit_code == 1
    assert caught.value.fix


def vouching(service: Aci | Phala) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(service._server.certificate))
