"""Segment: shots and speech of each source (one decode pass), then the stretches worth looking at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.facts import spans_of
from pipeline.media.decode import DECODE_VERSION, read_audio
from pipeline.media.vad import VAD_VERSION, VadParams, speech_regions
from pipeline.segment import SEGMENTERS
from pipeline.segment.base import Segmenter, SegmentParams, SourceView
from pipeline.stages.base import Run, each
from schemas.ids import content_id
from schemas.parts import Span
from schemas.records import Features, Record, Segment, Source
from schemas.registry import resolve

SILENCE_DBFS = -60.0  # below this root-mean-square level an audio stream counts as silent


class SegmentStage:
    name = "segment"
    shard_size = 8

    def plan(self, run: Run) -> list[Any]:
        paths = run.project.store.paths().values()
        placed = {stored.source_id for stored in paths}
        run.sources = {source.id: source for source in run.project.store.all(Source) if source.id in placed}
        run.facts = run.project.store.facts()
        run.project.store.set_live(Source, run.sources)
        return [source for source in run.sources.values() if self._missing(run, source)]

    def _missing(self, run: Run, source: Source) -> bool:
        key = self._key(run, source)
        return not run.done_before(self.name, key) and not run.failed_before(self.name, key, source)

    def work(self, run: Run, items: Sequence[Source]) -> None:
        each(
            run,
            self.name,
            items,
            lambda source: self._segment(run, source),
            name=lambda source: self._key(run, source),
            path=run.path_text,
            remember=True,
        )

    def finish(self, run: Run) -> None:
        """The segments that stand are those that the settings of now would make."""
        params = {source.id: segment_params(run, source) for source in run.sources.values()}
        found = run.project.store.by_parent(Segment, list(run.sources))
        segmenter = _segmenter(run)
        run.segments = [
            segment
            for source_id, segments in found.items()
            for segment in segments
            if (segment.rule, segment.version) == (segmenter.name, segmenter.version)
            and segment.params == params[source_id]
            and run.done_before(self.name, self._key(run, run.sources[source_id]))
        ]
        run.segments.sort(key=lambda s: (s.source_id, s.source_start_s, s.source_end_s))
        run.source_feature_ids = [
            features.id
            for source in run.sources.values()
            for features in (shots_features(run, source), speech_features(source))
        ]
        run.project.store.set_live(Segment, [segment.id for segment in run.segments])

    def _key(self, run: Run, source: Source) -> str:
        segmenter, params = _segmenter(run), segment_params(run, source)
        question = {
            "source": source.id,
            "rule": segmenter.name,
            "version": segmenter.version,
            "params": params,
        }
        return content_id("cut", question)

    def _segment(self, run: Run, source: Source) -> list[Record]:
        decoded = run.media.decoded(source)
        shots = shots_features(run, source, decoded.shots, decoded.notes)
        audio = None if decoded.audio is None else read_audio(decoded.audio)
        speech = speech_features(source, audio)
        view = SourceView(
            duration_s=source.media.duration_s,
            shots=decoded.shots,
            speech=speech.regions,
            has_video=source.media.video is not None,
            has_audio=bool(source.media.audio),
            given=given_spans(run, source),
            is_still=source.media.kind == "image",
        )
        segmenter, params = _segmenter(run), segment_params(run, source)
        spans = segmenter.split(view, SegmentParams(**params["rule"]))
        segments = [
            Segment(
                source_id=source.id,
                rule=segmenter.name,
                version=segmenter.version,
                params=params,
                source_start_s=round(span.start_s, 3),
                source_end_s=round(span.end_s, 3),
                index=index,
            )
            for index, span in enumerate(spans)
        ]
        run.count("sources")
        run.count("segments", len(segments))
        return [shots, speech, *segments]


def _segmenter(run: Run) -> Segmenter:
    segmenter: Segmenter = resolve(SEGMENTERS, run.project.settings.segment.rule, what="segmentation rule")
    return segmenter


def segment_params(run: Run, source: Source) -> dict[str, Any]:
    """All that the segments of a source depend on, beside its bytes and the rule."""
    settings = run.project.settings.segment
    wanted = set(SegmentParams.model_fields)
    return {
        "rule": {key: value for key, value in settings.model_dump(mode="json").items() if key in wanted},
        "decode": {
            "version": DECODE_VERSION,
            "detector": settings.shot_detector,
            "threshold": settings.shot_threshold,
        },
        "speech": VAD_VERSION,
        **({"given": [list(span) for span in given]} if (given := _given(run, source)) else {}),
    }


def _given(run: Run, source: Source) -> list[tuple[float, float | None]]:
    if run.project.settings.segment.rule != "given":
        return []
    return spans_of(run.facts.get(source.id, {}))


def given_spans(run: Run, source: Source) -> tuple[Span, ...]:
    """The stretches that a manifest gave, cut at the end of the source."""
    end = source.media.duration_s
    return tuple(
        Span(start_s=start_s, end_s=end if end_s is None else min(end_s, end))
        for start_s, end_s in _given(run, source)
        if start_s < end
    )


def shots_features(
    run: Run, source: Source, shots: tuple[Span, ...] = (), notes: tuple[str, ...] = ()
) -> Features:
    """The shots of a source; without `shots` still the id that they have or will have."""
    settings = run.project.settings.segment
    return Features(
        subject_id=source.id,
        extractor=f"shots.{settings.shot_detector}",
        version=DECODE_VERSION,
        params={"threshold": settings.shot_threshold},
        stage="shots",
        missing=None if source.media.video else "no_video_stream",
        regions=shots,
        notes=notes,
    )


def speech_features(source: Source, audio: Any = None) -> Features:
    """The speech regions of a source; without `audio` still the id that they have or will have."""
    params = VadParams()
    regions = () if audio is None else speech_regions(audio, params)
    return Features(
        subject_id=source.id,
        extractor="speech.silero",
        version=VAD_VERSION,
        params=params.model_dump(mode="json"),
        stage="speech",
        missing=None if regions else _why_no_speech(audio),
        regions=regions,
    )


def _why_no_speech(audio: Any) -> str:
    if audio is None:
        return "no_audio_stream"
    level = float((audio**2).mean()) if len(audio) else 0.0
    return "silence" if level < 10 ** (SILENCE_DBFS / 10) else "no_speech"
