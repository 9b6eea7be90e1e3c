"""The one JSON object in a model's answer text, with the usual slips mended."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

MAX_CHARS = 4_000_000  # no answer of a few thousand tokens is longer
MAX_DEPTH = 100  # well below what the stack of any caller allows, so that it does not decide
_THOUGHTS_END = re.compile(r"</(?:think|thinking|thought|reasoning)>|\[/THINK\]", re.IGNORECASE)
_THOUGHTS_BEGIN = re.compile(r"\s*(?:<(?:think|thinking|thought|reasoning)>|\[THINK\])", re.IGNORECASE)
_FENCED = re.compile(r"```[a-zA-Z]*\s*\n?(.*?)```", re.DOTALL)
# Possessive, and content with an unclosed string, so that no text makes the search slow.
_STRING_OR_COMMA = re.compile(r'"(?:[^"\\]|\\.)*+"?|,(?=\s*[}\]])', re.DOTALL)
_UNSTORABLE = re.compile("[\ud800-\udfff\x00]")  # neither UTF-8 nor every database can hold these
_FRAGMENT = re.compile(r"[\s\w.+\\-]{0,12}")  # the beginning of a number, a word or an escape


class NotJsonError(Exception):
    """The text holds no single JSON object; `reason` is a stable code."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Found(NamedTuple):
    value: dict[str, Any]
    repaired: bool


def storable(text: str) -> str:
    """The text with lone surrogates and NUL replaced by U+FFFD, so that it can be encoded and stored."""
    return _UNSTORABLE.sub("\ufffd", text)


def find_object(text: str) -> Found:
    """The object that the text is, or that stands in a code fence, after prose, or with trailing commas.

    Raises:
        NotJsonError: "too_long"; "truncated", an object or thoughts begin and the text ends within them;
            "several_answers"; "duplicate_key"; "not_json", anything else, NaN and infinities among it.
    """
    if len(text) > MAX_CHARS:
        raise NotJsonError("too_long", f"longer than {MAX_CHARS} characters")
    clean = storable(text)
    try:
        value, kept = _decode(clean.strip(), whole=True)
        if isinstance(value, dict):
            return Found(kept, repaired=clean != text or kept != value)
    except NotJsonError:
        pass  # what surrounds the object may be at fault
    answer = answer_part(clean)
    if _THOUGHTS_BEGIN.match(answer):
        raise NotJsonError("truncated", "the thoughts do not end: what stands in them is no answer")
    start = answer.find("{")
    if start < 0:
        raise NotJsonError("not_json", "no JSON object")
    body = answer[start:]
    try:
        return Found(_decode(body)[1], repaired=True)
    except NotJsonError as error:
        if error.reason == "several_answers":
            raise
    mended = _STRING_OR_COMMA.sub(lambda match: "" if match[0] == "," else match[0], body)
    return Found(_decode(mended)[1], repaired=True)


def answer_part(text: str) -> str:
    """What is left of a text without the thoughts before the answer, and without a code fence around it."""
    thoughts = list(_THOUGHTS_END.finditer(text))
    answer = text[thoughts[-1].end() :] if thoughts else text
    fenced = _FENCED.findall(answer)
    return str(fenced[0]) if len(fenced) == 1 else answer


def _decode(text: str, *, whole: bool = False) -> tuple[Any, Any]:
    """The value at the beginning of a text, and the same as it can be stored.

    Nothing else may follow when `whole`, and no second object in any case.
    """
    try:
        value, end = _DECODER.raw_decode(text)
        kept = _storable_value(value)
    except json.JSONDecodeError as error:
        reason = "truncated" if _ends_within(text, error) else "not_json"
        raise NotJsonError(reason, f"{type(error).__name__}: {error}"[:200]) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or too deep
        raise NotJsonError("not_json", f"{type(error).__name__}: {error}"[:200]) from error
    if whole and end != len(text):
        raise NotJsonError("not_json", "more than one value")
    if (second := text.find("{", end)) >= 0:
        is_object = _is_object(text[second:])
        raise NotJsonError("several_answers" if is_object else "not_json", "more follows the first object")
    return value, kept


def _ends_within(text: str, error: json.JSONDecodeError) -> bool:
    """Whether reading stopped because the text does."""
    return error.msg.startswith("Unterminated string") or bool(_FRAGMENT.fullmatch(text, error.pos))


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.JSONDecoder().raw_decode(text)[0], dict)
    except (ValueError, RecursionError):
        return False


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise NotJsonError("duplicate_key", "a key appears twice")
    return value


def _no_constant(name: str) -> Any:
    raise NotJsonError("not_json", f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def _storable_value(value: Any, depth: int = 0) -> Any:
    """Escapes such as \\ud800 become characters only on decoding, hence this second pass."""
    if depth > MAX_DEPTH:
        raise NotJsonError("not_json", f"nested more than {MAX_DEPTH} deep")
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [_storable_value(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {storable(key): _storable_value(item, depth + 1) for key, item in value.items()}
    return value
