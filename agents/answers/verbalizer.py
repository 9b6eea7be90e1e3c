"""From the log-probabilities of an answer's tokens to a probability of every class. Pure.

A class may be said in several words, its verbalizers: the name and its synonyms. Its probability is the sum over
them (Schick & Schuetze 2021, https://arxiv.org/abs/2001.07676; why words of one meaning have to be summed:
Holtzman et al. 2021, https://arxiv.org/abs/2104.08315). A word of n tokens counts with the geometric mean of
their probabilities, exp((log p1 + ... + log pn) / n), so that long words are not at a disadvantage (Brown et al.
2020, https://arxiv.org/abs/2005.14165, section 2.4). The sums are divided by their total.

What of one class goes on from the same written tokens is summed before it is normalised, or their probability
would count once for each of its words.

Only the tokens of the first label are looked at. A vendor tells the likeliest tokens in the place of each token
that was written, not how they would have gone on. So a word is followed as far as it takes to tell its class: a
token with which only words of one class can begin counts for that class, and n counts the tokens up to there. A
token that fits the words of several classes is followed if it was written, and left out if it was not.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from schemas.ports import TokenLogprob
from schemas.taxonomy import Taxonomy, plain

COVERED = 0.5  # of the probability must be known; the sum of what is told of one place is at most 1
ROUNDED = (
    1e-3  # above 0, as servers round; what lies higher, or is no number, is the logarithm of no probability
)
_JSON_LABEL = re.compile(r'"labels"\s*:\s*\[\s*(?:\{\s*"label"\s*:\s*)?"')
_LINE_LABEL = re.compile(r"^label:[ \t]*", re.IGNORECASE | re.MULTILINE)
_END = re.compile(r'["\n,.;(]')


class _Word(NamedTuple):
    """The beginning of a word: which class it tells, None: several or none; `open`: it may still become one."""

    label: str | None
    open: bool


def label_probabilities(
    text: str, tokens: Sequence[TokenLogprob] | None, taxonomy: Taxonomy
) -> dict[str, float]:
    """Class -> probability of the first label, sums to 1; empty where the tokens do not tell it."""
    start = _label_start(text)
    if not tokens or start is None or "".join(token.text for token in tokens) != text:
        return {}
    if not all(logprob <= ROUNDED for token in tokens for _, logprob in _told(token)):
        return {}
    words = {label: [plain(word) for word in taxonomy.words(label)] for label in taxonomy.names}
    normalised, known = _along(tokens, start, words)
    total = math.fsum(normalised.values())
    if known < COVERED or not total:
        return {}
    return {label: normalised.get(label, 0.0) / total for label in taxonomy.names}


def _label_start(text: str) -> int | None:
    """Where the first label begins; of several beginnings the last, since reasoning may hold drafts."""
    found = list(_JSON_LABEL.finditer(text)) or list(_LINE_LABEL.finditer(text))
    return found[-1].end() if found else None


def _along(
    tokens: Sequence[TokenLogprob], start: int, words: Mapping[str, Sequence[str]]
) -> tuple[dict[str, float], float]:
    """Length-normalised probabilities by class, and how much of the probability was told (not normalised)."""
    found: dict[str, list[tuple[int, float]]] = defaultdict(
        list
    )  # class -> number of tokens, their probability
    known, written, path, count, at = 0.0, "", 0.0, 0, 0
    for token in tokens:
        end = at + len(token.text)
        if end <= start:
            at = end
            continue
        lead = token.text[: max(0, start - at)]  # of a token in which the label begins, what comes before
        at, count = end, count + 1
        for text, logprob in _told(token):
            mine = text == token.text
            word = _read(written + text[len(lead) :], words) if text.startswith(lead) else _Word(None, False)
            if word.label is not None:
                found[word.label].append((count, math.exp(path + logprob)))
                known += math.exp(path + logprob)
            if mine and (word.label is not None or not word.open):
                return _normalised(found), known
        written, path = written + token.text[len(lead) :], path + token.logprob
    return _normalised(found), known


def _normalised(found: Mapping[str, Sequence[tuple[int, float]]]) -> dict[str, float]:
    """Words of one token as they are; those of more share what was written, and count with their mean length."""
    normalised = {}
    for label, words in found.items():
        longer = [(count, p) for count, p in words if count > 1]
        total = math.fsum(p for _, p in longer)
        length = math.fsum(count * p for count, p in longer) / total if total else 1.0
        normalised[label] = math.fsum(p for count, p in words if count == 1) + total ** (1 / length)
    return normalised


def _told(token: TokenLogprob) -> list[tuple[str, float]]:
    """The likeliest tokens of one place, each once, that which was written last."""
    others = {text: logprob for text, logprob in token.top if text != token.text}
    return [*others.items(), (token.text, token.logprob)]


def _read(beginning: str, words: Mapping[str, Sequence[str]]) -> _Word:
    end = _END.search(beginning)
    said = plain(beginning[: end.start()] if end else beginning)
    if end is not None:
        whole = [label for label, known in words.items() if said in known]
        return _Word(whole[0] if len(whole) == 1 else None, False)
    fitting = [label for label, known in words.items() if any(word.startswith(said) for word in known)]
    return _Word(fitting[0] if len(fitting) == 1 else None, bool(fitting))
