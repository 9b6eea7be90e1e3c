"""The one JSON object in a model's answer text, with the usual slips mended."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any, NamedTuple

from agents.questions.datatext import storable

MAX_CHARS = 4_000_000  # no answer of a few thousand tokens is longer
MAX_DEPTH = 100  # well below what the stack of any caller allows, so that it does not decide
# As reasoning models mark their thoughts: most in tags; Kimi, Magistral and gpt-oss (harmony) otherwise.
_TAGS = "(?:think|thinking|thoughts?|reasoning|reflection|analysis|scratchpad|seed:think)"
_THOUGHTS_END = re.compile(
    rf"</{_TAGS}>|\[/THINK\]|\u25c1/think\u25b7|<\|end_of_thought\|>|<\|channel\|>final<\|message\|>",
    re.IGNORECASE,
)
_THOUGHTS_BEGIN = re.compile(
    rf"<{_TAGS}>|\[THINK\]|\u25c1think\u25b7|<\|begin_of_thought\|>|<\|channel\|>(?:analysis|commentary)<\|message\|>",
    re.IGNORECASE,
)
_FENCED = re.compile(r"```[a-zA-Z]*+\s*+(.*?)```", re.DOTALL)
# Possessive, and content with an unclosed string, so that no text makes the search slow.
_STRING_OR_COMMA = re.compile(r'"(?:[^"\\]|\\.)*+"?|,(?=\s*[}\]])', re.DOTALL)
# What JSON5 and Python allow beside JSON, and full-width signs, outside of strings.
_STRING_OR_SLIP = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*+"?)|(?P<single>'(?:[^'\\]|\\.)*+'?)|(?P<curly>\u201c[^\u201c\u201d]*+\u201d?)"""
    r"""|(?P<comment>(?://|\#)[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/)?)|(?P<sign>[\uff0c\uff1a\uff5b\uff5d\uff3b\uff3d\u00a0\u3000])"""
    r"""|(?P<name>\b(?:True|False|None|NULL|undefined)\b)|(?P<key>\b[A-Za-z_]\w*+(?=\s*:))""",
    re.DOTALL,
)
_NAMES = {"True": "true", "False": "false", "None": "null", "NULL": "null", "undefined": "null"}
_ESCAPE_OR_QUOTE = re.compile(r"\\.|\"", re.DOTALL)
_OBJECT = re.compile(r"\{(?=\s*+(?:[\"'\u201c/#]|[A-Za-z_]\w*+\s*+:))")  # "{joy, anger}" in prose is none
_FIELDS = frozenset(("evidence", "rationale", "readings", "labels", "dimensions", "heads", "trajectory"))
_FRAGMENT = re.compile(r"[\s\w.+\\-]{0,12}")  # the beginning of a number, a word or an escape


class NotJsonError(Exception):
    """The text holds no single JSON object; `reason` is a stable code."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Found(NamedTuple):
    value: dict[str, Any]
    repaired: bool
    below: str = ""  # what is said below the object


def find_object(text: str) -> Found:
    """The object that the text is, or that stands in a code fence, in prose or alone in another object.

    It may be written as Python and JSON5 allow: comments, trailing commas, other quotes, `None`.

    Raises:
        NotJsonError: "too_long"; "truncated", an object or thoughts begin and the text ends within them;
            "several_answers"; "duplicate_key"; "not_json", anything else, NaN and infinities among it.
    """
    if len(text) > MAX_CHARS:
        raise NotJsonError("too_long", f"longer than {MAX_CHARS} characters")
    clean = storable(text)
    try:
        value, kept, _ = _decode(clean.strip(), whole=True)
        if isinstance(value, dict):
            inner = _unwrapped(kept)
            return Found(inner, repaired=clean != text or kept != value or inner is not kept)
    except NotJsonError:
        pass  # what surrounds the object may be at fault
    answer = answer_part(clean)
    begin = _OBJECT.search(answer)
    start = begin.start() if begin else answer.find("{")
    thoughts = _THOUGHTS_BEGIN.search(answer)
    if thoughts and (start < 0 or thoughts.start() < start):
        raise NotJsonError("truncated", "the thoughts do not end: what stands in them is no answer")
    if start < 0:
        raise NotJsonError("not_json", "no JSON object")
    body = answer[start:]
    for mend in (str, _without_commas, lambda text: _without_commas(_as_json(text))):
        try:
            _, kept, rest = _decode(mended := mend(body))
            return Found(_unwrapped(kept), repaired=True, below=mended[rest:] + clean.rpartition(answer)[2])
        except NotJsonError as error:
            if error.reason == "several_answers":
                raise
            failed = error
    raise failed


def _without_commas(text: str) -> str:
    """Without commas before a closing bracket."""
    return _STRING_OR_COMMA.sub(lambda match: "" if match[0] == "," else match[0], text)


def _as_json(text: str) -> str:
    """What JSON5, Python and typographic keyboards allow, as JSON writes it."""
    return _STRING_OR_SLIP.sub(_mended, text)


def _mended(match: re.Match[str]) -> str:
    piece = match[0]
    if match["string"]:
        return _ESCAPE_OR_QUOTE.sub(lambda one: "'" if one[0] == "\\'" else one[0], piece)
    if match["single"] or match["curly"]:
        closed = len(piece) > 1 and piece[-1] in "'\u201d"
        return f'"{_ESCAPE_OR_QUOTE.sub(_requoted, piece[1:-1])}"' if closed else piece
    if match["comment"] and piece[:2] != "/*" and match.end() == len(match.string):
        return piece  # no line ends here: what looks like a comment would be all the rest
    if match["sign"]:
        return unicodedata.normalize("NFKC", piece)
    return _NAMES[piece] if match["name"] else f'"{piece}"' if match["key"] else " "


def _requoted(match: re.Match[str]) -> str:
    return {"\\'": "'", '"': '\\"'}.get(match[0], match[0])


def _unwrapped(value: dict[str, Any]) -> dict[str, Any]:
    """{"answer": {...}} is what stands in it; {"labels": {...}} is an answer with one field."""
    while (
        len(value) == 1
        and not _FIELDS & value.keys()
        and isinstance(inner := next(iter(value.values())), dict)
    ):
        value = inner
    return value


def answer_part(text: str) -> str:
    """What is left of a text without the thoughts before the answer, and without a code fence around it."""
    thoughts = list(_THOUGHTS_END.finditer(text))
    answer = text[thoughts[-1].end() :] if thoughts else text
    fenced = _FENCED.findall(answer)
    return str(fenced[0]) if len(fenced) == 1 else answer


def _decode(text: str, *, whole: bool = False) -> tuple[Any, Any, int]:
    """The value at the beginning of a text, the same as it can be stored, and where it ends.

    Nothing else may follow when `whole`, and in any case no other object. Unless `whole`, strings may hold line
    breaks.
    """
    decoder = _STRICT if whole else _LENIENT
    try:
        value, end = decoder.raw_decode(text)
        kept = _storable_value(value)
    except json.JSONDecodeError as error:
        reason = "truncated" if _ends_within(text, error) else "not_json"
        raise NotJsonError(reason, f"{type(error).__name__}: {error}"[:200]) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or too deep
        raise NotJsonError("not_json", f"{type(error).__name__}: {error}"[:200]) from error
    if whole and end != len(text):
        raise NotJsonError("not_json", "more than one value")
    for second in _OBJECT.finditer(text, end):
        if second.start() >= end:
            other, end = _object_at(text, second.start())
            if other != value:
                reason = "not_json" if other is None else "several_answers"
                raise NotJsonError(reason, "more follows the first object")
    return value, kept, end


def _ends_within(text: str, error: json.JSONDecodeError) -> bool:
    """Whether reading stopped because the text does."""
    return error.msg.startswith("Unterminated string") or bool(_FRAGMENT.fullmatch(text, error.pos))


def _object_at(text: str, start: int) -> tuple[dict[str, Any] | None, int]:
    """The object that begins there and its end; None where it cannot be read."""
    try:
        return json.JSONDecoder(strict=False).raw_decode(text, start)
    except (ValueError, RecursionError):
        return None, len(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise NotJsonError("duplicate_key", "a key appears twice")
    return value


def _no_constant(name: str) -> Any:
    raise NotJsonError("not_json", f"{name} is not JSON")


_STRICT, _LENIENT = (
    json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, strict=strict)
    for strict in (True, False)
)


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
