"""What vendors would bill of a request: a count from the bytes that arrived, by the rules that they publish.

Nothing of emotrace is used here: these counts are what its estimates are held against.
Text: split as GPT's tokenizer splits it, long words in pieces of four letters after the first six.
"""

from __future__ import annotations

import base64
import io
import json
import math
import re
import wave
from typing import Any

import av
from PIL import Image

WORDS = re.compile(r" ?[A-Za-z]+| ?\d{1,3}| ?[^\sA-Za-z\d]+|\s+(?!\S)|\s+")
Usage = dict[str, Any]


def text_tokens(text: str) -> int:
    total = 0
    for piece in WORDS.findall(text):
        word = piece.strip()
        if word.isascii() and word.isalpha():
            total += 1 + max(0, math.ceil((len(word) - 8) / 6))
        elif piece.isspace():
            total += "\n" in piece
        else:
            total += max(1, math.ceil(len(word) / 3))
    return total


def digit_tokens(text: str) -> int:
    """Gemini's tokenizer takes every digit by itself."""
    return text_tokens(text) + sum(len(run) - math.ceil(len(run) / 3) for run in re.findall(r"\d+", text))


def chat_usage(body: dict[str, Any], answer: str) -> Usage:
    """Pictures as GPT-4.1 counts them (85, and 170 for each tile), sound by 100 ms."""
    content = body["messages"][1]["content"]
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
    texts = [body["messages"][0]["content"], *(part["text"] for part in content if part["type"] == "text")]
    text = sum(map(text_tokens, texts)) + (text_tokens(json.dumps(schema)) if schema else 0)
    image = sum(_tiles(_decoded(part["image_url"]["url"])) for part in content if part["type"] == "image_url")
    audio = sum(
        math.ceil(10 * _wav_s(base64.b64decode(part["input_audio"]["data"])))
        for part in content
        if part["type"] == "input_audio"
    )
    prompt, completion = text + image + audio, text_tokens(answer)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"audio_tokens": audio, "cached_tokens": 0},
    }


def responses_usage(body: dict[str, Any], answer: str) -> Usage:
    """The same by the Responses API."""
    content, schema = body["input"][0]["content"], body["text"]["format"]["schema"]
    texts = [body["instructions"], *(part["text"] for part in content if part["type"] == "input_text")]
    pictures = [part["image_url"] for part in content if part["type"] == "input_image"]
    tokens = sum(map(text_tokens, [*texts, json.dumps(schema)])) + sum(
        _tiles(_decoded(url)) for url in pictures
    )
    written = text_tokens(answer)
    return {"input_tokens": tokens, "output_tokens": written, "total_tokens": tokens + written}


def gemini_usage(body: dict[str, Any], answer: str) -> Usage:
    """As Gemini 2.5 counts: crops of 258, 32 a second of sound, 258 a frame at the rate asked for."""
    tokens = {"TEXT": 0, "IMAGE": 0, "AUDIO": 0, "VIDEO": 0}
    parts = [*body["contents"][0]["parts"], *body["systemInstruction"]["parts"]]
    for part in parts:
        if "text" in part:
            tokens["TEXT"] += digit_tokens(part["text"])
            continue
        data, kind = base64.urlsafe_b64decode(part["inlineData"]["data"]), _kind(part["inlineData"])
        if kind.startswith("image/"):
            tokens["IMAGE"] += _crops(data)
        elif kind.startswith("audio/"):
            tokens["AUDIO"] += math.ceil(32 * _wav_s(data))
        else:
            video_s, sound = _clip(data)
            tokens["VIDEO"] += 258 * math.ceil(video_s * part.get("videoMetadata", {}).get("fps", 1))
            tokens["AUDIO"] += math.ceil(32 * video_s) if sound else 0
    tokens["TEXT"] += digit_tokens(json.dumps(body["generationConfig"]["responseJsonSchema"]))
    return {
        "promptTokenCount": sum(tokens.values()),
        "candidatesTokenCount": digit_tokens(answer),
        "promptTokensDetails": [{"modality": name, "tokenCount": n} for name, n in tokens.items() if n],
    }


def _decoded(url: str) -> bytes:
    return base64.b64decode(url.partition("base64,")[2])


def _tiles(picture: bytes) -> int:
    width, height = Image.open(io.BytesIO(picture)).size
    if max(width, height) > 2048 or min(width, height) > 768:
        raise NotImplementedError("no test sends such pictures")
    return 85 + 170 * -(-width // 512) * -(-height // 512)


def _crops(picture: bytes) -> int:
    width, height = Image.open(io.BytesIO(picture)).size
    if width <= 384 and height <= 384:
        return 258
    unit = min(width, height) * 2 // 3
    return 258 * -(-width // unit) * -(-height // unit)


def _wav_s(data: bytes) -> float:
    with wave.open(io.BytesIO(data)) as file:
        return file.getnframes() / file.getframerate()


def _clip(data: bytes) -> tuple[float, bool]:
    """(seconds, whether there is sound) of a decoded MP4."""
    with av.open(io.BytesIO(data)) as file:
        length_s = float(file.duration or 0) / av.time_base
        frames = sum(1 for _ in file.decode(video=0))
        assert frames > 0
        return length_s, bool(file.streams.audio)


def _kind(inline: dict[str, Any]) -> str:
    """The media type; Google's library writes it in one of two ways."""
    return str(inline.get("mimeType") or inline["mime_type"])
