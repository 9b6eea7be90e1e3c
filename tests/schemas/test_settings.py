"""One reader of the project file: unknown keys are refused with the line, the environment wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.errors import UserError
from schemas.settings import artifacts_url, load_settings, secret, store_url


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
