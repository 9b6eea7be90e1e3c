"""The clock of a recording: what AVI does not say of it, and what breaks it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.media.cut import cut_clip
from pipeline.media.decode import DecodeParams, decode, read_audio
from pipeline.media.probe import probe, pts_table
from tests.media_io.make import loud_span_s, make_video, tone
from tests.media_io.test_cut import first_white_s

RATE_HZ = 16_000


@pytest.mark.parametrize("b_frames", ["0", "1", "3"])
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_pictures_of_avi_are_all_there_and_on_time(tmp_path: Path, codec: str, b_frames: str) -> None:
    path = make_video(
        tmp_path / "old.avi",
        frames=100,
        flash_s=2.4,
        tones=(tone(4.0, from_s=2.4),),
        codec=codec,
        audio_codec="pcm_s16le",
        codec_options={"bf": b_frames, "g": "100", "sc_threshold": "0"},
    )
    facts = probe(path)
    result = decode(path, facts, tmp_path / "out", DecodeParams(face_fps=50))
    assert facts.video is not None
    assert result.pts is not None
    assert result.audio is not None
    assert (facts.video.frames, result.frames_decoded, result.notes) == (100, 100, ())
    assert np.allclose(np.load(result.pts), pts_table(path))
    assert np.diff(pts_table(path)) == pytest.approx(0.04, abs=0.001)
    assert first_white_s(path, tmp_path) == pytest.approx(2.4, abs=0.003)
    assert loud_span_s(read_audio(result.audio), RATE_HZ)[0] == pytest.approx(2.4, abs=0.05)
    cut_clip(path, facts, 2.0, 3.0, tmp_path / "clip.mp4")
    assert first_white_s(tmp_path / "clip.mp4", tmp_path) == pytest.approx(0.4, abs=0.003)
    assert len(pts_table(tmp_path / "clip.mp4")) == 25
