"""What a sentence claims, in the words of the cue table: "she smiles briefly as she says 'fine'". Pure.

A sentence is cut into parts; in each part the synonyms of the table are looked for, longest first, whatever order
and endings their words have. What the table does not know is told with a reason and never guessed. English only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from agents import claim_words as lexicon
from agents.claim_phrases import reworded, why_void
from agents.claim_times import When, take_times
from schemas.cues import Cue, CueTable, cue_table
from schemas.parts import Direction, Evidence, Modality, Span, Word

SENTENCE_CHARS = 500  # a claim is a short sentence: in a longer text of one no cue is looked for
MAX_BETWEEN = 3  # words that may stand between those of a synonym
_UNIT = re.compile(r"\bau[\s_-]?0?(\d{1,2})(?:_[rc])?\b")
# A clause ends at these; a phrase in brackets explains the one before it.
_SENTENCE = re.compile(r"(?<!\d)[.;!?]+|[.;!?]+(?!\d)|\n")
_PART = re.compile(r"(,|\band then\b|\band\b|\bbut\b|\bwhile\b|\bthen\b|\bas\b|\bor\b|\bnor\b|\bwithout\b)")
_OWN_MARK = re.compile(r"(?:qq|tt)(\d+)(?=qq|tt)")  # what stands for quotes and times below
_QUOTES = re.compile(r"\"[^\"]*\"|(?<!\w)'([^']+)'(?!\w)")


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


class _Part(NamedTuple):
    """A piece of a sentence: what joins it to the one before, its words, when it is meant."""

    joined_by: str
    text: str
    when: When
    tokens: tuple[str, ...]
    denied: bool


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
    for sentence in _sentences(_OWN_MARK.sub(r" \1 ", reworded(lexicon.plain(text)))):
        parts = _inherit_times(_parts(sentence, words))
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
            return tuple(
                item.model_copy(update=_as_claimed(claim, item) | {"description": said}) for claim in mine
            )
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


def _claim(part: _Part, found: _Found, placed: Span, table: CueTable) -> Claim:
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


def _than_usual(part: _Part, found: _Found, table: CueTable) -> _Found:
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


# --- cutting -----------------------------------------------------------------------------------------


def _sentences(text: str) -> list[str]:
    """Sentences of `plain` text; quoted words are never cut."""
    quotes: list[str] = []

    def keep(match: re.Match[str]) -> str:
        quotes.append(match[1] if match[1] is not None else match[0].strip('"'))
        return f" qq{len(quotes) - 1}qq "

    masked = re.sub(r"\(intensity: [\d.]+\)", " ", _QUOTES.sub(keep, text))
    masked = re.sub(r"\([^)]*\)", " ", masked)
    return [
        re.sub(r"qq(\d+)qq", lambda match: f'"{quotes[int(match[1])]}"', sentence)
        for line in _SENTENCE.split(masked)
        if (sentence := " ".join(line.split()))
    ]


def _parts(sentence: str, words: Sequence[Word]) -> list[_Part]:
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


def _part(joined_by: str, text: str, times: Sequence[When]) -> _Part | None:
    mark = re.search(r"tt(\d+)tt", text)
    when = times[int(mark[1])] if mark else When()
    text = re.sub(r"tt\d+tt", " ", text).replace("not only", " ")
    tokens = lexicon.stems_of(text)
    if not tokens and not mark:
        return None
    raw = lexicon.words_of(text)
    denied = joined_by in ("nor", "without") or not lexicon.NEGATIONS.isdisjoint(raw)
    kept = tuple(token for token in tokens if token not in lexicon.stemmed(lexicon.NEGATIONS))
    return _Part(joined_by, text, when, kept, denied)


def _inherit_times(parts: list[_Part]) -> list[_Part]:
    """A time holds for its own part, for those before it that are joined with it, and after a part that is a time
    alone for what follows."""
    timed = list(parts)
    for n in range(len(timed) - 2, -1, -1):
        after = timed[n + 1]
        if not timed[n].when.kind and after.when.kind and after.joined_by in ("and", ",", "or", "without"):
            timed[n] = timed[n]._replace(when=after.when)
    for n in range(1, len(timed)):
        before = timed[n - 1]
        if not timed[n].when.kind and not parts[n - 1].tokens and before.when.kind:
            timed[n] = timed[n]._replace(when=before.when)
    return timed


# --- reading -----------------------------------------------------------------------------------------


def _read_sentence(
    parts: Sequence[_Part], table: CueTable
) -> tuple[list[tuple[_Part, _Found]], list[Unknown]]:
    said: list[tuple[_Part, _Found]] = []
    unknown: list[Unknown] = []
    for n, part in enumerate(parts):
        part = _with_denial(part, parts[n - 1] if n else None)
        if not part.tokens:
            continue
        found, why = _read_part(part, parts, n, table)
        said += [(part, one) for one in found]
        if why:
            unknown.append(Unknown(part.text.strip(), why))
    return _without_mere_speech(said), unknown


def _with_denial(part: _Part, before: _Part | None) -> _Part:
    """ "No smile or frown" denies both."""
    if before is not None and part.joined_by == "or" and before.denied:
        return part._replace(denied=True)
    return part


def _without_mere_speech(said: list[tuple[_Part, _Found]]) -> list[tuple[_Part, _Found]]:
    """That somebody speaks is only claimed where nothing else is said of how."""
    heard = [found for _, found in said if found.cue.modality == "audio" and found.cue.feature != "voiced"]
    return [(part, found) for part, found in said if not (heard and found.cue.cue == "speech")]


def _read_part(part: _Part, parts: Sequence[_Part], n: int, table: CueTable) -> tuple[list[_Found], str]:
    """The cues of a part, and why something in it is none ("" when all is read)."""
    voided = why_void(part.text)
    units = _units(part.text, table)
    if units:
        return ([], voided) if voided else (units, "")
    for tokens in _attempts(part, parts, n):
        found, left = _match(tokens, table)
        found = [one for one in found if not one.stems.isdisjoint(part.tokens)]
        if found:
            break
    else:
        found, left = [], part.tokens
    if voided:
        return [], voided
    odd = next((one for one in lexicon.unmeasured() if one.stems <= set(left)), None)
    why = odd.reason if odd else ""
    kept = [one for one in found if not (_meant_otherwise(one, left, odd) or _manner(one, found, part))]
    if kept:
        return kept, why
    return [], why or f'nothing in the cue table says "{" ".join(part.text.split())}"'


def _attempts(part: _Part, parts: Sequence[_Part], n: int) -> Iterator[tuple[str, ...]]:
    """The part alone, and with what its neighbour says of both: "raises her voice and her brows"."""
    yield part.tokens
    nouns = lexicon.stemmed(lexicon.NOUNS)
    joined = ("and", "nor", "or", ",", "but")
    before = parts[n - 1] if n and part.joined_by in joined else None
    after = parts[n + 1] if n + 1 < len(parts) and parts[n + 1].joined_by in ("and", "or", "nor") else None
    for other in (before, after):
        if other is None:
            continue
        has_noun = not nouns.isdisjoint(part.tokens)
        shared = tuple(token for token in other.tokens if (token in nouns) != has_noun)
        if shared:
            yield (*part.tokens, *shared)


def _manner(one: _Found, found: Sequence[_Found], part: _Part) -> bool:
    """Whether a manner is said of what is seen: in "nods slowly" nobody speaks."""
    manner = one.cue.modality == "audio" and one.stems <= lexicon.stemmed(lexicon.MANNERS)
    unspoken = lexicon.stemmed(lexicon.SPOKEN).isdisjoint(part.tokens)
    return manner and unspoken and any(other.cue.modality == "visual" for other in found)


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
        for name in (cue.cue, *cue.synonyms):
            stems = frozenset(lexicon.stems_of(name.replace("_", " ")))
            if stems:
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
