"""What the vendors' servers answer: a scripted reply in the form of the protocol that was asked in."""

from __future__ import annotations

import base64
import json
from typing import Any

from pydantic import BaseModel

from schemas.ports import TokenLogprob
from tests.wire.answers import answer_text
from tests.wire.counting import chat_usage, gemini_usage, responses_usage


class Reply(BaseModel):
    """What to answer. The first reply that still has `times` left and whose `match` stands in the body is used.

    `text` replaces the answer's text, `label` and `confidence` only these, `body` the whole body, `body_base64`
    its bytes; `times` 0 means for ever; without `usage` the answer tells none, with `details` all that a vendor
    tells of its tokens; `logprobs` replaces the tokens that are told where they are asked for; `reset` breaks the
    connection instead of answering; `slow_bytes_s` waits before each eighth of the body.
    """

    match: str = ""
    times: int = 1
    status: int = 200
    headers: dict[str, str] = {}
    text: str | None = None
    label: str | None = None
    confidence: float | None = None
    body: str | None = None
    body_base64: str | None = None
    finish_reason: str | None = None
    refusal: str | None = None
    usage: bool = True
    details: bool = False
    logprobs: list[TokenLogprob] | None = None
    delay_s: float = 0
    slow_bytes_s: float = 0
    reset: bool = False


def reply_body(path: str, raw: str, reply: Reply, counting: bool = False) -> bytes:
    """`counting`: with the usage that `tests.wire.counting` makes of the request."""
    if reply.body_base64 is not None:
        return base64.b64decode(reply.body_base64)
    return _text(path, raw, reply, counting).encode("utf-8", "surrogatepass")


def _text(path: str, raw: str, reply: Reply, counting: bool) -> str:
    if reply.body is not None:
        return reply.body
    gemini = ":generateContent" in path
    if reply.status >= 300:
        error = {"message": f"scripted {reply.status}", "code": reply.status if gemini else "scripted"}
        return json.dumps({"error": error})
    body = json.loads(raw)
    text = (
        reply.text
        if reply.text is not None
        else answer_text(body, label=reply.label, confidence=reply.confidence)
    )
    responses = path.endswith("/responses")
    if gemini:
        whole = _gemini(path, body, text, reply)
    else:
        whole = (_responses if responses else _chat)(body, text, reply)
    if counting:
        count = gemini_usage if gemini else responses_usage if responses else chat_usage
        whole["usageMetadata" if gemini else "usage"] = count(body, text)
    return json.dumps(whole)


def tokens(text: str, reply: Reply) -> list[TokenLogprob]:
    """Four characters to a token, each surer than the one before; or what the reply says."""
    if reply.logprobs is not None:
        return reply.logprobs
    pieces = [text[start : start + 4] for start in range(0, len(text), 4)]
    return [
        TokenLogprob(piece, -1 / (n + 1), ((piece, -1 / (n + 1)), ("?", -9.5)))
        for n, piece in enumerate(pieces)
    ]


def _openai_token(token: TokenLogprob, alternatives: int) -> dict[str, Any]:
    def row(text: str, logprob: float) -> dict[str, Any]:
        return {"token": text, "bytes": list(text.encode("utf-8", "replace")), "logprob": logprob}

    top = [row(*other) for other in token.top[:alternatives]]
    return {**row(token.text, token.logprob), "top_logprobs": top}


def _chat(body: dict[str, Any], text: str, reply: Reply) -> dict[str, Any]:
    usage: dict[str, Any] = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    if reply.details:
        usage["prompt_tokens_details"] = {"cached_tokens": 10, "audio_tokens": 30, "image_tokens": 0}
        usage["completion_tokens_details"] = {"reasoning_tokens": 8}
    message = {"role": "assistant", "content": None if reply.refusal else text, "refusal": reply.refusal}
    told = None
    if body.get("logprobs"):
        told = {"content": [_openai_token(t, body.get("top_logprobs", 0)) for t in tokens(text, reply)]}
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": reply.finish_reason or "stop",
        "logprobs": told,
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": f"{body['model']}-2026-01-01",
        "choices": [choice],
        "usage": usage if reply.usage else None,
    }


def _responses(body: dict[str, Any], text: str, reply: Reply) -> dict[str, Any]:
    usage: dict[str, Any] = {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120}
    if reply.details:
        usage["input_tokens_details"] = {"cached_tokens": 10, "cache_write_tokens": 0}
        usage["output_tokens_details"] = {"reasoning_tokens": 8}
    asked = "message.output_text.logprobs" in body.get("include", ())
    told = [_openai_token(t, body.get("top_logprobs", 0)) for t in tokens(text, reply)] if asked else []
    written = {"type": "output_text", "text": text, "annotations": [], "logprobs": told}
    part = {"type": "refusal", "refusal": reply.refusal} if reply.refusal else written
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }
    cut = {"reason": reply.finish_reason} if reply.finish_reason else None
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 0,
        "status": "incomplete" if cut else "completed",
        "error": None,
        "incomplete_details": cut,
        "model": f"{body['model']}-2026-01-01",
        "output": [{"id": "rs_1", "type": "reasoning", "summary": []}, message],
        "usage": usage if reply.usage else None,
    }


def _gemini(path: str, body: dict[str, Any], text: str, reply: Reply) -> dict[str, Any]:
    model = path.rpartition("/models/")[2].partition(":")[0]
    if reply.refusal:
        return {"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": f"{model}-001"}
    content = {"role": "model", "parts": [{"text": "thinking", "thought": True}, {"text": text}]}
    usage: dict[str, Any] = {"promptTokenCount": 100, "candidatesTokenCount": 20, "thoughtsTokenCount": 5}
    if reply.details:
        counts = {"TEXT": 40, "IMAGE": 0, "AUDIO": 20, "VIDEO": 40}
        usage["promptTokensDetails"] = [{"modality": name, "tokenCount": n} for name, n in counts.items()]
        usage["cachedContentTokenCount"] = 10
    candidate: dict[str, Any] = {"content": content, "finishReason": reply.finish_reason or "STOP"}
    asked = body["generationConfig"]
    if asked.get("responseLogprobs"):
        told = tokens(text, reply)
        candidate["logprobsResult"] = {
            "chosenCandidates": [_gemini_token(token.text, token.logprob) for token in told],
            "topCandidates": [
                {"candidates": [_gemini_token(*other) for other in token.top[: asked.get("logprobs", 0)]]}
                for token in told
            ],
        }
    return {
        "candidates": [candidate],
        **({"usageMetadata": usage} if reply.usage else {}),
        "modelVersion": f"{model}-001",
    }


def _gemini_token(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "tokenId": 1, "logProbability": logprob}
