"""Compose: one clock, one view. Features of a segment and the baseline of its speaker become a Sample."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.facts import is_withdrawn, speaker_subject
from pipeline.features.baseline import make_baseline, prosody_measures
from pipeline.media.cut import CUT_VERSION
from pipeline.media.decode import DECODE_VERSION
from pipeline.stages.base import Run, each, shards
from pipeline.stages.body import body_events
from pipeline.stages.extract import shift, source_speech
from pipeline.stages.keeping import VIEW_VERSION, Made, View, kept_baseline
from pipeline.stages.keyframes import choose_times
from pipeline.stages.samples import PAGE, SampleRef, Samples
from schemas.ids import canonical_json
from schemas.parts import KeyFrame, MediaRef, Span, Target, Turn
from schemas.records import Baseline, Features, Record, Sample, Segment
from schemas.settings import FEATURE_STAGES
from schemas.store import Stub

CONTEXT_TURNS = 2  # previous turns of the same recording that are shown


@dataclass(frozen=True)
class _Item:
    """A segment, what is shown of it, its features by stage, and the baseline that it is measured against."""

    segment: Segment
    view: View
    features: dict[str, str]
    baseline_ids: tuple[str, ...] = ()

    def ref(self) -> SampleRef:
        return SampleRef(self.view.sample_id(self.baseline_ids), self.segment.id, self.view.target)


class ComposeStage:
    """A segment keeps the baseline that stands for it (`keeping`), so that later files re-buy nothing."""

    name = "compose"
    shard_size = 100

    def __init__(self) -> None:
        self._expected: dict[str, SampleRef] = {}  # by segment

    def plan(self, run: Run) -> list[Any]:
        ready = self._ready(run)
        turns = _turns(run, ready)
        items: list[_Item] = []
        without: list[_Item] = []
        self._expected = {}
        for page in shards(ready, PAGE):
            kept, new = self._kept(run, _views(run, page, turns))
            items += self._missing(run, kept)
            without += new
        baselines = self._baselines(run, without)
        given = [replace(item, baseline_ids=baselines.get(item.segment.id, ())) for item in without]
        return [*items, *self._missing(run, given)]

    def _ready(self, run: Run) -> list[Segment]:
        """Segments whose features are all there; where one failed, the segment waits for it."""
        there = run.project.store.digests(Features)
        return [
            segment
            for segment in run.segments
            if all(feature in there for feature in run.feature_ids.get(segment.id, {}).values())
        ]

    def _kept(self, run: Run, items: list[_Item]) -> tuple[list[_Item], list[_Item]]:
        """Those that keep a baseline, with it; and those that have to get one now."""
        if run.rebaseline:
            return [], items
        made = run.project.store.stubs_by_parent(Sample, [item.segment.id for item in items])
        kept, without = [], []
        for item in items:
            baseline_ids = kept_baseline(item.view, [_made(stub) for stub in made[item.segment.id]])
            if baseline_ids is None:
                without.append(item)
            else:
                kept.append(replace(item, baseline_ids=baseline_ids))
        return kept, without

    def _missing(self, run: Run, items: list[_Item]) -> list[_Item]:
        """Those whose sample is not there; the samples of all of them are expected."""
        refs = {item.segment.id: item.ref() for item in items}
        there = run.project.store.stubs(Sample, [ref.id for ref in refs.values()])
        self._expected |= refs
        return [item for item in items if refs[item.segment.id].id not in there]

    def _baselines(self, run: Run, items: list[_Item]) -> dict[str, tuple[str, ...]]:
        """Segment -> the baseline of its speaker, from all that is known of the speaker now.

        One speaker at a time. Voices that were measured in another way (an older version, other parameters) are
        not mixed in.
        """
        if not items:
            return {}
        wanted = {item.segment.id for item in items}
        speakers = {subject(run, item.segment) for item in items}
        voices: dict[str, list[str]] = defaultdict(list)
        for segment in run.segments:
            voice = run.feature_ids.get(segment.id, {}).get("prosody")
            if voice is not None and (name := subject(run, segment)) in speakers:
                voices[name].append(voice)
        found: dict[str, tuple[str, ...]] = {}
        for name, ids in voices.items():
            groups: dict[str, list[Features]] = defaultdict(list)
            for features in run.project.store.by_id(Features, ids):
                groups[_method(features)].append(features)
            for group in groups.values():
                if (baseline := make_baseline(name, group)) is not None:
                    run.project.store.add([baseline])
                    mine = (f.subject_id for f in group if f.subject_id in wanted)
                    found |= dict.fromkeys(mine, (baseline.id,))
        return found

    def work(self, run: Run, items: Sequence[_Item]) -> None:
        ids = sorted({baseline for item in items for baseline in item.baseline_ids})
        baselines = {baseline.id: baseline for baseline in run.project.store.by_id(Baseline, ids)}
        speech = source_speech(run, sorted({item.segment.source_id for item in items}))

        def compose(item: _Item) -> list[Record]:
            baseline = next((baselines[i] for i in item.baseline_ids), None)
            return [self._compose(run, item, baseline, speech.get(item.segment.source_id, ()))]

        each(
            run,
            self.name,
            items,
            compose,
            name=lambda item: item.segment.id,
            path=lambda item: run.path_text(run.source_of(item.segment)),
        )

    def finish(self, run: Run) -> None:
        expected = [self._expected[one.id] for one in run.segments if one.id in self._expected]
        there = run.project.store.stubs(Sample, [ref.id for ref in expected])
        run.samples = Samples(run.project.store, [ref for ref in expected if ref.id in there])
        run.project.store.set_live(Sample, [ref.id for ref in run.samples.refs])

    def _compose(self, run: Run, item: _Item, baseline: Baseline | None, speech: Sequence[Span]) -> Sample:
        features = {f.stage: f for f in run.project.store.by_id(Features, list(item.features.values()))}
        words, prosody, faces = (features.get(stage) for stage in FEATURE_STAGES)
        segment, source, target = item.segment, run.source_of(item.segment), item.view.target
        span = {
            "source_id": source.id,
            "source_start_s": segment.source_start_s,
            "source_end_s": segment.source_end_s,
        }
        sample = Sample(
            segment_id=segment.id,
            target=target,
            feature_digests=item.view.feature_digests,
            baseline_ids=item.baseline_ids,
            context=item.view.context,
            view_version=VIEW_VERSION,
            duration_s=segment.duration_s,
            words=words.words if words else (),
            words_source=_words_source(words),
            speech=shift(speech, segment),
            prosody=prosody_measures(prosody, baseline) if prosody and not prosody.missing else (),
            events=_events(target, prosody, faces, features.get("pose")),
            faces=faces.tracks if faces else (),
            key_frames=self._key_frames(run, item, faces),
            clip=MediaRef(kind="clip", version=CUT_VERSION, **span),
            audio=MediaRef(kind="audio", version=CUT_VERSION, **span) if source.media.audio else None,
            missing=_missing(words, prosody, faces),
        )
        run.count("samples")
        return sample

    def _key_frames(self, run: Run, item: _Item, faces: Features | None) -> tuple[KeyFrame, ...]:
        segment, source = item.segment, run.source_of(item.segment)
        if source.media.video is None:
            return ()
        params = run.media.params
        recipe = params.model_dump(mode="json", include={"face_fps", "frame_width_px", "jpeg_quality"})
        times = choose_times(segment.duration_s, faces, item.view.target.face_track)
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


def _made(stub: Stub) -> Made:
    brief = stub.brief
    return Made(stub.id, tuple(brief["baselines"]), tuple(brief["digests"]), brief["speaker"], stub.live)


def _views(run: Run, segments: list[Segment], turns: dict[str, tuple[Turn, ...]]) -> list[_Item]:
    ids = [feature for segment in segments for feature in run.feature_ids.get(segment.id, {}).values()]
    measured = run.project.store.stubs(Features, ids)
    items = []
    for segment in segments:
        stages = run.feature_ids.get(segment.id, {})
        found = {stage: measured[feature] for stage, feature in stages.items()}
        track = found["au"].brief.get("track") if "au" in found else None
        view = View(
            segment_id=segment.id,
            target=Target(speaker=run.facts_of(segment).get("speaker"), face_track=track),
            feature_digests=tuple(sorted(feature.digest for feature in found.values())),
            context=turns[segment.id],
            voice=found["prosody"].digest if "prosody" in found else None,
        )
        items.append(_Item(segment, view, stages))
    return items


def _turns(run: Run, segments: list[Segment]) -> dict[str, tuple[Turn, ...]]:
    """Segment -> the last turns before it in its recording."""
    said: dict[str, Turn | None] = {}
    for page in shards(segments, PAGE):
        words = {segment.id: run.feature_ids.get(segment.id, {}).get("asr", "") for segment in page}
        heard = run.project.store.stubs(Features, list(words.values()))
        for segment in page:
            feature = heard.get(words[segment.id])
            said[segment.id] = _turn(run, segment, feature.brief.get("said", ())) if feature else None
    of_source: dict[str, list[Segment]] = defaultdict(list)
    for segment in sorted(segments, key=lambda segment: segment.index):
        of_source[segment.source_id].append(segment)
    found = {}
    for together in of_source.values():
        for n, segment in enumerate(together):
            before = [said[one.id] for one in together[max(0, n - CONTEXT_TURNS) : n]]
            found[segment.id] = tuple(turn for turn in before if turn is not None)
    return found


def _turn(run: Run, segment: Segment, said: Iterable[tuple[str | None, str]]) -> Turn | None:
    """What was said in a segment, without the words of people who took their consent back."""
    facts = run.facts_of(segment)
    if is_withdrawn(facts):
        return None
    by_speaker = [(speaker or facts.get("speaker"), text) for speaker, text in said]
    kept = [
        (s, text) for s, text in by_speaker if not is_withdrawn(run.facts.get(speaker_subject(str(s)), {}))
    ]
    return Turn(speaker=kept[0][0], text=" ".join(text for _, text in kept)) if kept else None


def _words_source(words: Features | None) -> str | None:
    if words is None or not words.words:
        return None
    return f"{words.extractor} (low quality)" if "low_quality_asr" in words.notes else words.extractor


def _events(
    target: Target, prosody: Features | None, faces: Features | None, body: Features | None
) -> tuple[Any, ...]:
    heard = prosody.events if prosody else ()
    seen = [e for e in (faces.events if faces else ()) if e.track in (None, target.face_track)]
    seen += body_events(target, faces, body)
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
