"""What was said before a segment: the last turns of its recording, without the words of who took consent back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from pipeline.facts import is_withdrawn, speaker_subject
from pipeline.stages.base import Run, shards
from pipeline.stages.samples import PAGE
from pipeline.stages.scenes import scene
from schemas.parts import Turn
from schemas.records import Features, Segment
from schemas.store import Stub


def turns_before(run: Run, segments: list[Segment]) -> dict[str, tuple[Turn, ...]]:
    """Segment -> the last turns before it in its recording, at most `select.context_turns`.

    A turn is what one person says within one segment without a break by another; a segment in which nobody says
    anything counts as one turn that has nothing to tell.
    """
    said: dict[str, list[Turn | None]] = {}
    for page in shards(segments, PAGE):
        ids = {segment.id: run.feature_ids.get(segment.id, {}) for segment in page}
        wanted = [found.get(stage, "") for found in ids.values() for stage in ("speakers", "asr")]
        heard = run.project.store.stubs(Features, wanted)
        for segment in page:
            said[segment.id] = _turns(run, segment, _said(ids[segment.id], heard)) or [None]
    of_source: dict[str, list[Segment]] = defaultdict(list)
    for segment in sorted(segments, key=lambda segment: segment.index):
        of_source[segment.source_id].append(segment)
    return {name: turns for together in of_source.values() for name, turns in _last(run, together, said)}


def _last(
    run: Run, together: list[Segment], said: Mapping[str, list[Turn | None]]
) -> Iterable[tuple[str, tuple[Turn, ...]]]:
    """The segments of one recording, in order, each with what came before."""
    most = run.project.settings.select.context_turns
    before: list[Turn | None] = []
    for segment in together:
        yield segment.id, tuple(turn for turn in before if turn is not None)
        before = [*before, *said[segment.id]][-most:] if most else []


def _said(ids: Mapping[str, str], heard: Mapping[str, Stub]) -> list[tuple[str | None, str]]:
    """(speaker, text) in turn: as joined with the recording's turns, else as the transcript has it."""
    stubs = (heard.get(ids.get(stage, "")) for stage in ("speakers", "asr"))
    return next((stub.brief["said"] for stub in stubs if stub and "said" in stub.brief), [])


def _turns(run: Run, segment: Segment, said: Iterable[tuple[str | None, str]]) -> list[Turn | None]:
    """What was said in a segment, without the words of people who took their consent back."""
    facts = run.facts_of(segment)
    if is_withdrawn(facts):
        return []
    heard = scene(run, segment)
    alone = heard.voices[0].name if len(heard.voices) == 1 else None
    turns: list[Turn | None] = []
    for speaker, text in said:
        name = heard.names.get(speaker, speaker) if speaker else alone
        if name and is_withdrawn(run.facts.get(speaker_subject(name), {})):
            continue
        last = turns[-1] if turns else None
        if last is not None and last.speaker == name:
            turns[-1] = Turn(speaker=name, text=f"{last.text} {text}")
        else:
            turns.append(Turn(speaker=name, text=text))
    return turns
