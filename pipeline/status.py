"""Totals of what stands, read from the store: the same figures for `run`, `status` and the demo."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from pipeline.outputs import AnnotationCounts, CheckCounts, FailedItem, Totals
from schemas.records import Annotation, Check, Decision, Judgement, Sample, Segment
from schemas.store import Store


def totals(store: Store) -> Totals:
    """Counts of the live records, money over all runs, and the items that failed in the last whole run."""
    outcomes = Counter(annotation.outcome for annotation in store.live(Annotation))
    verdicts = Counter(v.verdict for check in store.live(Check) for v in check.verdicts)
    decisions = Counter(decision.status for decision in store.live(Decision))
    calls, runs = store.call_totals(), store.runs()
    last = next((run["counts"] for run in reversed(runs) if run["finished"]), None)
    return Totals(
        sources=len({stored.source_id for stored in store.paths().values()}),
        segments=len(store.live_ids(Segment)),
        samples=len(store.live_ids(Sample)),
        dropped=last["dropped"] if last else {},
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
        failed_items=[*ingest_failures(store), *last_failures(store)],
    )


def last_failures(store: Store) -> list[FailedItem]:
    """Items that failed in the last run that came to its end."""
    finished = [run for run in store.runs() if run["finished"]]
    return [FailedItem(**item) for item in finished[-1]["counts"]["failed_items"]] if finished else []


def ingest_failures(store: Store) -> list[FailedItem]:
    """Files that were offered, could not be read, have not been read since, and are still there."""
    outcomes = store.outcomes("ingest").values()
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    # The item is the file itself, the path what was offered: it may be a link that leads nowhere.
    there = [one for one in failed if not (_gone(one.item) and _gone(one.path or one.item))]
    return [FailedItem.of(outcome) for outcome in there]


def _gone(path: str) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # it cannot be told: a folder that may not be read
        return False
    return False


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
