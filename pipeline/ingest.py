"""Ingest: files become Sources by the hash of their bytes; what people say about them becomes facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.importers import IMPORTERS
from pipeline.importers.manifest import ManifestRow
from pipeline.project import Project
from schemas.errors import MediaError, UserError
from schemas.ids import file_digest
from schemas.records import Source
from schemas.registry import resolve
from schemas.store import ItemOutcome, StoredPath

VIDEO_ENDINGS = "mp4 m4v mov mkv webm avi mpg mpeg ts mts wmv flv 3gp ogv"
AUDIO_ENDINGS = "wav flac mp3 m4a aac ogg opus wma aif aiff"
IMAGE_ENDINGS = "jpg jpeg png bmp webp tif tiff"
MEDIA_ENDINGS = frozenset(
    f".{ending}" for ending in f"{VIDEO_ENDINGS} {AUDIO_ENDINGS} {IMAGE_ENDINGS}".split()
)
COMMIT_EVERY = 200  # sources per transaction


@dataclass
class IngestReport:
    """Counts of one ingest; `ignored` are files of a folder that are not media (subtitles, notes)."""

    new: int = 0
    known: int = 0
    duplicates: int = 0
    ignored: int = 0
    failed: list[ItemOutcome] = field(default_factory=list)


@dataclass(frozen=True)
class _Found:
    row: ManifestRow
    source_id: str
    stored: StoredPath
    source: Source | None  # None: known already


def ingest(
    project: Project,
    inputs: Iterable[str],
    *,
    rehash: bool = False,
    facts: dict[str, Any] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> IngestReport:
    """Take files, folders, globs and manifests into the project.

    `facts` (speaker, license, consent, language...) are said of every file of this call that its manifest says
    nothing else about. A file that cannot be read is reported and the others go on.

    Raises:
        UserError: an input does not exist, or a manifest is wrong.
    """
    report = IngestReport()
    rows = list(_rows(inputs, report))
    known = project.store.paths()
    sources = set(project.store.digests(Source))
    placed = {stored.source_id for stored in known.values()}
    batch: list[_Found] = []
    for number, row in enumerate(rows, 1):
        try:
            found = _take(row, known, sources, rehash=rehash)
        except MediaError as error:
            retry = f"mend the file, then: emotrace ingest {row.path}"
            report.failed.append(
                ItemOutcome(
                    "ingest", str(row.path.resolve()), "failed", str(row.path), error.code, str(error), retry
                )
            )
        else:
            _count(report, found, known, placed)
            sources.add(found.source_id)
            placed.add(found.source_id)
            known[found.stored.path] = found.stored
            batch.append(found)
        if len(batch) >= COMMIT_EVERY:
            _commit(project, batch, facts or {})
            batch = []
        if on_progress is not None:
            on_progress(number, len(rows))
    _commit(project, batch, facts or {})
    project.store.add([], report.failed)
    return report


def _rows(inputs: Iterable[str], report: IngestReport) -> Iterator[ManifestRow]:
    for given in inputs:
        path = Path(given)
        if path.is_dir():
            yield from _folder(path, report)
        elif path.suffix.lower() in IMPORTERS:
            yield from _manifest(path)
        elif any(sign in given for sign in "*?["):
            matches = sorted(
                p for p in Path(path.anchor or ".").glob(str(path.relative_to(path.anchor))) if p.is_file()
            )
            if not matches:
                raise UserError("nothing_matches", f"nothing matches {given}", "check the pattern")
            yield from (ManifestRow(match) for match in matches)
        elif path.exists():
            yield ManifestRow(path)
        else:
            raise UserError("missing_input", f"no such file or folder: {given}", "check the path")


def _folder(folder: Path, report: IngestReport) -> Iterator[ManifestRow]:
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if path.suffix.lower() in MEDIA_ENDINGS:
            yield ManifestRow(path)
        else:
            report.ignored += 1


def _manifest(path: Path) -> Iterator[ManifestRow]:
    if not path.is_file():
        raise UserError("missing_input", f"no such manifest: {path}", "check the path")
    yield from resolve(IMPORTERS, path.suffix.lower(), what="manifest format")(path)


def _take(row: ManifestRow, known: dict[str, StoredPath], sources: set[str], *, rehash: bool) -> _Found:
    path = row.path.resolve()
    try:
        stat = path.stat()
        here = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
        before = known.get(str(path))
        if before is not None and before[1:4] == here and before.source_id in sources and not rehash:
            return _Found(row, before.source_id, before, None)
        sha256 = file_digest(path)
    except OSError as error:
        code = "missing_file" if isinstance(error, FileNotFoundError) else "unreadable"
        raise MediaError(code, f"cannot read {row.path}: {error.strerror}") from error
    from pipeline.media.probe import probe

    source = Source(sha256=sha256, size_bytes=stat.st_size, media=probe(path))
    return _Found(row, source.id, StoredPath(str(path), *here, source.id), source)


def _count(report: IngestReport, found: _Found, known: dict[str, StoredPath], placed: set[str]) -> None:
    if found.source_id not in placed:
        report.new += 1
    elif found.stored.path in known and known[found.stored.path].source_id == found.source_id:
        report.known += 1
    else:
        report.duplicates += 1


def _commit(project: Project, batch: list[_Found], defaults: dict[str, Any]) -> None:
    """Sources first, then facts, then paths: a path in the index means that all of it is stored."""
    store = project.store
    ends = [ItemOutcome("ingest", found.stored.path, "done") for found in batch]
    store.add([found.source for found in batch if found.source is not None], ends)
    facts: dict[tuple[str, str], Any] = {}
    for found in batch:
        said = {"name": found.row.path.name, **defaults, **found.row.facts}
        facts |= {(found.source_id, key): value for key, value in said.items()}
        if found.row.start_s is not None or found.row.end_s is not None:
            facts.setdefault((found.source_id, "spans"), []).append(
                [found.row.start_s or 0.0, found.row.end_s]
            )
    store.add_facts((source_id, key, value) for (source_id, key), value in facts.items())
    store.set_paths(found.stored for found in batch)
