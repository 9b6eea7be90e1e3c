"""Ingest: files become Sources by the hash of their bytes; what people say about them becomes facts."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from stat import S_ISREG
from typing import Any

from pipeline.facts import is_withdrawn
from pipeline.importers import IMPORTERS
from pipeline.importers.manifest import ManifestRow, consistent
from pipeline.places import Places, as_given, files_below
from pipeline.project import Project
from pipeline.sayings import Listener, note_unnamed, said_of_recording, say_of_speakers
from schemas.errors import MediaError, UserError
from schemas.ids import file_digest
from schemas.parts import TRUNCATED
from schemas.records import Source
from schemas.registry import resolve
from schemas.store import ItemOutcome, StoredPath

VIDEO_ENDINGS = "mp4 m4v mov mkv webm avi mpg mpeg ts mts m2ts vob wmv flv 3gp ogv"
AUDIO_ENDINGS = "wav w64 flac mp3 m4a aac ogg oga opus mka wma wv aif aiff caf amr"
IMAGE_ENDINGS = "jpg jpeg png bmp webp tif tiff"
MEDIA_ENDINGS = frozenset(
    f".{ending}" for ending in f"{VIDEO_ENDINGS} {AUDIO_ENDINGS} {IMAGE_ENDINGS}".split()
)
UNREADABLE_FOLDER = "unreadable_folder"
COMMIT_EVERY = 200  # sources per transaction


@dataclass
class IngestReport:
    """Counts of one ingest.

    `ignored` are files of a folder that are not media (subtitles, notes), `speakers` those that rows without a
    path speak of, `notes` what a person should know of consent, of names, of given times, of recordings of which
    a part is not used, and of links that were not followed.
    """

    new: int = 0
    known: int = 0
    duplicates: int = 0
    ignored: list[str] = field(default_factory=list)
    speakers: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: list[ItemOutcome] = field(default_factory=list)


@dataclass(frozen=True)
class _Found:
    rows: list[ManifestRow]  # all that were given of this path
    file: str  # what the path leads to
    stored: StoredPath
    before: StoredPath | None  # how the file stood in the index, perhaps by another path
    source: Source | None  # None: known already
    is_news: bool = True  # False: it stands in the index as it is, and nothing is told of it as failed
    at_once: tuple[str, ...] = ()  # other paths of the index that lead to the same file

    @property
    def source_id(self) -> str:
        return self.stored.source_id


def ingest(
    project: Project,
    inputs: Iterable[str],
    *,
    rehash: bool = False,
    renew_consent: bool = False,
    facts: dict[str, Any] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> IngestReport:
    """Take files, folders, globs and manifests into the project.

    `facts` (speaker, license, consent, language...) are said of every file of this call that its manifest says
    nothing else about. What was withdrawn stays withdrawn, unless `renew_consent`. A file that cannot be read is
    reported and the others go on.

    Raises:
        UserError: an input does not exist, or a manifest is wrong.
    """
    report, said = IngestReport(), facts or {}
    files, speakers = _by_subject(_rows(project, inputs, report))
    listener = Listener(renew_consent, report.notes)
    report.speakers = say_of_speakers(project.store, speakers, listener)
    stored = project.store.paths().values()
    known = Places(stored)
    sources = set(project.store.digests(Source))
    placed = {one.source_id for one in stored}
    failed = {item for _, item in project.store.outcomes("ingest", status="failed")}
    report.notes += _note_of_times(project, files)
    notes: dict[str, list[Path]] = {}
    batch: list[_Found] = []
    for number, (path, rows) in enumerate(files.items(), 1):
        try:
            found = _take(path, rows, known, sources, failed, rehash=rehash)
        except MediaError as error:
            report.failed.append(_failure(path, rows[0], said, error))
        else:
            _count(report, found, placed)
            for note in _notes_of_new(found):
                notes.setdefault(note, []).append(path)
            sources.add(found.source_id)
            placed.add(found.source_id)
            for place in (found.stored.path, *found.at_once):
                known.put(found.stored._replace(path=place))
            batch.append(found)
        if len(batch) >= COMMIT_EVERY:
            _commit(project, batch, said, listener)
            batch = []
        if on_progress is not None:
            on_progress(number, len(files))
    _commit(project, batch, said, listener)
    report.notes += [f"{_first_of(paths)}: {note}" for note, paths in notes.items()]
    note_unnamed(project.store, report.speakers, report.notes)
    # A folder is not kept as failed: no later success of its own would clear it.
    project.store.add([], [end for end in report.failed if end.code != UNREADABLE_FOLDER])
    return report


def _by_subject(rows: Iterable[ManifestRow]) -> tuple[dict[Path, list[ManifestRow]], list[ManifestRow]]:
    """All rows of a file together, so that it is read once; and the rows that speak of a speaker."""
    files: dict[Path, list[ManifestRow]] = {}
    speakers = []
    for row in rows:
        if row.path is None:
            speakers.append(row)
        else:
            files.setdefault(row.path, []).append(row)
    return files, speakers


def _failure(path: Path, row: ManifestRow, said: dict[str, Any], error: MediaError) -> ItemOutcome:
    # Again with all that was said: through the manifest, where there is one, and with the same options.
    options = [word for key, value in said.items() for word in (f"--{key}", str(value))]
    words = shlex.join([str(row.manifest or path), *options])
    retry = f"mend the file, then: emotrace ingest {words}"
    return ItemOutcome("ingest", os.path.realpath(path), "failed", str(path), error.code, str(error), retry)


def _rows(project: Project, inputs: Iterable[str], report: IngestReport) -> Iterator[ManifestRow]:
    for given in inputs:
        try:
            yield from _offered(project, given, report)
        except OSError as error:
            message = f"cannot read {given[:200]}: {error.strerror}"
            raise UserError("unreadable_input", message, "check the path and who may read it") from error


def _offered(project: Project, given: str, report: IngestReport) -> Iterator[ManifestRow]:
    path = Path(given)
    if path.suffix.lower() in IMPORTERS:
        yield from _manifest(path)
    elif path.is_dir():
        yield from _folder(project, path, report)
    elif path.exists():  # also when its name looks like a pattern
        yield ManifestRow(path)
    elif any(sign in given for sign in "*?["):
        yield from map(ManifestRow, _matches(path))
    else:
        raise UserError("missing_input", f"no such file or folder: {given}", "check the path")


def _matches(pattern: Path) -> list[Path]:
    try:
        found = Path(pattern.anchor or ".").glob(str(pattern.relative_to(pattern.anchor)))
        files = sorted(path for path in found if path.is_file())
    except ValueError as error:
        raise UserError("nothing_matches", f"{pattern}: {error}", "check the pattern") from error
    if not files:
        raise UserError("nothing_matches", f"nothing matches {pattern}", "check the pattern")
    return files


def _folder(project: Project, folder: Path, report: IngestReport) -> Iterator[ManifestRow]:
    """Every media file below a folder, but for what the project made itself and what is hidden.

    What cannot be read, or is no file at all, is told and not passed over.
    """
    own = {project.releases_dir.resolve(), project.artifacts.folder}
    found = files_below(
        folder,
        leave_out={path for path in own if path is not None},
        on_error=partial(_note_unreadable, report),
        on_loop=lambda link: report.notes.append(f"{link} leads back above {folder} and is not followed"),
    )
    for path in sorted(found):
        if path.suffix.lower() in MEDIA_ENDINGS:
            yield ManifestRow(path)
        else:
            report.ignored.append(str(path))


def _note_unreadable(report: IngestReport, error: OSError) -> None:
    folder = str(error.filename)
    message = f"cannot read the folder: {error.strerror}"
    retry = f"mend it, then: emotrace ingest {shlex.quote(folder)}"
    report.failed.append(
        ItemOutcome(
            "ingest", str(Path(folder).absolute()), "failed", folder, UNREADABLE_FOLDER, message, retry
        )
    )


def _manifest(path: Path) -> Iterator[ManifestRow]:
    if path.is_dir():
        remedy = "give a file; to ingest a folder of recordings, give it another name"
        raise UserError("bad_manifest", "a folder, not a manifest", remedy, str(path))
    if not path.is_file():
        raise UserError("missing_input", f"no such manifest: {path}", "check the path")
    read = resolve(IMPORTERS, path.suffix.lower(), what="manifest format")
    yield from consistent(path, read(path))


def _take(
    given: Path,
    rows: list[ManifestRow],
    known: Places,
    sources: set[str],
    failed: set[str],
    *,
    rehash: bool,
) -> _Found:
    try:
        path = as_given(given)
        stat = path.stat()
        if not S_ISREG(stat.st_mode):  # reading a pipe would wait for ever
            raise MediaError("not_a_file", f"{given} is not a file")
        here = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
        before = known.find(path)
        if before is not None and before[1:4] == here and before.source_id in sources and not rehash:
            stored = before._replace(path=str(path))
            file = os.path.realpath(path) if failed or stored != before else str(path)
            return _Found(rows, file, stored, before, None, stored != before or file in failed)
        sha256 = file_digest(path)
    except OSError as error:
        code = "missing_file" if isinstance(error, FileNotFoundError) else "unreadable"
        raise MediaError(code, f"cannot read {given}: {error.strerror}") from error
    from pipeline.media.probe import probe

    source = Source(sha256=sha256, size_bytes=stat.st_size, media=probe(path))
    file, stored = os.path.realpath(path), StoredPath(str(path), *here, source.id)
    others = {one.path for one in (before, known.at(file)) if one is not None}
    others |= known.leading_to(file, {stat.st_ino, before.inode if before else 0})
    return _Found(rows, file, stored, before, source, at_once=tuple(sorted(others - {stored.path})))


def _note_of_times(project: Project, files: dict[Path, list[ManifestRow]]) -> list[str]:
    """Times are read by one rule alone; what else is said of the stretches counts with every rule."""
    rule = project.settings.segment.rule
    given = {
        (path, row.start_s, row.end_s)
        for path, rows in files.items()
        for row in rows
        if row.start_s is not None and not is_withdrawn(row.facts)
    }
    if rule == "given" or not given:
        return []
    count = "1 stretch is" if len(given) == 1 else f"{len(given)} stretches are"
    return [f'{count} given; segment.rule is "{rule}": set segment.rule = "given" to use their times']


def _notes_of_new(found: _Found) -> list[str]:
    """What a person should know of a recording that was taken in though part of it is not used."""
    media = found.source.media if found.source is not None else None
    more = "; that is used. To have all of it, copy the file again"
    return [note + more * note.startswith(TRUNCATED) for note in (media.notes if media is not None else ())]


def _first_of(paths: list[Path]) -> str:
    return f"{paths[0]} and {len(paths) - 1} more" if len(paths) > 1 else str(paths[0])


def _count(report: IngestReport, found: _Found, placed: set[str]) -> None:
    if found.source_id not in placed:
        report.new += 1
    elif found.before is not None and found.before.source_id == found.source_id:
        report.known += 1
    else:
        report.duplicates += 1


def _commit(project: Project, batch: list[_Found], defaults: dict[str, Any], listener: Listener) -> None:
    """Sources first, then facts, then paths: a path in the index means that all of it is stored."""
    store = project.store
    new = [found for found in batch if found.is_news]
    ends = [ItemOutcome("ingest", found.file, "done") for found in new]
    store.add([found.source for found in batch if found.source is not None], ends)
    known = store.facts({found.source_id for found in batch})
    news: dict[tuple[str, str], Any] = {}
    for found in batch:
        own = known.setdefault(found.source_id, {})
        said = said_of_recording(found.rows, own, defaults, listener)
        own |= said
        news |= {(found.source_id, key): value for key, value in said.items()}
    store.add_facts((subject, key, value) for (subject, key), value in news.items())
    # A file that is known by another path, too, is there what it is here.
    store.set_paths(found.stored._replace(path=path) for found in new for path in found.at_once)
    store.set_paths(found.stored for found in new)
