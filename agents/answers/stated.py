"""What models write in place of a number, an id, a modality or nothing, where it is plain what is meant. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from schemas.parts import Direction, Modality
from schemas.taxonomy import Taxonomy, is_nothing, plain

_THOUSANDS = r"[1-9]\d{0,2},\d{3}(?!\d)"  # "1,000" is not one
DECIMAL = rf"[+-]?(?!{_THOUSANDS})(?:\d{{1,6}}(?:[.,]\d{{1,6}})?|[.,]\d{{1,6}})(?![.,]?\d)"
_NUMBER = re.compile(r"([+-]?(?:\d{1,9}(?:\.\d{0,9})?|\.\d{1,9}))\s*(?:s|sec|seconds)?", re.IGNORECASE)
_SHARE = re.compile(rf"^\W*?({DECIMAL})\s*+(?:(?:/|out\s+of\b)\s*+({DECIMAL})|(%|percent\b))?", re.IGNORECASE)
_GOES_ON = re.compile(r"^\s*(?:/|(?:out\s+of|of|or|to)\b)", re.IGNORECASE)  # "0.8 or so" and "1 out of five"
_CITED = re.compile(r"\b(?:e|au)\d+\b", re.IGNORECASE)
_ID = re.compile(r"(?:evidence\s*)?e?0*(\d{1,9})")
_IDS = re.compile(r"[,;&\s]+(?:and\s+)?")
BELOW_CHARS = 5_000  # of what stands below an answer
_SENTENCE = re.compile(r"(?<=[.!?])\s|\n")
_CORRECTED = re.compile(
    r"\b(?:wait|actually|correction|on\s+(?:second\s+thoughts?|reflection)|chang(?:e|ed|ing)\s+my"
    r"|should\s+(?:have\s+been|be))\b",
    re.IGNORECASE,
)
_BRACKETS = "[]() "
_MODALITIES: dict[Modality, str] = {
    "text": "text transcript words wording verbal language",
    "audio": "audio voice vocal prosody acoustic sound speech tone",
    "visual": "visual video face facial image picture body",
    "context": "context",
}  # fmt: skip
MODALITY_WORDS: dict[str, Modality] = {
    word: name for name, words in _MODALITIES.items() for word in words.split()
}
_BESIDE_MODALITIES = frozenset(
    ("au", "event", "events", "expression", "expressions", "cue", "cues", "modality")
)
_DIRECTIONS: dict[Direction, str] = {
    "up": "raised raise rising increase increased increasing high higher",
    "down": "lowered lowering falling decrease decreased decreasing low lower",
}
_DIRECTION_WORDS = {word: name for name, words in _DIRECTIONS.items() for word in words.split()}


def taken_back(below: str, labels: Iterable[str], taxonomy: Taxonomy) -> str:
    """The sentence below an object that takes its label back ("Wait. It should be anger."), else ""."""
    if not below:
        return ""
    own, corrected = set(labels), False
    words = "|".join(re.escape(word) for name in own & set(taxonomy.names) for word in taxonomy.words(name))
    kept = re.compile(rf"\bshould\s+be\s+(?:noted|(?:read\s+as\s+)?(?:{words or 'noted'}))\b", re.IGNORECASE)
    for sentence in _SENTENCE.split(below[:BELOW_CHARS]):
        corrected = corrected or _CORRECTED.search(kept.sub("", sentence)) is not None
        if corrected and taxonomy.named_in(sentence) - own:
            return sentence.strip()
    return ""


def said(value: Any) -> str:
    """What a text says, "" where that is nothing ("none", "N/A") or it is no text."""
    return value.strip() if isinstance(value, str) and not is_nothing(value) else ""


def number_in(text: str) -> float | None:
    """The number that a text is ("0.5", "1.5 s"), else None."""
    found = _NUMBER.fullmatch(text.strip().replace("\u2212", "-"))
    return float(found[1]) if found else None


def share_in(text: str) -> float | None:
    """A confidence as it is stated: 0.8, 80 %, 8/10 and 4 out of 5, and words behind it.

    "high" is none, and is not made one; nor is a range, or whatever else goes on with another number.
    """
    found = _SHARE.match(text := text.replace("\u2212", "-"))
    rest = text[found.end() :] if found else ""
    if found is None or _GOES_ON.match(rest) or re.search(r"\d", _CITED.sub("", rest)):
        return None
    whole = 100.0 if found[3] else value_of(found[2] or "1")
    return value_of(found[1]) / whole if whole > 0 else None


def value_of(text: str) -> float:
    """A number with a point or a comma."""
    return float(text.replace(",", "."))


def id_of(value: Any) -> str | None:
    """The id of a claim, "e1" for 1, "1", "E1" and "[e1]"; "" where none is given, None where it is no id."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip(_BRACKETS).casefold()
    number = _ID.fullmatch(text)
    return f"e{int(number[1])}" if number else text


def ids_in(value: Any) -> list[str] | None:
    """The ids that a step cites: a list of them, or one text ("e1, e2"); None where it is neither."""
    if value is None or isinstance(value, str):
        value = [part for part in _IDS.split(said(value).strip(_BRACKETS)) if part]
    found = [id_of(one) for one in value] if isinstance(value, list) else [None]
    return None if None in found else [name for name in found if name]


def modality_in(text: str) -> Modality | None:
    """The one modality that a text names in other words ("face", "Visual-AU"), else None."""
    words = [word for word in plain(text).split() if word not in _BESIDE_MODALITIES]
    found = {MODALITY_WORDS.get(word) for word in words}
    return found.pop() if len(found) == 1 else None


def direction_in(text: str) -> Direction | None:
    """Up or down in another word, else None."""
    return _DIRECTION_WORDS.get(plain(text))
