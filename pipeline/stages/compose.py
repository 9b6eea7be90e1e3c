"""Compose: one clock, one view. Features of a segment and the baseline of its speaker become a Sample."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.features.baseline import make_baseline, prosody_measures
from pipeline.media.cut import CUT_VERSION
from pipeline.media.decode import DECODE_VERSION
from pipeline.stages.base import Run, each
from pipeline.stages.extract import shift, source_speech
from pipeline.stages.keyframes import choose_times
from schemas.ids import canonical_json
from schemas.parts import KeyFrame, MediaRef, Target, Turn
from schemas.records import Baseline, Features, Record, Sample, Segment
from schemas.settings import FEATURE_STAGES

VIEW_VERSION = "1"
CONTEXT_TURNS = 2  # previous turns of the same recording that are shown


@dataclass
class _Item:
    segment: Segment
    target: Target
    digests: tuple[str, ...]
    context: tuple[Turn, ...]
    features: dict[str, str] = field(default_factory=dict)  # stage -> id


class ComposeStage:
    """A sample keeps the baseline that it was first composed with, so that later files re-buy nothing."""

    name = "compose"
    shard_size = 100

    def __init__(self) -> None:
        self._items: dict[str, _Item] = {}
        self._kept: dict[str, Sample] = {}
        self._planned: dict[str, tuple[str, ...]] = {}  # segment -> baseline ids of the sample to be made

    def plan(self, run: Run) -> list[Any]:
        self._items = {item.segment.id: item for item in self._ready(run)}
        existing = run.project.store.by_parent(Sample, list(self._items))
        self._kept = {}
        for segment_id, item in self._items.items():
            fitting = [sample for sample in existing[segment_id] if _fits(sample, item)]
            if fitting and not run.rebaseline:
                self._kept[segment_id] = fitting[-1]
        missing = [item for key, item in self._items.items() if key not in self._kept]
        baselines = self._baselines(run, missing)
        pairs = [(item, baselines.get(item.segment.id)) for item in missing]
        self._planned = {item.segment.id: (found.id,) if found else () for item, found in pairs}
        return pairs

    def _ready(self, run: Run) -> list[_Item]:
        """Segments whose features are all there; where one failed, the segment waits for it."""
        digests = run.project.store.digests(Features)
        wanted = [run.feature_ids.get(segment.id, {}) for segment in run.segments]
        ready = [
            segment
            for segment, stages in zip(run.segments, wanted, strict=True)
            if all(feature in digests for feature in stages.values())
        ]
        heard = self._by_stage(run, ready, "asr")
        seen = self._by_stage(run, ready, "au")
        of_source: dict[str, list[Segment]] = defaultdict(list)
        for segment in ready:
            of_source[segment.source_id].append(segment)
        items = []
        for segment in ready:
            stages = run.feature_ids.get(segment.id, {})
            track = (
                seen[segment.id].tracks[0].name if segment.id in seen and seen[segment.id].tracks else None
            )
            items.append(
                _Item(
                    segment=segment,
                    target=Target(speaker=run.facts_of(segment).get("speaker"), face_track=track),
                    digests=tuple(sorted(digests[feature] for feature in stages.values())),
                    context=_context(run, segment, of_source[segment.source_id], heard),
                    features=stages,
                )
            )
        return items

    def _by_stage(self, run: Run, segments: list[Segment], stage: str) -> dict[str, Features]:
        ids = [run.feature_ids[s.id][stage] for s in segments if stage in run.feature_ids.get(s.id, {})]
        return {feature.subject_id: feature for feature in run.project.store.by_id(Features, ids)}

    def _baselines(self, run: Run, missing: list[_Item]) -> dict[str, Baseline]:
        """Segment -> the baseline of its speaker, from all that is known of the speaker now.

        Voices that were measured in another way (an older version, other parameters) are not mixed in.
        """
        wanted = {item.segment.id: subject(run, item.segment) for item in missing}
        there = run.project.store.digests(Features)
        speakers = set(wanted.values())
        owners = {
            segment.id: name
            for segment in run.segments
            if (name := subject(run, segment)) in speakers
            and run.feature_ids.get(segment.id, {}).get("prosody") in there
        }
        measured = self._by_stage(run, [s for s in run.segments if s.id in owners], "prosody")
        groups: dict[tuple[str, str], list[Features]] = defaultdict(list)
        for segment_id, features in measured.items():
            groups[owners[segment_id], _method(features)].append(features)
        made = {key: make_baseline(key[0], features) for key, features in groups.items()}
        run.project.store.add(baseline for baseline in made.values() if baseline is not None)
        found = {
            segment_id: made[name, _method(measured[segment_id])]
            for segment_id, name in wanted.items()
            if segment_id in measured
        }
        return {segment_id: baseline for segment_id, baseline in found.items() if baseline is not None}

    def work(self, run: Run, items: Sequence[tuple[_Item, Baseline | None]]) -> None:
        each(
            run,
            self.name,
            items,
            lambda pair: self._compose(run, *pair),
            name=lambda pair: pair[0].segment.id,
            path=lambda pair: run.path_text(run.source_of(pair[0].segment)),
        )

    def finish(self, run: Run) -> None:
        found = run.project.store.by_parent(Sample, list(self._items))
        run.samples = []
        for segment_id, item in self._items.items():
            fitting = [sample for sample in found[segment_id] if _fits(sample, item)]
            if segment_id in self._kept:
                run.samples.append(self._kept[segment_id])
            elif fitting:
                planned = [s for s in fitting if s.baseline_ids == self._planned.get(segment_id)]
                run.samples.append((planned or fitting)[-1])
        run.project.store.set_live(Sample, [sample.id for sample in run.samples])

    def _compose(self, run: Run, item: _Item, baseline: Baseline | None) -> list[Record]:
        features = {f.stage: f for f in run.project.store.by_id(Features, list(item.features.values()))}
        words, prosody, faces = (features.get(stage) for stage in FEATURE_STAGES)
        segment, source = item.segment, run.source_of(item.segment)
        speech = source_speech(run, [source.id]).get(source.id, ())
        span = {
            "source_id": source.id,
            "source_start_s": segment.source_start_s,
            "source_end_s": segment.source_end_s,
        }
        sample = Sample(
            segment_id=segment.id,
            target=item.target,
            feature_digests=item.digests,
            baseline_ids=(baseline.id,) if baseline else (),
            context=item.context,
            view_version=VIEW_VERSION,
            duration_s=segment.duration_s,
            words=words.words if words else (),
            words_source=_words_source(words),
            speech=shift(speech, segment),
            prosody=prosody_measures(prosody, baseline) if prosody and not prosody.missing else (),
            events=_events(item.target, prosody, faces),
            faces=faces.tracks if faces else (),
            key_frames=self._key_frames(run, item, faces),
            clip=MediaRef(kind="clip", version=CUT_VERSION, **span),
            audio=MediaRef(kind="audio", version=CUT_VERSION, **span) if source.media.audio else None,
            missing=_missing(words, prosody, faces),
        )
        run.count("samples")
        return [sample]

    def _key_frames(self, run: Run, item: _Item, faces: Features | None) -> tuple[KeyFrame, ...]:
        segment, source = item.segment, run.source_of(item.segment)
        if source.media.video is None:
            return ()
        params = run.media.params
        recipe = params.model_dump(mode="json", include={"face_fps", "frame_width_px", "jpeg_quality"})
        times = choose_times(segment.duration_s, faces, item.target.face_track)
        return tuple(
            KeyFrame(
                time_s=time_s,
                reason=reason,
                ref=MediaRef(
                    kind="image",
                    source_id=source.id,
                    source_start_s=round(segment.source_start_s + time_s, 6),
                    source_end_s=round(segment.source_start_s + time_s, 6),
                    params=recipe,
                    version=DECODE_VERSION,
                ),
            )
            for time_s, reason in times
        )


def _method(features: Features) -> str:
    return canonical_json([features.extractor, features.version, features.params])


def subject(run: Run, segment: Segment) -> str:
    """Whose baseline a segment is measured against: its declared speaker, else its own recording."""
    speaker = run.facts_of(segment).get("speaker")
    return f"speaker:{speaker}" if speaker else f"source:{segment.source_id}"


def _fits(sample: Sample, item: _Item) -> bool:
    """Whether a sample shows what would be shown now, whatever baseline it keeps."""
    return (
        sample.target == item.target
        and sample.feature_digests == item.digests
        and sample.context == item.context
        and sample.view_version == VIEW_VERSION
    )


def _context(
    run: Run, segment: Segment, together: list[Segment], heard: dict[str, Features]
) -> tuple[Turn, ...]:
    before = sorted((s for s in together if s.index < segment.index), key=lambda s: s.index)
    turns = []
    for previous in before[-CONTEXT_TURNS:]:
        words = heard[previous.id].words if previous.id in heard else ()
        if words:
            speaker = words[0].speaker or run.facts_of(previous).get("speaker")
            turns.append(Turn(speaker=speaker, text=" ".join(word.text for word in words)))
    return tuple(turns)


def _words_source(words: Features | None) -> str | None:
    if words is None or not words.words:
        return None
    return f"{words.extractor} (low quality)" if "low_quality_asr" in words.notes else words.extractor


def _events(target: Target, prosody: Features | None, faces: Features | None) -> tuple[Any, ...]:
    heard = prosody.events if prosody else ()
    seen = [e for e in (faces.events if faces else ()) if e.track in (None, target.face_track)]
    return tuple(sorted([*heard, *seen], key=lambda e: (e.start_s, e.cue)))


def _missing(words: Features | None, prosody: Features | None, faces: Features | None) -> dict[str, str]:
    """Why a modality has nothing to say; said to annotators as a fact."""
    missing = {}
    for modality, features in (("text", words), ("audio", prosody), ("visual", faces)):
        if features is None:
            missing[modality] = "not_extracted"
        elif features.missing:
            missing[modality] = features.missing
    if "text" not in missing and words is not None and not words.words:
        missing["text"] = "no_words"
    return missing
