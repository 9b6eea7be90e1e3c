"""One reader of the project file: unknown keys are refused with the line, the environment wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.errors import UserError
from schemas.settings import FEATURE_STAGES, SOURCE_STAGES, artifacts_url, store_url
from schemas.settings_file import load_settings
from schemas.settings_models import secret


def project(tmp_path: Path, text: str) -> Path:
    (tmp_path / "emotrace.toml").write_text(text, encoding="utf-8")
    return tmp_path


ANNOTATOR = """[[annotators]]
name = "gpt"
provider = "openai_compatible"
model = "m"
"""


def refusal(tmp_path: Path, text: str) -> UserError:
    with pytest.raises(UserError) as caught:
        load_settings(project(tmp_path, text))
    return caught.value


def test_an_empty_file_gives_the_keyless_annotators_and_judge(tmp_path: Path) -> None:
    settings = load_settings(project(tmp_path, ""))
    assert [a.name for a in settings.annotators] == ["lexicon", "prosody", "facial"]
    assert [j.provider for j in settings.judges] == ["cues"]


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project(tmp_path, "[segment]\nmax_s = 3\nmin_s = 1\n")
    monkeypatch.setenv("EMOTRACE__SEGMENT__MAX_S", "20")
    segment = load_settings(folder).segment
    assert (segment.max_s, segment.min_s) == (20, 1)


@pytest.mark.parametrize(
    ("text", "line", "remedy"),
    [
        ("[segment]\nmax_s = 3\nrul = 'shots'\n", 3, 'did you mean "rule"?'),
        ("[projct]\nname = 'x'\n", 1, 'did you mean "project"?'),
        (
            "[[annotators]]\nname='a'\nprovider='p'\nmodel='m'\n[[annotators]]\nname='b'\nprovider='p'\nmodl='m'\n",
            8,
            '"model"',
        ),
        ("[project]\n\n[release]\nlicence = 'x'\n", 4, 'did you mean "license"?'),
    ],
)
def test_an_unknown_key_is_refused_with_file_line_and_the_nearest_one(
    tmp_path: Path, text: str, line: int, remedy: str
) -> None:
    error = refusal(tmp_path, text)
    assert (error.file, error.line) == (str(tmp_path / "emotrace.toml"), line)
    assert error.code == "unknown_setting"
    assert remedy in error.remedy


def test_a_stage_that_nobody_measures_is_refused_like_any_unknown_key(tmp_path: Path) -> None:
    error = refusal(tmp_path, "[features.au]\nenabled = false\n\n[features.asrr]\nenabled = false\n")
    assert (error.code, error.file, error.line) == ("unknown_setting", str(tmp_path / "emotrace.toml"), 4)
    assert str(error).endswith('unknown setting "features.asrr" -> did you mean "asr"?')
    error = refusal(tmp_path, "[features]\nbackend = 'core'\n")
    assert (error.line, error.remedy) == (2, "known here: asr, au, diarize, pose, prosody, series")


def test_a_stage_that_nobody_measures_is_refused_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOTRACE__FEATURES__PROSDY__ENABLED", "false")
    error = refusal(tmp_path, "[features.asr]\nbackend = 'sidecar'\n")
    assert (error.file, error.remedy) == ("environment EMOTRACE__FEATURES__PROSDY", 'did you mean "prosody"?')


@pytest.mark.parametrize("stage", [*SOURCE_STAGES, *FEATURE_STAGES])
def test_the_stages_that_are_measured_take_options_of_their_own(stage: str, tmp_path: Path) -> None:
    settings = load_settings(project(tmp_path, f"[features.{stage}]\nenabled = false\nvoicing = 0.5\n"))
    assert settings.features[stage].options == {"voicing": 0.5}
    assert not settings.features[stage].enabled


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[segment]\nmin_s = 5\nmax_s = 8\n", 3),
        ("[project]\n\n[segment]\nmin_s = 8\n", 3),  # against the default of max_s
        ("[segment]\nmax_s = 0.6\n", 2),  # against the default of min_s
    ],
)
def test_lengths_that_no_segment_can_have_are_refused_in_one_line(
    text: str, line: int, tmp_path: Path
) -> None:
    error = refusal(tmp_path, text)
    assert (error.code, error.line) == ("bad_setting", line)
    assert "must be at least twice min_s" in str(error)
    assert "\n" not in str(error)


def test_the_window_counts_only_where_windows_are_cut(tmp_path: Path) -> None:
    for rule in ("shots", "speech", "both", "given", "whole"):
        text = f"[segment]\nrule = '{rule}'\nmax_s = 8\n"
        assert load_settings(project(tmp_path, text)).segment.window_s == 10
    for bounds in ("max_s = 8", "min_s = 3\nwindow_s = 2"):
        error = refusal(tmp_path, f"[segment]\nrule = 'fixed'\n{bounds}\n")
        assert error.message.startswith("segment.window_s: window_s")
    text = "[segment]\nrule = 'fixed'\nmin_s = 2\nmax_s = 4\nwindow_s = 4\n"
    assert load_settings(project(tmp_path, text)).segment.window_s == 4


@pytest.mark.parametrize("key", ["min_s", "max_s", "pad_s", "window_s"])
@pytest.mark.parametrize("value", ["inf", "nan"])
def test_a_length_is_a_number(key: str, value: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, f"[segment]\n{key} = {value}\n").line == 2


def test_a_secret_in_the_file_is_refused_with_where_it_belongs(tmp_path: Path) -> None:
    error = refusal(tmp_path, "[[annotators]]\nname='a'\nprovider='p'\nmodel='m'\napi_key='s3cret'\n")
    assert "environment" in error.remedy
    assert "s3cret" not in str(error)


MODEL = "name='a'\nprovider='openai_compatible'\nmodel='m'\n"
TWICE = "".join("[[annotators]]\n" + MODEL.replace("'a'", name) for name in ("'a'", "'b'", "'a'"))
SECRET = "sk-proj-5f3c1a9e7b"


@pytest.mark.parametrize("table", ["annotators", "judges"])
@pytest.mark.parametrize("value", [SECRET, "sk proj", "my_key", "9KEY", f"OPENAI_API_KEY={SECRET}", ""])
def test_a_key_in_place_of_its_variables_name_is_refused_and_not_repeated(
    table: str, value: str, tmp_path: Path
) -> None:
    error = refusal(tmp_path, f"[[{table}]]\n{MODEL}api_key_env='{value}'\n")
    assert (error.code, error.line) == ("bad_setting", 5)
    assert "environment variable" in error.message
    assert "in the environment" in error.remedy
    assert not value or value not in str(error)


def test_the_name_of_a_variable_stands(tmp_path: Path) -> None:
    for name in ("OPENAI_API_KEY", "_KEY2", "K"):
        settings = load_settings(project(tmp_path, f"[[annotators]]\n{MODEL}api_key_env='{name}'\n"))
        assert settings.annotators[0].api_key_env == name


@pytest.mark.parametrize(
    "text",
    [
        f"[[annotators]]\nname='a'\nprovider='p'\napi_key_env='{SECRET}'\n",  # model is missing
        f"[[annotators]]\n{MODEL}max_output_tokens='{SECRET}'\n",
        f"[[annotators]]\n{MODEL}key_frames='{SECRET}'\n",
        f"[[annotators]]\n{MODEL}token='{SECRET}'\n",
        f"[[annotators]]\n{MODEL}client_secret='{SECRET}'\n",
        f"[[annotators]]\n{MODEL}api_key_env=['{SECRET}']\n",
        f"[[annotators]]\n{MODEL}base_url='me:{SECRET}@models.example/v1'\n",
        f"[[annotators]]\n{MODEL}base_url='https://me:{SECRET}@models.example/v1'\n",
        f"[[annotators]]\n{MODEL}base_url='https://{SECRET}@models.example/v1'\n",
        f"[annotators]\napi_key_env='{SECRET}'\n",
    ],
)
def test_no_error_repeats_what_may_be_a_secret(text: str, tmp_path: Path) -> None:
    error = refusal(tmp_path, text)
    assert SECRET not in str(error)
    assert error.remedy


def test_a_misspelt_key_that_only_sounds_secret_is_told_its_neighbour(tmp_path: Path) -> None:
    assert refusal(tmp_path, f"[[annotators]]\n{MODEL}key_frame=2\n").remedy == 'did you mean "key_frames"?'
    assert refusal(tmp_path, f"[[annotators]]\n{MODEL}max_output_token=2\n").remedy == (
        'did you mean "max_output_tokens"?'
    )
    assert "-5" in refusal(tmp_path, f"[[annotators]]\n{MODEL}max_output_tokens=-5\n").remedy


@pytest.mark.parametrize(
    "url",
    ["models.example/v1", "127.0.0.1:8000/v1", "ftp://h/v1", "http://", "http://[::1", "http://h:99999/v1"],
)
def test_an_address_that_is_none_is_refused(url: str, tmp_path: Path) -> None:
    error = refusal(tmp_path, f"[[annotators]]\n{MODEL}base_url='{url}'\n")
    assert (error.line, "http://" in error.message) == (5, True)


@pytest.mark.parametrize("more", [f"?api-version=1&key={SECRET}", f"#{SECRET}"])
def test_an_address_with_a_query_is_refused_without_it(more: str, tmp_path: Path) -> None:
    error = refusal(tmp_path, f"[[annotators]]\n{MODEL}base_url='https://h/v1{more}'\n")
    assert (error.line, "neither ? nor #" in error.message, SECRET in str(error)) == (5, True, False)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[[judges]]\nprovider='p'\nmodel='m'\nname='a'\n[[judges]]\nprovider='p'\nname='a'\nmodel='n'\n", 7),
        (TWICE, 10),
        ("[project]\n\n[aggregate]\nmethod = 'majority'\nalpha = 0.9\n", 5),
        ("[aggregate]\nalpha = 0.9\nbeta = 0.9\nmethod = 'majority'\n", 3),
    ],
)
def test_what_is_wrong_with_a_whole_table_is_told_at_the_line_to_mend(
    text: str, line: int, tmp_path: Path
) -> None:
    error = refusal(tmp_path, text)
    assert (error.code, error.file, error.line) == ("bad_setting", str(tmp_path / "emotrace.toml"), line)
    assert error.remedy in ("give each a name of its own", "set all three")


def test_weights_of_the_environment_are_told_with_their_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOTRACE__AGGREGATE__BETA", "0.9")
    error = refusal(tmp_path, "[aggregate]\nmethod = 'majority'\n")
    assert error.file == "environment EMOTRACE__AGGREGATE__BETA"


@pytest.mark.parametrize("section", ["project", "release"])
def test_a_language_is_a_code(section: str, tmp_path: Path) -> None:
    for code in ("en", "deu", "pt-BR", "zh-Hans", "es-419"):
        assert (
            getattr(load_settings(project(tmp_path, f"[{section}]\nlanguage='{code}'\n")), section).language
            == code
        )
    for wrong in ("english", "English", "e", "en_US", "EN", "en-", ""):
        error = refusal(tmp_path, f"[{section}]\nlanguage = '{wrong}'\n")
        assert (error.line, error.remedy) == (2, f"given: {wrong!r}")
        assert 'such as "en"' in error.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[segment]\nmax_s = 'long'\n", "segment.max_s"),
        ("[aggregate]\nalpha = 0.9\n", "must be 1"),
        ("[release]\ntest_share = 0.95\n", "leave something for train"),
        (
            "[[judges]]\nname='a'\nprovider='p'\nmodel='m'\n[[judges]]\nname='a'\nprovider='p'\nmodel='m'\n",
            "used twice",
        ),
        ("[segment\n", "not valid TOML"),
    ],
)
def test_a_bad_value_is_one_line_that_names_it(tmp_path: Path, text: str, message: str) -> None:
    error = refusal(tmp_path, text)
    assert message in str(error)
    assert "\n" not in str(error)


def test_a_bad_environment_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTRACE__REVIEW__PORT", "high")
    error = refusal(tmp_path, "")
    assert error.file == "environment EMOTRACE__REVIEW__PORT"


def test_a_table_in_the_environment_that_is_no_json_is_named_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOTRACE__ANNOTATORS", SECRET)
    error = refusal(tmp_path, "")
    assert (error.code, error.file) == ("bad_setting", "environment EMOTRACE__ANNOTATORS")
    assert SECRET not in str(error)


def test_options_of_a_feature_stage_go_to_its_backend(tmp_path: Path) -> None:
    settings = load_settings(project(tmp_path, "[features.asr]\nbackend = 'faster_whisper'\nweights = 'w'\n"))
    assert settings.features["asr"].options == {"weights": "w"}


def test_no_project_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="emotrace init"):
        load_settings(tmp_path)


def test_a_file_that_is_not_utf8_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "emotrace.toml").write_bytes(b"[project]\nname = '\xff'\n")
    with pytest.raises(UserError, match="UTF-8"):
        load_settings(tmp_path)


def test_plain_paths_stay_below_the_project_and_urls_stay_urls(tmp_path: Path) -> None:
    settings = load_settings(project(tmp_path, "[project]\nartifacts = 's3://bucket/x'\n"))
    assert store_url(tmp_path, settings) == f"sqlite:///{tmp_path / 'emotrace.db'}"
    assert artifacts_url(tmp_path, settings) == "s3://bucket/x"


def test_a_key_that_is_not_set_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    with pytest.raises(UserError, match=r"export SOME_KEY"):
        secret("SOME_KEY", needed_by="annotator gpt")


def test_a_misspelt_section_in_the_environment_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOTRACE__SEGMNT__MAX_S", "3")
    with pytest.raises(UserError) as refused:
        load_settings(project(tmp_path, ""))
    assert refused.value.code == "unknown_setting"
    assert refused.value.file == "environment EMOTRACE__SEGMNT__MAX_S"
    assert '"segment"' in refused.value.remedy


def test_samples_that_would_all_be_the_same_are_refused(tmp_path: Path) -> None:
    annotators = f"{ANNOTATOR}\ntemperature = 0.5\nreplicates = 3\n{ANNOTATOR.replace('gpt', 'cold')}"
    error = refusal(tmp_path, f"{annotators}\ntemperature = 0\nreplicates = 3\n")
    assert "one answer 3 times" in error.message
    assert error.line is not None
    assert (tmp_path / "emotrace.toml").read_text().splitlines()[error.line - 1] == "replicates = 3"
    assert error.line > annotators.count("\n")


def test_evaluations_that_would_all_be_the_same_are_refused_and_ratings_are_not(tmp_path: Path) -> None:
    judge = ANNOTATOR.replace("[[annotators]]", "[[judges]]") + "\ntemperature = 0\nreplicates = 2\n"
    assert load_settings(project(tmp_path, judge)).judges[0].replicates == 2
    error = refusal(tmp_path, f'{judge}rubric = "mme_emotion"\n')
    assert "one answer 2 times" in error.message


def test_a_table_within_an_annotator_is_found_and_its_keys_are_known(tmp_path: Path) -> None:
    other = ANNOTATOR.replace("gpt", "other")
    text = f"{ANNOTATOR}\n{other}\n[annotators.prompting]\nvariants = 2\nvariant = 3\n[budget]\ncalls = 1\n"
    error = refusal(tmp_path, text)
    assert (error.code, error.remedy) == ("unknown_setting", 'did you mean "variants"?')
    assert error.line == text.splitlines().index("variant = 3") + 1
    wrong = refusal(tmp_path, text.replace("variant = 3", "").replace("variants = 2", "variants = 9"))
    assert (wrong.code, wrong.line) == ("bad_setting", text.splitlines().index("variants = 2") + 1)
    inline = f"{ANNOTATOR}\n{other}\nprompting = {{ variants = 9 }}\n"
    assert refusal(tmp_path, inline).line == inline.count("\n")


def test_a_single_vote_is_not_calibrated(tmp_path: Path) -> None:
    text = f"{ANNOTATOR}\n[annotators.prompting]\ncalibrate = true\n"
    error = refusal(tmp_path, text)
    assert "one vote cannot be divided" in error.message
    assert error.line == text.splitlines().index("calibrate = true") + 1
    load_settings(project(tmp_path, text.replace("[annotators.", "replicates = 9\n[annotators.")))
    stated = refusal(tmp_path, f'{text}combine = "mean"\n')
    assert "a stated confidence cannot be divided" in stated.message
    tokens = 'gives = ["json_schema", "logprobs"]\ntop_logprobs = 10\n[annotators.'
    load_settings(project(tmp_path, text.replace("[annotators.", tokens) + 'combine = "mean"\n'))


def test_two_steps_need_answers_in_json(tmp_path: Path) -> None:
    text = f'{ANNOTATOR}gives = []\n[annotators.prompting]\nstyle = "rationale_then_verbalizer"\n'
    error = refusal(tmp_path, text)
    assert ("two steps need answers in JSON" in error.message, error.line) == (True, text.count("\n"))


@pytest.mark.parametrize("name", ["annotators", "judges"])
def test_a_single_bracket_is_told_how_to_write_a_list_of_tables(name: str, tmp_path: Path) -> None:
    error = refusal(tmp_path, f'[project]\nname = "p"\n[{name}]\nname = "a"\n')
    assert (error.message, error.remedy) == (f"[{name}] is a list of tables", f"write [[{name}]]")
    assert error.line == 3


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("replicates = 3\ntemperature = 0\n", "set a temperature above 0, or replicates = 1"),
        ('when = "contested"\n', "add an annotator without it, which is asked first"),
        (
            "[annotators.prompting]\ncalibrate = true\n",
            'set replicates, or top_logprobs and combine = "mean"',
        ),
        (ANNOTATOR, "give each a name of its own"),
        ("[aggregate]\nalpha = 0.7\n", "set all three"),
        ("takes = ['text'\n", "close what is open: a bracket or a quote"),
    ],
)
def test_what_is_wrong_with_a_table_comes_with_its_remedy(text: str, remedy: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, ANNOTATOR + text).remedy == remedy
