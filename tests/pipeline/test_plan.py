"""`plan` against what the wire then reports: the same calls, tokens and money within 15 %; what it asks for."""

from __future__ import annotations

import io
import json
import math
from collections import defaultdict
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipeline.commands.plan_text import print_plan
from pipeline.outputs import PlanLine, PlanOutput
from pipeline.plan import plan
from pipeline.project import open_project
from pipeline.run import local_engine, run
from pipeline.status import totals
from schemas.errors import UserError
from schemas.records import Annotation, Sample, Segment
from schemas.store import Store
from tests.pipeline.project import take, talk, write_settings
from tests.pipeline.records import Quiet
from tests.wire.server import FakeModels, Reply

WITHIN = 0.15
SAID = ("I am so happy about this.", "No, I will not go there again.", "It was fine, I think, more or less.",
        "We waited for an hour and nobody came to tell us why.")  # fmt: skip
WORDS = ("quiet", "open", "long", "plain", "early", "wide", "brief", "slow", "large", "clear")
HEAD = """
[project]
language = "en"
[segment]
rule = "whole"
[select]
near_duplicates = "keep"
limit = {limit}
"""
# Each is said to stand for the vendor itself, so that the vendor's prices and token rules hold.
SECTION = """
[[{table}]]
name = "{name}"
provider = "{provider}"
model = "{model}"
base_url = "{url}"
deployment = ""
takes = {takes}
attempts = 1
{more}
"""


def mind(body: dict[str, Any]) -> Reply:
    """A model whose reasons depend on all that it is shown: what is said the same is judged once."""
    asked = json.dumps(body)
    drawn = int(sha256(asked.encode()).hexdigest(), 16)
    return Reply(text=json.dumps(answer(drawn))) if "trajectory" in asked else Reply()


def answer(drawn: int) -> dict[str, Any]:
    """A typical answer that fits anybody's clip."""
    words = [WORDS[drawn // len(WORDS) ** n % len(WORDS)] for n in range(5)]
    item = {
        "modality": "context",
        "start_s": 0.0,
        "end_s": 1.0,
        "cue": "quote",
        "direction": "present",
        "quote": None,
    }
    said = (
        f"nobody else is in the {words[0]} picture",
        f"the {words[1]} earlier turn was {words[2]} in its tone",
    )
    steps = (
        f"The {words[3]} situation itself gives no reason for a strong emotion.",
        f"What was said before makes a {words[4]} mood more likely than not.",
    )
    return {
        "evidence": [
            {"id": f"e{n}", **item, "quote": None, "description": text} for n, text in enumerate(said, 1)
        ],
        "rationale": [{"n": n, "text": text, "evidence_ids": [f"e{n}"]} for n, text in enumerate(steps, 1)],
        "readings": {"text": None, "audio": None, "visual": None},
        "labels": [{"label": "neutral", "intensity": 1}],
        "confidence": 0.6,
        "dimensions": {"valence": 0.1, "arousal": 0.0, "dominance": None},
        "trajectory": [],
        "abstain_reason": None,
    }


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, "a key")


@pytest.fixture
def models() -> Iterator[FakeModels]:
    with FakeModels(counting=True, mind=mind) as server:
        yield server


def section(
    models: FakeModels, provider: str, model: str, takes: str, more: str = "", table: str = "annotators"
) -> str:
    url = models.gemini_url if provider == "gemini" else models.openai_url
    kinds = json.dumps(takes.split())
    return SECTION.format(
        table=table, name=model, provider=provider, model=model, url=url, takes=kinds, more=more
    )


def every_kind(models: FakeModels) -> str:
    return "".join(
        [
            section(models, "openai", "gpt-4.1", "text images", "key_frames = 2"),
            section(models, "openai_compatible", "gpt-audio", "text audio"),
            section(
                models,
                "gemini",
                "gemini-2.5-flash",
                "images audio video",
                "options = { video_fps = 2.0 }",
            ),
            section(models, "gemini", "gemini-2.5-pro", "text video", table="judges"),
        ]
    )


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    for n, text in enumerate(SAID):
        talk(folder / f"{n}.mp4", text=text, length_s=3.2 + n, seed=n)
    return folder


def project_with(recordings: Path, root: Path, settings: str, limit: int = len(SAID)) -> Path:
    write_settings(root, HEAD.format(limit=limit) + settings)
    if not (root / "emotrace.db").exists():
        with open_project(root) as project:
            take(project, recordings)
    return root


def planned(root: Path, **options: bool) -> PlanOutput:
    with open_project(root) as project:
        return plan(project, progress=Quiet(), **options)


def run_it(root: Path, **options: bool) -> Any:
    with open_project(root) as project:
        return run(project, local_engine(workers=2), progress=Quiet(), **options)


def spent(store: Store, after: int = 0) -> dict[str, dict[str, float]]:
    """Annotator or judge -> calls, tokens and money that the ledger has, of the receipts after the first ones."""
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    with store._database.reading() as connection:
        rows = connection.exec_driver_sql(
            "SELECT seq, annotator, input_tokens, output_tokens, cost_usd FROM calls WHERE event = 'receipt'"
        ).all()
    for seq, name, input_tokens, output_tokens, usd in rows:
        if seq > after:
            for key, value in (
                ("calls", 1),
                ("input", input_tokens),
                ("output", output_tokens),
                ("usd", usd),
            ):
                found[name][key] += value
    return found


def last_call(store: Store) -> int:
    with store._database.reading() as connection:
        return int(connection.exec_driver_sql("SELECT max(seq) FROM calls").scalar() or 0)


def forget(root: Path, statement: str) -> None:
    with open_project(root) as project, project.store._database.writing() as connection:
        connection.exec_driver_sql(statement)


def by_name(told: PlanOutput) -> dict[str, PlanLine]:
    return {line.name: line for line in told.lines}


def test_calls_are_planned_exactly_and_tokens_and_money_within_a_few_percent(
    models: FakeModels, recordings: Path, tmp_path: Path
) -> None:
    settings = every_kind(models)
    root = project_with(recordings, tmp_path / "project", settings, limit=2)
    before = planned(root)
    assert not models.requests  # a plan sends nothing
    assert not before.missing
    run_it(root)  # a pilot, from which the length of answers is known
    with open_project(root) as project:
        pilot, newest = spent(project.store), last_call(project.store)
    for name, line in by_name(before).items():
        assert line.calls == pilot[name]["calls"] == (12 if name == "gemini-2.5-pro" else 2)
        assert line.output_from == "default"
        if (
            line.stage == "annotate"
        ):  # a judge's question holds an answer, of which nobody knows the length yet
            assert sum(line.input_tokens.values()) == pytest.approx(pilot[name]["input"], rel=WITHIN)

    project_with(recordings, root, settings)
    told = planned(root)
    result = run_it(root)
    with open_project(root) as project:
        real = spent(project.store, after=newest)
    assert set(by_name(told)) == set(real) == {"gpt-4.1", "gpt-audio", "gemini-2.5-flash", "gemini-2.5-pro"}
    for name, line in by_name(told).items():
        assert line.calls == real[name]["calls"]
        assert line.output_from == "history"
        assert sum(line.input_tokens.values()) == pytest.approx(real[name]["input"], rel=WITHIN), name
        assert line.output_tokens == pytest.approx(real[name]["output"], rel=WITHIN), name
        assert line.usd == pytest.approx(real[name]["usd"], rel=WITHIN), name
    assert told.total.calls == result.this_run.provider_calls
    assert told.total.usd == pytest.approx(result.this_run.spent_usd, rel=WITHIN)


def test_tokens_are_told_by_modality(models: FakeModels, recordings: Path, tmp_path: Path) -> None:
    root = project_with(recordings, tmp_path / "project", every_kind(models))
    lines = by_name(planned(root))
    lengths_s = [sample.duration_s for sample in samples(root)]
    assert lines["gpt-4.1"].input_tokens.keys() == {"text", "image"}
    assert lines["gpt-audio"].input_tokens["audio"] == sum(math.ceil(10 * s) for s in lengths_s)
    flash = lines["gemini-2.5-flash"].input_tokens
    assert flash["video"] == 258 * sum(math.ceil(2 * s) for s in lengths_s)
    assert flash.keys() == {"text", "image", "audio", "video"}


def test_what_is_answered_costs_nothing_and_batches_cost_half(
    models: FakeModels, recordings: Path, tmp_path: Path
) -> None:
    root = project_with(
        recordings, tmp_path / "project", section(models, "gemini", "gemini-2.5-flash", "text")
    )
    told = planned(root)
    (line,) = told.lines
    assert (line.calls, told.execution) == (4, "live")
    assert line.usd
    assert line.batch_usd == pytest.approx(line.usd / 2, abs=1e-6)
    run_it(root)
    after = planned(root)
    assert after.lines == []
    assert after.total.usd == 0
    assert len(models.requests) == 4
    forget(root, "DELETE FROM records WHERE kind = 'annotation'")  # the answers are in the ledger
    (line,) = planned(root).lines
    assert (line.calls, line.answered, line.usd) == (0, 4, 0)
    assert run_it(root).this_run.provider_calls == 0


def test_identical_questions_count_once(models: FakeModels, tmp_path: Path) -> None:
    """Without words and measures, two clips of one length are the same question."""
    folder = tmp_path / "same"
    folder.mkdir()
    for name in ("a", "b"):
        talk(folder / f"{name}.mp4", text="Yes.", length_s=2.0, seed=3 if name == "a" else 4)
    settings = section(models, "openai", "gpt-4.1", "").replace("takes = []", "takes = []")
    root = project_with(folder, tmp_path / "project", settings)
    (line,) = planned(root).lines
    assert line.calls == run_it(root).this_run.provider_calls == 1


def test_a_model_without_price_or_rule_is_asked_for(
    models: FakeModels, recordings: Path, tmp_path: Path
) -> None:
    unknown = section(models, "openai_compatible", "nobodys", "text images")
    root = project_with(recordings, tmp_path / "project", unknown)
    told = planned(root)
    (line,) = told.lines
    assert (line.usd, told.total.usd, line.calls) == (None, None, 4)
    assert [(one.name, one.what.split()[0]) for one in told.missing] == [
        ("nobodys", "the"),
        ("nobodys", "as"),
    ]
    assert ["usd_per_million_input_tokens" in one.remedy for one in told.missing] == [True, False]
    assert told.missing[1].remedy == "set tokens_per_image"

    priced = "usd_per_million_input_tokens = 1\nusd_per_million_output_tokens = 2\n"
    project_with(recordings, root, unknown + priced)
    assert [one.remedy for one in planned(root).missing] == ["set tokens_per_image"]
    project_with(recordings, root, unknown + priced + "tokens_per_image = 100\n")
    whole = planned(root)
    assert not whole.missing
    assert whole.lines[0].input_tokens["image"] == 100 * sum(
        len(sample.key_frames[:3]) for sample in samples(root)
    )


def samples(root: Path) -> list[Sample]:
    with open_project(root) as project:
        return project.store.live(Sample)


def test_nothing_is_free_unless_it_is_said_to_be(
    models: FakeModels, recordings: Path, tmp_path: Path
) -> None:
    own = section(models, "openai_compatible", "mine", "text images").replace('deployment = ""\n', "")
    root = project_with(recordings, tmp_path / "project", own)
    missing = planned(root).missing[0]
    assert missing.what.startswith("the price of mine at http://127.0.0.1")
    assert "deployment" not in missing.remedy
    vendors = project_with(
        recordings, tmp_path / "vendors", own.replace('model = "mine"', 'model = "gpt-4.1"')
    )
    assert 'deployment = ""' in planned(vendors).missing[0].remedy
    free = "usd_per_million_input_tokens = 0\nusd_per_million_output_tokens = 0\n"
    project_with(recordings, root, own + free)
    told = planned(root)
    assert (told.missing, told.total.usd, told.total.calls) == (
        [],
        0,
        4,
    )  # what pictures count as need not be told


def test_a_run_with_a_budget_of_money_is_refused_without_a_price(
    models: FakeModels, recordings: Path, tmp_path: Path
) -> None:
    unknown = section(models, "openai_compatible", "nobodys", "text") + "[budget]\nusd = 1\n"
    root = project_with(recordings, tmp_path / "project", unknown)
    with pytest.raises(UserError, match='"nobodys" lacks a price'):
        run_it(root)
    assert not models.requests


@pytest.mark.parametrize(
    ("budget", "stops_in", "after"),
    [("calls = 9", "annotate", 3), ("calls = 14", "judge", 0), ("usd = 100", None, None)],
)
def test_a_plan_says_how_far_a_budget_goes(
    models: FakeModels, recordings: Path, tmp_path: Path, budget: str, stops_in: str | None, after: int | None
) -> None:
    root = project_with(recordings, tmp_path / "project", every_kind(models) + f"[budget]\n{budget}\n")
    told = planned(root)
    assert told.budget is not None
    assert told.budget.enough == (stops_in is None)
    assert (told.budget.stops_in, told.budget.after_samples) == (stops_in, after)
    if stops_in == "annotate":
        with pytest.raises(UserError, match="budget"):
            run_it(root)
        assert len(models.requests) == 9


def test_keyless_answers_are_counted_for_judges_and_not_kept(
    models: FakeModels, recordings: Path, tmp_path: Path
) -> None:
    lexicon = '[[annotators]]\nname = "lexicon"\nprovider = "cues"\nmodel = "lexicon"\n'
    judge = section(models, "openai", "gpt-4.1", "text", table="judges")
    root = project_with(recordings, tmp_path / "project", lexicon + judge)
    told = planned(root)
    with open_project(root) as project:
        assert project.store.all(Annotation) == []
    run_it(root)
    assert told.total.calls == len(models.requests)
    with open_project(root) as project:
        labelled = [a for a in project.store.live(Annotation) if a.outcome == "labelled"]
        assert 0 < told.total.calls == 2 * len(labelled)  # a rating and a second look


def test_a_cascade_is_priced_by_what_is_open_and_else_as_if_all_were(
    models: FakeModels, recordings: Path, tmp_path: Path
) -> None:
    first = section(models, "gemini", "gemini-2.5-flash", "text")
    further = section(models, "openai", "gpt-4.1", "text", 'when = "contested"')
    judge = section(models, "gemini", "gemini-2.5-pro", "text", table="judges")
    sure = "[policy]\naccept_probability = 0.5\naccept_confidence = 0.1\n"
    root = project_with(recordings, tmp_path / "project", first + further + judge + sure, limit=2)
    told = {(line.stage, line.calls) for line in planned(root).lines}
    assert told == {("annotate", 2), ("contested", 2), ("judge", 8)}
    assert run_it(root).this_run.provider_calls == 6  # the first one was sure; each answer is looked at twice
    assert planned(root).lines == []
    unsure = sure.replace("0.1", "0.9")
    project_with(recordings, root, first + further + judge + unsure, limit=2)
    told = {(line.stage, line.calls) for line in planned(root).lines}
    assert told == {("contested", 2), ("judge", 4)}
    assert run_it(root).this_run.provider_calls == 6


def test_answers_whose_claims_are_not_checked_yet_are_judged_too(
    models: FakeModels, recordings: Path, tmp_path: Path
) -> None:
    """As after a run that ended between the two."""
    settings = section(models, "openai", "gpt-4.1", "text")
    judge = section(models, "gemini", "gemini-2.5-flash", "text", table="judges")
    root = project_with(recordings, tmp_path / "project", settings + judge)
    run_it(root)
    for table in ("records", "live"):
        forget(root, f"DELETE FROM {table} WHERE kind IN ('check', 'judgement')")
    forget(root, "DELETE FROM calls WHERE annotator = 'gemini-2.5-flash'")
    told = planned(root)
    assert {line.name: line.calls for line in told.lines} == {"gemini-2.5-flash": 8}
    assert run_it(root).this_run.provider_calls == 8


def test_a_plan_needs_no_key_and_makes_the_samples(
    models: FakeModels, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    root = project_with(recordings, tmp_path / "project", section(models, "openai", "gpt-4.1", "text"))
    told = planned(root)
    assert told.samples == 4
    assert any("samples made first: 4" in note for note in told.notes)
    assert not any("samples were made" in note for note in planned(root).notes)
    with open_project(root) as project:
        assert len(project.store.live(Segment)) == 4
        assert [row["finished"] for row in project.store.runs()] == [False]


def test_a_run_tells_what_it_is_about_to_spend(models: FakeModels, recordings: Path, tmp_path: Path) -> None:
    root = project_with(recordings, tmp_path / "project", every_kind(models))
    told: list[str] = []

    class Noting(Quiet):
        def note(self, stage: str, text: str) -> None:
            told.append(f"{stage}: {text}")

    with open_project(root) as project:
        this_run = run(project, local_engine(), progress=Noting()).this_run
    assert this_run.planned_calls == this_run.provider_calls == 36
    assert this_run.planned_usd == pytest.approx(this_run.spent_usd, rel=0.3)  # answers are of unknown length
    assert [line.partition(",")[0] for line in told if line.endswith(" USD")] == [
        "annotate: 12 calls planned",
        "judge: 24 calls planned",
    ]


def test_a_cascade_is_not_priced_where_consent_forbids_it_or_an_answer_stands(
    models: FakeModels, recordings: Path, tmp_path: Path
) -> None:
    further = section(models, "openai", "gpt-4.1", "text", 'when = "contested"\nlocal = false')
    unsure = "[policy]\naccept_confidence = 0.99\n"

    def settings(more: str = "") -> str:
        return section(models, "gemini", "gemini-2.5-flash", "text", more) + further + unsure

    root = project_with(recordings, tmp_path / "project", settings(), limit=4)
    assert by_name(planned(root))["gpt-4.1"].calls == 4
    with open_project(root) as project:
        for one in project.store.live(Segment)[:2]:
            project.store.add_facts([(one.source_id, "consent", "local_only")])
    lines = by_name(planned(root))
    calls = lines["gpt-4.1"].calls if "gpt-4.1" in lines else 0
    assert run_it(root).this_run.provider_calls == 4 + calls == 6
    project_with(recordings, root, settings("temperature = 0.5"), limit=4)
    assert "gpt-4.1" not in by_name(planned(root))


def test_a_second_step_whose_first_is_answered_is_priced_alone(
    models: FakeModels, recordings: Path, tmp_path: Path
) -> None:
    two_steps = section(models, "openai", "gpt-4.1", "text")
    two_steps += '[annotators.prompting]\nstyle = "rationale_then_verbalizer"\n'
    root = project_with(recordings, tmp_path / "project", two_steps + "[budget]\ncalls = 5\n")
    (line,) = planned(root).lines
    assert line.calls == 2 * len(SAID)
    with pytest.raises(UserError, match="budget of 5 calls"):
        run_it(root)
    with open_project(root) as project:
        newest = last_call(project.store)
    project_with(recordings, root, two_steps)
    (line,) = planned(root).lines
    run_it(root)
    with open_project(root) as project:
        real = spent(project.store, after=newest)["gpt-4.1"]
    assert line.calls == real["calls"] == 2 * len(SAID) - 5
    assert line.usd == pytest.approx(real["usd"], rel=WITHIN)


def test_a_judge_that_evaluates_is_planned_where_the_true_label_is_known(
    models: FakeModels, recordings: Path, tmp_path: Path
) -> None:
    judge = section(models, "openai", "gpt-4.1-mini", "text", 'rubric = "mme_emotion"', table="judges")
    root = project_with(
        recordings, tmp_path / "project", section(models, "openai", "gpt-4.1", "text") + judge
    )
    with open_project(root) as project:
        known = [one.source_id for one in project.store.paths().values()][:3]
        project.store.add_facts([(source_id, "gold", "joy") for source_id in known])
    assert by_name(planned(root))["gpt-4.1-mini"].calls == 3
    assert run_it(root).this_run.provider_calls == len(SAID) + 3


def test_whether_a_budget_of_money_suffices_cannot_be_told_without_a_price(
    models: FakeModels, recordings: Path, tmp_path: Path
) -> None:
    unknown = section(models, "openai", "no-such-model", "text") + "[budget]\n"
    told = planned(project_with(recordings, tmp_path / "project", unknown + "usd = 5.0\n")).budget
    assert told is not None
    assert (told.enough, told.usd_left) == (None, 5.0)
    told = planned(project_with(recordings, tmp_path / "project", unknown + "calls = 5\n")).budget
    assert told is not None
    assert told.enough is True


def test_money_that_jobs_under_way_will_cost_is_not_left(
    models: FakeModels, recordings: Path, tmp_path: Path
) -> None:
    more = 'mode = "batch"\ngives = ["json_schema", "batches"]\n[budget]\nusd = 1.0'
    root = project_with(recordings, tmp_path / "project", section(models, "openai", "gpt-4.1", "text", more))
    usd = planned(root).total.usd
    models.batches.looks = 9
    run_it(root)
    with open_project(root) as project:
        (job,) = totals(project.store).batches
        assert job.planned_usd == pytest.approx(usd, abs=1e-5)
    told = planned(root)
    assert usd is not None
    assert told.budget is not None
    assert told.lines[0].under_way == 4
    assert told.budget.usd_left == pytest.approx(1.0 - usd, abs=1e-5)


def test_a_section_in_batches_is_planned_to_take_a_day(
    models: FakeModels, recordings: Path, tmp_path: Path
) -> None:
    batched = section(
        models, "openai", "gpt-4.1", "text", 'mode = "batch"\ngives = ["json_schema", "batches"]'
    )
    told = planned(project_with(recordings, tmp_path / "project", batched))
    (line,) = told.lines
    assert line.time_s == 24 * 3600
    assert line.usd
    assert line.batch_usd == line.usd
    assert any(note.startswith("gpt-4.1: in batches") for note in told.notes)
    assert not any("no call yet" in note or 'mode = "batch"' in note for note in told.notes)


def test_what_follows_from_answers_that_were_received_is_not_priced_again(
    models: FakeModels, recordings: Path, tmp_path: Path
) -> None:
    """The records are gone, as after a new parser; the answers are in the ledger, those of judges as well."""
    lexicon = '[[annotators]]\nname = "lexicon"\nprovider = "cues"\nmodel = "lexicon"\n'
    two_steps = section(models, "openai", "gpt-4.1", "text")
    two_steps += '[annotators.prompting]\nstyle = "rationale_then_verbalizer"\n'
    further = section(models, "openai_compatible", "gpt-audio", "text audio", 'when = "contested"')
    judge = section(models, "gemini", "gemini-2.5-pro", "text", table="judges")
    unsure = "[policy]\naccept_confidence = 0.99\n"
    root = project_with(recordings, tmp_path / "project", lexicon + two_steps + further + judge + unsure)
    first = run_it(root).this_run
    for table in ("records", "live"):
        forget(root, f"DELETE FROM {table} WHERE kind IN ('annotation', 'check', 'judgement', 'consensus')")
    told = planned(root)
    assert (told.total.calls, told.total.usd) == (0, 0)
    assert sum(line.answered for line in told.lines) == first.provider_calls
    assert not any("do not exist yet" in note for note in told.notes)
    judged = "FROM calls WHERE annotator = 'gemini-2.5-pro'"
    forget(root, f"DELETE {judged} AND key NOT IN (SELECT key {judged} ORDER BY seq LIMIT 8)")
    told = planned(root)
    again = run_it(root).this_run
    assert told.total.calls == again.provider_calls > 0
    assert told.total.usd == pytest.approx(again.spent_usd, rel=WITHIN)


def test_new_baselines_are_priced_before_they_move_anything(models: FakeModels, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    for n, text in enumerate(SAID):
        talk(folder / f"{n}.mp4", text=text, length_s=4.5, pitch_hz=110 + 15 * n, seed=n)
    judge = section(models, "gemini", "gemini-2.5-pro", "text", table="judges")
    settings = HEAD.format(limit=9) + section(models, "openai", "gpt-4.1", "text images") + judge
    root = write_settings(tmp_path / "project", settings)
    with open_project(root) as project:
        take(project, *sorted(folder.glob("[012].mp4")), facts={"speaker": "ann"})
    run_it(root)
    with open_project(root) as project:
        take(project, folder / "3.mp4", facts={"speaker": "ann"})
    run_it(root)
    standing = {sample.id for sample in samples(root)}
    with open_project(root) as project:
        newest = last_call(project.store)
    told = planned(root, rebaseline=True)
    assert by_name(told)["gpt-4.1"].calls == 3  # the fourth was measured against all four
    assert {sample.id for sample in samples(root)} == standing
    assert planned(root).lines == []
    this_run = run_it(root, rebaseline=True).this_run
    assert told.total.calls == this_run.provider_calls
    assert told.total.usd == pytest.approx(this_run.spent_usd, rel=WITHIN)
    with open_project(root) as project:
        assert spent(project.store, after=newest)["gpt-4.1"]["calls"] == 3


@pytest.mark.parametrize("taxonomy", ["open", "vad", "sentiment-continuous"])
def test_judges_are_planned_whatever_the_label_set(
    models: FakeModels, recordings: Path, tmp_path: Path, taxonomy: str
) -> None:
    settings = section(models, "openai", "gpt-4.1", "text")
    judge = section(models, "gemini", "gemini-2.5-pro", "text", table="judges")
    root = project_with(recordings, tmp_path / "project", settings + judge, limit=2)
    text = (root / "emotrace.toml").read_text("utf-8")
    write_settings(root, text.replace("[project]\n", f'[project]\ntaxonomy = "{taxonomy}"\n'))
    lines = by_name(planned(root))
    looks = 2 if taxonomy == "open" else 1  # there is nothing to look for where no label is claimed
    assert {name: line.calls for name, line in lines.items()} == {"gpt-4.1": 2, "gemini-2.5-pro": 2 * looks}


@pytest.mark.parametrize(
    ("provider", "takes", "more", "code", "said"),
    [
        ("openai", "text audio", "", "cannot", "takes no audio"),
        ("openai", "text", "seed = 3", "cannot", "knows no seed"),
        ("openai_compatible", "text", 'mode = "batch"', "no_batches", "has batches"),
    ],
)
def test_what_a_run_would_refuse_a_plan_refuses_too(
    models: FakeModels, tmp_path: Path, provider: str, takes: str, more: str, code: str, said: str
) -> None:
    asked = section(models, provider, "m", takes, more).replace('deployment = ""\n', "")
    write_settings(tmp_path / "project", asked)
    with pytest.raises(UserError, match=said) as caught:
        planned(tmp_path / "project")
    assert (caught.value.code, caught.value.line is not None) == (code, True)


def test_a_plan_without_recordings_says_how_to_begin(tmp_path: Path) -> None:
    write_settings(tmp_path / "project", "")
    out = Console(file=io.StringIO(), width=100)
    print_plan(out, out, planned(tmp_path / "project"))
    assert out.file.getvalue().splitlines()[-1] == "no clip is there yet; first: emotrace ingest FOLDER"  # type: ignore[attr-defined]


def test_dead_letters_are_priced_where_they_would_be_sent_again(
    models: FakeModels, recordings: Path, tmp_path: Path
) -> None:
    root = project_with(recordings, tmp_path / "project", section(models, "openai", "gpt-4.1", "text"))
    models.script(Reply(status=400, match="hour"))
    run_it(root)
    with open_project(root) as project:
        dead = len(project.store.dead_letters(["annotate"]))
    assert dead == 1
    assert planned(root).lines == []
    told = planned(root, retry_failed=True)
    assert told.total.calls == dead
    models.replies.clear()
    assert run_it(root, retry_failed=True).this_run.provider_calls == dead
