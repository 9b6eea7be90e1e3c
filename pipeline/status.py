"""Totals of what stands, read from the store: the same figures for `run`, `status` and the demo."""

from __future__ import annotations

import os
from collections import Counter
from datetime import datetime
from typing import Any

from pipeline.metrics.proportion import wilson_interval
from pipeline.outputs import (
    AnnotationCounts,
    BatchUnderWay,
    CheckCounts,
    ClaimRate,
    ClaimRates,
    DeadLetter,
    FailedItem,
    StageCounts,
    Totals,
    VoiceCounts,
)
from schemas.record import Record
from schemas.records import Annotation, Check, Consensus, Decision, Judgement, Sample, Segment
from schemas.store import Store, utc_now

ASKING = ("calibrate", "annotate", "contested", "judge", "sentinel")  # the stages that ask models
FAILURES = ("failed", "refused", "unparsed")  # outcomes of a question that brought nothing
KINDS = ("shown", "not_shown")  # of claims: whether the annotator had been told the measurement


def totals(store: Store) -> Totals:
    """Counts of the live records, money over all runs, and the items that failed in the last whole run."""
    decisions = _counts(store, Decision, "status")
    calls, runs = store.call_totals(), store.runs()
    last = next((run["counts"] for run in reversed(runs) if run["finished"]), None)
    return Totals(
        sources=len({stored.source_id for stored in store.paths().values()}),
        segments=_number(store, Segment),
        samples=_number(store, Sample),
        dropped=last["dropped"] if last else {},
        planned_splits=last.get("planned_splits", {}) if last else {},
        kept_here=last.get("kept_here", {}) if last else {},
        annotations=AnnotationCounts.model_validate(_counts(store, Annotation, "outcome")),
        checks=CheckCounts.model_validate(_verdicts(store)),
        voices=_voices(store),
        judgements=_number(store, Judgement),
        batches=batches_under_way(store),
        provider_calls=int(calls["intent"]),
        cached_calls=sum(run["counts"]["cached_calls"] for run in runs),
        batch_answers=sum(run["counts"].get("batch_answers", 0) for run in runs),
        spent_usd=round(calls["spent_usd"], 6),
        unpriced_calls=int(calls["unpriced"]),
        auto_accepted=decisions["auto_accepted"],
        needs_review=decisions["needs_review"],
        reviewed=decisions["reviewed"] + decisions["adjudicated"],
        wall_s=round(sum(run["wall_s"] for run in runs), 3),
        stages=_stages(runs, last_failures(store)),
        failed_items=[*ingest_failures(store), *last_failures(store)],
    )


def was_stopped(store: Store) -> bool:
    """Whether the last run ended before its last stage: interrupted, by a budget or an error, or as a plan."""
    runs = store.runs()
    return bool(runs) and not runs[-1]["finished"]


def batches_under_way(store: Store) -> list[BatchUnderWay]:
    """Vendors' batch jobs that are not over."""
    now = datetime.fromisoformat(utc_now())
    return [
        BatchUnderWay(
            name=job.asker.partition(" ")[2],
            job=job.job or None,
            token=job.token,
            questions=len(job.sent_bytes),
            size_bytes=job.size_bytes,
            planned_usd=round(job.planned_usd, 6),
            age_s=round((now - datetime.fromisoformat(job.at)).total_seconds(), 3),
        )
        for job in store.open_batches()
    ]


def _voices(store: Store) -> dict[str, VoiceCounts]:
    """Of each annotator that is asked more than once: how often, and how its answers agree."""
    sums: dict[str, list[int]] = {}
    for brief, count in store.tally(Consensus):
        for name, (asked, labelled, agreeing, variants) in brief.get("voices", {}).items():
            before = sums.setdefault(name, [0, 0, 0, 0, 1])
            for n, value in enumerate((1, asked, labelled, agreeing)):
                before[n] += count * value
            before[4] = max(before[4], variants)
    return {
        name: VoiceCounts(
            clips=clips,
            asked=asked,
            labelled=labelled,
            agreement=round(agreeing / asked, 4),
            variants=variants,
        )
        for name, (clips, asked, labelled, agreeing, variants) in sorted(sums.items())
    }


def _stages(runs: list[dict[str, Any]], failed: list[FailedItem]) -> dict[str, StageCounts]:
    """What each stage did over all runs, and how many of its items stand as failed."""
    found: dict[str, StageCounts] = {}
    for run in runs:
        for name, counts in run["counts"].get("stages", {}).items():
            stage = found.setdefault(name, StageCounts())
            stage.items += counts["items"]
            stage.wall_s = round(stage.wall_s + counts["wall_s"], 3)
    for item in failed:
        found.setdefault(item.stage, StageCounts()).failed += 1
    return {name: counts.rated() for name, counts in found.items()}


def _number(store: Store, cls: type[Record]) -> int:
    return sum(count for _, count in store.tally(cls))


def _counts(store: Store, cls: type[Record], name: str) -> Counter[str]:
    """How many records of a kind stand now, by one word of their briefs."""
    found: Counter[str] = Counter()
    for brief, count in store.tally(cls):
        found[brief[name]] += count
    return found


def _verdicts(store: Store) -> Counter[str]:
    found: Counter[str] = Counter()
    for brief, count in store.tally(Check):
        for verdicts in brief.values():
            for verdict, claims in verdicts.items():
                found[verdict] += claims * count
    return found


def last_failures(store: Store) -> list[FailedItem]:
    """Items that failed in the last run that came to its end, but for what was answered since: a question, or a
    model that was not asked to the end."""
    ended_at, told = store.last_failed_items()
    items = [FailedItem(**item) for item in told]
    asked = [item.id for item in items if item.stage in ASKING]
    since = {**store.stubs(Annotation, asked), **store.stubs(Judgement, asked)}
    models = {name for name in asked if name not in since and store.has_answered_since(name, ended_at)}
    answered = models | {key for key, stub in since.items() if stub.brief["outcome"] not in FAILURES}
    return [item for item in items if item.stage not in ASKING or item.id not in answered]


def dead_letters(store: Store) -> list[DeadLetter]:
    """Questions to models that are not sent again by themselves, as far as they still stand."""
    stand = store.live_ids(Annotation) | store.live_ids(Judgement)
    stand |= {item.id for item in last_failures(store) if item.dead_letter}  # those about no clip, too
    standing = [letter for letter in store.dead_letters(ASKING) if letter.item in stand]
    return [
        DeadLetter(**FailedItem.of(letter).model_dump(), since=store.ended_at(letter.stage, letter.item))
        for letter in standing
    ]


def ingest_failures(store: Store) -> list[FailedItem]:
    """Files that were offered, could not be read, have not been read since, and are still there."""
    failed = store.outcomes("ingest", status="failed").values()
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


def hallucination(store: Store) -> dict[str, ClaimRates]:
    """Per annotator: how many of its measurable claims the signal contradicts.

    That claims whose measurement was shown are supported proves only copying: they are counted apart.
    """
    found = {
        name: {kind: Counter[str]() for kind in KINDS} for name in _counts(store, Annotation, "annotator")
    }
    for annotation, check, count in store.tally_by_parent(Check):
        for kind, verdicts in check.items():
            for verdict, claims in verdicts.items():
                found[annotation["annotator"]][kind][verdict] += claims * count
    return {name: _rates(kinds) for name, kinds in sorted(found.items())}


def _rates(kinds: dict[str, Counter[str]]) -> ClaimRates:
    whole = _rate(sum(kinds.values(), Counter[str]()))
    return ClaimRates(**dict(whole), **{kind: _rate(verdicts) for kind, verdicts in kinds.items()})


def _rate(verdicts: Counter[str]) -> ClaimRate:
    contradicted, claims = verdicts["contradicted"], verdicts.total()
    measurable = verdicts["supported"] + contradicted
    low, high = wilson_interval(contradicted, measurable)
    return ClaimRate(
        **verdicts,
        claims=claims,
        measurable=measurable,
        rate=round(contradicted / measurable, 4) if measurable else None,
        low=round(low, 4) if measurable else None,
        high=round(high, 4) if measurable else None,
        not_measurable_share=round(verdicts["not_measurable"] / claims, 4) if claims else None,
    )
