"""Writes the folder of a release: Parquet shards, card, manifest, checksums. Same input, same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import IO, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.facts import is_withdrawn
from pipeline.live import LiveItem
from pipeline.policy import in_random_share
from pipeline.release.card import Tally, render_card
from pipeline.release.rows import FORMAT, SCHEMA, make_row, row_line, schema_digest, schema_fields
from pipeline.release.splits import SPLITS, Placed, SplitKey, assign_splits
from schemas.errors import UserError
from schemas.ids import canonical_json, content_digest, file_digest
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
    rows_digest: str
    config_digest: str
    manifest_sha256: str


@dataclass
class Spool:
    """Rows on disk in the order in which they came, so that memory does not grow with the dataset."""

    file: IO[bytes]
    keys: list[SplitKey] = field(default_factory=list)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)  # row id -> offset, bytes
    left_out: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)  # canonical JSON of a model -> records
    languages: set[str] = field(default_factory=set)
    random: Counter[str] = field(default_factory=Counter)  # of the share that goes to people by chance

    def add(self, row: dict[str, Any], key: SplitKey) -> None:
        line = canonical_json(row).encode()
        self.places[row["id"]] = (self.file.tell(), len(line))
        self.keys.append(key)
        self.file.write(line)

    def read(self, row_id: str) -> dict[str, Any]:
        offset, size = self.places[row_id]
        self.file.seek(offset)
        row: dict[str, Any] = json.loads(self.file.read(size))
        return row


def build_release(
    items: Iterable[LiveItem],
    *,
    settings: Settings,
    taxonomy: Taxonomy,
    version: str,
    date: str,
    out: Path,
) -> ReleaseReport:
    """Write the release to `out`, which must not be there yet: all of it or nothing.

    Items without a decision that stands are left out, unless `release.include_undecided`; items whose consent was
    withdrawn always are. `date` is YYYY-MM-DD.

    Raises:
        UserError: nothing to release, a split that cannot be made, `out` exists, no space left.
    """
    with _building(out) as folder:
        with tempfile.TemporaryFile(dir=folder) as file:
            spool = _spool(items, settings, taxonomy, Spool(file))
            placed = assign_splits(spool.keys, settings.release, seed=settings.project.seed)
            written = _write_shards(folder, spool, placed)
        tally = written.tally
        manifest = _manifest(settings, taxonomy, version, date, spool, written)
        _write_texts(folder, manifest, tally)
        manifest_sha256 = file_digest(folder / MANIFEST)
    return ReleaseReport(
        path=out,
        version=version,
        date=date,
        rows=tally.rows,
        splits=tally.splits,
        labels={label: sum(splits.values()) for label, splits in sorted(tally.labels.items())},
        left_out=manifest["left_out"],
        rows_digest=written.rows_digest,
        config_digest=manifest["config_digest"],
        manifest_sha256=manifest_sha256,
    )


@contextmanager
def _building(out: Path) -> Iterator[Path]:
    """A new folder beside `out` that takes its name when all went well, and is removed otherwise."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-building-", dir=out.parent))
        try:
            yield folder
            folder.chmod(0o755)
            _sync(folder)
            if out.exists():
                raise UserError("release_exists", f"{out} is already there", "use a new version number")
            folder.rename(out)
            _sync_folder(out.parent)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise UserError(
            "cannot_write_release", f"{error.strerror or error}", "mend this, then release again", str(out)
        ) from error


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


def _spool(items: Iterable[LiveItem], settings: Settings, taxonomy: Taxonomy, spool: Spool) -> Spool:
    for item in items:
        if is_withdrawn(item.facts):
            spool.left_out["consent_withdrawn"] += 1
            continue
        if item.consensus is None or item.decision is None:
            spool.left_out["not_annotated"] += 1
            continue
        _count_random(spool, item, settings)
        if item.decision.status not in DECIDED and not settings.release.include_undecided:
            spool.left_out["needs_review"] += 1
            continue
        row = make_row(item, item.consensus, item.decision, taxonomy)
        spool.add(row, _split_key(row, item))
        spool.models.update(_models(item))
        code = (row["language"] or settings.release.language or settings.project.language or "").lower()
        if found := re.match(r"[a-z]{2,3}(?![a-z])", code):
            spool.languages.add(found[0])
    if not spool.keys:
        raise _nothing(spool.left_out)
    return spool


def _count_random(spool: Spool, item: LiveItem, settings: Settings) -> None:
    drawn = in_random_share(item.segment.id, settings.policy.random_review_share, seed=settings.project.seed)
    decided = item.decision is not None and item.decision.status in ("reviewed", "adjudicated")
    spool.random.update(clips=1, drawn=int(drawn), decided=int(drawn and decided))


def _nothing(left_out: Mapping[str, int]) -> UserError:
    if not left_out:
        return UserError("nothing_to_release", "there are no clips yet", "run first: emotrace run")
    counts = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in sorted(left_out.items()))
    remedy = "review first: emotrace review" if left_out.get("needs_review") else "run: emotrace run"
    return UserError("nothing_to_release", f"no clip has a label that stands ({counts})", remedy)


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
             "model_version": None}
        )  # fmt: skip


class Written(NamedTuple):
    """What is known of the rows once they are written. `bytes` counts them by split as Arrow holds them."""

    tally: Tally
    rows_digest: str
    bytes: dict[str, int]


def _write_shards(folder: Path, spool: Spool, placed: Mapping[str, Placed]) -> Written:
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
    return Written(tally, content.hexdigest(), dict(size))


def _batches(ids: Sequence[str], spool: Spool, placed: Mapping[str, Placed]) -> Iterator[pa.RecordBatch]:
    """Row groups of a fixed size."""
    for start in range(0, len(ids), ROWS_PER_GROUP):
        rows = [
            {**spool.read(row_id), "split": placed[row_id].split, "group": placed[row_id].group}
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


def _manifest(
    settings: Settings,
    taxonomy: Taxonomy,
    version: str,
    date: str,
    spool: Spool,
    written: Written,
) -> dict[str, Any]:
    """Everything of the manifest but the list of files."""
    config = release_config(settings, taxonomy)
    tally = written.tally
    return {
        "format": FORMAT,
        "title": settings.release.title or settings.project.name,
        "version": version,
        "date": date,
        "license": settings.release.license,
        "languages": sorted(spool.languages),
        "taxonomy": {"name": taxonomy.name, "digest": taxonomy.digest, "labels": list(taxonomy.names)},
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
