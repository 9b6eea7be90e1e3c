"""What the settings name is tried before anything is measured, and told with its place in the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.preflight import preflight
from schemas.errors import UserError
from schemas.settings_file import load_settings
from tests.pipeline.project import write_settings

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


def test_the_defaults_stand(tmp_path: Path) -> None:
    root = write_settings(tmp_path / "project", "")
    preflight(root, load_settings(root))
