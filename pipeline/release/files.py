"""Writes the folder of a release: Parquet shards, card, manifest, checksums. Same input, same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.facts import is_withdrawn
from pipeline.leftovers import sweep
from pipeline.live import LiveItem
from pipeline.policy import in_random_share
from pipeline.release.card import Tally, render_card
from pipeline.release.progress import SILENT
from pipeline.release.rows import FORMAT, SCHEMA, make_row, row_line, schema_digest, schema_fields
from pipeline.release.spool import Spool
from pipeline.release.telling import RUN, left_out_text, remedy_for
from pipeline.splits import (
    NOTHING_KEPT,
    SPLITS,
    Placed,
    Split,
    SplitKey,
    assign_splits,
    kept_splits,
    placement,
)
from pipeline.stages.base import Progress
from schemas.errors import UserError
from schemas.ids import canonical_json, content_digest, file_digest
from schemas.records import Release
from schemas.settings import Settings
from schemas.taxonomy import Taxonomy

ROWS_PER_GROUP = 1_000
ROWS_PER_FILE = 20_000
MANIFEST, SUMS, CARD = "manifest.json", "SHA256SUMS", "README.md"
DECIDED = frozenset({"auto_accepted", "reviewed", "adjudicated"})


@dataclass(frozen=True)
class ReleaseReport:
    """What was written. `rows_digest` is the content hash of the rows."""

    path: Path
    version: str
    date: str
    rows: int
    splits: dict[str, int]
    labels: dict[str, int]
    left_out: dict[str, int]
    recordings_not_run: int
    license: str | None
    previous_version: str | None
    placement: dict[str, Split]
    rows_digest: str
    config_digest: str
    manifest_sha256: str


class Around(NamedTuple):
    """What a release depends on beside its items."""

    segments: int | None = None  # that stand, also those without an item; None: only those with one
    recordings_not_run: int = 0
    before: Release | None = None  # the version that was released last before this one
    pinned: Mapping[str, Split] = NOTHING_KEPT  # nodes that are train: a model was shown something of them
    dropped: Callable[[], Mapping[str, str]] = dict  # sample -> why nobody is asked about it


ALONE = Around()


def build_release(
    items: Iterable[LiveItem],
    *,
    settings: Settings,
    taxonomy: Taxonomy,
    version: str,
    date: str,
    out: Path,
    around: Around = ALONE,
    progress: Progress = SILENT,
) -> ReleaseReport:
    """Write the release into `out`, an empty folder, and down to the disk.

    Items without a decision that stands are left out, unless `release.include_undecided`; items whose consent was
    withdrawn always are. `date` is YYYY-MM-DD.

    Raises:
        UserError: nothing to release, or a split that cannot be made.
        OSError: no space left.
    """
    with tempfile.TemporaryFile(dir=out) as file:
        spool = _spool(items, settings, taxonomy, around, Spool(file))
        kept = kept_splits(around.before, settings, around.pinned)
        placed = assign_splits(spool.keys, settings.release, seed=settings.project.seed, kept=kept)
        if waiting := len(spool.keys) - len(placed):
            spool.left_out["split_needs_people"] += waiting
        if not placed:
            raise _nothing(spool.left_out, around)
        progress.start("write", len(placed))
        written = _write_shards(out, spool, placed, progress)
    tally = written.tally
    manifest = _manifest(settings, taxonomy, version, date, spool, written, around)
    _write_texts(out, manifest, tally)
    _sync(out)
    return ReleaseReport(
        path=out,
        version=version,
        date=date,
        rows=tally.rows,
        splits=tally.splits,
        labels={label: sum(splits.values()) for label, splits in sorted(tally.labels.items())},
        left_out=manifest["left_out"],
        recordings_not_run=around.recordings_not_run,
        license=manifest["license"],
        previous_version=manifest["previous_version"],
        placement={**kept, **placement(spool.keys, placed, settings.release)},
        rows_digest=written.rows_digest,
        config_digest=manifest["config_digest"],
        manifest_sha256=file_digest(out / MANIFEST),
    )


@contextmanager
def building(out_dir: Path, name: str) -> Iterator[Path]:
    """A new folder in which `out_dir / name` is built, on its file system; removed, unless it was renamed.

    Raises:
        UserError: code "cannot_write_release", the folder cannot be written or is full.
    """
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        sweep(out_dir, ".[0-9]*-*")
        folder = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=out_dir))
        try:
            folder.chmod(0o755)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise UserError(
            "cannot_write_release",
            error.strerror or str(error),
            "mend this, then release again",
            str(out_dir / name),
        ) from error


def place(folder: Path, final: Path) -> None:
    """Give a folder that was built its name."""
    try:
        os.rename(folder, final)  # noqa: PTH104 - fails when another program made the folder meanwhile
    except OSError as error:
        raise UserError(
            "release_exists", f"{final} was made by another program meanwhile", "release again to compare"
        ) from error
    _sync_folder(final.parent)


def _sync(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            _sync_folder(path)
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# --- rows ------------------------------------------------------------------------------------------


def _spool(
    items: Iterable[LiveItem], settings: Settings, taxonomy: Taxonomy, around: Around, spool: Spool
) -> Spool:
    segments = set()
    for item in items:
        segments.add(item.segment.id)
        reason = _why_not(item, settings, around)
        if item.consensus is not None and item.decision is not None and reason != "consent_withdrawn":
            _count_random(spool, item, settings)
            if reason is None:
                row = make_row(item, item.consensus, item.decision, taxonomy)
                spool.add(row, _split_key(row, item), list(_models(item)), _language(row, settings))
        spool.left_out.update([] if reason is None else [reason])
    if around.segments is not None and around.segments > len(segments):
        spool.left_out["not_measured"] = around.segments - len(segments)
    if not spool.keys:
        raise _nothing(spool.left_out, around)
    return spool


def _why_not(item: LiveItem, settings: Settings, around: Around) -> str | None:
    """Why an item is left out, a key of `LEFT_OUT`; None when it is not."""
    if is_withdrawn(item.facts):
        return "consent_withdrawn"
    if item.consensus is None or item.decision is None:
        return around.dropped().get(item.sample.id, "not_annotated")
    if item.decision.status not in DECIDED and not settings.release.include_undecided:
        return "needs_review"
    return None


def _language(row: Mapping[str, Any], settings: Settings) -> str | None:
    code = (row["language"] or settings.release.language or settings.project.language or "").lower()
    found = re.match(r"[a-z]{2,3}(?![a-z])", code)
    return found[0] if found else None


def _count_random(spool: Spool, item: LiveItem, settings: Settings) -> None:
    drawn = in_random_share(item.segment.id, settings.policy.random_review_share, seed=settings.project.seed)
    decided = item.decision is not None and item.decision.status in ("reviewed", "adjudicated")
    spool.random.update(clips=1, drawn=int(drawn), decided=int(drawn and decided))


def _nothing(left_out: Mapping[str, int], around: Around) -> UserError:
    if left_out:
        why = f"no clip has a label that stands ({left_out_text(left_out)})"
        return UserError("nothing_to_release", why, remedy_for(left_out))
    why = "the recordings were not run yet" if around.recordings_not_run else "there are no clips yet"
    remedy = RUN if around.recordings_not_run else "ingest recordings, then " + RUN
    return UserError("nothing_to_release", why, remedy)


def _split_key(row: Mapping[str, Any], item: LiveItem) -> SplitKey:
    group = item.facts.get("group")
    if row["status"] == "adjudicated" or (row["status"] == "reviewed" and row["human"]["blind"] >= 2):
        trust = 2
    else:
        trust = int(row["status"] == "reviewed")
    return SplitKey(row["id"], row["source_id"], row["speaker"], None if group is None else str(group), trust)


def _models(item: LiveItem) -> Iterator[str]:
    for said in item.annotations:
        yield canonical_json(
            {"role": "annotator", "name": said.annotator, "provider": said.provider, "model": said.model,
             "model_version": said.model_version}
        )  # fmt: skip
    for rated in (judgement for group in item.judgements.values() for judgement in group):
        yield canonical_json(
            {"role": "judge", "name": rated.judge, "provider": rated.provider, "model": rated.model,
             "model_version": rated.model_version}
        )  # fmt: skip


class Written(NamedTuple):
    """What is known of the rows once they are written. `bytes` counts them by split as Arrow holds them."""

    tally: Tally
    rows_digest: str
    bytes: dict[str, int]


def _write_shards(folder: Path, spool: Spool, placed: Mapping[str, Placed], progress: Progress) -> Written:
    """Write the Parquet files; the digest goes over the canonical rows, in file order."""
    (folder / "data").mkdir()
    tally, content, size = Tally(), hashlib.sha256(), Counter[str]()
    for split in SPLITS:
        ids = sorted(row_id for row_id, place in placed.items() if place.split == split)
        shards = [ids[start : start + ROWS_PER_FILE] for start in range(0, len(ids), ROWS_PER_FILE)]
        for number, shard in enumerate(shards):
            path = folder / "data" / f"{split}-{number:05d}-of-{len(shards):05d}.parquet"
            with pq.ParquetWriter(path, SCHEMA, compression="zstd", version="2.6") as writer:
                for batch in _batches(shard, spool, placed):
                    writer.write_batch(batch)
                    size[split] += batch.nbytes
                    for row in batch.to_pylist():
                        content.update(row_line(row).encode() + b"\n")
                        tally.add(row)
                    progress.advance("write", batch.num_rows)
    return Written(tally, content.hexdigest(), dict(size))


def _batches(ids: Sequence[str], spool: Spool, placed: Mapping[str, Placed]) -> Iterator[pa.RecordBatch]:
    """Row groups of a fixed size."""
    for start in range(0, len(ids), ROWS_PER_GROUP):
        rows = [
            {**spool.take(row_id), "split": placed[row_id].split, "group": placed[row_id].group}
            for row_id in ids[start : start + ROWS_PER_GROUP]
        ]
        yield pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


# --- manifest, card, checksums ---------------------------------------------------------------------


def release_config(settings: Settings, taxonomy: Taxonomy) -> dict[str, Any]:
    """The settings that shape a release beyond the records: no paths, ports, limits or names of keys."""
    return {
        "project": settings.project.model_dump(mode="json", include={"name", "language", "seed"}),
        "taxonomy_digest": taxonomy.digest,
        **settings.model_dump(mode="json", include={"aggregate", "policy", "release"}),
    }


def taxonomy_facts(taxonomy: Taxonomy) -> dict[str, Any]:
    """What a reader must know of the label set to read and check the rows."""
    return {
        "name": taxonomy.name,
        "digest": taxonomy.digest,
        "kind": taxonomy.kind,
        "labels": list(taxonomy.groups),
        "wheel": None if taxonomy.wheel is None else f"{taxonomy.wheel}, level {taxonomy.wheel_level}",
        "dimensions": [
            {"name": name, "low": scale.low, "high": scale.high}
            for name, scale in taxonomy.dimensions.items()
        ],
        "heads": [{"name": name, "labels": list(head.labels)} for name, head in taxonomy.heads.items()],
    }


def _manifest(
    settings: Settings,
    taxonomy: Taxonomy,
    version: str,
    date: str,
    spool: Spool,
    written: Written,
    around: Around,
) -> dict[str, Any]:
    """Everything of the manifest but the list of files."""
    config = release_config(settings, taxonomy)
    tally = written.tally
    return {
        "format": FORMAT,
        "title": settings.release.title or settings.project.name,
        "version": version,
        "date": date,
        "previous_version": around.before.version if around.before else None,
        "license": settings.release.license,
        "languages": sorted(spool.languages),
        "taxonomy": taxonomy_facts(taxonomy),
        "rows": tally.rows,
        "bytes": written.bytes,
        "content_sha256": written.rows_digest,
        "schema_sha256": schema_digest(SCHEMA),
        "schema": schema_fields(SCHEMA),
        "counts": tally.as_json(),
        "left_out": dict(sorted(spool.left_out.items())),
        "random_review": dict(sorted(spool.random.items())),
        "models": [{**json.loads(text), "records": n} for text, n in sorted(spool.models.items())],
        "config": config,
        "config_digest": content_digest(config),
        "tools": {"emotrace": installed_version("emotrace"), "pyarrow": pa.__version__},
    }


def _write_texts(folder: Path, manifest: Mapping[str, Any], tally: Tally) -> None:
    (folder / CARD).write_text(render_card(manifest, tally), encoding="utf-8")
    if manifest["license"]:
        (folder / "LICENSE").write_text(
            f"{manifest['title']}, version {manifest['version']}, is released under: {manifest['license']}\n\n"
            "The recordings keep their own licences: see the column `license` of every row.\n",
            encoding="utf-8",
        )
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": file_digest(folder / name)}
        for name in file_names(folder)
    }
    text = json.dumps({**manifest, "files": files}, indent=2, sort_keys=True, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    sums = [f"{file_digest(folder / name)}  {name}\n" for name in file_names(folder)]
    (folder / SUMS).write_text("".join(sums), encoding="utf-8")


def file_names(folder: Path) -> list[str]:
    """All files below a folder as relative POSIX paths, sorted."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
