"""A project opened: its settings, taxonomy, store and artifact cache."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.artifacts import Artifacts
from schemas.errors import UserError
from schemas.settings import Settings, artifacts_url, store_url
from schemas.settings_file import load_settings, pointing_at
from schemas.store import Store
from schemas.taxonomy import Taxonomy, load_taxonomy

LOCK_FILE = ".emotrace.lock"


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
def only_run(root: Path) -> Iterator[None]:
    """Hold the project for one run; the lock is the system's own, so a killed run leaves none behind.

    Raises:
        UserError: another run of this project is going on.
    """
    with (root / LOCK_FILE).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = "another run of this project is going on"
            raise UserError(
                "run_in_progress", message, "wait for it, or stop it; nothing is lost", str(root)
            ) from error
        yield


@contextmanager
def open_project(root: Path) -> Iterator[Project]:
    """Open the project in a folder, and close its store afterwards.

    Raises:
        UserError: no project there, or something wrong in its file, taxonomy or store.
    """
    settings = load_settings(root)
    with pointing_at(root, "project", "taxonomy"):
        taxonomy = load_taxonomy(settings.project.taxonomy, root)
    store = Store.open(store_url(root, settings))
    try:
        with closing(Artifacts(artifacts_url(root, settings))) as artifacts:
            yield Project(root, settings, taxonomy, store, artifacts)
    finally:
        store.close()
