"""Words of a transcript file on the clock of a segment."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.features.asr_sidecar import ManifestTranscript, SidecarTranscript
from pipeline.features.base import Clip
from schemas.errors import ItemError
from schemas.parts import Span
from schemas.records import Features
from tests.features.voice_media import make_clip

SRT = "1\n00:00:01,000 --> 00:00:02,000\none two\n\n2\n00:00:05,000 --> 00:00:07,000\nBOB: three four\n"


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def words_of(path: Path, clip: Clip) -> Features:
    ((_, result),) = SidecarTranscript.beside(path).extract([clip])
    assert isinstance(result, Features), result
    return result


def test_words_are_in_segment_time_and_only_those_inside(tmp_path: Path) -> None:
    path = write(tmp_path, "talk.srt", SRT)
    clip = make_clip(None, start_s=5.2, end_s=10.0, source_s=12.0)
    result = words_of(path, clip)
    assert [(word.text, word.speaker) for word in result.words] == [("three", "BOB"), ("four", "BOB")]
    assert result.words[0].start_s == 0.0  # began before the segment
    assert result.words[1].end_s == pytest.approx(1.8)
    assert (result.subject_id, result.extractor, result.stage) == (clip.segment.id, "sidecar", "asr")


def test_a_word_is_in_exactly_one_of_two_neighbouring_segments(tmp_path: Path) -> None:
    path = write(tmp_path, "talk.srt", SRT)
    for border_s in (1.3, 1.5, 1.9, 6.0):
        halves = [make_clip(None, start_s=0, end_s=border_s), make_clip(None, start_s=border_s, end_s=12)]
        heard = [word.text for _, r in SidecarTranscript.beside(path).extract(halves) for word in r.words]  # type: ignore[union-attr]
        assert heard == ["one", "two", "three", "four"]


def test_nobody_speaks_in_the_segment(tmp_path: Path) -> None:
    result = words_of(write(tmp_path, "talk.srt", SRT), make_clip(None, start_s=2.5, end_s=4.0))
    assert (result.words, result.missing) == ((), "no_words")


def test_an_edited_transcript_is_another_question(tmp_path: Path) -> None:
    path, clip = write(tmp_path, "talk.srt", SRT), make_clip(None, end_s=10)
    before = words_of(path, clip)
    again = words_of(path, clip)
    write(tmp_path, "talk.srt", SRT.replace("one", "won"))
    after = words_of(path, clip)
    assert before == again
    assert before.id != after.id
    assert set(before.params) == {"sha256", "format"}
    assert words_of(write(tmp_path, "talk.vtt", "WEBVTT\n"), clip).params["format"] == ".vtt"


def test_a_bad_transcript_fails_the_item_with_file_and_line(tmp_path: Path) -> None:
    path = write(tmp_path, "talk.srt", "1\n00:00:01,000 --> never\none\n")
    ((_, result),) = SidecarTranscript.beside(path).extract([make_clip(None)])
    assert isinstance(result, ItemError)
    assert f"{path}:2:" in str(result)


def test_an_absent_transcript_fails_the_item(tmp_path: Path) -> None:
    with pytest.raises(ItemError, match="cannot read"):
        SidecarTranscript.beside(tmp_path / "none.srt")


def test_a_manifest_gives_words_over_the_speech() -> None:
    clip = make_clip(None, end_s=4, source_speech=(Span(start_s=1, end_s=3),))
    ((_, result),) = ManifestTranscript.of("aaaa bbbb").extract([clip])
    assert isinstance(result, Features)
    assert result.extractor == "manifest"
    assert [(w.start_s, w.end_s) for w in result.words] == [(1.0, 2.0), (2.0, 3.0)]


@pytest.mark.parametrize("source_speech", [False, True])
def test_text_without_times_is_laid_over_the_speech(tmp_path: Path, source_speech: bool) -> None:
    path = write(tmp_path, "talk.txt", "aaaa bbbb\ncccc dddd")
    speech = (Span(start_s=1, end_s=3), Span(start_s=6, end_s=8))
    if source_speech:  # a segment of the source: the speech of the whole source must be known
        clip = make_clip(None, start_s=5, end_s=10, source_s=10, source_speech=speech)
        expected = [("cccc", 1.0), ("dddd", 2.0)]
    else:
        clip = make_clip(None, start_s=0, end_s=10, source_s=10, speech=speech)
        expected = [("aaaa", 1.0), ("bbbb", 2.0), ("cccc", 6.0), ("dddd", 7.0)]
    result = words_of(path, clip)
    assert [(word.text, word.start_s) for word in result.words] == expected
    assert result.notes == ("word_times_spread_over_speech",)


def test_text_without_times_or_known_speech_is_laid_over_the_recording(tmp_path: Path) -> None:
    path = write(tmp_path, "talk.txt", "aa bb")
    result = words_of(path, make_clip(None, start_s=5, end_s=10, source_s=10))
    assert [(word.text, word.start_s, word.end_s) for word in result.words] == [("bb", 0.0, 5.0)]
    assert words_of(write(tmp_path, "empty.txt", " \n"), make_clip(None)).missing == "no_words"
