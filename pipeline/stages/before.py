"""What was said before a segment: the last turns of its recording, without the words of who took consent back."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from pipeline.facts import is_withdrawn, withdrawn_names
from pipeline.stages.base import Run, shards
from pipeline.stages.samples import PAGE
from pipeline.stages.scenes import scene
from schemas.parts import Turn, name_key
from schemas.records import Features, Segment
from schemas.store import Stub

CUT_S = 0.5  # stretches that people cut by ear follow each other though they overlap by this much


def turns_before(run: Run, segments: list[Segment]) -> dict[str, tuple[Turn, ...]]:
    """Segment -> the last turns before it in its recording, at most `select.context_turns`.

    A turn is what one person says within one segment without a break by another; a segment in which nobody says
    anything counts as one turn that has nothing to tell. What is said while the segment lasts, or after it, is in
    none of them: given stretches may overlap. Of those that overlap each other the one that ends last counts.
    """
    said: dict[str, list[Turn | None]] = {}
    withdrawn = withdrawn_names(run.facts)
    for page in shards(segments, PAGE):
        ids = {segment.id: run.feature_ids.get(segment.id, {}) for segment in page}
        wanted = [found.get(stage, "") for found in ids.values() for stage in ("speakers", "asr")]
        heard = run.project.store.stubs(Features, wanted)
        for segment in page:
            said[segment.id] = _turns(run, segment, _said(ids[segment.id], heard), withdrawn) or [None]
    of_source: dict[str, list[Segment]] = defaultdict(list)
    for segment in segments:
        of_source[segment.source_id].append(segment)
    return {name: turns for together in of_source.values() for name, turns in _last(run, together, said)}


def _last(
    run: Run, together: list[Segment], said: Mapping[str, list[Turn | None]]
) -> Iterable[tuple[str, tuple[Turn, ...]]]:
    """The segments of one recording, each with what came before."""
    most = run.project.settings.select.context_turns
    by_end = sorted(together, key=lambda one: (one.source_end_s, -one.source_start_s))
    ends_s = [one.source_end_s for one in by_end]
    for segment in together:
        ended = bisect_right(ends_s, segment.source_start_s + CUT_S)
        turns: list[Turn | None] = []
        for other in _backwards(segment, by_end, ended):
            if len(turns) >= most:
                break
            turns = [*said[other.id], *turns]
        yield segment.id, tuple(turn for turn in turns[-most:] if turn is not None)


def _backwards(segment: Segment, by_end: Sequence[Segment], ended: int) -> Iterable[Segment]:
    """Of the first `ended` segments those that end before `segment` and each other begin, last one first."""
    begin_s = segment.source_start_s
    for at in range(ended - 1, -1, -1):
        other = by_end[at]
        over_s = other.source_end_s - begin_s
        if other is not segment and over_s <= min(CUT_S, other.duration_s / 2):
            yield other
            begin_s = other.source_start_s


def _said(ids: Mapping[str, str], heard: Mapping[str, Stub]) -> list[tuple[str | None, str]]:
    """(speaker, text) in turn: as joined with the recording's turns, else as the transcript has it."""
    stubs = (heard.get(ids.get(stage, "")) for stage in ("speakers", "asr"))
    return next((stub.brief["said"] for stub in stubs if stub and "said" in stub.brief), [])


def _turns(
    run: Run, segment: Segment, said: Iterable[tuple[str | None, str]], withdrawn: Collection[str]
) -> list[Turn | None]:
    """What was said in a segment, without the words of people who took their consent back."""
    facts = run.facts_of(segment)
    if is_withdrawn(facts):
        return []
    heard = scene(run, segment)
    alone = heard.voices[0].name if len(heard.voices) == 1 else None
    turns: list[Turn | None] = []
    for speaker, text in said:
        name = heard.called(speaker) if speaker else alone
        if name and name_key(name) in withdrawn:
            continue
        last = turns[-1] if turns else None
        if last is not None and last.speaker == name:
            turns[-1] = Turn(speaker=name, text=f"{last.text} {text}")
        else:
            turns.append(Turn(speaker=name, text=text))
    return turns
