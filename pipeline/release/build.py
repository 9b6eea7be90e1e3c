"""Releases a version of the dataset: immutable, dated, and the same bytes when it is made again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from pipeline.consent import Consent
from pipeline.examples import banks_now, pinned
from pipeline.facts import is_withdrawn
from pipeline.live import LiveItem, live_items
from pipeline.release.files import (
    MANIFEST,
    Around,
    ReleaseReport,
    build_release,
    building,
    file_names,
    place,
)
from pipeline.release.progress import SILENT
from pipeline.release.stale import Today
from pipeline.release.telling import RUN
from pipeline.stages.base import Progress
from pipeline.stages.calibrate import heard
from pipeline.stages.contested import given_up
from pipeline.stages.selection import last_release, selection
from schemas.errors import UserError
from schemas.ids import file_digest
from schemas.records import Release, Sample, Segment, Source
from schemas.settings import Settings
from schemas.store import Store
from schemas.taxonomy import Taxonomy

__all__ = ["ReleaseReport", "Released", "build_release", "current_items", "release", "release_record"]

NEW_VERSION = "a version is never changed: release with a new version number"


class Released(NamedTuple):
    path: Path
    outcome: Literal["created", "unchanged"]
    report: ReleaseReport


class _Start(NamedTuple):
    """What a version that is made again must take from the first time; a new one has no date yet."""

    date: str | None
    before: Release | None


def release(
    store: Store,
    settings: Settings,
    taxonomy: Taxonomy,
    *,
    version: str,
    out_dir: Path,
    date: str | None = None,
    progress: Progress = SILENT,
) -> Released:
    """Make `out_dir/version`, or prove that the one that is there is what the records give today.

    The folder is always built beside its place first. `date` (YYYY-MM-DD, today in UTC) counts only for a
    version that was never released: afterwards its date is frozen in the Release record.

    Raises:
        UserError: bad version, nothing to release, stale decisions, splits that contradict those of an earlier
            version, or code "release_differs" (names the first differing file).
    """
    if re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", version) is None:
        raise UserError("bad_version", f'"{version}" is not a version', "give three numbers: 1.0.0")
    final = out_dir / version
    record = release_record(store, version)
    start = _start(store, final, record)
    with building(out_dir, version) as built:
        progress.start("collect", len(store.live_ids(Sample)))
        report = build_release(
            _told(current_items(store, settings, taxonomy), progress),
            settings=settings,
            taxonomy=taxonomy,
            version=version,
            date=start.date or date or datetime.now(UTC).date().isoformat(),
            out=built,
            around=Around(
                len(store.live_ids(Segment)),
                _not_run(store),
                start.before,
                pinned(store),
                cache(
                    lambda: selection(store, settings).dropped
                ),  # read only when something was not annotated
            ),
            progress=progress,
        )
        if final.exists():
            _refuse_difference(final, built)
            outcome: Literal["created", "unchanged"] = "unchanged"
        else:
            _refuse_other_contents(record, report)
            place(built, final)
            outcome = "created"
    if record is None:
        store.add([_record_of(report)])
    return Released(final, outcome, replace(report, path=final))


def _told(items: Iterable[LiveItem], progress: Progress) -> Iterator[LiveItem]:
    for item in items:
        yield item
        progress.advance("collect")


def _not_run(store: Store) -> int:
    """Recordings that were ingested after the last run."""
    return len({path.source_id for path in store.paths().values()} - store.live_ids(Source))


def release_record(store: Store, version: str) -> Release | None:
    """The record of a version, None when it was never released."""
    return next((record for record in store.all(Release) if record.version == version), None)


def current_items(store: Store, settings: Settings, taxonomy: Taxonomy) -> Iterator[LiveItem]:
    """All live items, each with what is said of it now: a consent that was withdrawn later counts.

    Raises:
        UserError: code "stale_decisions", a decision does not follow from the facts, answers, reviews and
            settings as they are now.
    """
    consent, hearings = Consent(store.facts(), settings.consent), heard(store, settings, taxonomy)
    today = Today(
        settings,
        taxonomy,
        consent,
        lambda: banks_now(store, settings, lambda: selection(store, settings).placed),
        hearings,
        given_up(store),
    )
    for item in live_items(store):
        # What is left out anyway need not be brought up to date first.
        if not is_withdrawn(item.facts) and (newer := today.newer_than(item)):
            message = f"the decision on {item.segment.id} is older than {newer}"
            if item.decision is None:
                message = f"{item.segment.id} has no decision yet: it waits for an answer"
            waits = "; batch jobs are under way" if store.open_batches() else ""
            raise UserError("stale_decisions", message + waits, f"{RUN} (emotrace status tells what waits)")
        yield item


def _start(store: Store, final: Path, record: Release | None) -> _Start:
    """From the record of the version; from its manifest when a kill left none."""
    if record is not None:
        released = store.all(Release)
        earlier = released[: [other.version for other in released].index(record.version)]
        return _Start(record.date, earlier[-1] if earlier else None)
    if not final.exists():
        return _Start(None, last_release(store))
    try:
        said = json.loads((final / MANIFEST).read_text(encoding="utf-8"))
        return _Start(str(said["date"]), release_record(store, said["previous_version"]))
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


def _record_of(report: ReleaseReport) -> Release:
    return Release(
        version=report.version,
        rows_digest=report.rows_digest,
        config_digest=report.config_digest,
        date=report.date,
        rows=report.rows,
        splits=report.splits,
        manifest_sha256=report.manifest_sha256,
        placement=report.placement,
    )
