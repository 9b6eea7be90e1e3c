"""Words that people wrote, through ingest and run: each stands where it belongs, and a mistake is told once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.ingest import ingest
from pipeline.outputs import RunOutput
from pipeline.project import Project
from pipeline.run import local_engine, run
from schemas.records import Sample, Segment
from tests.media_io.make import AUDIO_RATE_HZ, make_sound
from tests.pipeline.project import talk, voice
from tests.pipeline.records import Quiet, project_in

FULL = (
    "And so my fellow Americans ask not what your country can do for you ask what you can do for your country"
)
PART = "ask not what your country can do for you"
ONLY_WORDS = "[features.au]\nenabled = false\n[features.prosody]\nenabled = false\n"


def run_local(project: Project) -> RunOutput:
    return run(project, local_engine(), progress=Quiet())


def said(folder: Path, rows: str) -> dict[tuple[float, float], list[str]]:
    """Borders of each segment -> its words, after ingest of a manifest of these rows and a run."""
    manifest = folder / "rows.csv"
    manifest.write_text(f"path,start,end,speaker,language,transcript\n{rows}")
    with project_in(folder / "project", f"[segment]\nrule = 'given'\n{ONLY_WORDS}") as project:
        ingest(project, [str(manifest)])
        run_local(project)
        segments = {s.id: (s.source_start_s, s.source_end_s) for s in project.store.live(Segment)}
        samples = project.store.live(Sample)
        assert all(word.end_s <= sample.duration_s for sample in samples for word in sample.words)
        return {segments[s.segment_id]: [word.text for word in s.words] for s in samples}


@pytest.fixture
def jfk(media: Callable[[str], Path], tmp_path: Path) -> Path:
    (tmp_path / "jfk.flac").symlink_to(media("audio/jfk.flac"))
    return tmp_path


@pytest.mark.media
def test_a_text_of_the_whole_file_gives_a_stretch_only_the_words_in_it(jfk: Path) -> None:
    found = said(jfk, f'jfk.flac,,,jfk,en,"{FULL}"\njfk.flac,5,8,jfk,en,\n')
    # Said in these 3 s are "what your country can do for you": right but for a word, as far as spreading can be.
    assert " ".join(found[5.0, 8.0]) == "your country can do for you ask"


@pytest.mark.media
def test_each_stretch_says_its_own_transcript(jfk: Path) -> None:
    found = said(jfk, f'jfk.flac,0.2,11,jfk,en,"{FULL}"\njfk.flac,5,8,jfk,en,"{PART}"\n')
    assert found == {(0.2, 11.0): FULL.split(), (5.0, 8.0): PART.split()}


@pytest.mark.media
def test_a_stretch_with_a_text_among_the_rest_of_the_recording(jfk: Path) -> None:
    rows = f'jfk.flac,,,jfk,en,"{FULL}"\njfk.flac,5,8,jfk,en,"{PART}"\njfk.flac,0,5,jfk,en,\n'
    found = said(jfk, rows)
    assert found[5.0, 8.0] == PART.split()
    assert found[0.0, 5.0] == FULL.split()[: len(found[0.0, 5.0])] != []


def test_no_word_of_a_subtitle_is_lost_at_the_edge_of_speech(tmp_path: Path) -> None:
    """The subtitle begins with the recording, the first segment with the voice; there is a pause in between."""
    text = "I a very long time ago was there"
    late = np.concatenate([np.zeros(AUDIO_RATE_HZ // 2, np.float32), voice(4.0, 120, 0)])
    recording = make_sound(tmp_path / "talk.wav", late)
    recording.with_suffix(".srt").write_text(f"1\n00:00:00,000 --> 00:00:04,600\n{text}\n")
    with project_in(tmp_path / "project", f"[segment]\nrule = 'speech'\n{ONLY_WORDS}") as project:
        ingest(project, [str(recording)])
        run_local(project)
        starts_s = {segment.id: segment.source_start_s for segment in project.store.live(Segment)}
        samples = sorted(project.store.live(Sample), key=lambda sample: starts_s[sample.segment_id])
    assert min(starts_s.values()) > 0.2  # the middle of "I" lies before it
    assert " ".join(word.text for sample in samples for word in sample.words) == text


def test_a_subtitle_of_another_clock_is_told_once(tmp_path: Path) -> None:
    recording = talk(tmp_path / "talk.mp4", text="one two three")
    subtitle = recording.with_suffix(".srt")
    subtitle.write_text("1\n00:10:00,000 --> 00:10:02,000\none two three\n")
    fixed = f"[segment]\nrule = 'fixed'\nwindow_s = 1.5\n{ONLY_WORDS}"
    with project_in(tmp_path / "project", fixed) as project:
        ingest(project, [str(recording)])
        (item,) = run_local(project).failed_items
        assert (item.code, project.store.live(Sample)) == ("transcript_outside", [])
        assert item.message.startswith(f"{subtitle}:2: from here on 1 of 1 texts lie past the end")


def test_a_bad_subtitle_is_told_once_until_it_is_mended(tmp_path: Path) -> None:
    recording = talk(tmp_path / "talk.mp4", text="one two three")
    subtitle = recording.with_suffix(".srt")
    good = subtitle.read_text()
    subtitle.write_text(good.replace("-->", "->"))
    fixed = f"[segment]\nrule = 'fixed'\nwindow_s = 1.5\n{ONLY_WORDS}"
    with project_in(tmp_path / "project", fixed) as project:
        ingest(project, [str(recording)])
        for found in (run_local(project), run_local(project)):
            assert (found.segments, [item.code for item in found.failed_items]) == (3, ["bad_transcript"])
            (item,) = found.failed_items
            assert item.message.startswith(f"{subtitle}:1: expected a time line")
            assert "correct" not in item.message
            assert item.retry == "correct the line or remove the file, then: emotrace run"
        subtitle.write_text(good)
        assert run_local(project).failed_items == []
        assert sum(len(sample.words) for sample in project.store.live(Sample)) == 3
