"""One reader of the project file: unknown keys are refused with the line, the environment wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.errors import UserError
from schemas.settings import FEATURE_STAGES, artifacts_url, secret, store_url
from schemas.settings_file import load_settings


def project(tmp_path: Path, text: str) -> Path:
    (tmp_path / "emotrace.toml").write_text(text, encoding="utf-8")
    return tmp_path


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
    assert (error.line, error.remedy) == (2, "known here: asr, au, prosody")


def test_a_stage_that_nobody_measures_is_refused_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOTRACE__FEATURES__PROSDY__ENABLED", "false")
    error = refusal(tmp_path, "[features.asr]\nbackend = 'sidecar'\n")
    assert (error.file, error.remedy) == ("environment EMOTRACE__FEATURES__PROSDY", 'did you mean "prosody"?')


@pytest.mark.parametrize("stage", FEATURE_STAGES)
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
