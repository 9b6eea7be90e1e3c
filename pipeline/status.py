"""Totals of what stands, read from the store: the same figures for `run`, `status` and the demo."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pipeline.outputs import AnnotationCounts, CheckCounts, FailedItem, Totals
from schemas.records import Annotation, Check, Decision, Judgement, Sample, Segment, Source
from schemas.store import Store


def totals(store: Store) -> Totals:
    """Counts of the live records, money over all runs, and the items that failed in the last run."""
    outcomes = Counter(annotation.outcome for annotation in store.live(Annotation))
    verdicts = Counter(v.verdict for check in store.live(Check) for v in check.verdicts)
    decisions = Counter(decision.status for decision in store.live(Decision))
    calls, runs = store.call_totals(), store.runs()
    return Totals(
        sources=len(store.live_ids(Source)),
        segments=len(store.live_ids(Segment)),
        samples=len(store.live_ids(Sample)),
        dropped=runs[-1]["counts"]["dropped"] if runs else {},
        annotations=AnnotationCounts.model_validate(outcomes),
        checks=CheckCounts.model_validate(verdicts),
        judgements=len(store.live_ids(Judgement)),
        provider_calls=int(calls["intent"]),
        cached_calls=sum(run["counts"]["cached_calls"] for run in runs),
        spent_usd=round(calls["spent_usd"], 6),
        auto_accepted=decisions["auto_accepted"],
        needs_review=decisions["needs_review"],
        reviewed=decisions["reviewed"] + decisions["adjudicated"],
        wall_s=round(sum(run["wall_s"] for run in runs), 3),
        failed_items=[*ingest_failures(store), *_last_failures(runs)],
    )


def _last_failures(runs: list[dict[str, Any]]) -> list[FailedItem]:
    return [FailedItem(**item) for item in runs[-1]["counts"]["failed_items"]] if runs else []


def ingest_failures(store: Store) -> list[FailedItem]:
    """Files that were offered and could not be read, and have not been read since."""
    outcomes = store.outcomes("ingest").values()
    return [FailedItem.of(outcome) for outcome in outcomes if outcome.status == "failed"]


def hallucination(store: Store) -> dict[str, dict[str, Any]]:
    """Per annotator: how many of its measurable claims the signal contradicts."""
    names = {annotation.id: annotation.annotator for annotation in store.live(Annotation)}
    measurable: Counter[str] = Counter()
    contradicted: Counter[str] = Counter()
    for check in store.live(Check):
        name = names[check.annotation_id]
        for verdict in check.verdicts:
            measurable[name] += verdict.verdict in ("supported", "contradicted")
            contradicted[name] += verdict.verdict == "contradicted"
    return {
        name: {
            "contradicted": contradicted[name],
            "measurable": measurable[name],
            "rate": round(contradicted[name] / measurable[name], 4) if measurable[name] else None,
        }
        for name in sorted(set(names.values()))
    }
