"""OpenAI's chat completions as a server of one model reads and writes them. Standard library only.

What this server does not know is refused and not left out: a question that was half understood is another one.

Reference: https://platform.openai.com/docs/api-reference/chat; `video_url` and the sampling of a video (`fps`,
`max_frames`) are no part of it: https://docs.vllm.ai/en/latest/features/multimodal_inputs.html has the former.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Json = dict[str, Any]
Kind = Literal["text", "image", "video", "audio"]

FPS = 2.0  # of a video, where a question does not say
MAX_FRAMES = 64
MAX_TOKENS = 2048  # of an answer, likewise
MAX_TOP_LOGPROBS = 20
LEAST_LOGPROB = -9999.0  # as OpenAI writes what is impossible: JSON has no infinity
SEEDS = 2**63  # a seed is a signed number of 64 bits
MESSAGE_CHARS = 400  # of an error, which may tell what was sent
ROLES = ("system", "developer", "user", "assistant")
ONLY = {"n": 1, "stream": False}  # known at this value alone
KEYS = {
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "seed",
    "response_format",
    "logprobs",
    "top_logprobs",
    "fps",
    "max_frames",
    *ONLY,
}


class RefusedError(Exception):
    """An answer of another status than 200, in the shape that OpenAI gives it."""

    def __init__(
        self, message: str, code: str, *, status: int = 400, param: str | None = None, retry_after_s: int = 0
    ) -> None:
        message = message if len(message) <= MESSAGE_CHARS else f"{message[:MESSAGE_CHARS]} ..."
        super().__init__(message)
        self.status, self.retry_after_s = status, retry_after_s
        kind = "rate_limit_exceeded" if status == 429 else "invalid_request_error"
        self.body = {
            "error": {
                "message": message,
                "type": "server_error" if status >= 500 else kind,
                "param": param,
                "code": code,
            }
        }


class Piece(NamedTuple):
    """One part of a message: a text, or the bytes of a medium."""

    kind: Kind
    text: str = ""
    data: bytes = b""


class Message(NamedTuple):
    role: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Question:
    """What is asked, read and found whole. `schema`: that of the answer. None: as the model's makers set it."""

    messages: tuple[Message, ...]
    max_tokens: int | None = None  # None: what fits, MAX_TOKENS at most
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    schema: Json | None = None
    top_logprobs: int | None = None  # alternatives for each token; None: no log-probabilities at all
    fps: float = FPS
    max_frames: int = MAX_FRAMES


class Token(NamedTuple):
    """A token of the answer with its natural log-probability, and the likeliest ones in its place with theirs."""

    data: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...] = ()


@dataclass(frozen=True)
class Answer:
    """What came out. `by_modality` parts the tokens of the prompt; empty where the model does not tell."""

    text: str
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
    by_modality: Mapping[str, int] = field(default_factory=dict)
    tokens: tuple[Token, ...] | None = None


# --- a question ---------------------------------------------------------------------------------------


def read_question(body: Any, served: str, takes: Collection[str], gives: Collection[str]) -> Question:
    """The question in a body; `takes` and `gives` as in a project file.

    Raises:
        RefusedError: something that the protocol, this server or its model does not know.
    """
    if not isinstance(body, dict):
        raise RefusedError("the body is no JSON object", "invalid_body")
    refuse_unknown(body, KEYS)
    for key, only in ONLY.items():
        if (told := body.get(key)) is not None and (told != only or type(told) is not type(only)):
            message = f"{key!r} can only be {json.dumps(only)} here"
            raise RefusedError(message, "unsupported_value", param=key)
    if body.get("model") != served:
        message = f"this server has the model {served!r} alone"
        raise RefusedError(message, "model_not_found", status=404, param="model")
    asked = [number(body, key, 1, None) for key in ("max_completion_tokens", "max_tokens")]
    return Question(
        messages=read_messages(body.get("messages"), takes),
        max_tokens=_whole(asked[0] or asked[1]),
        temperature=number(body, "temperature", 0, 2, whole=False),
        top_p=number(body, "top_p", 0, 1, whole=False),
        seed=_whole(number(body, "seed", -SEEDS, SEEDS - 1)),
        schema=read_schema(body.get("response_format"), gives),
        top_logprobs=read_top_logprobs(body),
        fps=number(body, "fps", 0.01, 60, whole=False) or FPS,
        max_frames=_whole(number(body, "max_frames", 1, 1024)) or MAX_FRAMES,
    )


def refuse_unknown(told: Json, known: Collection[str], at: str = "") -> None:
    for key, value in told.items():
        if key not in known and (value is not None or not at):  # of a message, null is as good as nothing
            param = f"{at}.{key}".strip(".")[:MESSAGE_CHARS]
            raise RefusedError(f"{key!r} is not known here", "unknown_parameter", param=param)


def number(
    body: Json, key: str, least: float | None, most: float | None, *, whole: bool = True
) -> float | None:
    """A number of the body within its limits, None where it is not given."""
    value = body.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise RefusedError(f"{key!r} must be a {'whole ' if whole else ''}number", "invalid_type", param=key)
    if (least is not None and value < least) or (most is not None and value > most):
        limits = f"{'' if least is None else f'from {least} '}{'' if most is None else f'to {most}'}".strip()
        raise RefusedError(f"{key!r} must be {limits}", "invalid_value", param=key)
    return value


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def read_top_logprobs(body: Json) -> int | None:
    wanted = number(body, "top_logprobs", 0, MAX_TOP_LOGPROBS)
    if not isinstance(body.get("logprobs"), bool | None):
        raise RefusedError("'logprobs' must be true or false", "invalid_type", param="logprobs")
    if not body.get("logprobs"):
        if wanted is not None:
            raise RefusedError("'top_logprobs' needs 'logprobs'", "invalid_value", param="top_logprobs")
        return None
    return int(wanted or 0)


def read_schema(told: Any, gives: Collection[str]) -> Json | None:
    """The JSON schema that the answer is held to; any object for `json_object`."""
    kind = told.get("type") if isinstance(told, dict) else None
    if told is None or kind == "text":
        return None
    schema: Any = {"type": "object"}
    if kind == "json_schema":
        named = told.get("json_schema")
        schema = named.get("schema") if isinstance(named, dict) else None
    elif kind != "json_object":
        raise RefusedError(f"a format {kind!r} is not known", "unsupported_value", param="response_format")
    if not isinstance(schema, dict):
        raise RefusedError("the schema is no JSON object", "invalid_type", param="response_format")
    if kind not in gives:
        raise RefusedError(
            "this model cannot be held to a format", "unsupported_value", param="response_format"
        )
    return schema


def read_messages(told: Any, takes: Collection[str]) -> tuple[Message, ...]:
    if not isinstance(told, list) or not told:
        raise RefusedError("'messages' must be a list with something in it", "invalid_type", param="messages")
    messages = []
    for place, one in enumerate(told):
        param = f"messages[{place}]"
        role, content = (one.get("role"), one.get("content")) if isinstance(one, dict) else (None, None)
        if role not in ROLES:
            raise RefusedError(f"a role {role!r} is not known", "invalid_value", param=param)
        refuse_unknown(one, ("role", "content"), param)
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        if not isinstance(content, list) or not content:
            message = "a content must be a text or a list with something in it"
            raise RefusedError(message, "invalid_type", param=param)
        pieces = tuple(read_piece(part, takes, f"{param}.content[{n}]") for n, part in enumerate(content))
        messages.append(Message("system" if role == "developer" else str(role), pieces))
    return tuple(messages)


def read_piece(part: Any, takes: Collection[str], param: str) -> Piece:
    kind = part.get("type") if isinstance(part, dict) else None
    try:
        if kind == "text":
            part["text"].encode()  # half a character, as JSON can write it, is no text
            return Piece("text", part["text"])
        if kind == "image_url":
            if part["image_url"].get("detail") not in (None, "auto"):
                message = "pictures are looked at as the model does it: 'detail' can only be \"auto\" here"
                raise RefusedError(message, "unsupported_value", param=param)
            piece = Piece("image", data=from_data_url(part["image_url"]["url"], param))
        elif kind == "video_url":
            piece = Piece("video", data=from_data_url(part["video_url"]["url"], param))
        elif kind == "input_audio":
            piece = Piece("audio", data=base64.b64decode(part["input_audio"]["data"], validate=True))
        else:
            raise RefusedError(f"a part {kind!r} is not known", "invalid_value", param=param)
    except (KeyError, TypeError, AttributeError, binascii.Error, ValueError) as error:
        raise RefusedError(f"this is no part of type {kind!r}", "invalid_value", param=param) from error
    if {"image": "images"}.get(piece.kind, piece.kind) not in takes:
        raise RefusedError(f"this model takes no {piece.kind}", "unsupported_value", param=param)
    return piece


def from_data_url(url: str, param: str) -> bytes:
    """The bytes of a data URL; no other address is ever opened."""
    head, comma, data = url.partition(",")
    if not head.startswith("data:"):
        message = "no address is fetched here: send the bytes as a data: URL"
        raise RefusedError(message, "no_fetching", param=param)
    if not comma or not head.endswith(";base64"):
        raise RefusedError("a data: URL must be in base64", "invalid_value", param=param)
    return base64.b64decode(data, validate=True)


# --- an answer ----------------------------------------------------------------------------------------


def completion(answer: Answer, served: str, version: str) -> Json:
    """The body of an answer. `model` names the weights as well: they are the version that a vendor would tell."""
    choice: Json = {
        "index": 0,
        "message": {"role": "assistant", "content": answer.text, "refusal": None},
        "finish_reason": answer.finish_reason,
        "logprobs": None
        if answer.tokens is None
        else {"content": [_token(one.data, one.logprob, one.top) for one in answer.tokens]},
    }
    usage: Json = {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "total_tokens": answer.prompt_tokens + answer.completion_tokens,
    }
    if answer.by_modality:
        counts = {f"{name}_tokens": count for name, count in answer.by_modality.items()}
        usage["prompt_tokens_details"] = counts
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": f"{served}@{version}",
        "choices": [choice],
        "usage": usage,
    }


def _token(data: bytes, logprob: float, top: tuple[tuple[bytes, float], ...] | None) -> Json:
    logprob = LEAST_LOGPROB if logprob < LEAST_LOGPROB else logprob  # what is no number stays none
    row: Json = {"token": data.decode("utf-8", "replace"), "logprob": logprob, "bytes": list(data)}
    if top is not None:
        row["top_logprobs"] = [_token(other, likely, None) for other, likely in top]
    return row


def models(served: str, takes: Collection[str], gives: Collection[str]) -> Json:
    """The body of the list of models; `emotrace` says what to write into a project file."""
    row = {"id": served, "object": "model", "created": 0, "owned_by": "local"}
    return {"object": "list", "data": [row | {"emotrace": {"takes": list(takes), "gives": list(gives)}}]}
