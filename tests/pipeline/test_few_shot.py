"""Few-shot examples over a real socket: whose clips are shown, that it helps, and that a bank stays as it is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.examples import pinned
from pipeline.explain import explain
from pipeline.project import Project
from pipeline.stages.annotate import AnnotateStage
from pipeline.stages.base import Run, shards
from pipeline.stages.samples import SampleRef, Samples
from pipeline.stages.sentinel import SentinelStage
from schemas.errors import UserError
from schemas.parts import LabelScore, Step, Target, Turn, Word
from schemas.records import Annotation, Consensus, Review, Sample, Segment
from tests.pipeline.records import make_run, project_in, segment, source
from tests.wire.material import make_sample
from tests.wire.server import FakeModels, Reply

SAID = {  # what people found in clips like these: the model alone hears nothing in them
    "my dog died last night": "sadness",
    "my cat died last year": "sadness",
    "how dare you lie to me": "anger",
    "how dare you cheat on me": "anger",
    "we won the whole match": "joy",
    "we won the last game": "joy",
}
CLIPS = 30
FENCED = re.compile(r"<<<(data-\w+)\n(.*?)\n\1>>>", re.DOTALL)
LABEL = re.compile(r"verified label of example \d+: (\w+)")
MODEL = """[project]
seed = 3
[[annotators]]
name = "model"
provider = "openai_compatible"
model = "m"
base_url = "{url}"
takes = ["text"]
[annotators.prompting]
examples = {examples}
diversity = "{diversity}"
"""


def texts(body: dict[str, Any]) -> list[str]:
    return [part["text"] for part in body["messages"][-1]["content"]]


def said_in(text: str) -> set[str]:
    found = FENCED.search(text)
    assert found is not None
    return set(re.findall(r"\d s (?:\[\w+\] )?(\w+)$", found[2], re.MULTILINE))


def copies_the_nearest(body: dict[str, Any]) -> Reply:
    """A model that knows no emotion: it repeats the label of the example with the most words in common."""
    *examples, asked = texts(body)
    shared = [(len(said_in(one) & said_in(asked)), LABEL.search(one)) for one in examples]
    best = max(shared, key=lambda pair: pair[0], default=(0, None))
    return Reply(label="neutral" if best[1] is None else best[1][1])


@pytest.fixture
def models() -> Iterator[FakeModels]:
    with FakeModels(mind=copies_the_nearest) as server:
        yield server


def settings(models: FakeModels, examples: int, diversity: str = "max_min") -> str:
    return MODEL.format(url=models.openai_url, examples=examples, diversity=diversity)


def truth(sample: Sample) -> str:
    return SAID[" ".join(word.text for word in sample.words)]


def clips(
    project: Project, *, reviewed: int = CLIPS, renew: bool = False, before: tuple[Turn, ...] = ()
) -> tuple[Run, list[Sample]]:
    """One clip a recording; the first ones were verified by people. `before`: what was said before some."""
    run, samples = make_run(project), []
    run.renew_examples = renew
    for n in range(CLIPS):
        of = source(n)
        run.sources[of.id] = of
        one = segment(of, 0)
        run.segments.append(one)
        text = list(SAID)[n % len(SAID)].split()
        words = tuple(Word(start_s=0.2 * k, end_s=0.2 * k + 0.2, text=word) for k, word in enumerate(text))
        samples.append(
            make_sample(
                segment_id=one.id,
                target=Target(),
                words=words,
                duration_s=3 + n,
                context=before if n % len(SAID) == 0 else (),
            )
        )
    store = project.store
    store.add([*run.segments, *samples])
    votes = [vote(sample) for sample in samples[:reviewed]]
    store.add([*votes, *(word(sample) for sample in samples[:reviewed])])
    store.set_live(Consensus, [consensus.id for consensus in votes])
    store.set_live(Sample, [one.id for one in samples])
    run.samples = Samples(store, [SampleRef(one.id, one.segment_id, one.target) for one in samples])
    run.facts = store.facts()
    return run, samples


def vote(sample: Sample) -> Consensus:
    """What the machines came to: nothing."""
    return Consensus(
        segment_id=sample.segment_id, target=sample.target, input_digests=(), method="m", version="1",
        sample_id=sample.id, distribution={}, label=None, margin=0, entropy=0,
    )  # fmt: skip


def word(sample: Sample) -> Review:
    return Review(
        segment_id=sample.segment_id, target=sample.target, taxonomy="ekman7", reviewer="eva",
        phase="revealed", at="2026-01-01T00:00:00+00:00", labels=(LabelScore(label=truth(sample)),),
        rationale=(Step(n=1, text="One hears it."),),
    )  # fmt: skip


def ask(run: Run) -> dict[str, str]:
    """What the model said of each sample."""
    stage = AnnotateStage()
    for shard in shards(stage.plan(run), 100):
        stage.work(run, shard)
    stage.finish(run)
    live = run.project.store.live(Annotation)
    return {one.sample_id: one.answer.primary for one in live if one.answer is not None}


@pytest.mark.parametrize("diversity", ["max_min", "determinantal"])
def test_a_model_that_knows_nothing_by_itself_is_helped_by_examples(
    models: FakeModels, tmp_path: Path, diversity: str
) -> None:
    with project_in(tmp_path / "without", settings(models, 0)) as project:
        run, samples = clips(project)
        assert set(ask(run).values()) == {"neutral"}
    with project_in(tmp_path / "with", settings(models, 3, diversity)) as project:
        run, samples = clips(project)
        said = ask(run)
        right = sum(said[sample.id] == truth(sample) for sample in samples)
        assert right == len(samples) == 30


def test_examples_are_of_other_recordings_that_are_meant_for_train(
    models: FakeModels, tmp_path: Path
) -> None:
    with project_in(tmp_path, settings(models, 3)) as project:
        run, samples = clips(project)
        ask(run)
        train = {sample.id for sample in samples if run.placed[sample.id].split == "train"}
        lengths = {f"{sample.duration_s:.3f}": sample.id for sample in samples}
        assert 0 < len(train) < len(samples)
        for request in models.requests:
            *examples, asked = (lengths[length(text)] for text in texts(request.body))
            assert len(examples) == len(set(examples)) == 3
            assert set(examples) <= train - {asked}


def test_explain_knows_what_was_shown(models: FakeModels, tmp_path: Path) -> None:
    with project_in(tmp_path, settings(models, 3)) as project:
        run, samples = clips(project)
        store = project.store
        store.add(run.sources.values())
        store.set_live(Segment, [one.id for one in run.segments])

        def state() -> str:
            (sample,) = explain(project, samples[0].id).samples
            (question,) = sample.questions
            return question.state

        before = state()
        ask(run)
        assert (before, state()) == ("waiting", "answered")


def length(text: str) -> str:
    found = re.search(r"length of the clip: ([\d.]+) s", text)
    assert found is not None
    return found[1]


def test_what_was_shown_stays_in_train_whatever_is_drawn(models: FakeModels, tmp_path: Path) -> None:
    with project_in(tmp_path, settings(models, 3)) as project:
        run, samples = clips(project)
        ask(run)
        train = {sample.id for sample in samples if run.placed[sample.id].split == "train"}
        pins = pinned(project.store)
        assert set(pins.values()) == {"train"}
    other_draw = settings(models, 3).replace("seed = 3", "seed = 4")
    with project_in(tmp_path, other_draw) as project:
        run, samples = clips(project)
        ask(run)
        again = {sample.id for sample in samples if run.placed[sample.id].split == "train"}
        assert train <= again


def test_a_bank_stays_as_it_is_until_it_is_renewed(models: FakeModels, tmp_path: Path) -> None:
    with project_in(tmp_path, settings(models, 3)) as project:
        run, _ = clips(project, reviewed=12)
        ask(run)
        first = run.banks.saved
        assert (first.version, len(first.examples) > 3) == (1, True)
        sent = len(models.requests)

        more, _ = clips(project)  # people have reviewed the others since
        ask(more)
        assert more.banks.saved == first
        assert len(models.requests) == sent

        renewed, _ = clips(project, renew=True)
        ask(renewed)
        assert renewed.banks.saved.version == 2
        assert len(renewed.banks.saved.examples) > len(first.examples)
        assert len(models.requests) > sent
        assert set(first.pinned) <= set(renewed.banks.saved.pinned)


def test_too_few_verified_clips_are_an_error_and_nothing_is_sent(models: FakeModels, tmp_path: Path) -> None:
    with project_in(tmp_path, settings(models, 3)) as project:
        run, _ = clips(project, reviewed=1)
        with pytest.raises(UserError, match="is to see 3 examples") as raised:
            ask(run)
        assert raised.value.code == "few_examples"
        assert not models.requests
        assert pinned(project.store) == {}


def test_an_example_is_shown_to_nobody_whom_its_people_did_not_allow(
    models: FakeModels, tmp_path: Path
) -> None:
    third = settings(models, 3).replace('takes = ["text"]', 'takes = ["text"]\nlocal = false')
    with project_in(tmp_path, third) as project:
        run, samples = clips(project)
        ask(run)
        shown = Counter(length(text) for request in models.requests for text in texts(request.body)[:-1])
        lengths = {f"{sample.duration_s:.3f}": n for n, sample in enumerate(samples)}
        here, gone = [lengths[name] for name, _ in shown.most_common(2)]
        project.store.add_facts(
            [(source(here).id, "consent", "local_only"), (source(gone).id, "consent", "withdrawn")]
        )
        models.requests.clear()
        again, _ = clips(project)
        ask(again)
        shown_now = {lengths[length(text)] for request in models.requests for text in texts(request.body)}
        assert models.requests
        assert shown_now.isdisjoint({here, gone})


def test_an_example_is_left_out_when_somebody_named_in_it_takes_consent_back(
    models: FakeModels, tmp_path: Path
) -> None:
    with project_in(tmp_path, settings(models, 3)) as project:
        run, samples = clips(project, before=(Turn(speaker="ben", text="Well."),))
        AnnotateStage().plan(run)
        run.freeze_bank()
        named = {f"{one.duration_s:.3f}" for one in samples if one.context}
        held = {sample for sample, _ in run.banks.saved.examples}
        assert held & {one.id for one in samples if one.context}
        project.store.add_facts([("speaker:ben", "consent", "withdrawn")])
        again, _ = clips(project, before=(Turn(speaker="ben", text="Well."),))
        ask(again)
        assert again.kept_here == {}  # others are shown in their place, and no question is held back
        shown = {length(text) for request in models.requests for text in texts(request.body)[:-1]}
        assert shown
        assert shown.isdisjoint(named)


@pytest.mark.parametrize("stage", [AnnotateStage, SentinelStage])
@pytest.mark.parametrize("stands", [True, False])
def test_consent_that_is_taken_back_during_a_run_reaches_examples(
    models: FakeModels, tmp_path: Path, stage: type[AnnotateStage], stands: bool
) -> None:
    """Also of one whose own segment stands no more."""
    sentinel = "[sentinel]\nsize = 30\nevery_days = 0\n" if stage is SentinelStage else ""
    with project_in(tmp_path, sentinel + settings(models, 3)) as project:
        run, samples = clips(project)
        if sentinel:
            ask(run)
            first = SentinelStage()
            first.plan(run)
            first.finish(run)
            models.requests.clear()
        else:
            AnnotateStage().plan(run)
            run.freeze_bank()
        again, _ = clips(project)
        gone = {sample for sample, _ in again.banks.saved.examples}
        lost = [one for one in samples if one.id in gone][:3]
        if not stands:
            again.segments = [one for one in again.segments if one.id not in {s.segment_id for s in lost}]
            refs = [ref for ref in again.samples.refs if ref.id not in {s.id for s in lost}]
            again.samples = Samples(project.store, refs)
            del again.__dict__["banks"]
        again.chosen = [ref.id for ref in again.samples.refs]
        asking = stage()
        pending = asking.plan(again)
        names = {f"{one.duration_s:.3f}" for one in lost}
        sources = [source(samples.index(one)).id for one in lost]
        project.store.add_facts([(one, "consent", "withdrawn") for one in sources])
        asking.work(again, pending)
        shown = {length(text) for request in models.requests for text in texts(request.body)[:-1]}
        assert shown
        assert shown.isdisjoint(names)
