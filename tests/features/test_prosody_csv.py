"""Curves from a table beside the recording: what is read, what is refused, and what is told of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features.base import Audio, Clip, method_of
from pipeline.features.baseline import make_baseline
from pipeline.features.prosody import CoreProsody
from pipeline.features.prosody_csv import CsvParams, CsvProsody, Table, find_table, read_table
from pipeline.features.select import pick_extractor
from schemas.errors import ItemError, UserError
from schemas.parts import Span
from schemas.records import Features
from tests.features.voice_media import make_clip, recorded, silence, tone

Media = Callable[[str], Path]


def beside(folder: Path, text: str, ending: str = ".prosody.csv") -> CsvProsody:
    (folder / f"talk{ending}").write_text(text, encoding="utf-8")
    return CsvProsody().beside(folder / "talk.wav")


def measure(extractor: CsvProsody, clip: Clip) -> Features:
    ((_, result),) = extractor.extract([clip])
    assert isinstance(result, Features), result
    return result


def table(length_s: float, pitch: Callable[[float], float], level: Callable[[float], float]) -> str:
    times = np.arange(0, length_s, 0.01)
    return "time_s,pitch_hz,intensity_db\n" + "".join(
        f"{t:.3f},{pitch(t):.2f},{level(t):.1f}\n" for t in times
    )


def loud(length_s: float) -> Audio:
    return tone(150, length_s, saw=True)


def test_events_and_numbers_are_those_of_the_given_curves(tmp_path: Path) -> None:
    """The sound is a steady tone: all that is found was in the table."""
    text = table(
        3, lambda t: 0 if 1 <= t < 1.5 else 120 * 2 ** max(0, t - 2), lambda t: -70 if 1 <= t < 1.5 else -20
    )
    result = measure(beside(tmp_path, text), make_clip(loud(3)))
    assert [event.cue for event in result.events] == ["pause", "pitch_rise"]
    assert result.events[0].size == pytest.approx(0.5, abs=0.03)
    assert result.events[1].size == pytest.approx(12, abs=0.6)
    assert result.summary["pitch_median_hz"] == pytest.approx(120, abs=1)
    assert [(s.name, s.unit) for s in result.series] == [
        ("pitch_hz", "Hz"), ("intensity_db", "dB"), ("local_rate_syl_s", "syllable/s"),
    ]  # fmt: skip


def test_a_segment_gets_its_part_of_the_table(tmp_path: Path) -> None:
    extractor = beside(tmp_path, table(4, lambda t: 100 if t < 2 else 200, lambda _: -20))
    first, second = (measure(extractor, make_clip(loud(2), start_s=start_s)) for start_s in (0.0, 2.0))
    assert (first.summary["pitch_median_hz"], second.summary["pitch_median_hz"]) == (100, 200)
    assert measure(extractor, make_clip(loud(2), start_s=5.0)).missing == "not_in_table"
    half = measure(extractor, make_clip(loud(2), start_s=3.0))
    assert half.summary["voiced_s"] == pytest.approx(1.0, abs=0.05)


def test_only_the_stretches_that_are_asked_about_are_told(tmp_path: Path) -> None:
    extractor = beside(tmp_path, table(4, lambda t: 100 if t < 2 else 200, lambda _: -20))
    result = measure(extractor, replace(make_clip(loud(4)), where=(Span(start_s=2.5, end_s=4),)))
    assert result.summary["pitch_median_hz"] == 200
    assert all(v is None for s in result.series for t, v in zip(s.times_s, s.values, strict=True) if t < 2.5)


def test_one_curve_is_enough(tmp_path: Path) -> None:
    pitch = measure(
        beside(tmp_path, "Time (s)\tF0 (Hz)\n0.1\t120\n0.2\t130\n", ".prosody.tsv"), make_clip(loud(1))
    )
    assert pitch.summary["intensity_mean_db"] is pitch.summary["speech_rate_syl_s"] is None
    assert pitch.summary["pitch_median_hz"] == pytest.approx(125, abs=6)
    (tmp_path / "talk.prosody.tsv").unlink()
    level = measure(beside(tmp_path, "time;intensity\n0,1;-20,5\n0,2;-21\n"), make_clip(loud(1)))
    assert level.summary["pitch_median_hz"] is None
    assert level.summary["intensity_mean_db"] == pytest.approx(-20.7, abs=0.3)


def test_a_table_of_praat_is_read(tmp_path: Path) -> None:
    """As "Down to Table" writes it: tabs, and a word of its own where nothing is known."""
    text = "rowLabel\ttime\tpitch\tintensity\n" + "".join(
        f"{n}\t{n / 100}\t{'--undefined--' if n < 100 else 150}\t60\n" for n in range(200)
    )
    result = measure(beside(tmp_path, text, ".prosody.txt"), make_clip(loud(2)))
    assert result.summary["pitch_median_hz"] == 150
    assert result.summary["intensity_mean_db"] == 60


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("", 1, "empty"),
        ("time_s,loudness\n0,1\n", 1, "needs time_s"),
        ("pitch_hz\n100\n", 1, "needs time_s"),
        ("time_s,pitch_hz\n", 1, "no lines"),
        ("time_s,pitch_hz\n0.1,100\n0.2,high\n", 3, '"high" is no number'),
        ("time_s,pitch_hz\n0.1,1e999\n", 2, "no finite number"),
        ("time_s,pitch_hz\n0.2,100\n0.1,100\n", 3, "rise"),
        ("time_s,pitch_hz\n,100\n", 2, "rise"),
        ("time_s,pitch_hz\n0.1,100\n\n0.1,100\n", 4, "rise"),
        ("time_s,pitch_hz\n0.1,0\n0.2,\n\n0.3,0.04\n", 5, "a pitch of 0.04 Hz: it must lie in 20-2000 Hz"),
        ("time_s,pitch_hz\n0.1,2000\n0.2,2000.5\n", 3, "a pitch of 2000.5 Hz"),
        ("time_s,pitch_hz\n0.1,20\n0.2,-1\n", 3, "a pitch of -1 Hz"),
    ],
)
def test_mistakes_are_told_with_their_line(tmp_path: Path, text: str, line: int, part: str) -> None:
    with pytest.raises(ItemError, match=part) as caught:
        beside(tmp_path, text)
    assert caught.value.code == "bad_prosody"
    assert f"talk.prosody.csv:{line}: " in caught.value.message


def test_a_table_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "talk.prosody.csv").write_bytes(b"time_s,pitch_hz\n\xff\xfe\xfa")
    with pytest.raises(ItemError, match="text") as caught:
        CsvProsody().beside(tmp_path / "talk.wav")
    assert caught.value.code == "bad_prosody"


def test_auto_takes_a_table_that_stands_beside(tmp_path: Path) -> None:
    recording = tmp_path / "talk.wav"
    assert pick_extractor("prosody", "auto", {}, recording).name == "core"
    with pytest.raises(ItemError, match="no prosody table"):
        pick_extractor("prosody", "csv", {}, recording)
    (tmp_path / "talk.prosody.csv").write_text("time_s,pitch_hz\n0,100\n")
    assert find_table(recording) == tmp_path / "talk.prosody.csv"
    picked = pick_extractor("prosody", "auto", {"min_pause_s": 0.4, "voicing": 0.5}, recording)
    assert (picked.name, picked.params["min_pause_s"]) == ("csv", 0.4)
    (tmp_path / "talk.prosody.csv").write_text("time_s,pitch_hz\n0,101\n")
    assert pick_extractor("prosody", "csv", {"min_pause_s": 0.4}, recording).params != picked.params


@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_a_clear_error(data: bytes) -> None:
    found: Table | UserError
    try:
        found = read_table(b"time_s,pitch_hz,x\n" + data, "a.csv")
    except UserError as error:
        found = error
    assert isinstance(found, Table) or found.line is not None


@pytest.mark.media
def test_the_cores_own_curves_give_the_cores_own_events(tmp_path: Path, media: Media) -> None:
    clip = recorded(media("audio/jfk.flac"))
    ((_, core),) = CoreProsody().extract([clip])
    assert isinstance(core, Features)
    pitch, level = core.series[:2]
    rows = zip(pitch.times_s, pitch.values, level.values, strict=True)
    text = "time_s,pitch_hz,intensity_db\n" + "".join(
        f"{t},{'' if p is None else p},{v}\n" for t, p, v in rows
    )
    result = measure(beside(tmp_path, text), clip)
    assert [(e.cue, e.start_s, e.end_s) for e in result.events] == [
        (e.cue, e.start_s, e.end_s) for e in core.events
    ]
    # A level of one decimal has other smallest dips than the curve that it was rounded from.
    assert result.summary["speech_rate_syl_s"] == pytest.approx(core.summary["speech_rate_syl_s"], rel=0.1)
    assert measure(beside(tmp_path, text), make_clip(silence(1))).missing == "silence"


def test_tables_of_several_recordings_give_their_speaker_one_baseline(tmp_path: Path) -> None:
    """Each recording has a table of its own, which is measured in the same way."""
    found = []
    for length_s, pitch_hz in ((4.0, 100), (4.2, 110), (4.4, 120)):
        folder = tmp_path / str(pitch_hz)
        folder.mkdir()
        text = "time_s,pitch_hz\n" + "".join(f"{t:.2f},{pitch_hz}\n" for t in np.arange(0, length_s, 0.01))
        found.append(measure(beside(folder, text), make_clip(loud(length_s))))
    baseline = make_baseline("speaker:ann", found)
    assert baseline is not None
    assert baseline.stats["pitch_st"].median == pytest.approx(12 * np.log2(110), abs=0.1)
    (tmp_path / "talk.prosody.csv").write_text(text)
    other = CsvProsody(CsvParams(min_pause_s=0.5)).beside(tmp_path / "talk.wav")
    assert method_of(measure(other, make_clip(loud(4)))) != method_of(found[0])
