"""The demo from nothing to a verified release: the same functions as the single commands, in a row."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

from pipeline.commands.demo import make_demo_project
from pipeline.commands.hints import command
from pipeline.commands.printing import TerminalProgress
from pipeline.commands.show import decision_rows
from pipeline.features.host import Host, hosted
from pipeline.ingest import ingest
from pipeline.live import live_items
from pipeline.outputs import DemoOutput
from pipeline.project import Project, open_project
from pipeline.release.build import release, release_record
from pipeline.release.verify import verify
from pipeline.run import Engine, run
from schemas.errors import UserError
from schemas.settings import Settings

VERSION = "0.1.0"


def run_demo(folder: Path, engine: Callable[[Settings], Engine], progress: TerminalProgress) -> DemoOutput:
    """Make the demo project in `folder` and take it through every stage; safe to call again.

    A release that is there is kept, also when the records have changed since: then it is verified as it is.
    """
    progress.start("media", 0)
    show_media = progress.update("media")
    with hosted(Host(partial(progress.note, "media"))):
        make_demo_project(folder, on_progress=lambda done, total, _name: show_media(done, total))
    with open_project(folder) as project:
        ingest(project, [str(folder / "manifest.csv")])
        report = run(project, engine(project.settings), progress=progress)
        path = project.releases_dir / VERSION
        is_current = release_or_keep(project)
        record = release_record(project.store, VERSION)
        verified = verify(path, expected_manifest_sha256=record.manifest_sha256 if record else None).ok
        rows = decision_rows(live_items(project.store))
    return DemoOutput(
        project=str(folder),
        release=str(path),
        verified=verified,
        run=report,
        items=rows,
        review_command=command("review", "--project", folder),
        release_command=None if is_current else next_release(folder, path.parent),
    )


def release_or_keep(project: Project) -> bool:
    """Release the version, or find it released; False: what is there was made of other records."""
    try:
        release(
            project.store, project.settings, project.taxonomy, version=VERSION, out_dir=project.releases_dir
        )
    except UserError as error:
        if error.code != "release_differs" or not (project.releases_dir / VERSION).is_dir():
            raise
        return False
    return True


def next_release(folder: Path, releases: Path) -> str:
    """The command that releases the records as they are now, under the first version that is free."""
    minor = next(n for n in count(2) if not (releases / f"0.{n}.0").exists())
    return command("release", "--project", folder, "--version", f"0.{minor}.0")
