"""What the doctor says: one short line for each check."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.commands.doctor import examine
from pipeline.features import backends


def test_heavy_backends_are_named_by_whether_they_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "built", lambda key: key == "prosody.praat")
    (detail,) = [one["detail"] for one in examine(tmp_path) if one["check"] == "heavy backends"]
    ready, later = detail.split("; made on first use: ")
    assert ready == "ready: prosody.praat"
    assert later.startswith("diarize.pyannote, asr.whisperx, ")
    assert "prosody.praat" not in later
    assert len(detail) < 200
