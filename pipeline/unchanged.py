"""Recognises in one look that nothing changed since a run that left nothing to do, so that the next one is quick.

What a run would find missing follows from the code, the settings, the store and files outside. A run that ends
with everything done leaves a digest of all these beside the project. The next run that sees the same digest has
nothing to do; any other, and any doubt, and it looks at every item as ever.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub import constants

from pipeline.artifacts import MEDIA_NAMES
from pipeline.facts import FEW_SHOT, SENTINEL
from pipeline.features.asr_aligners import TORCH_MODELS, torch_folder
from pipeline.features.asr_weights import cached_whisper
from pipeline.features.au_weights import find_pyfeat_weights
from pipeline.features.backends import built
from pipeline.outputs import RunOutput, ThisRun
from pipeline.project import Project, only_run
from pipeline.sentinel import is_due
from pipeline.status import totals
from schemas.ids import canonical_json
from schemas.parts import MediaRef
from schemas.records import Review, Source
from schemas.settings import FeatureSection
from schemas.store import utc_now

STATE_FILE = ".emotrace.unchanged.json"
PROGRAM = Path(__file__).parents[1]
PACKAGES = ("schemas", "agents", "pipeline")
FORM = 4  # of the state file and of what is digested
# What `auto` takes once its environment lies here. That of any other backend is made when it is needed.
WAIT_FOR_ENVIRONMENT = {"asr": "asr.whisperx", "au": "au.pyfeat", "diarize": "diarize.pyannote"}


@dataclass(frozen=True)
class Before:
    """What held when a run began; people may ingest and review while it goes on."""

    outside: str
    people: list[int]


class Chosen(NamedTuple):
    """What a run tells of its choice among the samples: how many it dropped and why, the planned splits, and how
    many consent keeps from whom."""

    dropped: Mapping[str, int]
    planned_splits: Mapping[str, int]
    kept_here: Mapping[str, int]


def look(project: Project) -> Before:
    """What a run rests on and does not make itself, as it is now."""
    return Before(_digest(_outside(project)), _of_people(project))


def nothing_to_do(project: Project) -> RunOutput | None:
    """What a run with nothing to do tells, when one look shows that it is one; None when it has to look closer.

    Raises:
        UserError: another run of the project is going on.
    """
    started_at, clock = utc_now(), time.monotonic()
    with only_run(project.root):
        due = is_due(project.store, project.settings.sentinel)
        chosen = None if due else unchanged(project, look(project))
        if chosen is None:
            return None
        this_run = ThisRun.model_validate({**chosen._asdict(), "wall_s": round(time.monotonic() - clock, 3)})
        counts = this_run.model_dump(mode="json", exclude={"failed_items"})
        project.store.add_run(started_at, this_run.wall_s, counts)
    return RunOutput(**totals(project.store).model_dump(), this_run=this_run)


def unchanged(project: Project, now: Before) -> Chosen | None:
    """What the last run chose, when a run would find nothing to do; None when it has to look."""
    try:
        left = json.loads((project.root / STATE_FILE).read_text("utf-8"))
        same = left["state"] == _state(project, now)
        clips = [(str(key), str(name)) for key, name in left["clips"]]
        chosen = Chosen(**left["chosen"])
    except (OSError, ValueError, KeyError, TypeError):  # not there, or not what this program wrote
        return None
    if not same or not all(project.artifacts.has(key, name) for key, name in clips):
        return None
    return chosen


def forget(project: Project) -> None:
    """A run that begins may be killed at any time: until its end nothing is known to be done."""
    (project.root / STATE_FILE).unlink(missing_ok=True)


def remember(project: Project, before: Before, chosen: Chosen, clips: Sequence[MediaRef]) -> None:
    """Note that everything is done; `clips` are those that people still need."""
    state = {
        "state": _state(project, before),
        "chosen": chosen._asdict(),
        "clips": [[clip.key, MEDIA_NAMES[clip.kind]] for clip in clips],
    }
    part = project.root / f"{STATE_FILE}.part"
    try:
        part.write_text(json.dumps(state), encoding="utf-8")
        part.replace(project.root / STATE_FILE)
    except OSError:  # a full disk: all work is done, only the next run will look at every item
        part.unlink(missing_ok=True)


def _state(project: Project, before: Before) -> str:
    own = project.store.newest_by_kind(leave_out=(Review, Source)), project.store.standing_digest()
    return _digest([FORM, before.outside, before.people, *own])


def _of_people(project: Project) -> list[int]:
    """The newest of what others than a run write: recordings, reviews, facts."""
    newest = project.store.newest_by_kind()
    return [newest.get(kind, 0) for kind in ("source", "review")] + [
        project.store.newest_fact(leave_out=(FEW_SHOT, SENTINEL))
    ]


def _outside(project: Project) -> Iterator[Any]:
    yield project.settings.model_dump(mode="json"), project.taxonomy.digest
    paths = project.store.paths()
    yield from sorted(paths.values())
    yield sorted(package.name for folder in sys.path for package in Path(folder or ".").glob("*.dist-info"))
    packages = (PROGRAM / name for name in PACKAGES)
    weights = [Path(constants.HF_HUB_CACHE), *_paths_in(project.settings.features, project.root)]
    aligners = (torch_folder() / name for _, name in TORCH_MODELS.values())
    for root in (*packages, *weights, *aligners):
        yield list(_tree(root))
    yield from _environments(project.settings.features)
    # Transcripts and measurements stand beside recordings, and a recording may be away, or other than it was.
    for folder in sorted({os.path.dirname(path) for path in paths}):  # noqa: PTH120 - many
        yield folder, sorted(_entries(folder))


def _environments(features: Mapping[str, FeatureSection]) -> Iterator[tuple[str, bool]]:
    """Which environments lie here; only asked (0.1 s each) where nothing else keeps `auto` from the backend."""
    for stage, key in WAIT_FOR_ENVIRONMENT.items():
        section = features.get(stage, FeatureSection())
        if (
            section.enabled
            and section.backend == "auto"
            and (section.options.get("weights") is not None or _has_weights(stage))
        ):
            yield key, built(key)


def _has_weights(stage: str) -> bool:
    if stage == "asr":
        return cached_whisper() is not None
    if stage == "au":
        return find_pyfeat_weights(None) is not None
    from pipeline.features.pyannote_weights import is_reachable  # with a reader of YAML

    return is_reachable(None)


def _paths_in(features: Mapping[str, FeatureSection], root: Path) -> Iterator[Path]:
    """Files and folders that options of backends name: weights, tables."""
    for section in features.values():
        for value in section.options.values():
            if isinstance(value, str):
                path = Path(value).expanduser()
                yield from (base / path for base in (root, Path.cwd()) if (base / path).exists())


def _tree(root: Path) -> Iterator[tuple[str, list[Any]]]:
    if root.is_file():
        stat = root.stat()
        yield str(root), [stat.st_size, stat.st_mtime_ns]
    for folder, folders, _ in os.walk(root):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        yield folder, sorted(_entries(folder))


def _entries(folder: str) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of the files of a folder; a link counts as what it leads to."""
    try:
        entries = list(os.scandir(folder))
    except OSError:  # it is away, which is said by its having no files
        return
    for entry in entries:
        try:
            if entry.is_file():
                stat = entry.stat()
                yield entry.name, stat.st_size, stat.st_mtime_ns
        except OSError:
            yield entry.name, -1, -1


def _digest(parts: Iterable[Any]) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(canonical_json(part).encode())
        found.update(b"\n")
    return found.hexdigest()
