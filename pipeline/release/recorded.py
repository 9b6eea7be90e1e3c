"""What a project's own records say of a release folder that stands in it."""

from __future__ import annotations

from pathlib import Path

from pipeline.project import open_project
from pipeline.release.build import release_record
from schemas.settings import PROJECT_FILE


def recorded_manifest(project: Path, folder: Path) -> str | None:
    """What the project's own record says the manifest is, when the release stands in a project.

    Somebody who rewrites rows, manifest and sums together is caught by this alone.
    """
    for root in (project, folder.resolve().parent.parent):
        if (root / PROJECT_FILE).is_file() and folder.resolve().parent == (root / "releases").resolve():
            with open_project(root) as opened:
                record = release_record(opened.store, folder.name)
            return record.manifest_sha256 if record else None
    return None
