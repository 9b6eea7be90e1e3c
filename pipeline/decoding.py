"""The decode pass behind the cache, and every piece of media that can be made from it."""

from __future__ import annotations

import json
import shlex
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.artifacts import MEDIA_NAMES
from pipeline.media.cut import CutParams, cut_audio, cut_clip
from pipeline.media.decode import DECODE_VERSION, DecodeParams, decode, frame_at
from pipeline.project import Project
from schemas.errors import MediaError
from schemas.ids import content_id
from schemas.parts import MediaRef, Span
from schemas.records import Source
from schemas.store import StoredPath

REPORT = "decode.json"  # written last: where it stands, the decode pass is complete


@dataclass(frozen=True)
class Decoded:
    """The files of one decode pass; `audio` and `frames` are None where the source has no such stream."""

    audio: Path | None
    frames: Path | None
    shots: tuple[Span, ...]
    notes: tuple[str, ...]
    pts: Path | None = None  # .npy: source time of every presented frame


class _Report(NamedTuple):
    """What a decode pass says of what it left."""

    files: tuple[str, ...]
    shots: tuple[Span, ...]
    notes: tuple[str, ...]


def _read_report(path: Path) -> _Report:
    return _parsed_report(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _parsed_report(path: Path, _mtime_ns: int) -> _Report:
    """Cached: every segment of a recording asks, and one of hours has thousands of both."""
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return _Report(
        tuple(report["files"]), tuple(Span(**shot) for shot in report["shots"]), tuple(report["notes"])
    )


class MediaMaker:
    """Decodes sources and makes clips, sounds and pictures, each at most once while the cache holds it."""

    def __init__(self, project: Project, *, on_decode: Callable[[], None] = lambda: None) -> None:
        self._project = project
        self._on_decode = on_decode
        self._paths: dict[str, list[StoredPath]] = defaultdict(list)
        for _, stored in sorted(project.store.paths().items()):
            self._paths[stored.source_id].append(stored)
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)
        ingest, segment = project.settings.ingest, project.settings.segment
        self.params = DecodeParams(
            face_fps=ingest.face_fps,
            frame_width_px=ingest.frame_width_px,
            shot_detector=segment.shot_detector,
            shot_threshold=segment.shot_threshold,
        )

    def known_paths(self, source: Source) -> list[Path]:
        """Where the source was seen; copies that are there now come first."""
        paths = [Path(stored.path) for stored in self._paths[source.id]]
        return sorted(paths, key=lambda path: not path.exists())

    def is_there(self, source: Source) -> bool:
        """Whether the recording can be read now, as it was ingested."""
        try:
            return self.path(source).exists()
        except MediaError:
            return False

    def path(self, source: Source) -> Path:
        """Where the source's bytes are now.

        Raises:
            MediaError: the file is gone, or has other bytes than when it was ingested.
        """
        changed = None
        for stored in self._paths[source.id]:
            path = Path(stored.path)
            if path.exists():
                stat = path.stat()
                if (stat.st_size, stat.st_mtime_ns) == (stored.size_bytes, stored.mtime_ns):
                    return path
                changed = path
        if changed is not None:
            remedy = f"emotrace ingest {shlex.quote(str(changed))} && emotrace run"
            raise MediaError("changed_file", f"{changed} was changed after ingest", remedy)
        where = self._paths[source.id][0].path if self._paths[source.id] else source.id
        remedy = "put it back, or ingest it at its new place, then: emotrace run"
        raise MediaError("missing_file", f"{where} is gone", remedy)

    def decoded(self, source: Source, params: DecodeParams | None = None) -> Decoded:
        """The decode pass of a source, done now if the cache does not hold all of it.

        Raises:
            MediaError: the file is gone or cannot be decoded.
        """
        cache, params = self._project.artifacts, params or self.params
        question = {"source": source.id, "version": DECODE_VERSION, "params": params.model_dump(mode="json")}
        key = content_id("dec", question)
        with self._locks[key]:
            report = self._report(key)
            if report is None:
                self._decode(source, key, params)
                report = _read_report(cache.local(key, REPORT))
        files = {name: cache.local(key, name) for name in report.files}
        return Decoded(
            audio=files.get("audio.wav"),
            frames=files.get("frames.parquet"),
            shots=report.shots,
            notes=report.notes,
            pts=files.get("pts.npy"),
        )

    def _report(self, key: str) -> _Report | None:
        """What a decode pass left in the cache; None when it, or one of its files, is not there."""
        cache = self._project.artifacts
        if not cache.has(key, REPORT):
            return None
        report = _read_report(cache.local(key, REPORT))
        return report if all(cache.has(key, name) for name in report.files) else None

    def _decode(self, source: Source, key: str, params: DecodeParams) -> None:
        cache, path = self._project.artifacts, self.path(source)
        self._on_decode()
        with cache.workdir() as folder:
            result = decode(path, source.media, folder, params)
            files = [file for file in (result.audio, result.frames, result.thumbnails, result.pts) if file]
            report = {
                "files": [file.name for file in files],
                "shots": [shot.model_dump() for shot in result.shots],
                "cut_frames": list(result.cut_frames),
                "frames_decoded": result.frames_decoded,
                "errors": result.errors,
                "notes": list(result.notes),
            }
            for file in files:
                cache.put(key, file.name, file)
        cache.put_bytes(key, REPORT, json.dumps(report).encode())

    def make(self, ref: MediaRef, source: Source) -> Path:
        """The file of a media reference, made now if the cache does not hold it."""
        cache, name = self._project.artifacts, MEDIA_NAMES[ref.kind]
        with self._locks[ref.key]:
            if not cache.has(ref.key, name):
                with cache.workdir() as folder:
                    self._make(ref, source, folder / name)
                    cache.put(ref.key, name, folder / name)
            return cache.local(ref.key, name)

    def has(self, ref: MediaRef) -> bool:
        return self._project.artifacts.has(ref.key, MEDIA_NAMES[ref.kind])

    def load(self, ref: MediaRef) -> bytes:
        """The bytes of a media reference: what providers are given."""
        source = self._project.store.get(Source, ref.source_id)
        if source is None:
            raise MediaError("unknown_source", f"no source {ref.source_id} in the store")
        return self.make(ref, source).read_bytes()

    def _params_of(self, ref: MediaRef) -> DecodeParams:
        """The pass that a picture was taken from: its recipe holds, whatever the settings are by now."""
        return self.params.model_copy(update=ref.params)

    def _make(self, ref: MediaRef, source: Source, out: Path) -> None:
        start_s, end_s = ref.source_start_s, ref.source_end_s
        if ref.kind == "image":
            frames = self.decoded(source, self._params_of(ref)).frames
            if frames is None:
                raise MediaError("no_video_stream", f"{source.id} has no pictures")
            out.write_bytes(frame_at(frames, start_s))
        elif ref.kind == "audio":
            self._on_decode()
            cut_audio(self.path(source), source.media, start_s, end_s, out)
        else:
            self._on_decode()
            cut_clip(self.path(source), source.media, start_s, end_s, out, CutParams(**ref.params))
