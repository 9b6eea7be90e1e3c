"""The bank of few-shot examples: clips that people verified, frozen so that later reviews re-buy no answer.

A bank is made when an annotator first wants examples, and anew only on request. It holds clips that are planned
for train alone, and from then on pins their recordings, speakers and groups there: nothing that a model was shown
is ever tested on. It is kept as a fact of the project, every version of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from agents.annotators.annotator import Annotator
from agents.asking import Model
from agents.questions.examples import Bank, Choose, Example
from pipeline.consent import Consent
from pipeline.facts import FEW_SHOT, Facts, segment_facts, target_facts
from pipeline.features.speakers import is_counted
from pipeline.splits import Placed, Split, SplitKey, ties_of
from schemas.errors import UserError
from schemas.parts import name_key
from schemas.records import Consensus, Decision, Sample, Segment
from schemas.settings import ConsentSection, Settings
from schemas.settings_models import AnnotatorSection
from schemas.store import Store
from schemas.taxonomy import Taxonomy

KEY = "bank"
VERIFIED = ("reviewed", "adjudicated")


class Saved(NamedTuple):
    """A bank as it is kept: its examples as [sample, decision], and the nodes of splits that it pins to train."""

    version: int
    embedding: str
    examples: list[list[str]]
    pinned: list[str]

    @classmethod
    def of(cls, facts: Mapping[str, Facts]) -> Saved | None:
        kept = facts.get(FEW_SHOT, {}).get(KEY)
        return None if kept is None else cls(**kept)


def pinned(store: Store) -> Mapping[str, Split]:
    """The recordings, speakers and groups of examples, for `pipeline.splits`: all are train."""
    saved = Saved.of(store.facts([FEW_SHOT]))
    return {} if saved is None else dict.fromkeys(saved.pinned, "train")


def annotators(
    sections: Iterable[AnnotatorSection], taxonomy: Taxonomy, banks: Callable[[], Banks]
) -> list[Annotator]:
    """The annotators of sections; `banks` is asked for when one of them wants examples.

    Raises:
        UserError: there are fewer examples than one wants.
    """
    return [
        Annotator(
            section,
            taxonomy,
            banks().chooser(section, third_party=Model(section).third_party)
            if section.prompting.examples
            else None,
        )
        for section in sections
    ]


def banks_now(
    store: Store,
    settings: Settings,
    placed: Callable[[], Mapping[str, Placed]],
    *,
    facts: Mapping[str, Facts] | None = None,
    segments: Mapping[str, Segment] | None = None,
    renew: bool = False,
) -> Banks:
    """The bank that was frozen last, as it may be shown today; without one, or to `renew` it, the next one.

    `placed` (the planned splits by sample) is asked for only then. `facts` and `segments` are read where they are
    not given.
    """
    facts = store.facts() if facts is None else facts
    segments = {one.id: one for one in store.live(Segment)} if segments is None else segments
    saved = None if renew else Saved.of(facts)
    if saved is None:
        saved = frozen(store, facts, segments, placed(), settings.examples.embedding)
    return Banks(saved, store, facts, segments, settings.consent)


def save(store: Store, saved: Saved) -> None:
    store.add_facts([(FEW_SHOT, KEY, saved._asdict())])


def frozen(
    store: Store,
    facts: Mapping[str, Facts],
    segments: Mapping[str, Segment],
    placed: Mapping[str, Placed],
    embedding: str,
) -> Saved:
    """What a bank made now would hold: every verified clip with a label that is planned for train.

    `facts` by subject, `segments` and `placed` (by sample) of all that stands. Pins of an earlier bank stay.
    """
    before = Saved.of(facts)
    pins = set(before.pinned if before else ())
    examples = []
    decisions = store.by_id(Decision, [d for d, stub in _standing(store) if stub["status"] in VERIFIED])
    samples = {c.id: c.sample_id for c in store.by_id(Consensus, [d.consensus_id for d in decisions])}
    for decision in decisions:
        sample_id = samples.get(decision.consensus_id)
        place = placed.get(sample_id) if sample_id else None
        if decision.label is None or place is None or place.split != "train":
            continue
        examples.append([str(sample_id), decision.id])
        segment = segments[decision.segment_id]
        said = target_facts(facts, segment, decision.target.speaker)
        pins |= set(ties_of(SplitKey.planned(str(sample_id), segment.source_id, said)))
    version = 1 if before is None else before.version + 1
    return Saved(version, embedding, sorted(examples), sorted(pins))


def _standing(store: Store) -> Iterable[tuple[str, Mapping[str, Any]]]:
    stubs = store.stubs(Decision, sorted(store.live_ids(Decision)))
    return ((name, stub.brief) for name, stub in stubs.items())


class Banks:
    """A bank as annotators may see it: what third parties may be shown is less."""

    def __init__(
        self,
        saved: Saved,
        store: Store,
        facts: Mapping[str, Facts],
        segments: Mapping[str, Segment],
        consent: ConsentSection,
    ) -> None:
        self.saved, self._store, self._facts, self._segments = saved, store, facts, segments
        self._consent = Consent(facts, consent)

    def chooser(self, section: AnnotatorSection, *, third_party: bool) -> Choose:
        """What chooses the examples that an annotator is shown with a sample.

        Raises:
            UserError: there are fewer than it is to see.
        """
        bank, wanted = self._shared if third_party else self._whole, section.prompting.examples
        if len(bank) < wanted:
            raise _few(section.name, wanted, len(bank), self.saved)
        diversity = section.prompting.diversity
        known: dict[str, tuple[Example, ...]] = {}  # of samples: each is asked about several times

        def choose(sample: Sample) -> tuple[Example, ...]:
            if sample.id not in known:
                ties = ties_around(sample, self._segments[sample.segment_id], self._facts)
                known[sample.id] = bank.choose(sample, ties, wanted, diversity)
            return known[sample.id]

        return choose

    @cached_property
    def _whole(self) -> Bank:
        return self._bank(third_party=False)

    @cached_property
    def _shared(self) -> Bank:
        return self._bank(third_party=True)

    def _bank(self, *, third_party: bool) -> Bank:
        """Without examples of people who took their consent back since."""
        store, saved = self._store, self.saved
        samples = {one.id: one for one in store.by_id(Sample, [sample for sample, _ in saved.examples])}
        decisions = {one.id: one for one in store.by_id(Decision, [name for _, name in saved.examples])}
        clips = {s.id: s for s in store.by_id(Segment, [sample.segment_id for sample in samples.values()])}
        found = []
        for sample_id, decision_id in saved.examples:
            sample, decision = samples[sample_id], decisions[decision_id]
            segment = clips[sample.segment_id]
            if not self._consent.may_see(sample, segment, third_party=third_party):
                continue
            ties = ties_around(sample, segment, self._facts)
            found.append(Example(sample, ties, str(decision.label), decision.rationale))
        return Bank(found, version=saved.version, embedding=saved.embedding)


def ties_around(sample: Sample, segment: Segment, facts: Mapping[str, Facts]) -> frozenset[str]:
    """What makes another clip too near: its recording, everybody who is named in it or declared, its group.

    Names that only count people ("SPEAKER_00") hold within their recording, which is a tie of its own.
    """
    said = segment_facts(facts, segment)
    heard = (part.speaker for parts in (sample.turns, sample.words) for part in parts)
    people = {sample.target.speaker, *heard, *(o.speaker for o in sample.others), said.get("speaker")}
    names = {str(name) for name in people if name}
    speakers = {f"speaker:{name_key(name)}" for name in names if not is_counted(name)}
    group = {f"group:{said['group']}"} if said.get("group") is not None else set()
    return frozenset({f"source:{segment.source_id}", *speakers, *group})


def _few(name: str, wanted: int, there: int, saved: Saved) -> UserError:
    return UserError(
        "few_examples",
        f'"{name}" is to see {wanted} examples, but of the {len(saved.examples)} clips of bank {saved.version} '
        f"{there} can be shown to it",
        "review more clips that are planned for train, then: emotrace run --renew-examples; "
        "or lower prompting.examples",
    )
