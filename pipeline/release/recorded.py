"""What a project knows of the release folders in it: the manifest that was released, and withdrawals since."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.facts import facts_of, is_withdrawn
from pipeline.project import open_project
from pipeline.release.build import release_record
from schemas.records import Segment
from schemas.settings import PROJECT_FILE
from schemas.store import Store


class Recorded(NamedTuple):
    """What `verify` needs of the project; nothing of it is known of a folder that stands in none."""

    manifest_sha256: str | None = None
    count_withdrawn: Callable[[Collection[str]], int] | None = None


@contextmanager
def recorded(project: Path, folder: Path) -> Iterator[Recorded]:
    """What the project says of a release folder that stands in it.

    Somebody who rewrites rows, manifest and sums together is caught by this alone.
    """
    for root in (project, folder.resolve().parent.parent):
        if (root / PROJECT_FILE).is_file() and folder.resolve().parent == (root / "releases").resolve():
            with open_project(root) as opened:
                record = release_record(opened.store, folder.name)
                sha256 = record.manifest_sha256 if record else None
                yield Recorded(sha256, partial(count_withdrawn, opened.store))
            return
    yield Recorded()


def count_withdrawn(store: Store, segment_ids: Collection[str]) -> int:
    """Of how many of these segments, which need not stand any more, consent was withdrawn."""
    segments = store.by_id(Segment, sorted(segment_ids))
    return sum(map(is_withdrawn, facts_of(store, segments).values()))


def versions_with_withdrawn(store: Store, releases: Path, *, beside: str) -> dict[str, int]:
    """Version -> how many of its clips were withdrawn since, of the folders that are there, `beside` one."""
    others = sorted(path for path in releases.iterdir() if path.name[0].isdigit() and path.name != beside)
    counts = {folder.name: count_withdrawn(store, _segment_ids(folder)) for folder in others}
    return {version: n for version, n in counts.items() if n}


def _segment_ids(folder: Path) -> set[str]:
    """The segments of a release; none when it cannot be read, which `verify` tells."""
    try:
        tables = [pq.read_table(file, columns=["segment_id"]) for file in folder.glob("data/*.parquet")]
    except (OSError, pa.ArrowException):
        return set()
    return {segment_id for table in tables for segment_id in table.column("segment_id").to_pylist()}
