"""Which backend tells who speaks when, and what the user is told when none can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

from pipeline.features.select_diarizer import DiarizerChoice
from schemas.errors import ItemError, UserError
from tests.features.test_diarize_rttm import line
from tests.features.test_pyannote_weights import make


@pytest.fixture(autouse=True)
def _empty_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def test_a_file_comes_before_weights_and_these_before_nothing(tmp_path: Path) -> None:
    talk, weights = tmp_path / "talk.mp4", str(make(tmp_path / "weights"))
    assert DiarizerChoice("auto", {}).of([talk]).name == "none"
    picked = DiarizerChoice("auto", {"weights": weights, "num_speakers": 2}).of([talk])
    assert (picked.name, picked.params["num_speakers"]) == ("pyannote", 2)
    (tmp_path / "talk.rttm").write_text(line("talk"))
    assert DiarizerChoice("auto", {"weights": weights}).of([talk]).name == "rttm"
    assert DiarizerChoice("pyannote", {"weights": weights}).of([talk]).name == "pyannote"
    assert DiarizerChoice("none", {}).of([talk]).name == "none"


def test_where_and_how_is_not_in_the_question(tmp_path: Path) -> None:
    def asked(**options: Any) -> tuple[dict[str, Any], str | None]:
        picked = DiarizerChoice("pyannote", options).of([tmp_path / "talk.mp4"])
        return picked.params, picked.weights_digest

    first = asked(weights=str(make(tmp_path / "a")))
    more = {"device": "cuda", "segmentation_batch_size": 1, "embedding_batch_size": 2, "download": True}
    assert asked(weights=str(make(tmp_path / "b")), **more) == first
    assert asked(weights=str(tmp_path / "a"), max_speakers=3) != first


@pytest.mark.parametrize(
    ("requested", "options", "code", "part"),
    [
        ("resemblyzer", {}, "unknown_backend", "known: auto, none, pyannote, rttm"),
        ("auto", {"weight": "w"}, "unknown_option", 'did you mean "weights"'),
        ("none", {"weights": "w"}, "unknown_option", "no options"),
        ("pyannote", {}, "weights_missing", "hf download"),
        ("auto", {"weights": "/nowhere"}, "weights_missing", "config.yaml missing"),
        ("pyannote", {"weights": "WEIGHTS", "num_speakers": 0}, "bad_option", "num_speakers"),
        (
            "pyannote",
            {"weights": "WEIGHTS", "min_speakers": 3, "max_speakers": 2},
            "bad_option",
            "below min_speakers",
        ),
        (
            "pyannote",
            {"weights": "WEIGHTS", "num_speakers": 3, "max_speakers": 2},
            "bad_option",
            "says it all",
        ),
        ("auto", {"path": 3}, "bad_option", 'option "path"'),
        ("rttm", {"path": "/nowhere"}, "rttm_missing", "nothing at /nowhere"),
    ],
)
def test_mistakes_are_one_clear_line(
    requested: str, options: dict[str, Any], code: str, part: str, tmp_path: Path
) -> None:
    if options.get("weights") == "WEIGHTS":
        options = {**options, "weights": str(make(tmp_path / "weights"))}
    with pytest.raises(UserError) as caught:
        DiarizerChoice(requested, options)
    assert caught.value.code == code
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_named_file_that_is_not_there_fails_this_recording_only(tmp_path: Path) -> None:
    choice = DiarizerChoice("rttm", {})
    with pytest.raises(ItemError, match=r"no \.rttm file") as caught:
        choice.of([tmp_path / "talk.mp4"])
    assert "talk.rttm" in caught.value.retry
