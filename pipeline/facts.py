"""What people say of a recording, a speaker or a stretch, laid over each other: the nearest one wins.

Facts of a recording (subject: its source id) and of a speaker (subject: "speaker:NAME") are texts, but for the
recording's stretches: the key that `stretch_key` makes holds all that is said of one. This is the one place that
knows what holds for a segment.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

from pipeline.identity import Same
from schemas.parts import name_key
from schemas.records import Segment
from schemas.store import Store

Facts = dict[str, Any]
WITHDRAWN = "withdrawn"
ROW = "row"  # of a stretch: the manifest and the line that gave it last
FEW_SHOT, SENTINEL = "few_shot", "sentinel"  # subjects of what runs themselves keep: nobody says it
_STRETCH = "stretch "
TOUCH_S = 0.25  # a segment that is padded into the stretch of a neighbour does not show them


class Stretch(NamedTuple):
    """A part of a recording that a manifest gave; an end of None is that of the recording."""

    start_s: float
    end_s: float | None
    said: Facts

    @property
    def last_s(self) -> float:
        """Its end; infinite: that of the recording."""
        return math.inf if self.end_s is None else self.end_s

    def __str__(self) -> str:
        return f"{self.start_s:g} s to {'the end' if self.end_s is None else f'{self.end_s:g} s'}"


class Stretches:
    """The stretches of one recording, looked through once for all of its segments."""

    def __init__(self, own: Mapping[str, Any]) -> None:
        """`own` are the facts of the recording; `whole` is what is said of all of it."""
        self.whole = {key: value for key, value in own.items() if not key.startswith(_STRETCH)}
        self.given = [Stretch(*_times(key), said) for key, said in own.items() if key.startswith(_STRETCH)]
        self._by_start = sorted(enumerate(self.given), key=lambda placed: placed[1].start_s)
        self._starts_s = [one.start_s for _, one in self._by_start]
        self._latest_end_s = list(accumulate((one.last_s for _, one in self._by_start), max))

    def about(self, start_s: float, end_s: float) -> list[Stretch]:
        """Those that begin by `end_s` and last beyond `start_s`, in the order in which they were first given."""
        found, at = [], bisect_right(self._starts_s, end_s)
        while at and self._latest_end_s[at - 1] > start_s:
            at -= 1
            if self._by_start[at][1].last_s > start_s:
                found.append(self._by_start[at])
        return [one for _, one in sorted(found, key=lambda placed: placed[0])]

    def of_person(self, name: str) -> list[Facts]:
        """What is said of the stretches of somebody, as `name_key` writes them; one saying for each consent."""
        return list(self._of_people.get(name, {}).values())

    def of_nobody_before(self, start_s: float) -> Iterator[Facts]:
        """What is said of stretches that name nobody and begin before `start_s`; one saying for each consent."""
        return (one.said for one in self._of_nobody.values() if one.start_s < start_s)

    @cached_property
    def _of_people(self) -> dict[str, dict[str, Facts]]:
        found: dict[str, dict[str, Facts]] = defaultdict(dict)
        for one in self.given:
            found[named_key(one.said)].setdefault(str(one.said.get("consent")), one.said)
        return found

    @cached_property
    def _of_nobody(self) -> dict[str, Stretch]:
        """The first one of each consent."""
        found: dict[str, Stretch] = {}
        for _, one in self._by_start:
            if not named_key(one.said):
                found.setdefault(str(one.said.get("consent")), one)
        return found


def stretch_key(start_s: float, end_s: float | None) -> str:
    """The key of what is said of a stretch. Times that are the same to the millisecond are one stretch."""
    return f"{_STRETCH}{start_s:.3f} {'' if end_s is None else f'{end_s:.3f}'}"


def speaker_subject(name: str) -> str:
    """The subject of what is said of a speaker, wherever they speak."""
    return f"speaker:{name}"


def looked_through(own: Mapping[str, Any]) -> Stretches:
    """The stretches among a source's own facts, which nobody changes once they are read."""
    return _remembered(Same(own))


@lru_cache(maxsize=256)
def _remembered(own: Same[Mapping[str, Any]]) -> Stretches:
    return Stretches(own.held)


def stretches(own: Mapping[str, Any]) -> list[Stretch]:
    """The stretches among a source's own facts, in the order in which they were first given."""
    return looked_through(own).given


def stretch_of(own: Mapping[str, Any], segment: Segment) -> Stretch | None:
    """The stretch that holds the segment's middle; of several, the one with the nearest borders."""
    middle_s = (segment.source_start_s + segment.source_end_s) / 2

    def distance_s(one: Stretch) -> float:
        at_end_s = 0.0 if one.end_s is None else abs(one.end_s - segment.source_end_s)
        return abs(one.start_s - segment.source_start_s) + at_end_s

    return min(looked_through(own).about(middle_s, middle_s), key=distance_s, default=None)


def source_facts(facts: Mapping[str, Facts], source_id: str) -> Facts:
    """What holds for a whole recording, and its stretches as "spans": [start_s, end_s or None, {facts}]."""
    own = facts.get(source_id, {})
    found = _laid_over(_of_speaker(facts, own), _whole(own))
    return found | ({"spans": [list(one) for one in stretches(own)]} if stretches(own) else {})


def segment_facts(facts: Mapping[str, Facts], segment: Segment) -> Facts:
    """What holds for a segment: of its speaker, below those of its source, below those of its stretch.

    `facts` are all of a store's, by subject. The speaker is the stretch's own, where it names one. A withdrawn
    consent holds, whichever of the three says it, and so does that of anybody else whose stretch it shares time
    with: the clip shows them as well.
    """
    own = facts.get(segment.source_id, {})
    stretch = stretch_of(own, segment)
    said = {key: value for key, value in stretch.said.items() if key != ROW} if stretch else {}
    whole = _whole(own)
    found = _laid_over(_of_speaker(facts, whole | said), whole, said)
    return found | ({"consent": WITHDRAWN} if _with_withdrawn(facts, own, segment) else {})


def _with_withdrawn(facts: Mapping[str, Facts], own: Mapping[str, Any], segment: Segment) -> bool:
    """Whether somebody who took their consent back has a stretch in the segment."""
    return any(is_withdrawn(_of_speaker(facts, one.said)) for one in shown_with(own, segment))


def shown_with(own: Mapping[str, Any], segment: Segment) -> list[Stretch]:
    """The stretches that last through more than a touch together with a segment."""
    start_s, end_s = segment.source_start_s, segment.source_end_s
    near = looked_through(own).about(start_s, end_s)
    return [one for one in near if min(one.last_s, end_s) - max(one.start_s, start_s) > TOUCH_S]


def target_facts(facts: Mapping[str, Facts], segment: Segment, speaker: str | None) -> Facts:
    """What holds for one person of a segment; `facts` are all of a store's, by subject.

    Of somebody else than the declared speaker nothing holds that is said of that one, but for a withdrawn
    consent: the clip shows them as well.
    """
    found = segment_facts(facts, segment)
    if found.get("speaker") in (None, speaker):
        return found
    own = facts.get(segment.source_id, {})
    stretch = stretch_of(own, segment)
    said = {key: value for key, value in stretch.said.items() if key != ROW} if stretch else {}
    other = _laid_over(_whole(own), said)
    other.pop("speaker", None)
    return other | ({"consent": WITHDRAWN} if is_withdrawn(found) else {})


def facts_of(store: Store, segments: Sequence[Segment]) -> dict[str, Facts]:
    """Segment id -> what holds for it now, read for these segments alone."""
    facts = facts_around(store, segments)
    return {segment.id: segment_facts(facts, segment) for segment in segments}


def facts_around(store: Store, segments: Sequence[Segment]) -> dict[str, Facts]:
    """All that is said of the recordings of some segments and of the speakers that it names, by subject."""
    facts = store.facts({segment.source_id for segment in segments})
    names = {name for own in facts.values() for name in speakers_named(own)}
    return facts | store.facts(speaker_subject(name) for name in names)


def speakers_named(own: Mapping[str, Any]) -> set[str]:
    """The speakers that a source's own facts name, of all of it or of a stretch."""
    return {said["speaker"] for said in (own, *(one.said for one in stretches(own))) if "speaker" in said}


def withdrawn_names(facts: Mapping[str, Facts]) -> frozenset[str]:
    """The speakers who took their consent back, as `name_key` writes them: a transcript may use other letters."""
    prefix = speaker_subject("")
    subjects = (s for s, said in facts.items() if s.startswith(prefix) and is_withdrawn(said))
    return frozenset(name_key(subject.removeprefix(prefix)) for subject in subjects)


def is_withdrawn(facts: Mapping[str, Any]) -> bool:
    """Whether these facts say that consent was taken back."""
    return str(facts.get("consent", "")).strip().lower() == WITHDRAWN


def _laid_over(*layers: Facts) -> Facts:
    """Facts of the later layers over those of the earlier ones."""
    found = {key: value for layer in layers for key, value in layer.items()}
    # Who withdraws a whole recording, or all that a person said, must not be overruled by what is nearer.
    return found | ({"consent": WITHDRAWN} if any(map(is_withdrawn, layers)) else {})


def _of_speaker(facts: Mapping[str, Facts], said: Facts) -> Facts:
    return facts.get(speaker_subject(str(said.get("speaker"))), {})


def _whole(own: Mapping[str, Any]) -> Facts:
    return looked_through(own).whole


def named_key(said: Mapping[str, Any]) -> str:
    """Whom a saying names, as `name_key` writes it; "" for nobody."""
    return name_key(str(said.get("speaker") or ""))


def _times(key: str) -> tuple[float, float | None]:
    start, _, end = key.removeprefix(_STRETCH).partition(" ")
    return float(start), float(end) if end else None
