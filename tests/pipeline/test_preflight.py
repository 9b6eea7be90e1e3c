"""What the settings name is tried before anything is measured, and told with its place in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.preflight import judge_notes, look_names_up, preflight
from schemas.errors import UserError
from schemas.settings_file import load_settings
from tests.pipeline.project import REPO, write_settings

# google-genai's own source holds an invalid escape, which Python reports when it compiles the module.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")

MODEL = """[[annotators]]
name = "a"
provider = "cues"
model = "lexicon"
[[{table}]]
name = "b"
provider = "{provider}"
model = "{model}"
"""
BAD = {
    "option": ("\n[features.prosody]\nvoicingg = 0.5\n", 3, "unknown_option"),
    "provider": (MODEL.format(table="annotators", provider="opnai", model="m"), 5, "unknown_name"),
    "rules": (MODEL.format(table="annotators", provider="cues", model="lexikon"), 5, "unknown_model"),
    "judge": (MODEL.format(table="judges", provider="cues", model="lexicon"), 5, "unknown_model"),
    "key": (MODEL.format(table="judges", provider="gemini", model="m"), 5, "missing_key"),
    "method": ("\n[aggregate]\nmethod = 'mean'\n", 3, "unknown_name"),
    "backend": ("\n[features.asr]\nbackend = 'whisper'\n", 3, "unknown_backend"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_name_is_told_with_file_and_line(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    text, line, code = BAD[case]
    root = write_settings(tmp_path / "project", text)
    with pytest.raises(UserError) as refused:
        preflight(root, load_settings(root))
    error = refused.value
    assert (error.code, error.file, error.line) == (code, str(root / "emotrace.toml"), line)
    assert error.remedy


@pytest.mark.parametrize("look", [look_names_up, preflight])  # a plan looks names up, a run opens them too
@pytest.mark.parametrize("table", ["annotators", "judges"])
@pytest.mark.parametrize(
    ("provider", "wrong", "remedy"),
    [
        ("gemini", 'thinking_levl = "low"', 'did you mean "thinking_level"?'),
        ("openai", 'image_detal = "low"', 'did you mean "image_detail"?'),
        ("cues", "window = 3", "known here: none"),
    ],
)
def test_an_option_that_a_provider_does_not_know_is_told_with_file_and_line(
    provider: str,
    wrong: str,
    remedy: str,
    table: str,
    look: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("GEMINI_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "a key")
    model = "rules" if (provider, table) == ("cues", "judges") else "lexicon"
    text = MODEL.format(table=table, provider=provider, model=model) + f"[{table}.options]\n{wrong}\n"
    root = write_settings(tmp_path / "project", text)
    with pytest.raises(UserError, match="knows no option") as refused:
        look(root, load_settings(root))
    error = refused.value
    assert (error.code, error.file, error.line) == ("unknown_option", str(root / "emotrace.toml"), 10)
    assert error.remedy == remedy


LOCAL = """[[{table}]]
name = "{name}"
provider = "openai_compatible"
model = "qwen"
base_url = "http://127.0.0.1:{port}/v1"
takes = ["text"]
{more}
"""


def local(name: str, *, table: str = "annotators", port: int = 8000, more: str = "") -> str:
    return LOCAL.format(table=table, name=name, port=port, more=more)


@pytest.mark.parametrize("table", ["annotators", "judges"])
def test_two_sections_that_ask_the_same_are_no_two_votes(table: str, tmp_path: Path) -> None:
    text = local("a", table=table) + local("b", table=table, port=8001) + local("c", table=table)
    root = write_settings(tmp_path / "project", text)
    with pytest.raises(UserError, match='"c" would be asked exactly what "a" is asked') as refused:
        preflight(root, load_settings(root))
    error = refused.value
    line = text.splitlines().index('name = "c"')
    assert (error.code, error.file, error.line) == ("same_model_twice", str(root / "emotrace.toml"), line)
    assert "replicates" in error.remedy


def test_one_model_may_be_asked_in_two_ways_and_judge_as_well(tmp_path: Path) -> None:
    text = local("a") + local("b", more="temperature = 0.7") + local("c", more='deployment = "other weights"')
    root = write_settings(tmp_path / "project", text + local("j", table="judges"))
    preflight(root, load_settings(root))


PRICES = "usd_per_million_input_tokens = 2\nusd_per_million_output_tokens = 8\n"


@pytest.mark.parametrize("table", ["annotators", "judges"])
@pytest.mark.parametrize(
    "more", ["", "usd_per_million_input_tokens = 2", "usd_per_million_output_tokens = 8"]
)
def test_a_budget_of_money_needs_every_price(table: str, more: str, tmp_path: Path) -> None:
    text = "[budget]\nusd = 5\n" + local("a", more=PRICES) + local("b", table=table, port=8001, more=more)
    root = write_settings(tmp_path / "project", text)
    with pytest.raises(UserError, match='"b" lacks a price') as refused:
        preflight(root, load_settings(root))
    error = refused.value
    line = text.splitlines().index('name = "b"')
    assert (error.code, error.file, error.line) == ("missing_price", str(root / "emotrace.toml"), line)
    assert "usd_per_million_output_tokens" in error.remedy


def test_a_budget_of_money_stands_with_prices_also_of_nothing_and_beside_keyless_ones(tmp_path: Path) -> None:
    free = "usd_per_million_input_tokens = 0\nusd_per_million_output_tokens = 0\n"
    keyless = MODEL.format(table="annotators", provider="cues", model="facial")
    root = write_settings(
        tmp_path / "project",
        "[budget]\nusd = 5\n" + local("x", more=PRICES) + local("y", port=1, more=free) + keyless,
    )
    preflight(root, load_settings(root))


def test_a_budget_of_calls_needs_no_price(tmp_path: Path) -> None:
    root = write_settings(tmp_path / "project", "[budget]\ncalls = 5\n" + local("a"))
    preflight(root, load_settings(root))


def test_the_defaults_stand(tmp_path: Path) -> None:
    root = write_settings(tmp_path / "project", "")
    preflight(root, load_settings(root))


def test_the_example_file_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("OPENAI_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(key, "a key")
    root = write_settings(
        tmp_path / "project", (REPO / "deploy" / "emotrace.example.toml").read_text("utf-8")
    )
    preflight(root, load_settings(root))


def test_an_annotator_without_a_prompt_cannot_be_asked_in_other_words(tmp_path: Path) -> None:
    keyless = '[[annotators]]\nname = "lexicon"\nprovider = "cues"\nmodel = "lexicon"\n'
    root = write_settings(tmp_path / "project", keyless + "[annotators.prompting]\nvariants = 2\n")
    with pytest.raises(UserError, match="reads no prompt") as refused:
        preflight(root, load_settings(root))
    assert (refused.value.code, refused.value.line) == ("no_prompt", 1)


# --- judges and their kin --------------------------------------------------------------------------


def judge(mode: str, *, model: str = "qwen2.5", name: str = "j") -> str:
    more = f'self_preference = "{mode}"\ntemperature = 1'
    return local(name, table="judges", more=more).replace('model = "qwen"', f'model = "{model}"')


def notes(text: str, root: Path) -> list[str]:
    settings = load_settings(write_settings(root, text))
    preflight(root, settings)
    return judge_notes(settings)


def test_a_judge_of_its_own_family_is_told_before_anything_is_spent(tmp_path: Path) -> None:
    other = local("b", port=1, more='family = "llama"\ndeployment = "b"')
    (note,) = notes(local("a") + other + judge("warn"), tmp_path / "p")
    assert note == (
        'judge "j" rates its own model family (a): such ratings tend to be too high; they are flagged'
    )
    assert notes(local("a") + judge("allow"), tmp_path / "q") == []
    assert notes(local("a") + judge("warn", model="gemini-2.5-pro"), tmp_path / "r") == []
    (note,) = notes(local("a") + judge("warn", model="own-weights"), tmp_path / "s")
    assert "(a) is not known: set family in both" in note


def test_that_nobody_rates_is_told(tmp_path: Path) -> None:
    only = judge("allow") + 'rubric = "mme_emotion"\n'
    (note,) = notes(local("a") + only, tmp_path / "p")
    assert (
        note == 'no judge rates, only evaluations are asked for (j): clips wait as "not_rated", add a judge'
    )
    assert notes(local("a") + only + judge("allow", name="k"), tmp_path / "q") == []


def test_nothing_is_told_of_rules(tmp_path: Path) -> None:
    keyless = MODEL.format(table="judges", provider="cues", model="rules")
    assert notes(local("x") + keyless.replace('name = "a"', 'name = "k"'), tmp_path / "p") == []


def test_who_refuses_its_family_needs_to_know_it_and_somebody_else_to_judge(tmp_path: Path) -> None:
    text = local("a") + judge("refuse")
    root = write_settings(tmp_path / "p", text)
    with pytest.raises(UserError, match='nobody may judge "a"') as refused:
        preflight(root, load_settings(root))
    assert (refused.value.code, refused.value.line) == (
        "no_judge_left",
        text.splitlines().index('name = "a"'),
    )
    text = local("a") + judge("refuse", model="own-weights")
    root = write_settings(tmp_path / "q", text)
    with pytest.raises(UserError, match="is not known") as refused:
        preflight(root, load_settings(root))
    line = text.splitlines().index('self_preference = "refuse"') + 1
    assert (refused.value.code, refused.value.line) == ("family_unknown", line)
    both = local("a") + judge("refuse") + judge("refuse", model="gemini-2.5-pro", name="g")
    (note,) = notes(both, tmp_path / "r")
    assert note == 'judge "j" does not rate its own family: a'


def test_sections_that_differ_in_language_or_rubric_are_no_twins(tmp_path: Path) -> None:
    """Reasons in another language, and steps judged by another rubric, are other questions."""
    text = local("a") + local("b", more='answer_language = "de"')
    judges = local("j", table="judges") + local("k", table="judges", more='rubric = "mme_emotion"')
    root = write_settings(tmp_path / "project", text + judges)
    preflight(root, load_settings(root))
