"""What people see on a terminal: failures that are alike, names that look like markup, what was not found."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from pipeline.commands.printing import MAX_FAILED_SHOWN, print_decisions, print_failures, print_ingest
from pipeline.ingest import ingest
from pipeline.outputs import FailedItem
from tests.pipeline.records import project_in


def console(width: int = 200) -> Console:
    return Console(file=io.StringIO(), width=width)


def text_of(told: Console) -> str:
    assert isinstance(told.file, io.StringIO)
    return told.file.getvalue()


def failed(n: int, **changes: Any) -> FailedItem:
    told = {"stage": "annotate", "id": f"ann_{n}", "path": f"{n}.mp4", "code": "unauthorized"}
    return FailedItem.model_validate({**told, "message": "gpt: HTTP 401", "retry": "mend its key", **changes})


def printed(items: list[FailedItem]) -> list[str]:
    told = console()
    print_failures(told, items)
    return text_of(told).splitlines()


def test_items_that_failed_alike_are_one_line() -> None:
    alike = [failed(n) for n in range(7)]
    other = failed(8, message="gpt: HTTP 404", dead_letter=True)
    assert printed([*alike, other]) == [
        "failed: annotate 7 items of 0.mp4, 1.mp4, 2.mp4, 3.mp4, 4.mp4 and 2 more: gpt: HTTP 401 (unauthorized)"
        " -> mend its key",
        "failed: annotate 8.mp4: gpt: HTTP 404 (unauthorized, a dead letter) -> mend its key",
    ]


def test_several_questions_about_one_recording_name_it_once() -> None:
    dead = [failed(n, path="a.mp4", dead_letter=True) for n in range(3)]
    (line,) = printed(dead)
    assert (
        line
        == "failed: annotate 3 items of a.mp4: gpt: HTTP 401 (unauthorized, dead letters) -> mend its key"
    )


def test_what_is_not_shown_is_counted_by_items() -> None:
    shown = [failed(n, message=f"gpt: error {n}") for n in range(MAX_FAILED_SHOWN)]
    lines = printed([*shown, *(failed(n) for n in range(40, 45))])
    assert len(lines) == MAX_FAILED_SHOWN + 1
    assert lines[-1].startswith("... and 5 more: emotrace status --json")


def row(**changes: Any) -> dict[str, Any]:
    told = {
        "name": "[bold]take[/bold].mp4",
        "source": "src_0123456789abcdef",
        "span": "0.00-1.00",
        "target": "-",
        "others": 0,
        "label": None,
    }
    return {**told, "status": "undecided", "reasons": [], "votes": "[i] joy", **changes}


def test_names_are_no_markup_and_an_open_clip_says_what_it_waits_for() -> None:
    told = console()
    print_decisions(told, [row(), row(status="not_annotated", votes=""), row(status="auto_accepted")])
    head, *lines = [" ".join(line.split()) for line in text_of(told).splitlines()]
    assert head == "recording label decision why votes"
    assert lines == [
        "[bold]take[/bold].mp4 0.00-1.00 (open) undecided answers are to come [i] joy",
        "[bold]take[/bold].mp4 0.00-1.00 (open) not annotated nobody was asked",
        "[bold]take[/bold].mp4 0.00-1.00 (open) auto accepted all rules hold [i] joy",
    ]


def test_recordings_of_one_name_are_told_apart_by_what_show_takes() -> None:
    told = console()
    print_decisions(told, [row(name="a.mp4", source=f"src_{n * 20}") for n in "12"] + [row(name="b.mp4")])
    lines = [line.split()[:3] for line in text_of(told).splitlines()[1:]]
    assert lines == [
        ["a.mp4", "src_11111111", "0.00-1.00"],
        ["a.mp4", "src_22222222", "0.00-1.00"],
        ["b.mp4", "0.00-1.00", "(open)"],
    ]


def test_a_folder_without_recordings_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with project_in(tmp_path / "project", "") as project:
        report = ingest(project, [str(tmp_path / "empty")])
    told = console()
    print_ingest(told, report, 0)
    assert "no recording was found there" in text_of(told)
