"""Segments measured inside their surroundings: cut-out speech of the demo, whose rest lies before it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.commands.demo import CLIPS, WORKER, manifest
from pipeline.features.au_faces import surroundings
from pipeline.features.au_mediapipe import MediapipeAus, MediapipeParams
from pipeline.features.base import Clip
from pipeline.features.worker import run_worker
from pipeline.media.decode import DecodeResult, decode, read_audio
from pipeline.media.probe import probe
from pipeline.media.vad import speech_regions
from schemas.parts import Event, MediaFacts, Span
from schemas.records import Features, Segment, Source

NAMES = ("cleo_anger", "cleo_sad", "cleo_neutral")
EXPRESSIVE = {"AU01", "AU02", "AU04", "AU05", "AU12", "AU15"}
JOIN_S = 10.0


def clip_of(facts: MediaFacts, start_s: float, end_s: float, **media: Any) -> Clip:
    source = Source(sha256="0" * 64, size_bytes=1, media=facts)
    segment = Segment(
        source_id=source.id,
        rule="given",
        version="1",
        source_start_s=start_s,
        source_end_s=end_s,
        index=0,
    )
    return Clip(source, segment, Path("no.mp4"), None, **{"frames": None, **media})


@dataclass(frozen=True)
class Recording:
    facts: MediaFacts
    decoded: DecodeResult
    turn: Span  # from the first to the last word

    def part(self, start_s: float, end_s: float) -> Clip:
        return clip_of(self.facts, start_s, end_s, frames=self.decoded.frames, shots=self.decoded.shots)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recording]:
    folder = tmp_path_factory.mktemp("demo")
    rows = manifest(folder, tuple(clip for clip in CLIPS if clip.name in NAMES))
    assert [message["type"] for message in run_worker(WORKER, rows)] == ["done"] * len(NAMES)
    made = {}
    for row in rows:
        facts = probe(Path(row["out"]))
        decoded = decode(Path(row["out"]), facts, folder / row["id"])
        assert decoded.audio is not None
        speech = speech_regions(read_audio(decoded.audio, 0, facts.duration_s))
        made[row["id"]] = Recording(facts, decoded, Span(start_s=speech[0].start_s, end_s=speech[-1].end_s))
    return made


def joined(first: Recording, second: Recording, path: Path) -> Recording:
    """Two recordings one after the other, the second from JOIN_S on, as two shots."""
    before, after = (pq.read_table(one.decoded.frames, columns=["time_s", "jpeg"]) for one in (first, second))
    later_s = pa.array([time_s + JOIN_S for time_s in after["time_s"].to_pylist()])
    pq.write_table(pa.concat_tables([before, after.set_column(0, "time_s", later_s)]), path)
    end_s = JOIN_S + second.facts.duration_s
    shots = (Span(start_s=0, end_s=JOIN_S), Span(start_s=JOIN_S, end_s=end_s))
    facts = second.facts.model_copy(update={"duration_s": end_s})
    return Recording(facts, replace(second.decoded, frames=path, shots=shots), second.turn)


@pytest.fixture(scope="module")
def results(
    recordings: dict[str, Recording], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Features]:
    anger = recordings["cleo_anger"]
    clips = {name: one.part(one.turn.start_s, one.turn.end_s) for name, one in recordings.items()}
    clips["whole"] = anger.part(0.0, anger.facts.duration_s)
    clips["middle"] = anger.part(2.1, 3.6)
    other = joined(recordings["cleo_sad"], anger, tmp_path_factory.mktemp("joined") / "frames.parquet")
    clips["after the cut"] = other.part(JOIN_S + 2.1, JOIN_S + 3.6)
    return extract(clips)


def extract(clips: dict[str, Clip], params: MediapipeParams | None = None) -> dict[str, Features]:
    back = {id(clip): name for name, clip in clips.items()}
    found = {}
    for clip, features in MediapipeAus(params).extract(clips.values()):
        assert isinstance(features, Features), features
        found[back[id(clip)]] = features
    return found


def cues(features: Features) -> set[str]:
    return {event.cue for event in features.events} & EXPRESSIVE


def only(features: Features, cue: str) -> Event:
    (event,) = [event for event in features.events if event.cue == cue]
    return event


@pytest.mark.worker
@pytest.mark.parametrize(
    ("name", "expected"), [("cleo_anger", {"AU04"}), ("cleo_sad", {"AU01", "AU15"}), ("cleo_neutral", set())]
)
def test_an_expression_that_lasts_all_through_the_speech_is_seen(
    results: dict[str, Features], name: str, expected: set[str]
) -> None:
    assert cues(results[name]) == expected


@pytest.mark.worker
def test_a_segment_shows_its_part_of_what_the_whole_shows(
    results: dict[str, Features], recordings: dict[str, Recording]
) -> None:
    whole, turn = only(results["whole"], "AU04"), only(results["cleo_anger"], "AU04")
    offset_s, end_s = recordings["cleo_anger"].turn.start_s, recordings["cleo_anger"].turn.end_s
    assert turn.start_s == pytest.approx(max(0.0, whole.start_s - offset_s), abs=0.001)
    assert turn.end_s == pytest.approx(min(end_s, whole.end_s) - offset_s, abs=0.001)
    assert turn.size is not None
    assert whole.size is not None
    assert turn.size <= whole.size


@pytest.mark.worker
def test_only_what_lies_in_the_segment_is_told(results: dict[str, Features]) -> None:
    features = results["middle"]
    frown = only(features, "AU04")
    assert (frown.start_s, frown.end_s) == (0.0, 1.5)  # already there, and not over
    assert frown.apex_s in features.series[0].times_s
    for series in features.series:
        assert len(series.times_s) in (15, 16)  # 1.5 s at 10 frames per second
        assert all(0 <= time_s <= 1.5 for time_s in series.times_s)
    (track,) = features.tracks
    assert track.frames == len(features.series[0].times_s)
    assert (track.name, track.end_s) == ("f1", 1.5)
    assert features.summary["face_share"] == 1.0
    assert features.summary["AU04_mean"] == pytest.approx(
        sum(v or 0.0 for v in next(s for s in features.series if s.name == "AU04").values) / track.frames,
        abs=1e-3,
    )


@pytest.mark.worker
def test_the_picture_before_a_cut_tells_nothing(results: dict[str, Features]) -> None:
    """Same frames, same window within the shot: the sad face in front of the cut is not looked at."""
    alone, after = results["middle"], results["after the cut"]
    assert [series.values for series in after.series] == [series.values for series in alone.series]
    assert [(e.cue, e.size) for e in after.events] == [(e.cue, e.size) for e in alone.events]


@pytest.mark.worker
def test_without_surroundings_a_lasting_frown_is_not_seen(recordings: dict[str, Recording]) -> None:
    """The reason for looking beyond the segment: alone the frown passes for the face at rest."""
    clip = recordings["cleo_anger"].part(2.1, 3.6)
    assert "AU04" not in cues(extract({"x": clip}, MediapipeParams(rest_context_s=0.0))["x"])


def around(
    start_s: float, end_s: float, *shots: tuple[float, float], context_s: float = 3.0
) -> tuple[float, float]:
    facts = MediaFacts(kind="video", container="mp4", duration_s=20.0)
    spans = tuple(Span(start_s=a, end_s=b) for a, b in shots)
    window = surroundings(clip_of(facts, start_s, end_s, shots=spans), context_s)
    return window.start_s, window.end_s


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (around(5, 8), (2, 11)),
        (around(1, 19), (0, 20)),
        (around(5, 8, context_s=0), (5, 8)),
        (around(5, 8, (0, 4), (4, 9), (9, 20)), (4, 9)),
        (around(5, 8, (0, 6), (6, 20)), (2, 11)),
        (around(3.9, 8.1, (0, 4), (4, 8), (8, 20)), (3.9, 8.1)),  # padding touches both neighbours
        (around(5, 5.4, (0, 5.3), (5.3, 20)), (2, 5.4)),
        (around(5, 8, (0, 4)), (5, 8)),  # no shot is known there
    ],
)
def test_the_window_ends_at_the_borders_of_the_shots(
    window: tuple[float, float], expected: tuple[float, float]
) -> None:
    assert window == pytest.approx(expected)


@given(
    st.lists(st.floats(0.01, 19.99), max_size=5),
    st.floats(0, 19),
    st.floats(0.05, 10),
    st.floats(0, 30),
)
def test_the_window_holds_the_segment_and_little_more(
    cuts: list[float], start_s: float, length_s: float, context_s: float
) -> None:
    end_s = min(20.0, start_s + length_s)
    borders = [0.0, *sorted(cuts), 20.0]
    first_s, last_s = around(start_s, end_s, *itertools.pairwise(borders), context_s=context_s)
    assert 0 <= first_s <= start_s
    assert end_s <= last_s <= 20
    assert start_s - first_s <= context_s + 1e-9
    assert last_s - end_s <= context_s + 1e-9
    assert not any(first_s < cut < start_s or end_s < cut < last_s for cut in cuts)
