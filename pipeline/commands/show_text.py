"""What `emotrace show` prints of a segment: distribution, decision, annotators, claims; a line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pipeline.reasons import outcome_code
from schemas.parts import Dimensions
from schemas.records import Annotation, Sample

Json = dict[str, Any]


def item_lines(item: Json) -> Iterator[str]:
    """The lines of one item of `pipeline.commands.show.item_json`."""
    segment, sample = item["segment"], item["sample"]
    yield f"{segment['source_start_s']:.2f}-{segment['source_end_s']:.2f} s  {segment['id']}"
    if sample["others"]:
        yield f"  target: {_target(sample)}, one of {len(sample['others']) + 1}"
    yield _said(sample)
    if sample["missing"]:
        yield "  missing: " + ", ".join(f"{name} ({why})" for name, why in sorted(sample["missing"].items()))
    if item["not_annotated"]:
        yield f"  not annotated: {item['not_annotated']}"
    if not item["third_parties"]:
        yield "  consent: shown to no third party"
    if item["planned_split"]:
        yield f"  planned split: {item['planned_split']['split']}, with {item['planned_split']['group']}"
    if item["consensus"]:
        yield f"  distribution: {_distribution(item['consensus'])}"
    if item["decision"]:
        yield f"  decision: {_decision(item['decision'])}"
    voices = {voice["annotator"]: voice for voice in item["consensus"]["voices"]} if item["consensus"] else {}
    for annotation in _in_turn(item["annotations"]):
        yield f"  {_asked(annotation, voices)}: {_answer(annotation)}"
        yield from (f"    {line}" for line in _judged(annotation))
    for voice in voices.values():
        yield f"  {_voice(voice)}"
    if item["consensus"] and item["consensus"]["evidence"]:
        yield f"  {_claims(item['consensus']['evidence'])}"
    for claim in item["consensus"]["evidence"] if item["consensus"] else ():
        yield f"  {_claim(claim)}"


def _in_turn(annotations: list[Json]) -> list[Json]:
    """As they came, but those of one annotator together and in the order of its questions."""
    names = [annotation["annotator"] for annotation in annotations]
    return sorted(annotations, key=lambda a: (names.index(a["annotator"]), a["variant"], a["replicate"]))


def _asked(annotation: Json, voices: Json) -> str:
    """Who answered; of an annotator that is asked more than once, also which of its questions."""
    name = str(annotation["annotator"])
    if name not in voices or voices[name]["asked"] == 1:
        return name
    return f"{name}, wording {annotation['variant'] + 1}, sample {annotation['replicate'] + 1}"


def _voice(voice: Json) -> str:
    """What the answers of one annotator come to."""
    counts = f"{voice['labelled']} of {voice['asked']} answers have a label, {voice['agreement']:.0%} agree"
    how = ", calibrated" if voice["calibrated"] else ""
    return f"{voice['annotator']} in all: {_shares(voice['distribution']) or 'no label'} ({counts}{how})"


def _target(sample: Json) -> str:
    target = sample["target"]
    named = [
        f"{kind} {name}"
        for kind, name in (("speaker", target["speaker"]), ("face", target["face_track"]))
        if name
    ]
    return ", ".join(named)


def _said(sample: Json) -> str:
    """The target's words and where they come from: a poor recogniser's must not be taken for a transcript."""
    own = Sample.model_validate({name: sample[name] for name in Sample.model_fields}).own_words
    source = (sample["words_source"] or "").replace(" (", ", ").rstrip(")")
    return f"  said ({source}): {' '.join(word.text for word in own)}" if own else "  said: nothing"


def told(dimensions: Json) -> str:
    """The numbers of a record, by name; empty without any."""
    return ", ".join(f"{name} {value:.2f}" for name, value in Dimensions(**dimensions).given.items())


def _distribution(consensus: Json) -> str:
    shares = _shares(consensus["distribution"])
    shares = ", ".join(filter(None, (shares, told(consensus["dimensions"])))) or "nobody gave a label"
    return f"{shares}; margin {consensus['margin']:.2f}, conflict {consensus['conflict']}"


def _shares(distribution: Json) -> str:
    by_size = sorted(distribution.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{label} {p:.2f}" for label, p in by_size)


def _decision(decision: Json) -> str:
    reasons = f": {', '.join(decision['reasons'])}" if decision["reasons"] else ""
    numbers = told(decision["dimensions"])
    said = ", ".join(filter(None, (decision["label"], numbers, *decision["heads"].values())))
    return f"{said or 'open'} ({decision['status']}{reasons})"


def _answer(annotation: Json) -> str:
    answer = annotation["answer"]
    if answer:
        label = answer["labels"][0]["label"] if answer["labels"] else told(answer["dimensions"])
        sure = "not stated" if answer["confidence"] is None else f"{answer['confidence']:.2f}"
        return f"{label}, confidence {sure}"
    fields = {name: annotation[name] for name in Annotation.model_fields}
    return f"{annotation['outcome']} ({outcome_code(Annotation(**fields))})"


def _judged(annotation: Json) -> Iterator[str]:
    """What each judge says of an annotation: its scores, or which label the reasons imply."""
    for one in sorted(
        annotation["judgements"], key=lambda one: (one["judge"], one["kind"], one["replicate"])
    ):
        flags = f" ({', '.join(one['flags'])})" if one["flags"] else ""
        yield f"{one['judge']}: {_judgement(one)}{flags}"


def _judgement(one: Json) -> str:
    if one["outcome"] not in ("scored", "answered"):
        return f"{one['outcome']} ({one['reason']})"
    if one["kind"] == "second_look":
        return f"with the label hidden, the reasons imply {one['implied_label'] or 'no label'}"
    if one["kind"] == "mme_emotion":
        return f"steps against {', '.join(one['reference'])}: {one['reply']}"
    scores = ((name, one[name]) for name in ("s_rec", "s_reason", "s_cot"))
    return ", ".join(f"{name} {'left open' if score is None else f'{score:.2f}'}" for name, score in scores)


def _claims(claims: list[Json]) -> str:
    """How the claims came out, apart for those whose measurement the annotator had been told."""
    told = []
    for name, shown in (("not told", False), ("told", True)):
        verdicts = Counter(one["verdict"] for one in claims if one["evidence"]["shown"] is shown)
        counts = ", ".join(f"{n} {verdict.replace('_', ' ')}" for verdict, n in sorted(verdicts.items()))
        told.append(f"{name}: {counts or 'none'}")
    return f"claims {'; '.join(told)}"


def _claim(claim: Json) -> str:
    said = claim["evidence"]
    what = f'"{said["quote"]}"' if said["quote"] else f"{said['cue']} {said['direction']}"
    told = ", told" if said["shown"] else ""
    measured = claim["measured"]
    found = "" if measured is None else f", measured {measured:g} {claim['unit']}"
    span = f"{said['start_s']:.2f}-{said['end_s']:.2f} s"
    by = ", ".join(claim["supporters"])
    return f"{said['id']} {span} {said['modality']}: {what}: {claim['verdict']}{found}{told} ({by})"
