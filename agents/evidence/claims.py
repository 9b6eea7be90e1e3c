"""What a sentence claims, in the words of the cue table: "she smiles briefly as she says 'fine'". Pure.

A sentence is cut into parts; in each part the synonyms of the table are looked for, longest first, whatever order
and endings their words have. What the table does not know is told with a reason and never guessed. English only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from agents.evidence import claim_words as lexicon
from agents.evidence.claim_denials import denied_together
from agents.evidence.claim_parts import INFERS, Part, inherit_times, parts_of, sentences
from agents.evidence.claim_phrases import why_void
from agents.evidence.claim_times import When
from schemas.cues import Cue, CueTable, cue_table
from schemas.parts import Direction, Evidence, Modality, Span, Word

SENTENCE_CHARS = 500  # a claim is a short sentence: in a longer text of one no cue is looked for
MAX_BETWEEN = 3  # words that may stand between those of a synonym
_OPEN = re.compile(
    r"\b(?:an?|his|her|their) [\w-]+ *$"
)  # what it is comes after the comma: "a deep, low voice"
_UNIT = re.compile(r"\bau[\s_-]?0?(\d{1,2})(?:_[rc])?\b")


class Claim(NamedTuple):
    """One claim. `unchecked` holds what was said of it that the cue does not measure ("brief", "throughout")."""

    cue: str
    modality: Modality
    direction: Direction
    span: Span
    when: When
    text: str
    unchecked: tuple[str, ...] = ()


class Unknown(NamedTuple):
    """Words of which no claim could be made, and why."""

    text: str
    reason: str


class Reading(NamedTuple):
    claims: tuple[Claim, ...]
    unknown: tuple[Unknown, ...]


class _Found(NamedTuple):
    cue: Cue
    direction: Direction
    stems: frozenset[str]
    at: tuple[int, ...]


def read_claims(
    text: str,
    *,
    words: Sequence[Word] = (),
    duration_s: float = 0.0,
    table: CueTable | None = None,
    span: Span | None = None,
) -> Reading:
    """The claims of a text about a clip of `duration_s` in which `words` are said.

    With a `span` every claim is about it; else about the time that the text names, or the whole clip.
    """
    known = table or cue_table()
    claims: list[Claim] = []
    unknown: list[Unknown] = []
    for sentence in sentences(text):
        parts = denied_together(inherit_times(parts_of(sentence, words)))
        said, unread = _read_sentence(parts, known)
        for part, found in said:
            placed = span or part.when.span(words, duration_s, heard=found.cue.modality == "audio")
            if placed is None:
                unknown.append(Unknown(part.text, f'the transcript does not say when "{part.when.words}" is'))
                continue
            claims.append(_claim(part, _than_usual(part, found, known), placed, known))
        unknown += unread
    return Reading(tuple(dict.fromkeys(claims)), tuple(dict.fromkeys(unknown)))


def restated(item: Evidence, table: CueTable | None = None) -> tuple[Evidence, ...]:
    """An item whose cue is not in the table, as the cues that its words name, in its own span and modality.

    The item itself where its words name none, or another pole than its direction: nothing is guessed. All of them
    keep its id and what it said.
    """
    known = table or cue_table()
    told = item.modality in ("text", "context") or known.find(item.cue, item.direction) is not None
    texts = [] if told else [item.cue.replace("_", " "), item.description]
    if not told and item.direction in ("up", "down"):
        texts.insert(1, f"{'high' if item.direction == 'up' else 'low'} {texts[0]}")
    for text in (text for text in texts if len(text) <= SENTENCE_CHARS):
        claims = read_claims(text, table=known, span=Span(start_s=item.start_s, end_s=item.end_s)).claims
        mine = [claim for claim in claims if claim.modality == item.modality]
        if mine and all(_agrees(claim, item, known) for claim in mine):
            said = item.description or item.cue
            each = {tuple(claimed.items()): claimed for claimed in (_as_claimed(one, item) for one in mine)}
            return tuple(item.model_copy(update={**one, "description": said}) for one in each.values())
    return (item,)


def _agrees(claim: Claim, item: Evidence, table: CueTable) -> bool:
    if item.direction in ("present", "absent"):
        return True
    cue = table.cues[claim.cue]
    pole = table.claimed(cue, item.direction)
    return claim.direction == "present" and (
        pole is cue or (pole is None and item.direction == "up" and not cue.opposite)
    )


def _as_claimed(claim: Claim, item: Evidence) -> dict[str, str]:
    denied = "absent" in (claim.direction, item.direction)
    return {"cue": claim.cue, "direction": "absent" if denied else "present"}


def _claim(part: Part, found: _Found, placed: Span, table: CueTable) -> Claim:
    cue, unchecked = found.cue, []
    briefly = "brief" in part.tokens and "brief" not in found.stems
    for said, word, statistic in (
        (briefly, "briefly", "length"),
        (part.when.kind == "all", "throughout", "share"),
    ):
        if said and cue.statistic != statistic:
            timed = _timed(cue, statistic, table)
            cue = timed or cue
            unchecked += [] if timed else [word]
    direction: Direction = "absent" if part.denied else found.direction
    return Claim(cue.cue, cue.modality, direction, placed, part.when, part.text.strip(), tuple(unchecked))


def _than_usual(part: Part, found: _Found, table: CueTable) -> _Found:
    """ "Than usual" compares with the speaker: the relative cue of the same pole, where there is one."""
    if "than usual" not in part.text or found.cue.scale == "z":
        return found
    same = (
        cue
        for cue in table.cues.values()
        if (cue.feature, cue.operator) == (found.cue.feature, found.cue.operator)
    )
    return found._replace(cue=next((cue for cue in same if cue.scale == "z"), found.cue))


def _timed(cue: Cue, statistic: str, table: CueTable) -> Cue | None:
    """The cue that also says how long: the same measure, at the level that `cue` asks for."""
    same = (
        each for each in table.cues.values() if (each.feature, each.statistic) == (cue.feature, statistic)
    )
    return next((each for each in same if each.level == cue.threshold), None)


def _read_sentence(parts: Sequence[Part], table: CueTable) -> tuple[list[tuple[Part, _Found]], list[Unknown]]:
    said: list[tuple[Part, _Found]] = []
    unknown: list[Unknown] = []
    found: list[_Found] = []
    odd = False  # whether the part before is of something that nothing measures
    for n, part in enumerate(parts):
        if INFERS.fullmatch(part.joined_by) and parts[n - 1].denied and not found:
            part = part._replace(denied=True)  # "no sign indicating a smile"
        if not part.tokens:
            continue
        unheard = not found and odd
        part, found, why = _read_part(part, parts, n, table)
        odd = why in lexicon.reasons()
        if unheard and all(_bare_manner(one, part) for one in found):
            found, why = (
                [],
                why or "what is done in this manner is not measured",
            )  # "breathing is heavy and fast"
        said += [(part, one) for one in found]
        if why:
            unknown.append(Unknown(part.text.strip(), why))
    said = _without_mere_speech(_without_others_intensity(said))
    torn = [(part, found) for part, found in said if any(_other_pole(part, found, *one) for one in said)]
    unknown += [Unknown(part.text.strip(), "it names both poles of one measure") for part, _ in torn]
    return [one for one in said if one not in torn], unknown


def _other_pole(part: Part, found: _Found, other_part: Part, other: _Found) -> bool:
    """Whether two claims exclude each other: what is of a whole span is not both "quiet and then loud"."""
    lasting = found.cue.statistic in ("median", "clip", "range", "share")
    both = not part.denied and not other_part.denied and part.when == other_part.when
    return lasting and both and found.cue.opposite == other.cue.cue


def _without_others_intensity(said: list[tuple[Part, _Found]]) -> list[tuple[Part, _Found]]:
    """An intensity is the voice's where a voice is named or nothing is seen: not so "a smile, with intensity"."""
    seen = any(found.cue.modality == "visual" for _, found in said)
    spoken = lexicon.stemmed(lexicon.SPOKEN)
    return [
        (part, found)
        for part, found in said
        if not (seen and lexicon.stem("intensity") in found.stems and spoken.isdisjoint(part.tokens))
    ]


def _without_mere_speech(said: list[tuple[Part, _Found]]) -> list[tuple[Part, _Found]]:
    """That somebody speaks is only claimed where nothing else is said of how, or meanwhile."""
    heard = any(found.cue.modality == "audio" and found.cue.feature != "voiced" for _, found in said)
    return [
        (part, found)
        for part, found in said
        if found.cue.cue != "speech" or not (heard or (len(said) > 1 and part.joined_by in ("as", "while")))
    ]


def _read_part(part: Part, parts: Sequence[Part], n: int, table: CueTable) -> tuple[Part, list[_Found], str]:
    """A part, its cues, and why something in it is none ("" when all is read)."""
    voided = "whether it is denied as well is not clear" if part.unclear else why_void(part.text)
    units = _units(part.text, table)
    if units:
        return (part, [], voided) if voided else (part, units, "")
    for tokens, denied in _attempts(part, parts, n):
        found, left = _match(tokens, table)
        found = [one for one in found if not one.stems.isdisjoint(part.tokens)]
        if found:
            part = part._replace(denied=denied)
            break
    else:
        tokens, found, left = part.tokens, [], part.tokens
    if voided:
        return part, [], voided
    odd = _unmeasured(tokens, left, found)
    why = odd.reason if odd else ""
    kept = [one for one in found if not (_meant_otherwise(one, left, odd) or _manner(one, left, found, part))]
    if kept:
        return part, kept, why
    return part, [], why or f'nothing in the cue table says "{" ".join(part.text.split())}"'


def _unmeasured(
    tokens: Sequence[str], left: Sequence[str], found: Sequence[_Found]
) -> lexicon.Unmeasured | None:
    """What nothing measures: words that no cue has, or several of which a cue has but a part."""

    def said(one: lexicon.Unmeasured) -> bool:
        torn = len(one.stems) > 1 and one.stems <= set(tokens)
        return one.stems <= set(left) or (torn and not any(one.stems <= cue.stems for cue in found))

    return next(filter(said, lexicon.unmeasured()), None)


def _attempts(part: Part, parts: Sequence[Part], n: int) -> Iterator[tuple[tuple[str, ...], bool]]:
    """The part alone, and with what its neighbour says of both: "raises her voice and her brows".

    With whether it is denied: "her brows and voice are not raised" denies both.
    """
    yield part.tokens, part.denied
    nouns = lexicon.stemmed(lexicon.NOUNS)
    has_noun = not nouns.isdisjoint(part.tokens)
    if has_noun and not nouns.issuperset(part.tokens):
        return  # it says something of its own: "brows are relaxed and not raised"
    open_ = _OPEN.search(part.text) and not has_noun
    before = parts[n - 1] if n and part.joined_by in ("and", "nor", "or", ",", "but") else None
    after = parts[n + 1] if n + 1 < len(parts) else None
    if after and after.joined_by not in ("and", "or", "nor", *([","] if open_ else [])):
        after = None
    for other in (before, after):
        if other is None or (has_noun and why_void(other.text)):
            continue
        shared = tuple(token for token in other.tokens if (token in nouns) != has_noun)
        if shared:
            yield (*part.tokens, *shared), part.denied or (has_noun and other.denied)


def _manner(one: _Found, left: Sequence[str], found: Sequence[_Found], part: Part) -> bool:
    """Whether a manner is said of something else than speech: in "nods slowly", "fades quickly" nobody speaks."""
    seen = any(other.cue.modality == "visual" for other in found)
    return _bare_manner(one, part) and (seen or not set(left).isdisjoint(part.tokens))


def _bare_manner(one: _Found, part: Part) -> bool:
    manner = one.cue.modality == "audio" and one.stems <= lexicon.stemmed(lexicon.MANNERS)
    return manner and lexicon.stemmed(lexicon.SPOKEN).isdisjoint(part.tokens)


def _meant_otherwise(found: _Found, left: Sequence[str], odd: lexicon.Unmeasured | None) -> bool:
    """Whether words beside the cue say that another sense is meant: "a trembling lip" is no voice."""
    others = lexicon.SEEN if found.cue.modality == "audio" else lexicon.HEARD
    if odd is not None and odd.voids == found.cue.modality:
        return True
    return not lexicon.stemmed(others).isdisjoint(set(left) - found.stems)


def _units(text: str, table: CueTable) -> list[_Found]:
    found = [table.cues.get(f"AU{int(number):02d}") for number in _UNIT.findall(text)]
    return [_Found(cue, "present", frozenset(), ()) for cue in found if cue is not None]


def _match(tokens: tuple[str, ...], table: CueTable) -> tuple[list[_Found], tuple[str, ...]]:
    """Cues whose words stand in `tokens`, most words first, and what is left of the tokens."""
    left = list(tokens)
    found: list[_Found] = []
    while best := _best(left, tokens, table):
        found.append(best)
        left = [token for at, token in enumerate(left) if at not in best.at]
    unique = {one.cue.cue: one for one in reversed(found)}
    return [one for one in found if unique[one.cue.cue] is one], tuple(left)


def _best(left: Sequence[str], whole: Sequence[str], table: CueTable) -> _Found | None:
    there = set(left)
    best: tuple[tuple[int, int], _Found] | None = None
    for cue, direction, stems in _phrases(table):
        if not stems <= there or (stems <= lexicon.GENERIC and set(whole) != stems):
            continue
        at = _window(left, stems)
        between = at[-1] - at[0] + 1 - len(stems)
        if between <= MAX_BETWEEN and (best is None or (len(stems), -between) > best[0]):
            best = (len(stems), -between), _Found(cue, direction, stems, at)
    return best[1] if best else None


def _window(left: Sequence[str], stems: frozenset[str]) -> tuple[int, ...]:
    """The nearest places at which all the stems stand."""
    places = [at for at, token in enumerate(left) if token in stems]
    best: tuple[int, ...] = ()
    for first in range(len(places)):
        seen: dict[str, int] = {}
        for at in places[first:]:
            seen.setdefault(left[at], at)
            if len(seen) == len(stems):
                chosen = tuple(sorted(seen.values()))
                if not best or chosen[-1] - chosen[0] < best[-1] - best[0]:
                    best = chosen
                break
    return best


_Phrase = tuple[Cue, Direction, frozenset[str]]


_KNOWN: dict[str, tuple[_Phrase, ...]] = {}  # by the digest of the table


def _phrases(table: CueTable) -> tuple[_Phrase, ...]:
    if table.digest not in _KNOWN:
        _KNOWN[table.digest] = _phrases_of(table)
    return _KNOWN[table.digest]


def _phrases_of(table: CueTable) -> tuple[_Phrase, ...]:
    """Every name, synonym and directed measure of the table as stems."""
    found: dict[frozenset[str], _Phrase] = {}
    for cue in table.cues.values():
        for name in (cue.cue, *cue.synonyms) if cue.statistic != "quote" else ():
            stems = frozenset(lexicon.stems_of(name.replace("_", " ")))
            if stems and lexicon.UNSAYING.isdisjoint(lexicon.words_of(name)):
                found.setdefault(stems, (cue, "present", stems))
    for cue in table.cues.values():
        for name in cue.undirected:
            for words, direction in ((lexicon.UP, "up"), (lexicon.DOWN, "down")):
                pole = table.claimed(cue, direction)
                for said in [f"{word} {of}{name}" for word in words for of in ("", "voice ")] if pole else ():
                    stems = frozenset(lexicon.stems_of(said))
                    if pole and len(stems) > 1:
                        found.setdefault(stems, (pole, "present", stems))
    return tuple(found.values())
