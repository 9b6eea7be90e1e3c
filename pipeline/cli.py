"""The command line: parse, open the project, call one function, print. Heavy imports wait until they are needed.

How a command ends, and with which exit status, is in `pipeline/commands/endings.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from pipeline.commands import asked, hints, judging
from pipeline.commands.arguments import HERE, AsJson, ProjectDir, app, command, out
from pipeline.commands.endings import (
    INTERRUPTED,
    OK,
    SOME_FAILED,
    USER_MUST_ACT,
    emit,
    err,
    fail,
    interrupted,
    say,
    usage_error,
)
from schemas.errors import UserError


@command("init", "emotrace init my-project")
def init(
    folder: Annotated[
        Path | None, typer.Argument(help="The folder to make.", show_default="--project")
    ] = None,
    project: ProjectDir = HERE,
    taxonomy: Annotated[str, typer.Option(help="The label set: a shipped name or your own file.")] = "ekman7",
    as_json: AsJson = False,
) -> int:
    """Make a project folder with a commented settings file."""
    from pipeline.commands.init import create_project
    from pipeline.outputs import InitOutput

    path = create_project(folder or project, taxonomy)
    if as_json:
        emit(InitOutput(project=str(path.parent), settings=str(path)))
    else:
        following = f"{hints.command('ingest', '--project', path.parent)} FOLDER"
        say(out, f"{path} is ready. Next: {following}")
    return OK


@command("ingest", "emotrace ingest --project my-project recordings/ --license CC-BY-4.0")
def ingest(
    inputs: Annotated[
        list[str], typer.Argument(help="Files, folders, globs, or manifests (.csv .edl .jsonl .parquet).")
    ],
    project: ProjectDir = HERE,
    speaker: Annotated[str | None, typer.Option(help="Who speaks in all of them.")] = None,
    license_: Annotated[str | None, typer.Option("--license", help="Their licence (SPDX name).")] = None,
    consent: Annotated[str | None, typer.Option(help="What the people agreed to.")] = None,
    language: Annotated[str | None, typer.Option(help="The language spoken, e.g. en.")] = None,
    group: Annotated[str | None, typer.Option(help="Never split this group over train and test.")] = None,
    rehash: Annotated[
        bool, typer.Option("--rehash", help="Read every byte again, also of known files.")
    ] = False,
    renew_consent: Annotated[
        bool, typer.Option("--renew-consent", help="What is said of consent also ends a withdrawal.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Take recordings into the project, identified by their bytes."""
    from pipeline.commands.printing import TerminalProgress, ingest_output, print_failures, print_ingest
    from pipeline.ingest import ingest as take
    from pipeline.project import open_project

    said = {"speaker": speaker, "license": license_, "consent": consent, "language": language, "group": group}
    facts = {key: value for key, value in said.items() if value is not None}
    with open_project(project) as opened, TerminalProgress(err, silent=as_json) as bars:
        bars.start("ingest", 0)
        report = take(
            opened,
            inputs,
            rehash=rehash,
            renew_consent=renew_consent,
            facts=facts,
            on_progress=bars.update("ingest"),
        )
        sources = len({path.source_id for path in opened.store.paths().values()})
    output = ingest_output(report, sources)
    if as_json:
        emit(output)
    else:
        print_ingest(out, report, sources)
        print_failures(err, output.failed_items)
    return SOME_FAILED if output.failed_items else OK


@command("plan", "emotrace plan --project my-project")
def plan(
    project: ProjectDir = HERE,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="What run --retry-failed would ask.")
    ] = False,
    rebaseline: Annotated[
        bool, typer.Option("--rebaseline", help="What run --rebaseline would ask; no baseline is moved.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """What the next run would ask of models, and what that costs. Makes missing samples; nothing is sent."""
    from pipeline.commands.plan_text import print_plan
    from pipeline.commands.printing import TerminalProgress
    from pipeline.plan import plan as price
    from pipeline.project import open_project

    with open_project(project) as opened, TerminalProgress(err, silent=as_json) as bars:
        planned = price(opened, progress=bars, retry_failed=retry_failed, rebaseline=rebaseline)
    if as_json:
        emit(planned)
    else:
        print_plan(out, err, planned)
    if planned.missing:
        return USER_MUST_ACT
    return SOME_FAILED if planned.failed_items else OK


@command("run", "emotrace run --project my-project")
def run(
    project: ProjectDir = HERE,
    local: Annotated[bool, typer.Option("--local", help="Run in this process, without Prefect.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try failed items again, and dead letters.")
    ] = False,
    rebaseline: Annotated[
        bool, typer.Option("--rebaseline", help="Measure old clips against the speakers' newest baselines.")
    ] = False,
    renew_examples: Annotated[
        bool, typer.Option("--renew-examples", help="Show annotators newer verified clips; asks them anew.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for vendors' batch jobs, and go on until none is under way.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Run every stage for what is missing: segment, extract, annotate, check, judge, decide."""
    from agents.calls.engine import SystemClock
    from pipeline.commands.engines import run_project, run_to_the_end
    from pipeline.commands.printing import TerminalProgress, print_run
    from pipeline.project import open_project

    with open_project(project) as opened, TerminalProgress(err, silent=as_json) as bars:
        renewed = {"retry_failed": retry_failed, "rebaseline": rebaseline, "renew_examples": renew_examples}
        if wait:
            report = run_to_the_end(opened, bars, local=local, clock=SystemClock(), **renewed)
        else:
            report = run_project(opened, bars, local=local, **renewed)
    if as_json:
        emit(report)
    else:
        print_run(out, err, report)
    return SOME_FAILED if report.failed_items else OK


@command("status", "emotrace status --project my-project --clips")
def status(
    project: ProjectDir = HERE,
    clips: Annotated[
        bool, typer.Option("--clips", help="Every clip: its label, why, who said what.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """What stands: counts, money, failures, how often each annotator's claims are contradicted."""
    from pipeline.commands.claims_text import rules_of
    from pipeline.commands.printing import print_decisions, print_failures, print_status
    from pipeline.commands.status import status_of
    from pipeline.project import open_project

    with open_project(project) as opened:
        told = status_of(opened, clips=clips)
        rules = rules_of(opened.settings)
    if as_json:
        emit(told)
    else:
        if told.clips is not None:
            print_decisions(out, told.clips)
        print_status(out, told, rules)
        print_failures(err, told.failed_items)
    return SOME_FAILED if told.failed_items else OK


command("show", "emotrace show --project my-project interview.mp4 --json")(asked.show)
command("explain", "emotrace explain --project my-project ann_2f7c")(asked.explain)
command("dead-letters", "emotrace dead-letters --project my-project")(asked.dead_letters)


@command("review", "emotrace review --project my-project --port 8765")
def review(
    project: ProjectDir = HERE,
    port: Annotated[
        int | None,
        typer.Option(help="0 takes any free port.", show_default="review.port", min=0, max=65535),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Serve the review page on this machine and print its address; Ctrl-C stops it."""
    from pipeline.commands.serving import bind, review_url, serve
    from pipeline.outputs import ReviewOutput
    from pipeline.project import open_project
    from pipeline.stages.decide import bring_decisions_up_to_date
    from schemas.records import Decision

    with open_project(project) as opened:
        bring_decisions_up_to_date(opened)
        decisions = opened.store.tally(Decision)
        waiting = sum(count for brief, count in decisions if brief["status"] == "needs_review")
        settings = opened.settings.review
    with bind(settings.host, settings.port if port is None else port) as socket:
        token, url = review_url(socket, settings.served_as[0])
        try:
            if as_json:
                emit(ReviewOutput(url=url, waiting=waiting))
            else:
                say(out, f"{waiting} wait for a person. Open {url} (Ctrl-C stops)")
            serve(project, socket, token)
        except KeyboardInterrupt:  # the way to stop it: its one object is printed, nothing more is told
            sys.exit(INTERRUPTED)
    return OK


@command("release", "emotrace release --project my-project --version 0.1.0")
def release(
    version: Annotated[str, typer.Option(help="Three numbers, e.g. 0.1.0.")],
    project: ProjectDir = HERE,
    as_json: AsJson = False,
) -> int:
    """Write an immutable version of the dataset; again with the same version: rebuild and compare."""
    from pipeline.commands.printing import TerminalProgress
    from pipeline.commands.release_text import release_lines, release_output
    from pipeline.project import open_project
    from pipeline.release.build import release as build
    from pipeline.release.recorded import versions_with_withdrawn
    from pipeline.stages.decide import bring_decisions_up_to_date

    with open_project(project) as opened, TerminalProgress(err, silent=as_json) as bars:
        bring_decisions_up_to_date(opened)
        store, folder = opened.store, opened.releases_dir
        made = build(store, opened.settings, opened.taxonomy, version=version, out_dir=folder, progress=bars)
        withdrawn = versions_with_withdrawn(store, folder, beside=version)
    output = release_output(made, withdrawn)
    if as_json:
        emit(output)
    else:
        for line in release_lines(output):
            say(out, line)
    return OK


@command("verify", "emotrace verify my-project/releases/0.1.0")
def verify(
    path: Annotated[Path, typer.Argument(help="A release folder, or a version of --project.")],
    project: ProjectDir = HERE,
    as_json: AsJson = False,
) -> int:
    """Prove that a release is whole, as declared, and leaks nothing between its splits."""
    from pipeline.commands.printing import TerminalProgress
    from pipeline.commands.release_text import release_folder, verify_lines, verify_output
    from pipeline.release.recorded import recorded
    from pipeline.release.verify import verify as check

    folder = release_folder(path, project)
    with recorded(project, folder) as known, TerminalProgress(err, silent=as_json) as bars:
        report = check(
            folder,
            expected_manifest_sha256=known.manifest_sha256,
            count_withdrawn=known.count_withdrawn,
            progress=bars,
        )
    output = verify_output(report)
    if as_json:
        emit(output)
    else:
        for line in verify_lines(output):
            say(out, line)
    return OK if report.ok else SOME_FAILED


@command("backends", "emotrace backends --json")
def backends(project: ProjectDir = HERE, as_json: AsJson = False) -> int:  # noqa: ARG001 - every command has it
    """What can measure words, voices and faces here, what would be downloaded, under which licence."""
    from pipeline.commands.printing import print_backends
    from pipeline.features.backends import list_backends
    from pipeline.outputs import BackendsOutput

    rows = list_backends()
    if as_json:
        emit(BackendsOutput(backends=rows))
    else:
        print_backends(out, rows)
    return OK


@command("doctor", "emotrace doctor --project my-project")
def doctor(project: ProjectDir = HERE, as_json: AsJson = False) -> int:
    """Is this machine, and this project, ready to run? Every check is tried for real."""
    from pipeline.commands.doctor import examine
    from pipeline.commands.printing import print_checks
    from pipeline.outputs import DoctorOutput

    checks = examine(project)
    ok = all(check["ok"] for check in checks)
    if as_json:
        emit(DoctorOutput(ok=ok, checks=checks))
    else:
        print_checks(out, checks)
    return OK if ok else USER_MUST_ACT


@command("demo", "emotrace demo --project demo-project")
def demo(
    project: ProjectDir = Path("demo-project"),
    local: Annotated[bool, typer.Option("--local", help="Run in this process, without Prefect.")] = False,
    as_json: AsJson = False,
) -> int:
    """Make a small project with playable recordings and take it all the way to a verified release."""
    from pipeline.commands.demo_run import run_demo
    from pipeline.commands.engines import choose_engine
    from pipeline.commands.printing import TerminalProgress

    with TerminalProgress(err, silent=as_json) as bars:
        result = run_demo(project, lambda settings: choose_engine(settings, bars, local=local), bars)
    if as_json:
        emit(result)
    else:
        from pipeline.commands.printing import print_demo

        print_demo(out, result)
    return OK if result.verified and not result.run.failed_items else SOME_FAILED


command("report", "emotrace report --project my-project")(judging.report)
command("import", "emotrace import ratings.csv --project my-project")(judging.import_ratings)


def main() -> NoReturn:
    """Entry point: turns every expected error into one line (or one JSON object) and an exit status."""
    arguments = sys.argv[1:] or ["--help"]
    try:
        status = app(args=arguments, standalone_mode=False)
    except UserError as error:
        fail(error, arguments)
    except Exception as error:
        usage = usage_error(error)
        if usage is None:
            raise
        fail(usage, arguments)
    if status == INTERRUPTED:  # typer makes this number of a KeyboardInterrupt
        interrupted(arguments)
    sys.exit(status if isinstance(status, int) else OK)


if __name__ == "__main__":
    main()
