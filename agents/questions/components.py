"""Of what a question is made, each part as a short digest: so it can be told later which part has changed."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from agents.protocol import MediaPart, Request, TextPart
from schemas.ids import content_digest

SHORT = 12  # hex characters: two values of one part are told apart, not all that there are
FENCE = re.compile(r"data-[0-9a-f]{16,64}")  # drawn from the data, and so another one whenever these change
APART = {"system", "parts", "purpose", "replicate"}  # fields that are told in another way, or never differ
NAMES = {"deployment": "server", "local_inputs": "inputs"}


def components(request: Request) -> dict[str, str]:
    """Part of a question -> digest: prompt, data, media, answer schema, sampling, model, server, and whatever
    else a request holds that is not at its default."""
    told = request.model_dump(mode="json", exclude_defaults=True, exclude=APART)
    parts: dict[str, Any] = {NAMES.get(name, name): value for name, value in told.items()}
    texts, media = _parted(request)
    parts |= {
        "prompt": FENCE.sub("data", request.system),
        "data": [FENCE.sub("data", text) for text in texts],
        "media": media,
        "answer_schema": request.answer_schema.digest,
    }
    return {name: _digest(value)[:SHORT] for name, value in sorted(parts.items())}


def _digest(value: Any) -> str:
    return _of_text(value) if isinstance(value, str) else content_digest(value)


# Most texts are the same in all questions of a run.
_of_text = lru_cache(256)(content_digest)


def changed(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Names of the parts that differ, or that only one of the questions has."""
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


def _parted(request: Request) -> tuple[list[str], list[Any]]:
    """The texts, and the media with the line that introduces each."""
    texts: list[str] = []
    media: list[Any] = []
    for part in request.parts:
        if isinstance(part, TextPart):
            texts.append(part.text)
        elif isinstance(part, MediaPart):
            title = texts.pop() if len(texts) > 1 else ""
            media.append([title, part.ref.model_dump(mode="json")])
    return texts, media
