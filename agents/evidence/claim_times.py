"""When a free-text claim is meant: "as she says X", "at the end", "throughout", "before answering"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from agents.evidence.quote import FILLERS, comparable
from schemas.parts import Span, Word

Kind = Literal["", "start", "middle", "end", "last_word", "all", "before", "during", "after"]
NEAR_S = 2.0  # "after she says X" means what comes soon, "before" what just went by
PART = 1 / 3  # "at the beginning" is the first third of the clip, of the voice: of the speech

_WHO = r"(?:(?:he|she|they|it|we|i|the \w+) )?(?:is |are |was |were )?"
_OF = r"(?: of (?:the|his|her|their|this) \w+)?"
_PHRASES: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("last_word", re.compile(r"\b(?:on|in|at|with)? ?the (?:very )?(?:last|final) (?:word|syllable)s?\b")),
    (
        "end",
        re.compile(
            rf"\b(?:at|towards?|near|by|in) the (?:very )?end{_OF}\b|\bin the last moments?\b|\bfinally\b"
        ),
    ),
    (
        "start",
        re.compile(rf"\b(?:at|in|from) the (?:very )?(?:beginning|start){_OF}\b|\bat first\b|\binitially\b"),
    ),
    ("middle", re.compile(rf"\bin the middle{_OF}\b|\b(?:halfway|midway)(?: through)?\b")),
    (
        "all",
        re.compile(
            r"\bthroughout(?: the (?:whole |entire )?\w+)?\b|\b(?:the (?:whole|entire) time|all the time)\b"
        ),
    ),
    ("all", re.compile(r"\b(?:constantly|continuously|from (?:start|beginning) to (?:end|finish))\b")),
    ("all", re.compile(r"\b(?:for|during|over) the (?:whole|entire) (?:clip|video|recording|time)\b")),
    (
        "before",
        re.compile(
            rf"\bbefore (?:{_WHO}(?:answers?|answering|speaks?|speaking|repl(?:y|ies|ying)|responds?|responding|"
            r"starts?|begins?)(?: to (?:speak|answer|talk))?|(?:the|his|her|their) (?:answer|reply|response))\b"
        ),
    ),
)
_SAYING = r"(?:say|says|saying|said|utters?|uttering|mentions?|speaks? of|with the words?|the words?|word)"
_QUOTED = re.compile(
    r"(?:\b(?P<link>as|when|while|whenever|on|at|with|after|following|follows?|before)\b (?:[\w']+ ){0,5}?)?"
    rf"(?:{_SAYING} )?(?P<quote>\"[^\"]+\")"
)
_UNQUOTED = re.compile(
    rf"\b(?P<link>as|when|while|whenever|after|before) {_WHO}(?:say|says|saying|said) (?P<rest>[^.;!?,]+)"
)


class When(NamedTuple):
    """`words`: those that are said meanwhile."""

    kind: Kind = ""
    words: str = ""

    def span(self, words: Sequence[Word], duration_s: float, *, heard: bool) -> Span | None:
        """The span that is meant, None where the transcript does not say; `heard`: of the voice."""
        last_s = max([duration_s, 0.0])
        whole = Span(start_s=0.0, end_s=last_s)
        if self.kind in ("", "all"):
            return whole
        if self.kind in ("before", "last_word") and not words:
            return None
        if self.kind == "before" and not self.words:
            return Span(start_s=0.0, end_s=min(words[0].start_s, last_s))
        if self.kind == "last_word":
            return _cut(words[-1].start_s, words[-1].end_s, last_s)
        if self.kind in ("start", "middle", "end"):
            return self._part(
                whole if not (heard and words) else _cut(words[0].start_s, words[-1].end_s, last_s)
            )
        place = find(self.words, words)
        if place is None:
            return None
        first, last = words[place[0]], words[place[1]]
        if self.kind == "before":
            return _cut(max(0.0, first.start_s - NEAR_S), first.start_s, last_s)
        if self.kind == "after":
            return _cut(last.end_s, last.end_s + NEAR_S, last_s)
        return _cut(first.start_s, last.end_s, last_s)

    def _part(self, of: Span) -> Span:
        first = {"start": 0, "middle": 1, "end": 2}[self.kind]
        step_s = of.length_s * PART
        return Span(start_s=of.start_s + first * step_s, end_s=of.start_s + (first + 1) * step_s)


def _cut(start_s: float, end_s: float, last_s: float) -> Span:
    start_s = min(start_s, last_s)
    return Span(start_s=start_s, end_s=max(start_s, min(end_s, last_s)))


def find(wanted: str, words: Sequence[Word]) -> tuple[int, int] | None:
    """First and last of the words that say `wanted` exactly (case and short forms aside)."""
    target = comparable(wanted)
    said = [(token, n) for n, word in enumerate(words) for token in comparable(word.text)]
    said = [(token, n) for token, n in said if token not in FILLERS or token in target]
    for at in range(len(said) - len(target) + 1):
        if target and [token for token, _ in said[at : at + len(target)]] == target:
            return said[at][1], said[at + len(target) - 1][1]
    return None


def take_times(text: str, words: Sequence[Word]) -> tuple[str, When]:
    """A part of a sentence without what it says of the time, and when that is. `text` is `plain`."""
    quoted = _QUOTED.search(text)
    if quoted:
        return _without(text, quoted), When(_relation(quoted["link"]), quoted["quote"].strip('"'))
    unquoted = _UNQUOTED.search(text)
    if unquoted:
        rest = unquoted["rest"].split()
        for count in range(len(rest), 0, -1):
            if find(" ".join(rest[:count]), words):
                left = text[: unquoted.start()] + " ".join(["", *rest[count:]]) + text[unquoted.end() :]
                return left, When(_relation(unquoted["link"]), " ".join(rest[:count]))
        return _without(text, unquoted), When("during", " ".join(rest))
    for kind, phrase in _PHRASES:
        found = phrase.search(text)
        if found:
            return _without(text, found), When(kind)
    return text, When()


def _relation(link: str | None) -> Kind:
    if link == "before":
        return "before"
    return "after" if link in ("after", "following", "follow", "follows") else "during"


def _without(text: str, match: re.Match[str]) -> str:
    return f"{text[: match.start()]} {text[match.end() :]}"
