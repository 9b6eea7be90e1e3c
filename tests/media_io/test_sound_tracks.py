"""Which sound of a recording is taken: the first track that holds any, and every microphone of it."""

from __future__ import annotations

import wave
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.media.cut import cut_audio, cut_clip
from pipeline.media.decode import decode, read_audio
from pipeline.media.probe import probe
from tests.media_io.make import AUDIO_RATE_HZ, TONE_HZ, loud_span_s, make_video, tone

RATE_HZ = 16_000


def decoded(path: Path, tmp_path: Path) -> np.ndarray:
    result = decode(path, probe(path), tmp_path / "out")
    assert result.audio is not None
    return read_audio(result.audio)


@pytest.mark.parametrize("name", ["inputs.mkv", "inputs.mp4", "inputs.ts", "inputs.avi"])
def test_a_track_into_which_nothing_was_written_is_passed_over(tmp_path: Path, name: str) -> None:
    codecs = {"codec": "mpeg4", "audio_codec": "pcm_s16le"} if name.endswith("avi") else {}
    path = make_video(tmp_path / name, tones=(tone(0.0), tone(2.0, from_s=1.0)), **codecs)  # type: ignore[arg-type]
    facts = probe(path)
    assert facts.audio[0].duration_s == pytest.approx(2.0, abs=0.05)
    assert loud_span_s(decoded(path, tmp_path), RATE_HZ)[0] == pytest.approx(1.0, abs=0.1)
    cut_audio(path, facts, 0.5, 1.5, tmp_path / "cut.wav")
    assert loud_span_s(read_audio(tmp_path / "cut.wav"), RATE_HZ)[0] == pytest.approx(0.5, abs=0.1)
    cut_clip(path, facts, 0.5, 1.5, tmp_path / "clip.mp4")
    assert loud_span_s(decoded(tmp_path / "clip.mp4", tmp_path), RATE_HZ)[0] == pytest.approx(0.5, abs=0.1)


def meeting(path: Path, microphones: int, speaking: int, width_bytes: int) -> Path:
    """A WAV that does not say where its channels belong; one of them has a tone."""
    clock = np.arange(AUDIO_RATE_HZ) / AUDIO_RATE_HZ
    sound = np.zeros((len(clock), microphones))
    sound[:, speaking] = 0.9 * np.sin(2 * np.pi * TONE_HZ * clock)
    with wave.open(str(path), "wb") as file:
        file.setparams((microphones, width_bytes, AUDIO_RATE_HZ, 0, "NONE", ""))
        file.writeframes((sound * (2 ** (8 * width_bytes - 1) - 1)).astype(f"<i{width_bytes}").tobytes())
    return path


@pytest.mark.parametrize("width_bytes", [2, 4])
@pytest.mark.parametrize(("microphones", "speaking"), [(3, 2), (4, 3), (6, 3), (6, 5), (16, 15)])
def test_every_microphone_of_a_meeting_is_heard_alike(
    tmp_path: Path, microphones: int, speaking: int, width_bytes: int
) -> None:
    path = meeting(tmp_path / "meeting.wav", microphones, speaking, width_bytes)
    peak = np.abs(decoded(path, tmp_path)[RATE_HZ // 4 : -RATE_HZ // 4]).max()
    assert peak == pytest.approx(0.9 / microphones, rel=0.02)


def test_a_stated_layout_is_mixed_as_it_says(tmp_path: Path) -> None:
    path = tmp_path / "film.wav"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=AUDIO_RATE_HZ, layout="5.1")
        clock = np.arange(AUDIO_RATE_HZ) / AUDIO_RATE_HZ
        sound = np.zeros((AUDIO_RATE_HZ, 6), np.int16)
        sound[:, 3] = 16_000 * np.sin(2 * np.pi * TONE_HZ * clock)  # the loudspeaker for deep sounds
        frame = av.AudioFrame.from_ndarray(sound.reshape(1, -1), format="s16", layout="5.1")
        frame.sample_rate = AUDIO_RATE_HZ
        for block in (frame, None):
            out.mux(stream.encode(block))
    assert not decoded(path, tmp_path).any()
