"""The one JSON object in a model's answer text, with the usual slips mended."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

MAX_CHARS = 4_000_000  # no answer of a few thousand tokens is longer
_FENCED = re.compile(r"```[a-zA-Z]*\s*\n?(.*?)```", re.DOTALL)
# Possessive, and content with an unclosed string, so that no text makes the search slow.
_STRING_OR_COMMA = re.compile(r'"(?:[^"\\]|\\.)*+"?|,(?=\s*[}\]])', re.DOTALL)
_UNSTORABLE = re.compile("[\ud800-\udfff\x00]")  # neither UTF-8 nor every database can hold these


class NotJsonError(Exception):
    """The text holds no single JSON object."""


class Found(NamedTuple):
    value: dict[str, Any]
    repaired: bool


def storable(text: str) -> str:
    """The text with lone surrogates and NUL replaced by U+FFFD, so that it can be encoded and stored."""
    return _UNSTORABLE.sub("\ufffd", text)


def find_object(text: str) -> Found:
    """The object that the text is, or that stands in a code fence, after prose, or with trailing commas.

    Raises:
        NotJsonError: no object, or more than one; NaN, infinities and keys that appear twice are refused too.
    """
    clean = storable(text)
    if len(clean) > MAX_CHARS:
        raise NotJsonError(f"longer than {MAX_CHARS} characters")
    first_problem = ""
    for number, candidate in enumerate(_candidates(clean)):
        try:
            value, kept = _loads(candidate)
        except NotJsonError as error:
            first_problem = first_problem or str(error)
            continue
        if isinstance(value, dict):
            return Found(kept, repaired=number > 0 or clean != text or kept != value)
        first_problem = first_problem or f"a {type(value).__name__}, not an object"
    raise NotJsonError(first_problem or "no JSON object")


def _candidates(text: str) -> list[str]:
    """The text itself, then what is left of it without reasoning tags, fences, prose, trailing commas."""
    answer = text.rpartition("</think>")[2]
    fenced = _FENCED.findall(answer)
    inner = fenced[0] if len(fenced) == 1 else answer
    cut = inner[inner.find("{") : inner.rfind("}") + 1]
    mended = _STRING_OR_COMMA.sub(lambda match: "" if match[0] == "," else match[0], cut)
    return [text.strip(), cut, mended]


def _loads(text: str) -> tuple[Any, Any]:
    """The value, and the value as it can be stored."""
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        return value, _storable_value(value)
    except (ValueError, RecursionError) as error:
        raise NotJsonError(f"{type(error).__name__}: {error}"[:200]) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise NotJsonError("a key appears twice")
    return value


def _no_constant(name: str) -> Any:
    raise NotJsonError(f"{name} is not JSON")


def _storable_value(value: Any) -> Any:
    """Escapes such as \\ud800 become characters only on decoding, hence this second pass."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [_storable_value(item) for item in value]
    if isinstance(value, dict):
        return {storable(key): _storable_value(item) for key, item in value.items()}
    return value
