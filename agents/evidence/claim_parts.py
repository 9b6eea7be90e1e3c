"""Cut a text into sentences, and a sentence into parts of which each says one thing of one time. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from agents.evidence import claim_words as lexicon
from agents.evidence.claim_rewordings import CLOSE, OPEN, reworded
from agents.evidence.claim_times import When, take_times
from schemas.parts import Word

# A clause ends at these; a phrase in brackets explains the one before it.
_SENTENCE = re.compile(r"(?<!\d)[.;!?]+|[.;!?]+(?!\d)|\n")
_INFERS = (  # what follows is concluded from what stands before: its "not" is another one
    r"(?:suggest|indicate|implie|convey|reflect|reveal|betray|signal|denote|demonstrate|expresse)[sd]?"
    r"|(?:suggest|indicat|imply|convey|reflect|reveal|betray|signal|denot|demonstrat|express)ing"
    r"|hint(?:s|ing) at|because|since|although|though|despite|in spite of|whereas"
)
_INFERS_NOT = r"(?:do|does|did|would|can) not (?:suggest|indicate|imply|convey|reflect|reveal|signal|express)"
_PART = re.compile(
    rf"(,|{OPEN}|{CLOSE}|\band then\b|\band\b|\bbut\b|\bwhile\b|\bthen\b|\bas\b|\bor\b|\bnor\b|\bwithout\b"
    r"|\binstead of\b|\brather than\b|\bwith(?= no\b)"
    r"|\b(?:that|which)(?= (?:is|are|was|were|does|do|did|seems|looks) not\b)"
    rf"|\b{_INFERS_NOT}\b|(?<!not )\b(?:{_INFERS})\b)"
)
INFERS = re.compile(_INFERS)
_FIRST = re.compile(r"\s*(?:after|following)\b")  # "after a pause, he says X": the pause is before X
_DENYING = re.compile(rf"nor|without|instead of|rather than|{_INFERS_NOT}")
_OWN_MARK = re.compile(r"(?:qq|tt)(\d+)(?=qq|tt)")  # what stands for quotes and times below
_TIMED_ALIKE = ("and", ",", "or", "without", OPEN, CLOSE)
_QUOTES = re.compile(r"\"[^\"]*\"|(?<!\w)'((?:[^']|(?<=\w)'(?=\w))+)'(?!\w)")


class Part(NamedTuple):
    """A piece of a sentence: what joins it to the one before, its words, when it is meant.

    `unclear`: whether it is said or denied.
    """

    joined_by: str
    text: str
    when: When
    tokens: tuple[str, ...]
    denied: bool
    unclear: bool = False


def sentences(text: str) -> list[str]:
    """The sentences of a text, in plain words; quoted words are never cut or changed."""
    quotes: list[str] = []

    def keep(match: re.Match[str]) -> str:
        quotes.append(match[1] if match[1] is not None else match[0].strip('"'))
        return f" qq{len(quotes) - 1}qq "

    masked = _QUOTES.sub(keep, _OWN_MARK.sub(r" \1 ", lexicon.plain(text)))
    masked = reworded(lexicon.unbroken(" ".join(re.sub(r"\([^)]*\)", " ", masked).split())))
    return [
        re.sub(r"qq(\d+)qq", lambda match: f'"{quotes[int(match[1])]}"', sentence)
        for line in _SENTENCE.split(masked)
        if (sentence := " ".join(line.split()))
    ]


def parts_of(sentence: str, words: Sequence[Word]) -> list[Part]:
    """The pieces of a sentence. Its time phrases are taken out first, so that "as she says X" is no piece."""
    marked = sentence
    times: list[When] = []
    while True:
        left, when = take_times(marked, words)
        if not when.kind:
            break
        at = next((n for n, (a, b) in enumerate(zip(left, marked, strict=False)) if a != b), len(left))
        marked = f"{left[:at]} tt{len(times)}tt {left[at:]}"
        times.append(when)
    pieces = _PART.split(marked)
    joins = ["", *(piece.strip() for piece in pieces[1::2])]
    return [
        part
        for joined_by, text in zip(joins, pieces[0::2], strict=True)
        if (part := _part(joined_by, text, times))
    ]


def _part(joined_by: str, text: str, times: Sequence[When]) -> Part | None:
    mark = re.search(r"tt(\d+)tt", text)
    when = times[int(mark[1])] if mark else When()
    text = re.sub(r"tt\d+tt", " ", text)
    tokens = lexicon.stems_of(text)
    raw = lexicon.words_of(text)
    if not tokens and not mark and lexicon.NEGATIONS.isdisjoint(raw):
        return None
    denied = _DENYING.fullmatch(joined_by) is not None or not lexicon.NEGATIONS.isdisjoint(raw)
    kept = tuple(token for token in tokens if token not in lexicon.stemmed(lexicon.NEGATIONS))
    return Part(joined_by, text, when, kept, denied)


def inherit_times(parts: list[Part]) -> list[Part]:
    """A time holds for its own part, for those before it that are joined with it, and after a part that is a time
    alone for what follows."""
    timed = list(parts)
    for n in range(len(timed) - 2, -1, -1):
        after = timed[n + 1]
        if after.when.kind == "during" and not timed[n].when.kind and _FIRST.match(timed[n].text):
            timed[n] = timed[n]._replace(when=When("before", after.when.words))
        elif not timed[n].when.kind and after.when.kind and after.joined_by in _TIMED_ALIKE:
            timed[n] = timed[n]._replace(when=after.when)
    for n in range(1, len(timed)):
        before = timed[n - 1]
        alone = not parts[n - 1].tokens and parts[n - 1].joined_by != CLOSE
        if not timed[n].when.kind and alone and before.when.kind:
            timed[n] = timed[n]._replace(when=before.when)
    return timed
