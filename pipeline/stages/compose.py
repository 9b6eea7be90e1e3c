"""Compose: one clock, one view. Features of a segment and the baselines of its speaker become a Sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.features.baseline import prosody_measures
from pipeline.features.event_units import in_baseline_units
from pipeline.features.lag import lag_measures
from pipeline.media.cut import CUT_VERSION
from pipeline.stages.base import Run, each, shards
from pipeline.stages.baselines import Measured, new_baselines
from pipeline.stages.before import turns_before
from pipeline.stages.body import body_events
from pipeline.stages.extract import shift, source_speech
from pipeline.stages.gist import gist_of
from pipeline.stages.keeping import Made, View, kept_baselines, view_version
from pipeline.stages.lacking import missing_of, with_wordless
from pipeline.stages.samples import PAGE, SampleRef, Samples
from pipeline.stages.scenes import aims, scene
from pipeline.stages.targets import FACE, VOICE, Aim, Scene
from schemas.ids import content_digest
from schemas.parts import MediaRef, Span, Target, Turn, Word
from schemas.record import Record
from schemas.records import NO_PICTURES, Baseline, Features, Sample, Segment
from schemas.settings import FEATURE_STAGES
from schemas.store import Stub


@dataclass(frozen=True)
class _Item:
    """A target of a segment, what is shown of it, its features and its baselines by stage."""

    segment: Segment
    aim: Aim
    others: tuple[Target, ...]
    view: View
    features: dict[str, str]
    baselines: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def baseline_ids(self) -> tuple[str, ...]:
        return tuple(sorted(baseline for baseline in self.baselines.values() if baseline))

    @property
    def without(self) -> dict[str, Measured]:
        """Stage -> what has to get a baseline now."""
        tracks = {FACE: self.aim.target.face_track}
        open_stages = [stage for stage in self.view.compared if stage not in self.baselines]
        return {stage: Measured(self.features[stage], tracks.get(stage)) for stage in open_stages}

    def ref(self) -> SampleRef:
        features = tuple(self.features.values())
        return SampleRef(self.view.sample_id(self.baseline_ids), self.segment.id, self.view.target, features)


class ComposeStage:
    """A target keeps the baselines that stand for it (`keeping`), so that later files re-buy nothing."""

    name = "compose"
    shard_size = 100

    def __init__(self, *, on_trial: bool = False) -> None:
        """`on_trial`: the samples are made and can be priced, and what stands stays as it is."""
        self._on_trial = on_trial
        self._expected: dict[str, list[SampleRef]] = {}  # by segment

    def plan(self, run: Run) -> list[Any]:
        ready = self._ready(run)
        turns = turns_before(run, ready)
        items: list[_Item] = []
        open_: list[_Item] = []
        self._expected = {}
        for page in shards(ready, PAGE):
            kept = self._kept(run, _views(run, page, turns))
            items += self._missing(run, [item for item in kept if not item.without])
            open_ += [item for item in kept if item.without]
        return [*items, *self._missing(run, _with_new_baselines(run, open_))]

    def _ready(self, run: Run) -> list[Segment]:
        """Segments whose features are all there; where one failed, the segment waits for it."""
        there = run.project.store.digests(Features)
        return [
            segment
            for segment in run.segments
            if all(feature in there for feature in run.feature_ids.get(segment.id, {}).values())
        ]

    def _kept(self, run: Run, items: list[_Item]) -> list[_Item]:
        """The items, each with the baselines that it keeps."""
        if run.rebaseline:
            return items
        stubs = run.project.store.stubs_by_parent(Sample, [item.segment.id for item in items])
        known = {name for made in stubs.values() for stub in made for name in stub.brief["baselines"]}
        baselines = run.project.store.stubs(Baseline, [*known])
        made = {name: [_made(stub, baselines) for stub in found] for name, found in stubs.items()}
        return [replace(item, baselines=kept_baselines(item.view, made[item.segment.id])) for item in items]

    def _missing(self, run: Run, items: list[_Item]) -> list[_Item]:
        """Those whose sample is not there; the samples of all of them are expected."""
        refs = [item.ref() for item in items]
        there = run.project.store.stubs(Sample, [ref.id for ref in refs])
        for ref in refs:
            self._expected.setdefault(ref.segment_id, []).append(ref)
        return [item for item, ref in zip(items, refs, strict=True) if ref.id not in there]

    def work(self, run: Run, items: Sequence[_Item]) -> None:
        ids = sorted({baseline for item in items for baseline in item.baseline_ids})
        baselines = {baseline.id: baseline for baseline in run.project.store.by_id(Baseline, ids)}
        speech = source_speech(run, sorted({item.segment.source_id for item in items}))

        def compose(item: _Item) -> list[Record]:
            usual = {baselines[i].stage: baselines[i] for i in item.baseline_ids}
            return [self._compose(run, item, usual, speech.get(item.segment.source_id, ()))]

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
        if not self._on_trial:
            run.project.store.set_live(Sample, [ref.id for ref in run.samples.refs])

    def _compose(
        self, run: Run, item: _Item, usual: Mapping[str, Baseline], speech: Sequence[Span]
    ) -> Sample:
        features = {f.stage: f for f in run.project.store.by_id(Features, list(item.features.values()))}
        words, prosody, faces = (features.get(stage) for stage in FEATURE_STAGES)
        joined, heard = features.get("speakers"), scene(run, item.segment)
        segment, source, target = item.segment, run.source_of(item.segment), item.view.target
        events = _events(target, prosody, faces, features.get("pose"), usual)
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
            prosody=(*prosody_measures(prosody, usual.get(VOICE)), *lag_measures(events))
            if prosody and not prosody.missing
            else (),
            events=events,
            faces=joined.tracks if joined and joined.tracks else faces.tracks if faces else (),
            clip=MediaRef(kind="clip", version=CUT_VERSION, **span),
            audio=MediaRef(kind="audio", version=CUT_VERSION, **span) if source.media.audio else None,
            missing=missing_of(item.aim, words, prosody, faces)
            | ({} if source.media.video else {"visual": NO_PICTURES}),
            turns=heard.turns,
            others=item.others,
            **gist_of(run, segment, item.view, faces, speech),
        )
        run.count("samples")
        return with_wordless(sample)


def _with_new_baselines(run: Run, items: list[_Item]) -> list[_Item]:
    """Items that lack baselines, with those of their people now, or none where too little is known."""
    subjects = {(stage, item.aim.subject(stage) or "") for item in items for stage in item.without}
    found = new_baselines(run, subjects)
    return [
        replace(
            item,
            baselines={**item.baselines, **{stage: found.get(one) for stage, one in item.without.items()}},
        )
        for item in items
    ]


def _made(stub: Stub, known: Mapping[str, Stub]) -> Made:
    """`known`: every baseline that a sample may have."""
    brief = stub.brief
    mine = {known[name].brief["stage"]: known[name] for name in brief["baselines"] if name in known}
    return Made(
        id=stub.id,
        baselines={stage: baseline.id for stage, baseline in mine.items()},
        subjects={stage: baseline.parent for stage, baseline in mine.items()},
        feature_digests=tuple(brief["digests"]),
        speaker=brief["speaker"],
        target=brief["target"],
        live=stub.live,
    )


def _views(run: Run, segments: list[Segment], turns: dict[str, tuple[Turn, ...]]) -> list[_Item]:
    ids = [feature for segment in segments for feature in run.feature_ids.get(segment.id, {}).values()]
    measured = run.project.store.stubs(Features, ids)
    items = []
    for segment in segments:
        stages, heard = run.feature_ids.get(segment.id, {}), scene(run, segment)
        here, words = aims(run, segment, measured), measured.get(stages.get("asr", ""))
        for aim in here:
            mine = aim.measured(stages)
            others = tuple(other.target for other in here if other is not aim)
            found = {stage: measured[feature].digest for stage, feature in mine.items()}
            subjects = {stage: aim.subject(stage) for stage in (VOICE, FACE) if aim.subject(stage)}
            view = View(
                segment_id=segment.id,
                target=aim.target,
                feature_digests=tuple(sorted([*found.values(), *_who_is_who(heard, others, words)])),
                context=turns[segment.id],
                compared={stage: found[stage] for stage in subjects if stage in found},
                subjects=subjects,
                version=view_version(run.project.settings.select),
            )
            items.append(_Item(segment, aim, others, view, mine))
    return items


def _who_is_who(heard: Scene, others: Sequence[Target], words: Stub | None) -> list[str]:
    """The digest of what is told of the people in a segment: their names depend on what is declared."""
    said = words.brief.get("said", []) if words else []
    letters = sorted({(name, heard.called(name)) for name, _ in said if name and name not in heard.names})
    renamed = [list(pair) for pair in letters if pair[0] != pair[1]]
    if not heard.turns and not others and not renamed:
        return []
    told: list[Any] = [[part.model_dump(mode="json") for part in parts] for parts in (heard.turns, others)]
    return [content_digest([*told, renamed] if renamed else told)]


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
    usual: Mapping[str, Baseline],
) -> tuple[Any, ...]:
    heard = in_baseline_units(prosody.events, usual.get(VOICE)) if prosody else ()
    mine = [e for e in (faces.events if faces else ()) if e.track in (None, target.face_track)]
    seen = [*in_baseline_units(mine, usual.get(FACE)), *body_events(target, faces, body)]
    return tuple(sorted([*heard, *seen], key=lambda e: (e.start_s, e.cue)))
