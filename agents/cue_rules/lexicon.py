"""What the words say: a list of emotion words with negation and degree, and VADER for valence. English only.

Reference: Hutto & Gilbert 2014 (VADER), https://doi.org/10.1609/icwsm.v8i1.14550
"""

from __future__ import annotations

import csv
import math
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from agents.cue_rules.answer import VALENCE, Answer, Claim, abstain, labelled
from agents.evidence.quote import tokens
from schemas.records import Sample
from schemas.taxonomy import Taxonomy

DATA_DIR = Path(__file__).parents[1] / "data"
LOOK_BACK = 3  # words before an emotion word in which a negation or a degree word counts
MAX_CLAIMS = 6
NEUTRAL_CONFIDENCE = 0.3
CLEAR_SENTIMENT = 0.5  # |VADER compound| from which the words are not neutral
LOW_QUALITY_FACTOR = 0.5
DISAGREEMENT_FACTOR = 0.7


class Hit(NamedTuple):
    """An emotion word at the words `first`..`last` (which hold its negation and degree)."""

    label: str
    weight: float
    first: int
    last: int


class Token(NamedTuple):
    text: str
    word: int  # index of the sample's word
    ends_sentence: bool


def annotate(sample: Sample, taxonomy: Taxonomy) -> Answer:
    """The triplet that the words alone give, or an abstention (no_text, no_english_word, no_emotion_word).

    What others say in the clip is left out.
    """
    sample = sample.model_copy(update={"words": sample.own_words})
    if "text" in sample.missing or not any(tokens(word.text) for word in sample.words):
        return abstain("no_text")
    said = _tokens(sample)
    hits = find_hits(said)
    if not hits and len(said) >= 4 and not any(token.text in _group("english") for token in said):
        return abstain("no_english_word")
    valence = _analyzer().polarity_scores(" ".join(word.text for word in sample.words))["compound"]
    trust = _trust(sample)
    if not hits:
        return _neutral(sample, taxonomy, valence, trust)
    totals: dict[str, float] = {}
    for hit in hits:
        totals[hit.label] = totals.get(hit.label, 0.0) + hit.weight
    scores = {label: 1 - math.exp(-total) for label, total in totals.items()}
    best = max(sorted(totals), key=totals.__getitem__)
    confidence = (0.2 + 0.45 * scores[best]) * totals[best] / sum(totals.values()) * trust
    if abs(valence) >= CLEAR_SENTIMENT and valence * VALENCE[best] < 0:
        confidence *= DISAGREEMENT_FACTOR
    return labelled(
        taxonomy,
        modality="text",
        scores=scores,
        claims=[_claim(sample, hit) for hit in hits[:MAX_CLAIMS]],
        finding=f"The words name or show an emotion: {_listed(sample, hits[:MAX_CLAIMS])}.",
        rule="In the word list these stand for "
        + ", ".join(f"{k} ({v:.2g})" for k, v in totals.items())
        + ".",
        confidence=confidence,
        known={"valence": valence, "sentiment": valence},
        trajectory=_trajectory(sample, hits),
    )


def find_hits(said: list[Token]) -> list[Hit]:
    """Emotion words with their weight after negation and degree.

    A negated joy counts half for sadness ("not happy"); any other negated emotion says nothing.
    """
    hits = []
    for position, token in enumerate(said):
        entry = _words().get(token.text)
        if entry is None:
            continue
        label, weight = entry
        before = _before(said, position)
        first = token.word
        if any(t.text in _group("negation") or t.text.endswith("n't") for t in before):
            if label != "joy":
                continue
            label, weight = "sadness", weight * 0.5
            first = before[0].word
        if before and before[-1].text in _group("stronger"):
            weight, first = weight * 1.5, min(first, before[-1].word)
        elif before and before[-1].text in _group("weaker"):
            weight, first = weight * 0.5, min(first, before[-1].word)
        hits.append(Hit(label, weight, first, token.word))
    return hits


def _before(said: list[Token], position: int) -> list[Token]:
    """Up to LOOK_BACK words of the same sentence before a word."""
    before: list[Token] = []
    for token in reversed(said[max(0, position - LOOK_BACK) : position]):
        if token.ends_sentence:
            break
        before.insert(0, token)
    return before


def _tokens(sample: Sample) -> list[Token]:
    found = []
    for index, word in enumerate(sample.words):
        parts = tokens(word.text)
        ends = word.text.rstrip().endswith((".", "!", "?"))
        found += [Token(part, index, ends and n == len(parts) - 1) for n, part in enumerate(parts)]
    return found


def _neutral(sample: Sample, taxonomy: Taxonomy, valence: float, trust: float) -> Answer:
    """Words without a listed emotion are neutral with low confidence, unless VADER hears a clear feeling.

    Which emotion that is cannot be told, its valence can.
    """
    clear = abs(valence) >= CLEAR_SENTIMENT
    if clear and taxonomy.asks_labels:
        return abstain("no_emotion_word")
    whole = Hit("neutral", 0.0, 0, len(sample.words) - 1)
    return labelled(
        taxonomy,
        modality="text",
        scores={"neutral": 1.0},
        claims=[_claim(sample, whole)],
        finding=f"The words hold no emotion word of the list: {_listed(sample, [whole])}.",
        rule=f"Their valence by VADER is {valence:+.2f}" + (".", ", which is close to 0.")[not clear],
        confidence=NEUTRAL_CONFIDENCE * trust,
        known={"valence": valence, "sentiment": valence, **({"arousal": None} if clear else {})},
    )


def _trust(sample: Sample) -> float:
    """How far the transcript can be believed: a low-quality ASR halves it, uncertain words lower it."""
    known = [word.confidence for word in sample.words if word.confidence is not None]
    mean = sum(known) / len(known) if known else 1.0
    low = "low quality" in (sample.words_source or "")
    return (LOW_QUALITY_FACTOR if low else 1.0) * (1.0 if mean >= 0.6 else mean / 0.6)


def _claim(sample: Sample, hit: Hit) -> Claim:
    start_s = min(sample.words[hit.first].start_s, sample.duration_s)
    end_s = min(max(word.end_s for word in sample.words[hit.first : hit.last + 1]), sample.duration_s)
    described = "no emotion word" if hit.label == "neutral" else f"word of {hit.label}"
    return Claim(start_s, max(start_s, end_s), "quote", "present", described, _text(sample, hit))


def _text(sample: Sample, hit: Hit) -> str:
    return " ".join(word.text.strip() for word in sample.words[hit.first : hit.last + 1])


def _listed(sample: Sample, hits: list[Hit]) -> str:
    return ", ".join(f'"{_text(sample, hit)}"' for hit in hits)


def _trajectory(sample: Sample, hits: list[Hit]) -> list[tuple[float, float, str]]:
    """The emotions in the order of the words, where there are several."""
    if len({hit.label for hit in hits}) < 2:
        return []
    claims = [(_claim(sample, hit), hit.label) for hit in hits]
    return [(claim.start_s, claim.end_s, label) for claim, label in claims]


@cache
def _words() -> dict[str, tuple[str, float]]:
    with (DATA_DIR / "emotion_words.csv").open(encoding="utf-8", newline="") as file:
        return {row["word"]: (row["label"], float(row["weight"])) for row in csv.DictReader(file)}


@cache
def _group(name: str) -> frozenset[str]:
    """One group of function words: negation, stronger, weaker or english."""
    groups = tomllib.loads((DATA_DIR / "function_words.toml").read_text(encoding="utf-8"))
    return frozenset(groups[name])


@cache
def _analyzer() -> SentimentIntensityAnalyzer:
    return SentimentIntensityAnalyzer()
