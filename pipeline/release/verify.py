"""Checks a release folder: nothing altered, missing, added or leaking, and every row consistent in itself.

Needs nothing but the folder. Whoever rewrites rows, manifest and sums together can only be caught by something
kept elsewhere: pass the `manifest_sha256` of the Release record (`expected_manifest_sha256`).
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.release.card import UNKNOWN, Tally, card_counts, front_matter_counts
from pipeline.release.files import CARD, MANIFEST, ROWS_PER_GROUP, SUMS, file_names
from pipeline.release.progress import SILENT
from pipeline.release.rows import FORMAT, row_line, schema_digest, schema_fields
from pipeline.release.telling import TAKE_DOWN, counted
from pipeline.release.verify_rows import RowFaults
from pipeline.splits import SPLITS
from pipeline.stages.base import Progress
from schemas.errors import UserError
from schemas.ids import file_digest

SHOWN_FAULTS = 3
LOAD_TIMEOUT_S = 300
LOAD_SCRIPT = """
import json, logging, sys
import datasets
told = []
class Listen(logging.Handler):
    def emit(self, record):
        told.append(record.getMessage())
logging.getLogger("datasets").addHandler(Listen(logging.WARNING))
datasets.disable_progress_bars()
loaded = datasets.load_dataset(sys.argv[1])
rows = {name: rows.num_rows for name, rows in loaded.items()}
print(json.dumps({"rows": rows, "about_the_card": [line for line in told if "card" in line]}))
"""


@dataclass(frozen=True)
class Finding:
    """One named check. A warning does not make a release bad; a skipped check says why."""

    check: str
    status: Literal["ok", "failed", "warning", "skipped"]
    detail: str = ""


@dataclass(frozen=True)
class VerifyReport:
    path: Path
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return all(finding.status != "failed" for finding in self.findings)


@dataclass
class Folder:
    """A release folder that is being checked, and what one pass over its rows found."""

    path: Path
    manifest: dict[str, Any]
    schemas: dict[str, pa.Schema] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    content_sha256: str = ""
    faults: RowFaults = field(default_factory=RowFaults)
    segment_ids: set[str] = field(default_factory=set)
    claims: int = 0


class Found(NamedTuple):
    """The faults that a check found, and what it tells when there are none."""

    faults: list[str]
    told: str


def verify(
    path: Path,
    *,
    load_with_datasets: bool | None = None,
    expected_manifest_sha256: str | None = None,
    count_withdrawn: Callable[[set[str]], int] | None = None,
    progress: Progress = SILENT,
) -> VerifyReport:
    """Check a release folder. `load_with_datasets`: None = when the package is installed, True = required.

    What only the project knows: the released manifest, and of how many of some segments consent was withdrawn.

    Raises:
        UserError: there is no such folder, it holds no manifest that can be read, or one of another format.
    """
    folder = Folder(path, _read_manifest(path))
    findings = [
        _check("files", lambda: _files(folder)),
        _check("checksums", lambda: _checksums(folder)),
        _check("manifest hashes", lambda: _manifest_hashes(folder)),
        _check("readable rows", lambda: _read_rows(folder, progress)),
        _check("schema", lambda: _schema(folder)),
        _check("content hash", lambda: _content(folder)),
        _check("counts", lambda: _counts(folder)),
        *(_row_check(folder, name) for name in folder.faults.by_check()),
        _licence(folder),
        _loads(folder, load_with_datasets, progress),
    ]
    if expected_manifest_sha256 is not None:
        same = file_digest(path / MANIFEST) == expected_manifest_sha256
        faults = [] if same else [f"{MANIFEST} is not the released one"]
        findings.append(_finding("release record", Found(faults, f"{MANIFEST} is the one that was released")))
    if count_withdrawn is not None:
        findings.append(_consent(count_withdrawn(folder.segment_ids)))
    return VerifyReport(path, tuple(findings))


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            "not_a_release", f"{path} holds no {MANIFEST} that can be read", "give the folder of one version"
        ) from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise UserError("not_a_release", f"{MANIFEST} lists no files", "give the folder of one version")
    made = str(manifest.get("format"))
    if made != FORMAT and made.rpartition("/")[0] == FORMAT.rpartition("/")[0]:
        raise UserError(
            "other_format",
            f"{path} was released in the format {made}, and is not checked by the rules of {FORMAT}",
            "verify it with the version of emotrace that released it",
        )
    return manifest


def _check(name: str, check: Callable[[], Found]) -> Finding:
    try:
        return _finding(name, check())
    except Exception as error:  # noqa: BLE001 - a broken file must fail its check, not end the others
        return Finding(name, "failed", f"{type(error).__name__}: {str(error).splitlines()[0][:200]}")


def _finding(name: str, found: Found) -> Finding:
    if not found.faults:
        return Finding(name, "ok", found.told)
    more = f" and {len(found.faults) - SHOWN_FAULTS} more" if len(found.faults) > SHOWN_FAULTS else ""
    return Finding(name, "failed", "; ".join(found.faults[:SHOWN_FAULTS]) + more)


# --- files -----------------------------------------------------------------------------------------


def _files(folder: Folder) -> Found:
    declared = {*folder.manifest["files"], MANIFEST, SUMS}
    there = set(file_names(folder.path))
    faults = [
        *(f"{name} is missing" for name in sorted(declared - there)),
        *(f"{name} does not belong to the release" for name in sorted(there - declared)),
    ]
    return Found(faults, f"{counted(len(declared), 'file')}, as in the manifest")


def _checksums(folder: Folder) -> Found:
    sums: dict[str, str] = {}
    for line in (folder.path / SUMS).read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        sums[name] = digest
    declared = {*folder.manifest["files"], MANIFEST}
    faults = [f"{name} is not in {SUMS}" for name in sorted(declared - set(sums))]
    faults += [f"{SUMS} names {name}, the manifest does not" for name in sorted(set(sums) - declared)]
    there = [name for name in sorted(declared & set(sums)) if (folder.path / name).is_file()]
    faults += [f"{n} was altered" for n in there if file_digest(folder.path / n) != sums[n]]
    return Found(faults, f"{counted(len(there), 'file')} as in {SUMS}")


def _manifest_hashes(folder: Folder) -> Found:
    faults = []
    for name, said in sorted(folder.manifest["files"].items()):
        path = folder.path / name
        if not path.is_file():
            continue  # told by the check of the files
        if path.stat().st_size != said["bytes"]:
            faults.append(f"{name} has {path.stat().st_size} bytes, not {said['bytes']}")
        elif file_digest(path) != said["sha256"]:
            faults.append(f"{name} was altered")
    return Found(faults, f"{counted(len(folder.manifest['files']), 'file')} as in {MANIFEST}")


# --- rows ------------------------------------------------------------------------------------------


def _read_rows(folder: Folder, progress: Progress) -> Found:
    """One pass over all rows, in the order in which they were hashed."""
    content = hashlib.sha256()
    progress.start("verify", int(folder.manifest["rows"]))
    folder.faults.expect(folder.manifest["taxonomy"], folder.manifest["config"]["release"])
    for name in _data_files(folder):
        with pq.ParquetFile(folder.path / name) as file:
            folder.schemas[name] = file.schema_arrow
            for batch in file.iter_batches(batch_size=ROWS_PER_GROUP):
                for row in batch.to_pylist():
                    content.update(row_line(row).encode() + b"\n")
                    folder.tally.add(row)
                    folder.segment_ids.add(row["segment_id"])
                    folder.claims += len(row["evidence"])
                    folder.faults.add(row, file_split=Path(name).name.split("-")[0])
                progress.advance("verify", batch.num_rows)
    folder.content_sha256 = content.hexdigest()
    told = ", ".join(f"{n} in {split}" for split, n in folder.tally.splits.items())
    return Found([] if folder.tally.rows else ["there are no rows"], told)


def _data_files(folder: Folder) -> list[str]:
    """The Parquet files by split, then shard."""
    names = [
        name for name in file_names(folder.path) if name.startswith("data/") and name.endswith(".parquet")
    ]
    order: dict[str, int] = {split: n for n, split in enumerate(SPLITS)}
    return sorted(names, key=lambda name: (order.get(Path(name).name.split("-")[0], len(order)), name))


def _schema(folder: Folder) -> Found:
    said = folder.manifest["schema"]
    faults = [
        f"{name} has another schema"
        for name, schema in folder.schemas.items()
        if schema_fields(schema) != said
    ]
    digests = {schema_digest(schema) for schema in folder.schemas.values()}
    if digests != {folder.manifest["schema_sha256"]}:
        faults.append("the schema hash is not that of the manifest")
    return Found(faults, f"{len(said)} columns, as in the manifest")


def _content(folder: Folder) -> Found:
    same = folder.content_sha256 == folder.manifest["content_sha256"]
    return Found(
        [] if same else ["the rows are not those of the manifest"],
        f"the rows give {folder.content_sha256[:12]}..., as in the manifest",
    )


def _counts(folder: Folder) -> Found:
    card = (folder.path / CARD).read_text(encoding="utf-8")
    counts = folder.tally.as_json()
    said = {
        "the manifest's counts": folder.manifest["counts"] == counts,
        "the manifest's number of rows": folder.manifest["rows"] == folder.tally.rows,
        "the card's label table": card_counts(card) == counts["labels"],
        "the card's header": front_matter_counts(card) == folder.tally.splits,
    }
    faults = [f"{name} is not that of the data" for name, holds in said.items() if not holds]
    return Found(faults, f"manifest and card count {counted(folder.tally.rows, 'row')}, as there are")


def _row_check(folder: Folder, name: str) -> Finding:
    """What the pass over the rows found about each of them."""
    if not folder.tally.rows:
        return Finding(name, "skipped", "the rows could not be read")
    policy = folder.manifest["config"]["release"]["split_policy"]
    claims = counted(folder.claims, "claim")
    told = {
        "splits": f'nothing stands in two splits (policy "{policy}"), no machine label outside train',
        "evidence": f"{claims}, each with a verdict; no rationale cites a contradicted one",
        "labels": f"all of {folder.manifest['taxonomy']['name']}, and each follows from its decision",
    }
    return _finding(name, Found(folder.faults.by_check()[name], told[name]))


# --- rights and readers ----------------------------------------------------------------------------


def _licence(folder: Folder) -> Finding:
    licence = folder.manifest.get("license")
    if not licence:
        return Finding("licence", "warning", "no licence for the dataset: set release.license")
    unsaid = folder.tally.by.get("license", Counter())[UNKNOWN]
    if unsaid:
        told = f"{counted(unsaid, 'row')} without the licence of the recording: give it at ingest"
        return Finding("licence", "warning", told)
    return Finding("licence", "ok", f"{licence}; every row says that of its recording")


def _consent(withdrawn: int) -> Finding:
    if not withdrawn:
        return Finding("consent", "ok", "not withdrawn for any clip in it")
    return Finding(
        "consent", "warning", f"withdrawn since for {counted(withdrawn, 'clip')} in it: {TAKE_DOWN}"
    )


def _loads(folder: Folder, wanted: bool | None, progress: Progress) -> Finding:
    """Load the folder as a user would, in a process of its own without network and with an empty cache."""
    name = "loads with datasets"
    if wanted is False:
        return Finding(name, "skipped", "not asked for")
    if importlib.util.find_spec("datasets") is None:
        told = "datasets is not installed; to have this check: install emotrace[release-check]"
        return Finding(name, "failed" if wanted else "skipped", told)
    progress.start("load", folder.tally.rows)
    with tempfile.TemporaryDirectory(prefix="emotrace-verify-") as cache:
        offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": cache, "HF_DATASETS_CACHE": cache}
        try:
            done = subprocess.run(
                [sys.executable, "-c", LOAD_SCRIPT, str(folder.path.resolve())],
                env={**os.environ, **offline},
                capture_output=True,
                text=True,
                timeout=LOAD_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Finding(name, "failed", f"not loaded after {LOAD_TIMEOUT_S} s")
    if done.returncode != 0:
        return Finding(name, "failed", (done.stderr.strip().splitlines() or ["it stopped"])[-1][:300])
    progress.finish("load")
    loaded = json.loads(done.stdout.strip().splitlines()[-1])
    faults = [] if loaded["rows"] == folder.tally.splits else [f"it reads {loaded['rows']}"]
    told = f"{counted(folder.tally.rows, 'row')} in {counted(len(loaded['rows']), 'split')}"
    return _finding(name, Found(faults + loaded["about_the_card"], told))
