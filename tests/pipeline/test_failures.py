"""How a failure is told: in one line, whatever wrote the message."""

from __future__ import annotations

import pytest

from pipeline.stages.base import failed
from schemas.errors import ItemError


def test_an_error_text_of_several_lines_is_told_in_one(capsys: pytest.CaptureFixture[str]) -> None:
    text = "Sound too short\n  for this pitch floor.\r\n\nPitch not made."
    told = "Sound too short for this pitch floor. Pitch not made."
    assert failed("prosody", "fea_1", "a.wav", ItemError("prosody_failed", text)).message == told
    unexpected = failed("prosody", "fea_1", "a.wav", ValueError(text))
    assert unexpected.message == f"ValueError: {told}"
    assert "Sound too short" in capsys.readouterr().err, "a bug keeps its traceback"
