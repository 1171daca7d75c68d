"""The smallest model there is, in OpenAI's words: it says what it was told, whole or in pieces."""

import json
import secrets
import time
from typing import Any

MODEL = "echo"


def answer(body: dict[str, Any], *, endpoint: str) -> dict[str, Any]:
    """A whole answer."""
    head = _head(body)
    if endpoint.endswith("/embeddings"):
        texts = body.get("input")
        texts = [texts] if isinstance(texts, str) else texts or []
        data = [
            {"object": "embedding", "index": i, "embedding": [0.5, len(str(t)) / 4]}
            for i, t in enumerate(texts)
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return {"object": "list", "data": data, "model": head["model"], "usage": usage}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    if "messages" not in body:
        choice = {"index": 0, "text": said(body), "finish_reason": "stop", "logprobs": None}
        return head | {"object": "text_completion", "choices": [choice], "usage": usage}
    message = {"role": "assistant", "content": said(body)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return head | {"object": "chat.completion", "choices": [choice], "usage": usage}


def pieces(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The same answer in pieces of a word."""
    head = _head(body) | {"object": "chat.completion.chunk"}
    words = [f"{word} " for word in said(body).split(" ")]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word} for word in words]
    found = [
        head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in deltas
    ]
    return [*found, head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]


def event(value: dict[str, Any]) -> bytes:
    """A piece as a server-sent event."""
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def error(message: str, kind: str) -> bytes:
    """An error in OpenAI's form."""
    inner = {"message": message, "type": kind, "code": None, "param": None}
    return json.dumps({"error": inner}).encode()


def said(body: dict[str, Any]) -> str:
    """What the model answers."""
    if "messages" not in body:
        return f"You said: {body.get('prompt')}"
    content = body["messages"][-1].get("content")
    if isinstance(content, list):
        content = " ".join(part.get("text", "") for part in content)
    return f"You said: {content}"


def _head(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{secrets.token_hex(8)}",
        "created": int(time.time()),
        "model": body.get("model"),
    }
