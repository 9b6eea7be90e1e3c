"""Typed reading of a model's untrusted JSON: every field is well-formed, or there is a stable reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from agents.answers.jsontext import NotJsonError, answer_part, find_object
from agents.answers.language import other_language
from agents.answers.refusals import is_refusal
from agents.answers.stated import number_in, share_in, taken_back
from schemas.languages import LANGUAGES
from schemas.taxonomy import Head, Taxonomy, match_label

DETAIL_CHARS = 200
REFUSAL_IN_WORDS = "refusal_in_words"
MAX_ITEMS = 100  # claims, steps or points of a trajectory: ten are many
LARGEST = 1e9  # JSON integers have no limit, floats have


class BadAnswerError(Exception):
    """Why an answer cannot be read, as a stable code and in words."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail[:DETAIL_CHARS]


def read_object(text: str, finish_reason: str | None, reader: FieldReader) -> dict[str, Any]:
    """The answer's JSON object. An answer that was cut off is never read, even where it happens to close."""
    if finish_reason == "length":
        raise BadAnswerError("truncated", f"cut off after {len(text)} characters")
    if not text.strip():
        raise BadAnswerError("empty_answer", "")
    try:
        found = find_object(text)
    except NotJsonError as error:
        if error.reason == "not_json" and is_refusal(answer_part(text)):
            raise BadAnswerError(REFUSAL_IN_WORDS, text) from error
        raise BadAnswerError(error.reason, str(error)) from error
    reader.repaired |= found.repaired
    reader.below = found.below
    return found.value


def check_language(texts: Iterable[str], language: str | None) -> None:
    """Free texts that are plainly in another language than they were asked for in are no answer to the question.

    Raises:
        BadAnswerError: "other_language".
    """
    if language is not None and (found := other_language("\n".join(texts), language)):
        raise BadAnswerError("other_language", f"{found} instead of {LANGUAGES[language]}")


class FieldReader:
    """Typed reading of untrusted JSON; remembers whether anything was mended, and what was said below it."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy
        self.repaired = False
        self.below = ""

    def stands(self, labels: Iterable[str]) -> None:
        """Nothing below the object takes its labels back.

        Raises:
            BadAnswerError: "several_answers".
        """
        if other := taken_back(self.below, labels, self.taxonomy):
            raise BadAnswerError("several_answers", other)

    def objects(self, data: dict[str, Any], key: str) -> list[dict[str, Any]]:
        value = data.get(key)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise BadAnswerError("wrong_shape", f"{key} is not a list of objects")
        if len(value) > MAX_ITEMS:
            raise BadAnswerError("too_long", f"{len(value)} items in {key}")
        return value

    def listed(self, value: Any) -> Any:
        """Labels as a list, also where one is given alone."""
        if isinstance(value, str | dict) and value:
            self.repaired = True
            return [value]
        return value

    def text(self, data: dict[str, Any], key: str, default: str | None = None) -> str:
        value = data.get(key)
        value = default if value is None else value
        if not isinstance(value, str):
            raise BadAnswerError("wrong_shape", f"{key} is not text")
        return value.strip()

    def texts(self, data: dict[str, Any], key: str) -> list[str]:
        value = data.get(key, [])
        if isinstance(value, str):
            value, self.repaired = [value], True
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise BadAnswerError("wrong_shape", f"{key} is not a list of texts")
        return [item.strip() for item in value]

    def number(self, data: dict[str, Any], key: str, low: float, high: float) -> float:
        value = data.get(key)
        if isinstance(value, str):
            value, self.repaired = number_in(value), True
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadAnswerError("wrong_shape", f"{key} is not a number")
        if not low <= value <= high or not -LARGEST <= value <= LARGEST:
            raise BadAnswerError("out_of_range", f"{key} is not in [{low:g}, {high:g}]")
        return float(value)

    def maybe_number(self, data: dict[str, Any], key: str, low: float, high: float) -> float | None:
        return None if data.get(key) is None else self.number(data, key, low, high)

    def confidence(self, data: dict[str, Any]) -> float:
        """From 0 to 1; as text "85 %" and "8/10", too."""
        value = data.get("confidence")
        if isinstance(value, str):
            data = {"confidence": share_in(value)}
            self.repaired = True
        return self.number(data, "confidence", 0, 1)

    def one_of(
        self,
        data: dict[str, Any],
        key: str,
        names: Sequence[str],
        otherwise: Callable[[str], str | None],
        default: str | None = None,
    ) -> str:
        """One of a closed set of names; its letters' case is mended, and words that `otherwise` knows."""
        value = self.text(data, key, default)
        if value in names:
            return value
        name = value.lower() if value.lower() in names else otherwise(value)
        if name is None:
            raise BadAnswerError("wrong_enum", f"{key} {value[:40]!r} is none of {', '.join(names)}")
        self.repaired = True
        return name

    def label(self, value: Any) -> str:
        return self._meant(value, self.taxonomy.match)

    def head_label(self, value: Any, head: Head) -> str:
        return self._meant(value, partial(match_label, head.labels))

    def _meant(self, value: Any, match: Callable[[str], str | None]) -> str:
        if not isinstance(value, str):
            raise BadAnswerError("wrong_shape", "a label is not text")
        name = match(value) if value.strip() else None
        if name is None:
            raise BadAnswerError("unknown_label", value)
        self.repaired |= name != value
        return name
