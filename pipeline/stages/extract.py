"""Extract: words, prosody and action units of each segment, one stage per kind of cue."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipeline.facts import stretch_of
from pipeline.features.base import Clip, Extractor, question_of
from pipeline.features.copies import copy_to_read
from pipeline.features.devices import computes_on_gpu
from pipeline.features.select import pick_extractor
from pipeline.features.series_sidecar import find_series
from pipeline.features.transcripts import GivenText
from pipeline.media.decode import read_audio
from pipeline.stages.base import Run, Writer, failed
from pipeline.stages.scenes import scene
from pipeline.stages.targets import DIARIZE, PER_VOICE
from schemas.errors import ItemError, UserError
from schemas.parts import Span
from schemas.records import Features, Segment
from schemas.settings import FeatureSection
from schemas.store import ItemOutcome, Stub

NO_EXTRACTOR = "none"  # stands for an id that is never there: the segment waits


@dataclass(frozen=True)
class _Choice:
    """How a recording is measured. Shards run in threads and a backend may hold state: each makes its own."""

    make: Callable[[], Extractor]
    identity: str


_Where = tuple[Span, ...] | None
_Choices = dict[tuple[str, GivenText | None, str | None], tuple[_Choice, Extractor] | None]


@dataclass(frozen=True)
class _Item:
    segment: Segment
    where: _Where
    feature_id: str
    choice: _Choice


class ExtractStage:
    """One kind of cue. Segments that share a backend with the same parameters go to it together.

    Prosody is measured once for each person of a segment, where they alone speak.
    """

    shard_size = 50

    def __init__(self, stage: str) -> None:
        self.name = stage
        self.spread = True

    def plan(self, run: Run) -> list[Any]:
        section = run.project.settings.feature(self.name)
        if not section.enabled:
            return []
        there = run.project.store.digests(Features)
        kept = self._of_absent_recordings(run)
        nothing = self._without_series(run, section)
        borders = _borders(run.segments)
        choices: _Choices = {}
        items: list[_Item] = []
        for segment in run.segments:
            ids = run.feature_ids.setdefault(segment.id, {})
            if segment.source_id in nothing and segment.id not in kept:
                continue
            chosen = None
            if ids.get(DIARIZE) == NO_EXTRACTOR and self.name in PER_VOICE:
                continue  # its turns failed: whom to measure is not known, and the segment waits
            if segment.id not in kept:
                chosen = self._chosen(run, section, segment, borders[segment.source_id], choices)
            for key, where in self._asked(run, segment).items():
                if chosen is None:
                    ids[key] = _of_where(kept.get(segment.id, ()), where)
                    continue
                feature_id = Features(**question_of(chosen[1], segment.id, where)).id
                ids[key] = feature_id
                if feature_id not in there and not run.failed_before(
                    self.name, feature_id, run.source_of(segment)
                ):
                    items.append(_Item(segment, where, feature_id, chosen[0]))
        self.spread = not any(computes_on_gpu(chosen[1]) for chosen in choices.values() if chosen)
        return sorted(
            items, key=lambda item: (item.choice.identity, item.segment.source_id, item.segment.index)
        )

    def _asked(self, run: Run, segment: Segment) -> dict[str, _Where]:
        """What is measured of a segment: name among its features -> the stretches that alone count."""
        if self.name not in PER_VOICE:
            return {self.name: None}
        return {voice.key(self.name): voice.where for voice in scene(run, segment).voices}

    def _of_absent_recordings(self, run: Run) -> dict[str, list[Stub]]:
        """Segment -> its features that stand, where the recording is not there now (a disk that is not mounted).

        What was measured stands; measuring again without the transcript beside it would re-buy worse answers.
        Only where none stands yet, because a run was interrupted, the newest ones do (`_of_where`).
        """
        there = {source.id: run.media.known_paths(source)[0].exists() for source in run.sources.values()}
        absent = [segment.id for segment in run.segments if not there[segment.source_id]]
        kept = {}
        for segment_id, found in run.project.store.stubs_by_parent(Features, absent).items():
            mine = [feature for feature in found if feature.brief["stage"] == self.name]
            if mine:
                kept[segment_id] = mine
        return kept

    def _without_series(self, run: Run, section: FeatureSection) -> set[str]:
        """Recordings without a time series: there is nothing to ask of them, and nothing that is missing."""
        if self.name != "series" or section.backend != "auto":
            return set()
        sources = run.sources.values()
        return {s.id for s in sources if not any(find_series(path) for path in run.media.known_paths(s))}

    def _chosen(
        self,
        run: Run,
        section: FeatureSection,
        segment: Segment,
        segments: tuple[Span, ...],
        choices: _Choices,
    ) -> tuple[_Choice, Extractor] | None:
        """How the segment is measured; None when this one recording cannot be."""
        source, facts = run.source_of(segment), run.facts_of(segment)
        transcript = _given_text(run, segment)
        language = facts.get("language") or run.project.settings.project.language
        key = (source.id, transcript, language)
        if key not in choices:
            asked = (self.name, section.backend, section.options)
            copies = run.media.known_paths(source)
            try:
                make = partial(
                    pick_extractor,
                    *asked,
                    copy_to_read(*asked, copies, transcript=transcript, language=language),
                    transcript=transcript,
                    language=language,
                    segments=segments,
                    duration_s=source.media.duration_s,
                    sampling=self._sampling(run),
                )
                extractor = make()
                choices[key] = (_Choice(make, _identity(extractor)), extractor)
            except ItemError as error:
                run.fail(failed(self.name, source.id, run.path_text(source), error))
                choices[key] = None
        return choices[key]

    def _sampling(self, run: Run) -> dict[str, float]:
        """How the pictures were taken that a backend is given: what it finds in them depends on it."""
        params = run.media.params
        return {"fps": params.face_fps, "width_px": params.frame_width_px}

    def work(self, run: Run, items: Sequence[_Item]) -> None:
        by_backend: dict[str, list[_Item]] = {}
        for item in items:
            by_backend.setdefault(item.choice.identity, []).append(item)
        for group in by_backend.values():
            self._extract(run, group)

    def _extract(self, run: Run, items: list[_Item]) -> None:
        ids = {(item.segment.id, item.where): item.feature_id for item in items}
        with Writer(run, self.name) as writer:
            try:
                extractor = items[0].choice.make()
            except ItemError as error:  # what stood beside the recording when the run was planned is gone
                self._fail(run, items, writer, error)
                return
            for clip, result in extractor.extract(self._clips(run, items, writer)):
                feature_id = ids[clip.segment.id, clip.where]
                if isinstance(result, ItemError):
                    name = run.path_text(clip.source)
                    writer.add([], [failed(self.name, feature_id, name, result)])
                else:
                    writer.add([result], [ItemOutcome(self.name, feature_id, "done")])
                run.progress.advance(self.name)
                run.stop_if_cancelled()

    def _fail(self, run: Run, items: Sequence[_Item], writer: Writer, error: Exception) -> None:
        for item in items:
            name = run.path_text(run.source_of(item.segment))
            writer.add([], [failed(self.name, item.feature_id, name, error)])
            run.progress.advance(self.name)

    def _clips(self, run: Run, items: list[_Item], writer: Writer) -> Iterator[Clip]:
        """What the backend is given, one by one; a source that cannot be decoded fails here."""
        speech = source_speech(run, sorted({item.segment.source_id for item in items}))
        for item in items:
            run.stop_if_cancelled()
            source = run.source_of(item.segment)
            try:
                clip = make_clip(run, item.segment, speech.get(source.id, ()), item.where)
            except UserError:
                raise
            except Exception as error:  # noqa: BLE001 - the per-item boundary: a failure becomes an outcome
                self._fail(run, [item], writer, error)
            else:
                yield clip

    def finish(self, run: Run) -> None:
        """What was measured stands once it is joined (`speakers`)."""


def _of_where(found: Sequence[Stub], where: _Where) -> str:
    """Of the features of one stage of a segment those of the same stretches: standing ones, else the newest."""
    wanted = None if where is None else [[span.start_s, span.end_s] for span in where]
    mine = [feature for feature in found if feature.brief.get("where") == wanted]
    standing = [feature for feature in mine if feature.live]
    return (standing or mine)[-1].id if mine else NO_EXTRACTOR


def _identity(extractor: Extractor) -> str:
    return f"{extractor.name} {extractor.version} {extractor.params} {extractor.weights_digest}"


def source_speech(run: Run, source_ids: list[str]) -> dict[str, tuple[Span, ...]]:
    """Speech regions of sources, in source time."""
    found = run.project.store.by_parent(Features, source_ids)
    standing = set(run.source_feature_ids)
    return {
        source_id: feature.regions
        for source_id, features in found.items()
        for feature in features
        if feature.stage == "speech" and feature.id in standing
    }


def shift(regions: Sequence[Span], segment: Segment) -> tuple[Span, ...]:
    """Regions of a source as regions of a segment: cut at its borders, in its own time."""
    inside = []
    for region in regions:
        start_s = max(region.start_s, segment.source_start_s)
        end_s = min(region.end_s, segment.source_end_s)
        if end_s > start_s:
            offset = segment.source_start_s
            inside.append(Span(start_s=round(start_s - offset, 3), end_s=round(end_s - offset, 3)))
    return tuple(inside)


def make_clip(run: Run, segment: Segment, speech: Sequence[Span], where: _Where = None) -> Clip:
    """A segment as extractors are given it, or the stretches of it that alone are measured.

    Raises:
        MediaError: the recording is gone or cannot be decoded.
    """
    source = run.source_of(segment)
    decoded = run.media.decoded(source)
    audio = None
    if decoded.audio is not None:
        audio = read_audio(decoded.audio, segment.source_start_s, segment.source_end_s)
    return Clip(
        source=source,
        segment=segment,
        path=run.media.known_paths(source)[0],
        audio=audio,
        frames=decoded.frames,
        speech=shift(speech, segment),
        source_speech=tuple(speech),
        shots=decoded.shots,
        where=where,
        pts=decoded.pts,
    )


def _borders(segments: Sequence[Segment]) -> dict[str, tuple[Span, ...]]:
    """Source -> where its segments lie, in source time."""
    found: dict[str, list[Span]] = {}
    for segment in segments:
        span = Span(start_s=segment.source_start_s, end_s=segment.source_end_s)
        found.setdefault(segment.source_id, []).append(span)
    return {source_id: tuple(spans) for source_id, spans in found.items()}


def _given_text(run: Run, segment: Segment) -> GivenText | None:
    """The manifest's transcript that holds for a segment, with the stretch that it tells of."""
    own = run.facts.get(segment.source_id, {})
    stretch = stretch_of(own, segment)
    if stretch is not None and "transcript" in stretch.said:
        return GivenText(stretch.said["transcript"], stretch.start_s, stretch.end_s)
    return GivenText(own["transcript"]) if "transcript" in own else None
