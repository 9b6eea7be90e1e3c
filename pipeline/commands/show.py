"""Everything known about a source or about one of its segments, for people and machines."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from pipeline.commands.hints import complete
from pipeline.commands.show_text import item_lines, told
from pipeline.consent import Consent
from pipeline.facts import source_facts
from pipeline.live import LiveItem, live_items
from pipeline.outputs import ShowOutput
from pipeline.places import Places, as_given
from pipeline.project import Project
from pipeline.stages.selection import Selection, selection
from pipeline.status import last_failures
from schemas.errors import UserError
from schemas.parts import Dimensions, Span, SpeakerTurn
from schemas.records import Annotation, Features, Segment, Source
from schemas.store import StoredPath

MAX_OPTIONS = 20
SPANS = "spans"  # the fact that holds what a manifest says of stretches


def show(project: Project, what: str) -> ShowOutput:
    """`what` is the path, the name or a part of the name of a recording, or the (start of an) id of a source or
    segment or of anything made from one.

    Raises:
        UserError: nothing of that name, or several.
    """
    source_id, segment_id = find_item(project, what)
    source = project.store.by_id(Source, [source_id])[0]
    segments = [s.id for s in project.store.live(Segment, [source_id]) if segment_id in (None, s.id)]
    features = {f.stage: f for f in project.store.live(Features, [source_id])}
    speech, turns = features.get("speech"), features.get("diarize")
    facts = source_facts(project.store.facts(), source_id)
    chosen = selection(project.store, project.settings)
    consent = Consent(project.store.facts(), project.settings.consent)
    return ShowOutput(
        kind="source" if segment_id is None else "item",
        source=source.as_json(),
        paths=[stored.path for stored in project.store.paths().values() if stored.source_id == source_id],
        facts=facts,
        shots=_spans(features["shots"].regions if "shots" in features else ()),
        speech=_spans(speech.regions if speech else ()),
        speech_missing=speech.missing if speech else None,
        turns=_turns(turns.turns if turns else ()),
        turns_missing=turns.missing if turns else None,
        items=[
            {
                **item_json(item),
                **_chosen(item, chosen),
                "third_parties": not consent.keeps_here(item.sample, item.segment),
            }
            for item in live_items(project.store, segments)
        ],
        failed_items=[item for item in last_failures(project.store) if item.path == facts.get("name")],
    )


def item_json(item: LiveItem) -> dict[str, Any]:
    """The story of a segment's target, every record whole with its id and digest."""
    return {
        "segment": item.segment.as_json(),
        "features": {feature.stage: feature.as_json() for feature in item.features},
        "baselines": [baseline.as_json() for baseline in item.baselines],
        "sample": item.sample.as_json(),
        "annotations": [
            {
                **annotation.as_json(),
                "check": item.checks[annotation.id].as_json() if annotation.id in item.checks else None,
                "judgements": [judgement.as_json() for judgement in item.judgements[annotation.id]],
            }
            for annotation in item.annotations
        ],
        "consensus": item.consensus.as_json() if item.consensus else None,
        "reviews": [review.as_json() for review in item.reviews],
        "decision": item.decision.as_json() if item.decision else None,
    }


def _chosen(item: LiveItem, chosen: Selection) -> dict[str, Any]:
    """Why there is no annotation, None when there is one; and the split that the sample is meant for."""
    place = chosen.placed.get(item.sample.id)
    return {
        "not_annotated": None if item.annotations else chosen.dropped.get(item.sample.id, "not_yet"),
        "planned_split": place._asdict() if place else None,
    }


def decision_rows(items: Iterable[LiveItem]) -> list[dict[str, Any]]:
    """One short row per segment and target for tables: who voted what, what was decided, and why."""
    rows = []
    for item in items:
        votes = _votes(item.annotations)
        decision = item.decision
        rows.append(
            {
                "name": str(item.facts.get("name", item.source.id)),
                "source": item.source.id,
                "span": f"{item.segment.source_start_s:.2f}-{item.segment.source_end_s:.2f}",
                "speaker": item.sample.target.speaker,
                "target": item.sample.target.key,
                "others": len(item.sample.others),
                "votes": ", ".join(votes),
                "label": (decision.label if decision and decision.label else None)
                or (item.consensus.label if item.consensus else None)
                or _numbers(item),
                "status": decision.status if decision else "undecided" if votes else "not_annotated",
                "reasons": list(decision.reasons) if decision else [],
            }
        )
    return rows


def _votes(annotations: Sequence[Annotation]) -> list[str]:
    """Who said what; of who was asked more than once, how often each answer came."""
    said: dict[str, Counter[str]] = {}
    for one in annotations:
        said.setdefault(one.annotator, Counter())[_answered(one)] += 1
    times = {name: sum(answers.values()) > 1 for name, answers in said.items()}
    return [
        f"{name} "
        + " ".join(f"{answer} x{n}" if times[name] else answer for answer, n in answers.most_common())
        for name, answers in said.items()
    ]


def _answered(annotation: Annotation) -> str:
    """The label, where there is none the numbers, without an answer how it ended."""
    if annotation.answer is None:
        return annotation.outcome
    return annotation.answer.primary or told(annotation.answer.dimensions.model_dump())


def _numbers(item: LiveItem) -> str | None:
    """What was decided in numbers, or what the annotators' mean is; only where the annotators gave no label."""
    if item.consensus is None or item.consensus.distribution:
        return None
    decided = item.decision.dimensions if item.decision else Dimensions()
    return told((decided if decided.given else item.consensus.dimensions).model_dump()) or None


def _spans(spans: Iterable[Span]) -> list[dict[str, float]]:
    return [{"start_s": span.start_s, "end_s": span.end_s} for span in spans]


def _turns(turns: Iterable[SpeakerTurn]) -> list[dict[str, Any]]:
    return [{"start_s": turn.start_s, "end_s": turn.end_s, "speaker": turn.speaker} for turn in turns]


def find_item(project: Project, what: str) -> tuple[str, str | None]:
    """(source id, segment id or None) of a path, a name, or the start of any id.

    Raises:
        UserError: nothing of that name, or several.
    """
    store = project.store
    paths = store.paths()
    if (at_path := Places(paths.values()).find(as_given(Path(what)))) is not None:
        return at_path.source_id, None
    named = {stored.source_id: path for path, stored in paths.items() if Path(path).name == what}
    if len(named) == 1:
        return next(iter(named)), None
    found = store.find_ids(what) if "_" in what else []
    if not named and not found:
        return _by_part_of_name(paths.values(), what), None
    if len(named) > 1 or len(found) > 1:
        raise _ambiguous(what, sorted(named.values()) or [record_id for _, record_id in found])
    return _owner(project, *found[0])


def _by_part_of_name(paths: Iterable[StoredPath], what: str) -> str:
    """The one recording whose file name holds `what`."""
    names: dict[str, str] = {}  # source id -> file name
    for stored in paths:
        if what and what in Path(stored.path).name:
            names[stored.source_id] = Path(stored.path).name
    if len(names) > 1:
        raise _ambiguous(what, sorted(f"{name} ({source_id})" for source_id, name in names.items()))
    if not names:
        raise UserError(
            "unknown_item", f"nothing here is called {what}", "give a recording's path or name, or an id"
        )
    return next(iter(names))


def _ambiguous(what: str, options: list[str]) -> UserError:
    more = f" and {len(options) - MAX_OPTIONS} more" if len(options) > MAX_OPTIONS else ""
    return UserError(
        "ambiguous",
        f"{what} may mean several things",
        f"give one of: {', '.join(options[:MAX_OPTIONS])}{more}",
    )


def _owner(project: Project, kind: str, record_id: str) -> tuple[str, str | None]:
    """Walk up from any record to its segment and source."""
    from schemas.records import RECORDS

    while kind not in ("source", "segment"):
        record = project.store.get(RECORDS[kind], record_id)
        parent = record.parent_id if record is not None else None
        above = project.store.find_ids(parent) if parent else []
        if not above:
            raise UserError(
                "unknown_item", f"{record_id} belongs to no recording", "show a source or segment instead"
            )
        kind, record_id = above[0]
    if kind == "source":
        return record_id, None
    segment = project.store.by_id(Segment, [record_id])[0]
    return segment.source_id, segment.id


def print_show(console: Console, found: ShowOutput) -> None:
    """The main facts in a few lines; `--json` has all of it."""
    media = found.source["media"]
    lines = [
        f"{found.facts.get('name', found.source['id'])}  {found.source['id']}",
        f"{media['kind']}, {media['container']}, {media['duration_s']:.2f} s",
        *(f"note: {note}" for note in media["notes"]),
        f"facts: {_facts_text(found.facts) or 'none'}",
        f"shots: {len(found.shots)}",
        f"speech: {_span_text(found.speech) or found.speech_missing or 'not measured'}",
        f"speakers: {_speaker_text(found.turns) or found.turns_missing or 'not measured'}",
    ]
    lines += [f"copy: {path}" for path in _copies(found.paths)]
    lines += [line for item in found.items for line in item_lines(item)]
    lines += [
        f"failed: {item.stage}: {item.message} -> {complete(item.retry)}" for item in found.failed_items
    ]
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def _copies(paths: Sequence[str]) -> list[str]:
    """Where else the same bytes lie; another path to the same file is no copy."""
    files: dict[str, str] = {}
    for path in paths:
        files.setdefault(os.path.realpath(path), path)
    return list(files.values())[1:]


def _facts_text(facts: dict[str, Any]) -> str:
    """What is said of a recording; the stretches of a manifest are counted, `--json` has them."""
    told = {key: value for key, value in facts.items() if key not in ("name", SPANS)}
    if facts.get(SPANS):
        told["stretches"] = len(facts[SPANS])
    return ", ".join(f"{key}={value}" for key, value in sorted(told.items()))


def _span_text(spans: list[dict[str, float]]) -> str:
    return ", ".join(f"{span['start_s']:.2f}-{span['end_s']:.2f}" for span in spans)


def _speaker_text(turns: list[dict[str, Any]]) -> str:
    """Who speaks for how long, in how many turns; `--json` has each turn."""
    told: dict[str, list[float]] = {}
    for turn in turns:
        told.setdefault(turn["speaker"], []).append(turn["end_s"] - turn["start_s"])
    return ", ".join(f"{who} {sum(spans):.1f} s in {len(spans)}" for who, spans in sorted(told.items()))
