"""Compose: one clock, one view. Features of a segment and the baseline of its speaker become a Sample."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.features.baseline import make_baseline, method_of, prosody_measures
from pipeline.features.event_units import in_baseline_units
from pipeline.features.lag import lag_measures
from pipeline.media.cut import CUT_VERSION
from pipeline.stages.base import Run, each, shards
from pipeline.stages.before import turns_before
from pipeline.stages.body import body_events
from pipeline.stages.extract import shift, source_speech
from pipeline.stages.gist import gist_of
from pipeline.stages.keeping import Made, View, kept_baseline, view_version
from pipeline.stages.lacking import missing_of, with_wordless
from pipeline.stages.samples import PAGE, SampleRef, Samples
from pipeline.stages.scenes import scene
from pipeline.stages.targets import Aim, Scene, faces_in, targets_of
from schemas.ids import content_digest
from schemas.parts import MediaRef, Span, Target, Turn, Word
from schemas.records import Baseline, Features, Record, Sample, Segment
from schemas.settings import FEATURE_STAGES
from schemas.store import Stub


@dataclass(frozen=True)
class _Item:
    """A target of a segment, what is shown of it, its features by stage, and its baseline."""

    segment: Segment
    aim: Aim
    others: tuple[Target, ...]
    view: View
    features: dict[str, str]
    baseline_ids: tuple[str, ...] = ()

    def ref(self) -> SampleRef:
        features = tuple(self.features.values())
        return SampleRef(self.view.sample_id(self.baseline_ids), self.segment.id, self.view.target, features)


class ComposeStage:
    """A target keeps the baseline that stands for it (`keeping`), so that later files re-buy nothing."""

    name = "compose"
    shard_size = 100

    def __init__(self) -> None:
        self._expected: dict[str, list[SampleRef]] = {}  # by segment

    def plan(self, run: Run) -> list[Any]:
        ready = self._ready(run)
        turns = turns_before(run, ready)
        items: list[_Item] = []
        without: list[_Item] = []
        self._expected = {}
        for page in shards(ready, PAGE):
            kept, new = self._kept(run, _views(run, page, turns))
            items += self._missing(run, kept)
            without += new
        baselines = self._baselines(run, without)
        given = [
            replace(item, baseline_ids=baselines.get(item.features.get("prosody", ""), ()))
            for item in without
        ]
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
        refs = [item.ref() for item in items]
        there = run.project.store.stubs(Sample, [ref.id for ref in refs])
        for ref in refs:
            self._expected.setdefault(ref.segment_id, []).append(ref)
        return [item for item, ref in zip(items, refs, strict=True) if ref.id not in there]

    def _baselines(self, run: Run, items: list[_Item]) -> dict[str, tuple[str, ...]]:
        """Prosody of a target -> the baseline of its speaker, from all that is known of the speaker now.

        One speaker at a time. Voices that were measured in another way (an older version, other parameters) are
        not mixed in.
        """
        wanted = {item.aim.voice.subject for item in items if item.aim.voice}
        if not wanted:
            return {}
        measured: dict[str, list[str]] = defaultdict(list)
        for segment in run.segments:
            ids = run.feature_ids.get(segment.id, {})
            for voice in scene(run, segment).voices:
                if voice.subject in wanted and voice.key("prosody") in ids:
                    measured[voice.subject].append(ids[voice.key("prosody")])
        found: dict[str, tuple[str, ...]] = {}
        for name, names in measured.items():
            groups: dict[str, list[Features]] = defaultdict(list)
            for features in run.project.store.by_id(Features, names):
                groups[method_of(features)].append(features)
            for group in groups.values():
                if (baseline := make_baseline(name, group)) is not None:
                    run.project.store.add([baseline])
                    found |= dict.fromkeys((f.id for f in group), (baseline.id,))
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
        expected = [ref for one in run.segments for ref in self._expected.get(one.id, ())]
        there = run.project.store.stubs(Sample, [ref.id for ref in expected])
        run.samples = Samples(run.project.store, [ref for ref in expected if ref.id in there])
        run.project.store.set_live(Sample, [ref.id for ref in run.samples.refs])

    def _compose(self, run: Run, item: _Item, baseline: Baseline | None, speech: Sequence[Span]) -> Sample:
        features = {f.stage: f for f in run.project.store.by_id(Features, list(item.features.values()))}
        words, prosody, faces = (features.get(stage) for stage in FEATURE_STAGES)
        joined, heard = features.get("speakers"), scene(run, item.segment)
        segment, source, target = item.segment, run.source_of(item.segment), item.view.target
        events = _events(target, prosody, faces, features.get("pose"), baseline)
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
            view_version=item.view.version,
            duration_s=segment.duration_s,
            words=heard.named(_words(words, joined)),
            words_source=_words_source(words),
            speech=shift(speech, segment),
            prosody=(*prosody_measures(prosody, baseline), *lag_measures(events))
            if prosody and not prosody.missing
            else (),
            events=events,
            faces=joined.tracks if joined and joined.tracks else faces.tracks if faces else (),
            clip=MediaRef(kind="clip", version=CUT_VERSION, **span),
            audio=MediaRef(kind="audio", version=CUT_VERSION, **span) if source.media.audio else None,
            missing=missing_of(item.aim, words, prosody, faces),
            turns=heard.turns,
            others=item.others,
            **gist_of(run, segment, item.view, faces, speech),
        )
        run.count("samples")
        return with_wordless(sample)


def _made(stub: Stub) -> Made:
    brief = stub.brief
    return Made(stub.id, tuple(brief["baselines"]), tuple(brief["digests"]), brief["speaker"], stub.live)


def _views(run: Run, segments: list[Segment], turns: dict[str, tuple[Turn, ...]]) -> list[_Item]:
    ids = [feature for segment in segments for feature in run.feature_ids.get(segment.id, {}).values()]
    measured = run.project.store.stubs(Features, ids)
    items = []
    for segment in segments:
        stages, heard = run.feature_ids.get(segment.id, {}), scene(run, segment)
        faces = faces_in([measured[stages[stage]].brief for stage in ("speakers", "au") if stage in stages])
        aims = targets_of(heard.voices, faces, run.project.settings.select)
        for aim in aims:
            mine = aim.measured(stages)
            others = tuple(other.target for other in aims if other is not aim)
            found = {stage: measured[feature].digest for stage, feature in mine.items()}
            view = View(
                segment_id=segment.id,
                target=aim.target,
                feature_digests=tuple(sorted([*found.values(), *_who_is_who(heard, others)])),
                context=turns[segment.id],
                voice=found.get("prosody"),
                version=view_version(run.project.settings.select),
            )
            items.append(_Item(segment, aim, others, view, mine))
    return items


def _who_is_who(heard: Scene, others: Sequence[Target]) -> list[str]:
    """The digest of what is told of the people in a segment: their names depend on what is declared."""
    if not heard.turns and not others:
        return []
    told = [[part.model_dump(mode="json") for part in parts] for parts in (heard.turns, others)]
    return [content_digest(told)]


def _words(words: Features | None, joined: Features | None) -> tuple[Word, ...]:
    """The words as joined with the recording's turns, where there are any, else as the transcript has them."""
    if joined is not None and joined.turns:
        return joined.words
    return words.words if words else ()


def _words_source(words: Features | None) -> str | None:
    if words is None or not words.words:
        return None
    return f"{words.extractor} (low quality)" if "low_quality_asr" in words.notes else words.extractor


def _events(
    target: Target,
    prosody: Features | None,
    faces: Features | None,
    body: Features | None,
    usual: Baseline | None,
) -> tuple[Any, ...]:
    heard = in_baseline_units(prosody.events, usual) if prosody else ()
    seen = [e for e in (faces.events if faces else ()) if e.track in (None, target.face_track)]
    seen += body_events(target, faces, body)
    return tuple(sorted([*heard, *seen], key=lambda e: (e.start_s, e.cue)))
