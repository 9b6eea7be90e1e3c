"""Releases a version of the dataset: immutable, dated, and the same bytes when it is made again."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from pipeline.aggregate.base import Ballot, consensus_question
from pipeline.leftovers import sweep
from pipeline.live import LiveItem, live_items
from pipeline.policy import decision_question
from pipeline.release.files import MANIFEST, ReleaseReport, build_release, file_names
from schemas.errors import UserError
from schemas.ids import file_digest
from schemas.records import Release
from schemas.settings import ModelSection, Settings
from schemas.store import Store
from schemas.taxonomy import Taxonomy

__all__ = ["ReleaseReport", "Released", "build_release", "current_items", "release", "release_record"]

NEW_VERSION = "a version is never changed: release with a new version number"


class Released(NamedTuple):
    path: Path
    outcome: Literal["created", "unchanged"]


def release(
    store: Store,
    settings: Settings,
    taxonomy: Taxonomy,
    *,
    version: str,
    out_dir: Path,
    date: str | None = None,
) -> Released:
    """Make `out_dir/version`, or prove that the one that is there is what the records give today.

    The folder is always built beside its place first. `date` (YYYY-MM-DD, today in UTC) counts only for a
    version that was never released: afterwards its date is frozen in the Release record.

    Raises:
        UserError: bad version, nothing to release, stale decisions, or code "release_differs" (names the first
            differing file).
    """
    if re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", version) is None:
        raise UserError("bad_version", f'"{version}" is not a version', "give three numbers: 1.0.0")
    final = out_dir / version
    record = release_record(store, version)
    frozen = _frozen_date(final, record) or date or datetime.now(UTC).date().isoformat()
    with _beside(out_dir, version) as built:
        items = current_items(store, settings, taxonomy)
        report = build_release(
            items, settings=settings, taxonomy=taxonomy, version=version, date=frozen, out=built
        )
        if final.exists():
            _refuse_difference(final, built)
            outcome: Literal["created", "unchanged"] = "unchanged"
        else:
            _refuse_other_contents(record, report)
            _place(built, final)
            outcome = "created"
    if record is None:
        store.add([_record_of(report)])
    return Released(final, outcome)


def release_record(store: Store, version: str) -> Release | None:
    """The record of a version, None when it was never released."""
    return next((record for record in store.all(Release) if record.version == version), None)


def current_items(store: Store, settings: Settings, taxonomy: Taxonomy) -> Iterator[LiveItem]:
    """All live items, each with what is said of it now: a consent that was withdrawn later counts.

    Raises:
        UserError: code "stale_decisions", a decision does not follow from the answers, reviews and settings as
            they are now.
    """
    for item in live_items(store):
        if _is_stale(item, settings, taxonomy):
            raise UserError(
                "stale_decisions",
                f"the decision on {item.segment.id} is older than its reviews, annotations or settings",
                "run: emotrace run",
            )
        yield item


def _is_stale(item: LiveItem, settings: Settings, taxonomy: Taxonomy) -> bool:
    """Whether a run would ask others, count otherwise or decide anew."""
    judgements = tuple(judgement for group in item.judgements.values() for judgement in group)
    asked = {(a.annotator, a.provider, a.model, a.replicate) for a in item.annotations}
    judged = {(j.judge, j.provider, j.model, j.replicate) for j in judgements}
    if (asked and asked != _wanted(settings.annotators)) or (judged and judged != _wanted(settings.judges)):
        return True
    if item.consensus is None or item.decision is None:
        return False
    sample, seed = item.sample, settings.project.seed
    ballot = Ballot(
        sample.segment_id, sample.target, sample.id, item.annotations, tuple(item.checks.values()), judgements
    )
    voted = consensus_question(ballot, taxonomy=taxonomy, params=settings.aggregate, seed=seed)
    inputs = (item.consensus, item.reviews, sample.missing, settings.policy)
    decided = decision_question(*inputs, taxonomy=taxonomy, seed=seed)
    return (item.consensus.id, item.decision.id) != (voted, decided)


def _wanted(sections: Iterable[ModelSection]) -> set[tuple[str, str, str, int]]:
    """Who is to answer: name, provider, model and replicate."""
    return {(s.name, s.provider, s.model, replicate) for s in sections for replicate in range(s.replicates)}


@contextmanager
def _beside(out_dir: Path, version: str) -> Iterator[Path]:
    """Where to build, on the same file system as `out_dir / version`; removed afterwards."""
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        sweep(out_dir, ".[0-9]*-*")
        folder = tempfile.TemporaryDirectory(prefix=f".{version}-", dir=out_dir)
    except OSError as error:
        raise UserError(
            "cannot_write_release", error.strerror or str(error), "give another folder", str(out_dir)
        ) from error
    with folder as name:
        yield Path(name) / version


def _frozen_date(final: Path, record: Release | None) -> str | None:
    """The date of a version that was released before; from its manifest when a kill left no record."""
    if record is not None:
        return record.date
    if not final.exists():
        return None
    try:
        return str(json.loads((final / MANIFEST).read_text(encoding="utf-8"))["date"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            "not_a_release", f"{final} is there, but is not a release", "move it away or use another version"
        ) from error


def _refuse_difference(final: Path, built: Path) -> None:
    there, made = set(file_names(final)), set(file_names(built))
    for name in sorted(there | made):
        if name not in made:
            why = f"{name} does not belong to it"
        elif name not in there:
            why = f"{name} is missing"
        elif file_digest(final / name) != file_digest(built / name):
            why = f"{name} differs"
        else:
            continue
        raise UserError(
            "release_differs",
            f"{final} is not what the records and settings give now: {why}{_other_tools(final, built)}",
            NEW_VERSION,
        )


def _other_tools(final: Path, built: Path) -> str:
    """A hint when the difference may come from the versions of the programs that wrote the files."""
    try:
        old, new = (json.loads((folder / MANIFEST).read_text(encoding="utf-8")) for folder in (final, built))
        return "" if old["tools"] == new["tools"] else f" (made with {old['tools']}, now {new['tools']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _refuse_other_contents(record: Release | None, report: ReleaseReport) -> None:
    if record is not None and record.manifest_sha256 != report.manifest_sha256:
        raise UserError(
            "release_differs",
            f"version {record.version} was released on {record.date} with other contents",
            NEW_VERSION,
        )


def _place(built: Path, final: Path) -> None:
    try:
        os.rename(built, final)  # noqa: PTH104 - fails when another program made the folder meanwhile
    except OSError as error:
        raise UserError(
            "release_exists", f"{final} was made by another program meanwhile", "release again to compare"
        ) from error


def _record_of(report: ReleaseReport) -> Release:
    return Release(
        version=report.version,
        rows_digest=report.rows_digest,
        config_digest=report.config_digest,
        date=report.date,
        rows=report.rows,
        splits=report.splits,
        manifest_sha256=report.manifest_sha256,
    )
