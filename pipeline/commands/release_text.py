"""What `release` and `verify` tell a person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.commands import hints
from pipeline.outputs import ReleaseOutput, VerifyFinding, VerifyOutput
from pipeline.release.build import Released
from pipeline.release.telling import RUN, TAKE_DOWN, counted, left_out_text
from pipeline.release.verify import VerifyReport
from schemas.errors import UserError


def release_output(made: Released, withdrawn_in: dict[str, int]) -> ReleaseOutput:
    """What `release --json` prints."""
    report = made.report
    return ReleaseOutput(
        version=report.version,
        path=str(made.path),
        outcome=made.outcome,
        rows=report.rows,
        splits=report.splits,
        left_out=report.left_out,
        recordings_not_run=report.recordings_not_run,
        license=report.license,
        previous_version=report.previous_version,
        withdrawn_in=withdrawn_in,
    )


def release_lines(made: ReleaseOutput) -> Iterator[str]:
    """What is in the version, what is not, what should be looked at, and what comes next."""
    splits = ", ".join(f"{n} {split}" for split, n in made.splits.items())
    yield f"{made.outcome}: {made.path} ({counted(made.rows, 'clip')}: {splits})"
    if made.left_out:
        yield f"left out: {left_out_text(made.left_out)}"
    for warning in _warnings(made):
        yield f"warning: {hints.complete(warning)}"
    yield f"Next: {hints.command('verify', made.path)}"


def _warnings(made: ReleaseOutput) -> Iterator[str]:
    if made.recordings_not_run:
        yield f"{counted(made.recordings_not_run, 'recording')} ingested, but never run; {RUN}"
    if made.license is None:
        yield "no licence for the dataset: set release.license and release a new version"
    for version, n in made.withdrawn_in.items():
        yield f"version {version} holds {counted(n, 'clip')} whose consent was withdrawn since: {TAKE_DOWN}"


def release_folder(path: Path, project: Path) -> Path:
    """A release by its folder, or by its version in a project.

    Raises:
        UserError: there is none.
    """
    folder = path if path.is_dir() else project / "releases" / path
    if not folder.is_dir():
        raise UserError(
            "no_release", f"no release folder {path}", "give the path that emotrace release printed"
        )
    return folder


def verify_output(report: VerifyReport) -> VerifyOutput:
    """What `verify --json` prints."""
    findings = [VerifyFinding(check=f.check, status=f.status, message=f.detail) for f in report.findings]
    return VerifyOutput(path=str(report.path), ok=report.ok, findings=findings)


def verify_lines(checked: VerifyOutput) -> Iterator[str]:
    """One line for each check, then the verdict."""
    for finding in checked.findings:
        yield f"{finding.status:<8} {finding.check}: {finding.message}"
    yield f"{checked.path}: {'verified' if checked.ok else 'NOT verified'}"
