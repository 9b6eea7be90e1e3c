"""A project opened: its settings, taxonomy, store and artifact cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.artifacts import Artifacts
from schemas.settings import Settings, artifacts_url, load_settings, store_url
from schemas.store import Store
from schemas.taxonomy import Taxonomy, load_taxonomy


@dataclass(frozen=True)
class Project:
    root: Path
    settings: Settings
    taxonomy: Taxonomy
    store: Store
    artifacts: Artifacts

    @property
    def releases_dir(self) -> Path:
        return self.root / "releases"


@contextmanager
def open_project(root: Path) -> Iterator[Project]:
    """Open the project in a folder, and close its store afterwards.

    Raises:
        UserError: no project there, or something wrong in its file, taxonomy or store.
    """
    settings = load_settings(root)
    taxonomy = load_taxonomy(settings.project.taxonomy, root)
    store = Store.open(store_url(root, settings))
    try:
        yield Project(root, settings, taxonomy, store, Artifacts(artifacts_url(root, settings)))
    finally:
        store.close()
