"""The demo from nothing to a verified release: the same functions as the single commands, in a row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.demo import make_demo_project
from pipeline.ingest import ingest
from pipeline.live import live_items
from pipeline.outputs import DemoOutput
from pipeline.printing import TerminalProgress
from pipeline.project import open_project
from pipeline.release import release
from pipeline.run import Engine, run
from pipeline.show import decision_rows
from pipeline.verify import verify

VERSION = "0.1.0"


def run_demo(folder: Path, engine: Callable[[str], Engine], progress: TerminalProgress) -> DemoOutput:
    """Make the demo project in `folder` and take it through every stage; safe to call again."""
    progress.start("media", 0)
    show_media = progress.update("media")
    make_demo_project(folder, on_progress=lambda done, total, _name: show_media(done, total))
    with open_project(folder) as project:
        ingest(project, [str(folder / "manifest.csv")])
        report = run(project, engine(project.settings.project.name), progress=progress)
        path, _ = release(
            project.store, project.settings, project.taxonomy, version=VERSION, out_dir=project.releases_dir
        )
        rows = decision_rows(live_items(project.store))
    return DemoOutput(
        project=str(folder),
        release=str(path),
        verified=verify(path).ok,
        run=report,
        items=rows,
        review_command=f"emotrace review --project {folder}",
    )
