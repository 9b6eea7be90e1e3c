"""Words of a transcript file on the clock of a segment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.features.asr_sidecar import ManifestTranscript, SidecarTranscript
from pipeline.features.base import Clip
from pipeline.features.transcripts import GivenText
from schemas.errors import ItemError
from schemas.parts import Span
from schemas.records import Features, Source
from tests.features.voice_media import make_clip

SRT = "1\n00:00:01,000 --> 00:00:02,000\none two\n\n2\n00:00:05,000 --> 00:00:07,000\nBOB: three four\n"


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def borders(*clips: Clip) -> list[Span]:
    return [Span(start_s=c.segment.source_start_s, end_s=c.segment.source_end_s) for c in clips]


def words_of(path: Path, clip: Clip) -> Features:
    ((_, result),) = SidecarTranscript.beside(path, borders(clip)).extract([clip])
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
        heard = [
            word.text
            for _, r in SidecarTranscript.beside(path, borders(*halves)).extract(halves)
            for word in r.words
        ]  # type: ignore[union-attr]
        assert heard == ["one", "two", "three", "four"]


def test_nobody_speaks_in_the_segment(tmp_path: Path) -> None:
    result = words_of(write(tmp_path, "talk.srt", SRT), make_clip(None, start_s=2.6, end_s=4.0))
    assert (result.words, result.missing) == ((), "no_words")


def test_an_edited_transcript_is_another_question(tmp_path: Path) -> None:
    path, clip = write(tmp_path, "talk.srt", SRT), make_clip(None, end_s=10)
    before = words_of(path, clip)
    again = words_of(path, clip)
    write(tmp_path, "talk.srt", SRT.replace("one", "won"))
    after = words_of(path, clip)
    assert before == again
    assert before.id != after.id
    assert set(before.params) == {"sha256", "format", "segments", "media"}
    assert words_of(write(tmp_path, "talk.vtt", "WEBVTT\n"), clip).params["format"] == ".vtt"


def test_a_bad_transcript_is_told_once_for_the_recording_with_file_line_and_one_remedy(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, "talk.srt", "1\n00:00:01,000 --> never\none\n")
    with pytest.raises(ItemError) as caught:
        SidecarTranscript.beside(path, [Span(start_s=0, end_s=1), Span(start_s=1, end_s=2)])
    assert str(caught.value) == f'{path}:2: unreadable times "00:00:01,000 --> never"'
    assert caught.value.code == "bad_transcript"
    assert caught.value.retry == "correct the line or remove the file, then: emotrace run"


@pytest.mark.parametrize("name", ["talk.srt", "talk.txt"])
def test_a_transcript_in_another_encoding_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes("Grüße".encode("latin-1"))
    with pytest.raises(ItemError, match=rf"{name}:1: not utf-8"):
        SidecarTranscript.beside(tmp_path / name, [])


def srt(*starts_s: float) -> str:
    times = [
        f"00:{s // 60:02.0f}:{s % 60:02.0f},000 --> 00:{s // 60:02.0f}:{s % 60 + 2:02.0f},000"
        for s in starts_s
    ]
    return "".join(f"{n}\n{time}\nI am here\n\n" for n, time in enumerate(times, 1))


def test_a_transcript_of_another_clock_is_told_with_its_first_text_past_the_end(tmp_path: Path) -> None:
    whole = [Span(start_s=0, end_s=4)]
    path = write(tmp_path, "a.srt", srt(1, 600, 605))
    with pytest.raises(ItemError) as caught:
        SidecarTranscript.beside(path, whole, 4.0)
    assert caught.value.code == "transcript_outside"
    assert str(caught.value) == f"{path}:6: from here on 2 of 3 texts lie past the end of the recording (4 s)"
    assert caught.value.retry.startswith("shift the times, or remove the file")
    grid = (
        'File type = "ooTextFile"\nObject class = "TextGrid"\n0\n99\n<exists>\n1\n'
        '"IntervalTier"\n"words"\n0\n99\n2\n0\n90\n""\n90\n91\n"hi"\n'
    )
    with pytest.raises(ItemError, match=r"b\.TextGrid:15: from here on 1 of 1"):
        SidecarTranscript.beside(write(tmp_path, "b.TextGrid", grid), whole, 4.0)


@pytest.mark.parametrize("starts_s", [(), (3,), (1, 600), (1, 2, 600)])
def test_texts_at_the_end_and_a_few_past_it_are_no_other_clock(
    starts_s: tuple[float, ...], tmp_path: Path
) -> None:
    path = write(tmp_path, "a.srt", srt(*starts_s))
    assert SidecarTranscript.beside(path, [Span(start_s=0, end_s=4)], 3.5).name == "sidecar"


def test_an_absent_transcript_fails_the_item(tmp_path: Path) -> None:
    with pytest.raises(ItemError, match="cannot read"):
        SidecarTranscript.beside(tmp_path / "none.srt", [])


def test_words_over_the_edge_of_speech_stay_with_the_nearest_segment(tmp_path: Path) -> None:
    """The cue begins before and ends after the voice; the next one lies between the turns."""
    cues = "1\n00:00:00,000 --> 00:00:02,200\nWe all know the past\n\n2\n00:00:02,900 --> 00:00:03,100\nas\n"
    path = write(tmp_path, "talk.srt", cues)
    turns = [make_clip(None, start_s=0.3, end_s=1.9), make_clip(None, start_s=3.4, end_s=5)]
    results = SidecarTranscript.beside(path, borders(*turns)).extract(turns)
    first, second = (result for _, result in results if isinstance(result, Features))
    assert [word.text for word in first.words] == ["We", "all", "know", "the", "past"]
    assert (first.words[0].start_s, first.words[0].end_s) == (0.0, 0.014)
    assert first.words[-1].end_s == 1.6
    assert [(word.text, word.start_s, word.end_s) for word in second.words] == [("as", 0.0, 0.0)]


def test_words_far_from_any_segment_are_in_none(tmp_path: Path) -> None:
    path = write(tmp_path, "talk.srt", SRT)
    assert words_of(path, make_clip(None, start_s=2.51, end_s=4.0)).missing == "no_words"
    assert [word.text for word in words_of(path, make_clip(None, start_s=2.49, end_s=4.0)).words] == ["two"]


def test_other_segments_are_another_question(tmp_path: Path) -> None:
    """Words at the edge of a segment may go to a neighbour that was not there before."""
    path, clip = write(tmp_path, "talk.srt", SRT), make_clip(None, start_s=2.1, end_s=4)
    alone = SidecarTranscript.beside(path, borders(clip))
    neighbours = SidecarTranscript.beside(path, [Span(start_s=0, end_s=2.1), *borders(clip)])
    assert alone.params != neighbours.params
    assert [len(result.words) for one in (alone, neighbours) for _, result in one.extract([clip])] == [1, 0]  # type: ignore[union-attr]


def given_words(said: GivenText, clip: Clip) -> Features:
    ((_, result),) = ManifestTranscript.of(said, borders(clip)).extract([clip])
    assert isinstance(result, Features), result
    return result


def test_a_manifest_gives_words_over_the_speech() -> None:
    clip = make_clip(None, end_s=4, source_speech=(Span(start_s=1, end_s=3),))
    result = given_words(GivenText("aaaa bbbb"), clip)
    assert result.extractor == "manifest"
    assert [(w.start_s, w.end_s) for w in result.words] == [(1.0, 2.0), (2.0, 3.0)]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (GivenText("aaaa bbbb cccc dddd"), [("cccc", 1.0), ("dddd", 2.0)]),  # half of it is said before
        (GivenText("aaaa bbbb", 5.0, 10.0), [("aaaa", 1.0), ("bbbb", 2.0)]),
        (GivenText("aaaa bbbb", 5.0), [("aaaa", 1.0), ("bbbb", 2.0)]),  # to the end
        (GivenText("aaaa bbbb", 2.0, 7.0), [("bbbb", 1.0)]),
        (GivenText("aaaa bbbb", 8.5, 9.5), [("aaaa", 3.5), ("bbbb", 4.0)]),  # nobody speaks in it
        (GivenText("aaaa bbbb", 8.5, 99.0), [("aaaa", 3.5), ("bbbb", 4.25)]),
    ],
)
def test_a_text_is_laid_over_the_speech_inside_its_stretch(
    said: GivenText, expected: list[tuple[str, float]]
) -> None:
    speech = (Span(start_s=1, end_s=3), Span(start_s=6, end_s=8))
    clip = make_clip(None, start_s=5, end_s=10, source_s=10, source_speech=speech)
    assert [(word.text, word.start_s) for word in given_words(said, clip).words] == expected


def test_other_times_of_a_row_are_another_question() -> None:
    rows = [GivenText("a"), GivenText("a", 1.0), GivenText("a", 1.0, 2.0), GivenText("b", 1.0, 2.0)]
    clip = make_clip(None, end_s=4)
    assert len({given_words(row, clip).id for row in rows}) == 4


def test_one_text_of_two_recordings_is_laid_over_the_speech_of_each() -> None:
    clips = [make_clip(None, end_s=4, source_s=4, source_speech=(Span(start_s=1, end_s=3),))]
    other = make_clip(None, end_s=4, source_s=4, source_speech=(Span(start_s=0, end_s=2),))
    source = Source(sha256="1" * 64, size_bytes=1, media=other.source.media)
    clips.append(replace(other, source=source))
    results = ManifestTranscript.of(GivenText("aa bb"), borders(clips[0])).extract(clips)
    assert [result.words[0].start_s for _, result in results] == [1.0, 0.0]  # type: ignore[union-attr]


def test_a_text_file_without_times_is_laid_over_the_speech_of_the_recording(tmp_path: Path) -> None:
    path = write(tmp_path, "talk.txt", "aaaa bbbb\ncccc dddd")
    speech = (Span(start_s=1, end_s=3), Span(start_s=6, end_s=8))
    clip = make_clip(None, start_s=5, end_s=10, source_s=10, source_speech=speech)
    result = words_of(path, clip)
    assert [(word.text, word.start_s) for word in result.words] == [("cccc", 1.0), ("dddd", 2.0)]
    assert result.notes == ("word_times_spread_over_speech",)


def test_text_without_times_or_known_speech_is_laid_over_the_recording(tmp_path: Path) -> None:
    path = write(tmp_path, "talk.txt", "aa bb")
    result = words_of(path, make_clip(None, start_s=5, end_s=10, source_s=10))
    assert [(word.text, word.start_s, word.end_s) for word in result.words] == [("bb", 0.0, 5.0)]
    assert words_of(write(tmp_path, "empty.txt", " \n"), make_clip(None)).missing == "no_words"
