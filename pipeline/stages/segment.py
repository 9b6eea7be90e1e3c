"""Segment: shots and speech of each source (one decode pass), then the stretches worth looking at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.facts import ROW, is_withdrawn, stretches
from pipeline.features import speech_pyannote
from pipeline.features.base import Sound
from pipeline.features.silence import why_no_speech
from pipeline.media.decode import DECODE_VERSION
from pipeline.media.reading import WavSound
from pipeline.media.vad import VAD_VERSION, VadParams, speech_regions
from pipeline.segment import SEGMENTERS, given
from pipeline.segment.base import Given, Segmenter, SegmentParams, SourceView
from pipeline.segment.spans import TIME_DIGITS, inside
from pipeline.stages.base import Run, each
from schemas.errors import ItemError, UserError
from schemas.ids import content_id
from schemas.parts import Span
from schemas.record import Record
from schemas.records import Features, Segment, Source
from schemas.registry import resolve
from schemas.store import ItemOutcome

WRONG_TIMES = (
    'ingest a row with the right times, and one with these times and consent "withdrawn", which drops them; '
    "then: emotrace run"
)


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
        found = _speech_by_worker(run, items) if run.project.settings.segment.vad == "pyannote" else {}
        each(
            run,
            self.name,
            items,
            lambda source: self._segment(run, source, found.get(source.id)),
            name=lambda source: self._key(run, source),
            path=run.path_text,
            remember=True,
        )

    def finish(self, run: Run) -> None:
        """The segments that stand are those that the settings and facts of now make of what was measured."""
        sources = list(run.sources.values())
        run.source_feature_ids = [
            features.id
            for source in sources
            for features in (shots_features(run, source), _speech(run, source))
        ]
        measured = {f.id: f for f in run.project.store.by_id(Features, run.source_feature_ids)}
        run.segments = []
        for source in sources:
            if run.done_before(self.name, self._key(run, source)):
                wanted = (shots_features(run, source), _speech(run, source))
                view = source_view(run, source, *(measured[features.id] for features in wanted))
                run.segments += cut(run, source, view)
                self._tell_wrong_times(run, source, view)
        run.segments.sort(key=lambda s: (s.source_id, s.source_start_s, s.source_end_s))
        # They are stored already; but another cut may have numbered the same segment otherwise.
        run.project.store.add(run.segments)
        run.project.store.set_live(Segment, [segment.id for segment in run.segments])

    def _tell_wrong_times(self, run: Run, source: Source, view: SourceView) -> None:
        """Given times that cannot be cut are failed items of their own: the recording's others are good."""
        errors = given.wrong(view)
        for stretch in stretches(run.facts.get(source.id, {})):
            error = errors.get((stretch.start_s, stretch.end_s))
            if error is not None and not is_withdrawn(stretch.said):
                item, path = f"{source.id} {stretch}", run.path_text(source)
                message = f"{stretch.said[ROW]}: {stretch} is {error.message}"
                run.fail(ItemOutcome(self.name, item, "failed", path, error.code, message, WRONG_TIMES))

    def _key(self, run: Run, source: Source) -> str:
        """Says whether a source must be cut again: all that its segments depend on, stated in them or not."""
        segmenter, settings = _segmenter(run), run.project.settings.segment
        question = {
            "source": source.id,
            "rule": segmenter.name,
            "version": segmenter.version,
            "params": segmenter.params(_params(run)),
            "decode": [DECODE_VERSION, settings.shot_detector, settings.shot_threshold],
            "speech": speech_pyannote.VERSION if settings.vad == "pyannote" else VAD_VERSION,
            "given": given_times(run, source),
        }
        return content_id("cut", question)

    def _segment(self, run: Run, source: Source, found: tuple[Span, ...] | ItemError | None) -> list[Record]:
        """`found` is where a worker heard somebody, or why it could not listen; None: nobody has listened yet."""
        decoded = run.media.decoded(source)
        shots = shots_features(run, source, decoded.shots, decoded.notes)
        audio = None if decoded.audio is None else WavSound(decoded.audio)
        if isinstance(found, ItemError):
            raise found
        speech = _speech(run, source, audio, found)
        segments = cut(run, source, source_view(run, source, shots, speech))
        run.count("sources")
        run.count("segments", len(segments))
        return [shots, speech, *segments]


def _segmenter(run: Run) -> Segmenter:
    segmenter: Segmenter = resolve(SEGMENTERS, run.project.settings.segment.rule, what="segmentation rule")
    return segmenter


def _params(run: Run) -> SegmentParams:
    return SegmentParams(**run.project.settings.segment.model_dump(include=set(SegmentParams.model_fields)))


def given_times(run: Run, source: Source) -> tuple[Given, ...]:
    """The times that manifests state of a source, as they stand there; none when the rule reads none."""
    if run.project.settings.segment.rule != given.SEGMENTER.name:
        return ()
    return tuple((one.start_s, one.end_s) for one in stretches(run.facts.get(source.id, {})))


def source_view(run: Run, source: Source, shots: Features, speech: Features) -> SourceView:
    """What a segmenter is told of a source."""
    return SourceView(
        duration_s=source.media.duration_s,
        shots=shots.regions,
        speech=speech.regions,
        has_video=source.media.video is not None,
        has_audio=bool(source.media.audio),
        given=given_times(run, source),
        is_still=source.media.kind == "image",
    )


def cut(run: Run, source: Source, view: SourceView) -> list[Segment]:
    """The segments of a source in order of time.

    Their times are as fine as those of frames: a border that is rounded past a cut would take the next shot's
    first picture in.
    """
    segmenter, params = _segmenter(run), _params(run)
    return [
        Segment(
            source_id=source.id,
            rule=segmenter.name,
            version=segmenter.version,
            params=segmenter.params(params) | _heard_by(run, segmenter),
            source_start_s=round(one.start_s, TIME_DIGITS),
            source_end_s=round(one.end_s, TIME_DIGITS),
            index=index,
        )
        for index, one in enumerate(segmenter.split(view, params))
    ]


def _heard_by(run: Run, segmenter: Segmenter) -> dict[str, Any]:
    """What a segment states of the voice activity that it was cut by; nothing of the one that is always there."""
    by_worker = segmenter.hears and run.project.settings.segment.vad == "pyannote"
    return {"vad": speech_pyannote.VERSION} if by_worker else {}


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


def speech_features(source: Source, audio: Sound | None = None) -> Features:
    """The speech regions of a source; without `audio` still the id that they have or will have."""
    params = VadParams()
    regions = () if audio is None else speech_regions(audio, params)
    return Features(
        subject_id=source.id,
        extractor="speech.silero",
        version=VAD_VERSION,
        params=params.model_dump(mode="json"),
        stage="speech",
        missing=None if regions else why_no_speech(audio),
        regions=regions,
    )


def _speech(
    run: Run, source: Source, audio: Sound | None = None, found: tuple[Span, ...] | None = None
) -> Features:
    """The speech regions of a source by the detector of the settings; without `audio` still their id."""
    if run.project.settings.segment.vad == "silero":
        return speech_features(source, audio)
    return Features(
        subject_id=source.id,
        extractor="speech.pyannote",
        version=speech_pyannote.VERSION,
        params=speech_pyannote.PARAMS,
        weights_digest=speech_pyannote.WEIGHTS_DIGEST,
        stage="speech",
        missing=None if found else why_no_speech(audio),
        regions=tuple(inside(found or (), source.media.duration_s)),
    )


def _speech_by_worker(run: Run, sources: Sequence[Source]) -> dict[str, tuple[Span, ...] | ItemError]:
    """Source -> where somebody speaks, in one process for all; what cannot be decoded is told by `_segment`."""
    sounds = {}
    for source in sources:
        run.stop_if_cancelled()
        try:
            audio = run.media.decoded(source).audio
        except UserError:
            raise
        except Exception:  # noqa: BLE001 - it fails again, as an item, when this source is cut
            continue
        if audio is not None:
            sounds[source.id] = audio
    return speech_pyannote.speech_of(sounds) if sounds else {}
