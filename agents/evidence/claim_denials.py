"""How far the "not" of a sentence reaches: "no smile, frown or nod" denies all three. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from agents.evidence import claim_words as lexicon
from agents.evidence.claim_parts import Part
from agents.evidence.claim_phrases import SEEN
from agents.evidence.claim_rewordings import OPEN

# What can have a clause of its own; a smile is what is seen of one.
_NOUNS = lexicon.stemmed(lexicon.NOUNS - {"smile"})
_SUBJECT = re.compile(
    r"(?:she|he|they|it|we|i|you|who|there|instead|only|just|yet"
    r"|the (?:m[ae]n|wom[ae]n|speaker|person|subject|target|boy|girl|guy|lady))\b"
)
_AUXILIARY = re.compile(r"\b(?:is|are|was|were|has|have|seems?|looks?|appears?|remains?|stays?)\b")
_DETERMINER = re.compile(r"(?:(?:the|his|her|their|its|both|all) )+")
# "Does not smile, frown or nod" goes on in the same form; "frowning" or "frowns" is a clause of its own.
_DOES_NOT = re.compile(
    r"\b(?:do|does|did|can|could|will|would) not (?!show|display|exhibit|have|includ|involv)"
)
_OTHER_FORM = re.compile(r"\w{2,}(?:ing|[^s]s)\b")
_STATE = re.compile(r"\b(?:\w+ed|open|shut|up|down|wide|tight|tense|agape|drawn|knit|downcast)$")
_DEED = re.compile(
    r"\b(?:nod|shake|tilt|turn|raise|raiser|furrow|press|flash|wrinkle|rise|drop|tremor|change|contact|movement|blink"
    r"|closure|pucker|twitch|\w+ing|lowerer|wrinkler|tightener|stretcher)s?$"
)
_TAKEN_BACK = re.compile(rf"(?:(?:is|are|was|were) )?(?:absent|none|(?:not|never|nowhere) (?:\w+ )?{SEEN})")

Clause = Literal["", "state", "whole", "unsure"]


def denied_together(parts: Sequence[Part]) -> list[Part]:
    """The parts with what denies several: "no smile, frown or nod", "smile, not present".

    What may be denied or said is unclear: a claim that is read as its opposite is worse than none.
    """
    found = list(parts)
    for n, part in enumerate(parts):
        if n and _TAKEN_BACK.fullmatch(part.text.strip()):
            _take_back(found, n - 1)
        if n and part.joined_by == "or" and part.text.strip() == "not":
            found[n - 1] = found[n - 1]._replace(unclear=True)
        if part.joined_by in ("or", "nor"):
            _spread(found, n)
    return found


def _take_back(parts: list[Part], n: int) -> None:
    parts[n] = parts[n]._replace(denied=True)
    while n and parts[n].joined_by == ",":
        n -= 1
        parts[n] = parts[n]._replace(unclear=True)


def _spread(parts: list[Part], last: int) -> None:
    """Denies what stands between the nearest denied part and an "or", as far as it is one list with it."""
    first = last - 1
    while first > 0 and not parts[first].denied and parts[first].joined_by in (",", "or"):
        first -= 1
    if first < 0 or not parts[first].denied or parts[first].joined_by == OPEN:
        return
    kinds = [_clause(part, parts[first]) for part in parts[first + 1 : last + 1]]
    for n, verdict in enumerate(_verdicts(kinds, parts[last]), start=first + 1):
        if not parts[n].denied:
            denied, unclear = verdict == "denied", verdict == "unclear"
            parts[n] = parts[n]._replace(denied=denied, unclear=unclear)


def _verdicts(kinds: Sequence[Clause], last: Part) -> list[str]:
    """ "denied", "unclear" or "said" for each part of a list that ends in an "or"."""
    count = len(kinds)
    own = next((n for n, kind in enumerate(kinds[:-1]) if kind), None)
    if own is None:
        only_state = count == 1 and kinds[-1] == "state"
        return [*["denied"] * (count - 1), "denied" if not kinds[-1] or only_state else "unclear"]
    said = kinds[own] == "whole" or (
        kinds[-2] == "state" and not kinds[-1] and _STATE.search(last.text.strip())
    )
    said = said and "unsure" not in kinds
    return [*["unclear"] * own, *["said" if said else "unclear"] * (count - own)]


def _clause(part: Part, denier: Part) -> Clause:
    """Whether a part says something by itself: "she nods", "her brows are raised", "brows raised"."""
    text = part.text.strip()
    if _SUBJECT.match(text):
        return "whole"
    if text.startswith("with "):
        return "unsure"
    bare = _DETERMINER.sub("", text, count=1) if _DETERMINER.match(text) else text
    words = lexicon.words_of(bare)
    if not words or lexicon.stem(words[0]) not in _NOUNS:
        other = _DOES_NOT.search(denier.text) and _OTHER_FORM.match(text)
        return "whole" if other else ""
    if _NOUNS.issuperset(part.tokens):
        return ""
    if _AUXILIARY.search(bare):
        return "whole"
    if bare != text or words[0].endswith("s") or _STATE.search(bare):
        return "state"
    return "" if _DEED.search(bare) else "unsure"
