"""What a page may show. The blind view is made from a Sample alone: it cannot hold what it never sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.aggregate.readings import READ, majority_readings
from pipeline.aggregate.scores import labelled
from pipeline.policy import NO_CONFLICT
from review_ui.plain import plain_measure, plain_words
from schemas.parts import Evidence, MergedEvidence, Turn, Word
from schemas.records import Annotation, Consensus, Judgement, Sample
from schemas.taxonomy import Taxonomy

Box = tuple[float, float, float, float]

MISSING_REASONS = {
    "no_audio_stream": "no audio stream",
    "no_video_stream": "no video stream",
    "silence": "silent",
    "no_speech": "nobody speaks",
    "never_alone": "never speaks alone",
    "no_face": "no face found",
    "no_frame": "no picture was looked at",
    "does_not_speak": "this face is not heard",
    "face_unknown": "none of the faces is known to be theirs",
    "face_not_measurable": "the face is turned away or too small",
}
VERDICTS = {
    "supported": "The signal supports this.",
    "contradicted": "The signal contradicts this.",
    "not_measurable": "The signal cannot tell.",
    "outside_clip": "The claimed time is outside the clip.",
}


@dataclass(frozen=True)
class ScaleView:
    """A number that is asked for."""

    name: str
    field: str
    low: float
    high: float
    low_means: str
    high_means: str


@dataclass(frozen=True)
class QuestionView:
    """A further question with its labels."""

    name: str
    field: str
    text: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class AskedView:
    """What a person is asked, in both phases: labels (or any word), numbers, further questions."""

    kind: str  # of the taxonomy
    labels: tuple[str, ...]  # with an open vocabulary what a word can count as, as suggestions
    scales: tuple[ScaleView, ...]
    questions: tuple[QuestionView, ...]


def asked_view(taxonomy: Taxonomy) -> AskedView:
    return AskedView(
        kind=taxonomy.kind,
        labels=taxonomy.groups,
        scales=tuple(
            ScaleView(name, dimension_field(name), s.low, s.high, s.low_means, s.high_means)
            for name, s in taxonomy.dimensions.items()
        ),
        questions=tuple(
            QuestionView(name, head_field(name), head.question, tuple(head.labels))
            for name, head in taxonomy.heads.items()
        ),
    )


@dataclass(frozen=True)
class BlindView:
    """The item before the blind label: the clip, whom it is about, what was said, what is not there."""

    sample_id: str
    duration_s: float
    has_clip: bool
    audio_only: bool
    target: str
    target_box: Box | None  # x, y, width, height as a share of the frame
    speaks: tuple[tuple[float, float], ...]  # when, where others are heard as well
    words: tuple[Word, ...]
    several: bool  # several people are heard: words bear the names of their speakers
    words_source: str | None
    context: tuple[Turn, ...]
    missing: tuple[tuple[str, str], ...]  # modality, reason


@dataclass(frozen=True)
class ClaimText:
    """What is claimed, and where."""

    plain: str  # in plain words; empty when the cue is not in the table
    text: str  # as the model put it
    quote: str | None
    start_s: float
    end_s: float
    cue: str


@dataclass(frozen=True)
class ClaimView(ClaimText):
    field: str  # name of its mark in the form
    id: str
    modality: str
    supporters: int
    verdict: str
    because: str  # the numbers behind the verdict, or why there are none


@dataclass(frozen=True)
class StepView:
    n: int
    text: str
    evidence_ids: tuple[str, ...]


@dataclass(frozen=True)
class OtherView:
    """What was claimed for a label that the consensus did not take."""

    label: str
    claims: tuple[ClaimText, ...]


@dataclass(frozen=True)
class RevealView:
    """What the models said: shown only after the blind label is stored."""

    consensus_id: str
    label: str | None
    shares: tuple[tuple[str, float], ...]  # label, probability; highest first
    numbers: tuple[str, ...]  # the annotators' mean of each dimension, and how far apart they are
    conflict: str
    steps: tuple[StepView, ...]
    implied: tuple[
        str, ...
    ]  # what judges to whom no label was told read out of the steps, where it is another one
    claims: tuple[ClaimView, ...]
    readings: tuple[tuple[str, str], ...]  # modality, label; given when the modalities are in conflict
    others: tuple[OtherView, ...]  # likewise


def blind_view(sample: Sample, *, has_clip: bool) -> BlindView:
    """The blind page's content. It must stay a function of the sample: no model's answer is in its reach."""
    face = next((track for track in sample.faces if track.name == sample.target.face_track), None)
    several = len({turn.speaker for turn in sample.turns}) > 1
    own = (turn for turn in sample.turns if turn.speaker == sample.target.speaker)
    return BlindView(
        sample_id=sample.id,
        duration_s=sample.duration_s,
        has_clip=has_clip,
        audio_only=sample.missing.get("visual") == "no_video_stream",
        target=_target_text(sample),
        target_box=face.box if face else None,
        speaks=tuple((turn.start_s, turn.end_s) for turn in own) if several else (),
        words=sample.words,
        several=several,
        words_source=sample.words_source,
        context=sample.context,
        missing=tuple(
            (modality, MISSING_REASONS.get(reason, reason.replace("_", " ")))
            for modality, reason in sorted(sample.missing.items())
        ),
    )


def reveal_view(
    consensus: Consensus,
    annotations: Sequence[Annotation],
    taxonomy: Taxonomy,
    judgements: Sequence[Judgement] = (),
) -> RevealView:
    """`annotations` and `judgements` are those that the consensus was made of."""
    votes = [] if consensus.conflict in NO_CONFLICT else labelled(annotations)
    shares = sorted(consensus.distribution.items(), key=lambda item: (-item[1], item[0]))
    return RevealView(
        consensus_id=consensus.id,
        label=consensus.label,
        shares=tuple(shares),
        numbers=_means(consensus),
        conflict=consensus.conflict.replace("_", " "),
        steps=tuple(StepView(step.n, step.text, step.evidence_ids) for step in consensus.rationale),
        implied=_implied(judgements, consensus.best_annotation_id),
        claims=tuple(_claim(n, merged) for n, merged in enumerate(consensus.evidence)),
        readings=_readings(votes, taxonomy),
        others=_others(votes, consensus.label, taxonomy),
    )


def _implied(judgements: Sequence[Judgement], of: str | None) -> tuple[str, ...]:
    """Other labels that the reasons of an annotation imply, by second looks; each once."""
    looks = (one for one in judgements if one.annotation_id == of and "label_mismatch" in one.flags)
    return tuple(sorted({look.implied_label for look in looks if look.implied_label is not None}))


def _means(consensus: Consensus) -> tuple[str, ...]:
    """ "valence 0.40 ± 0.10 (3 annotators)"."""
    told = []
    for name, mean in consensus.dimensions.given.items():
        spread = consensus.spread.get(name)
        more = "" if spread is None else f" ± {spread.sd:.2f} (of {spread.n})"
        told.append(f"{name} {mean:.2f}{more}")
    return tuple(told)


def _readings(votes: Sequence[Annotation], taxonomy: Taxonomy) -> tuple[tuple[str, str], ...]:
    given = majority_readings(votes, taxonomy)
    return tuple((name, label) for name in READ if (label := getattr(given, name)) is not None)


def _others(votes: Sequence[Annotation], label: str | None, taxonomy: Taxonomy) -> tuple[OtherView, ...]:
    """The claims for other labels. Without a label all claims are among those of the consensus."""
    answers = [vote.answer for vote in votes if vote.answer is not None]
    return tuple(
        OtherView(answer.primary, tuple(ClaimText(**_claimed(item)) for item in answer.evidence))
        for answer in answers
        if answer.primary is not None and taxonomy.differ(answer.primary, label)
    )


def dimension_field(name: str) -> str:
    """The form field of a dimension."""
    return f"dim-{name}"


def head_field(name: str) -> str:
    """The form field of a further question."""
    return f"head-{name}"


def mark_field(n: int) -> str:
    """The form field of the n-th claim. Ids of claims are model output and never become field names."""
    return f"mark-{n}"


def _claim(n: int, merged: MergedEvidence) -> ClaimView:
    evidence = merged.evidence
    return ClaimView(
        **_claimed(evidence),
        field=mark_field(n),
        id=evidence.id,
        modality=evidence.modality,
        supporters=len(merged.supporters),
        verdict=VERDICTS[merged.verdict],
        because=_because(merged),
    )


def _claimed(evidence: Evidence) -> dict[str, Any]:
    """The fields of a `ClaimText`."""
    return {
        "plain": plain_words(evidence),
        "text": evidence.description,
        "quote": evidence.quote,
        "start_s": evidence.start_s,
        "end_s": evidence.end_s,
        "cue": f"{evidence.cue} {evidence.direction}",
    }


def _because(merged: MergedEvidence) -> str:
    """What was measured, and what the claim needs: "measured 0.91 intensity, needs >= 0.3"."""
    measured, reference = merged.measured, merged.reference
    if measured is None or reference is None:
        return merged.reason
    # Two digits, but more where two would hide on which side of the reference it lies.
    digits = 2 if measured == reference or round(measured, 2) != round(reference, 2) else 4
    needs = f"needs {_sign(merged, measured, reference)}{reference:g}"
    return f"measured {plain_measure(measured, merged.unit, digits)}, {needs}"


def _sign(merged: MergedEvidence, measured: float, reference: float) -> str:
    """On which side a claim holds: the one that was measured if the signal supports it, else the other one."""
    if measured == reference:
        return ""
    sign = ">" if (measured > reference) == (merged.verdict == "supported") else "<"
    return f"{sign} " if merged.evidence.direction == "absent" else f"{sign}= "


def _target_text(sample: Sample) -> str:
    names = []
    if sample.target.speaker is not None:
        names.append(f"speaker {sample.target.speaker}")
    if sample.target.face_track is not None:
        names.append(f"face {sample.target.face_track}")
    return ", ".join(names) or "the person heard or seen"
