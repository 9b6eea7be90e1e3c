"""Time series beside a recording: finding, units, the clock of a segment, dense signals, mistakes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features.base import Clip
from pipeline.features.select import pick_extractor
from pipeline.features.series_sidecar import SeriesParams, SeriesSidecar, find_series, read_series
from schemas.errors import ItemError
from schemas.records import Features
from tests.features.voice_media import make_clip

TALK = "time_s,heart rate[bpm],gsr\n0.5,70,\n1.5,72,0.2\n2.5,,0.3\n"


def clip_of(folder: Path, start_s: float = 0.0, end_s: float = 3.0) -> Clip:
    return make_clip(None, path=folder / "talk.wav", start_s=start_s, end_s=end_s, source_s=60)


def result_of(clip: Clip, params: SeriesParams | None = None) -> Features | ItemError:
    ((_, result),) = SeriesSidecar(params).beside(clip.path).extract([clip])
    return result


def told(clip: Clip, params: SeriesParams | None = None) -> Features:
    result = result_of(clip, params)
    assert isinstance(result, Features), result
    return result


def test_signals_are_cut_to_the_segment_in_its_own_time(tmp_path: Path) -> None:
    (tmp_path / "talk.series.csv").write_text(TALK)
    features = told(clip_of(tmp_path, 1.0, 3.0))
    heart, skin = features.series
    assert (heart.name, heart.unit, heart.track) == ("heart rate", "bpm", None)
    assert (heart.times_s, heart.values) == ((0.5, 1.5), (72.0, None))
    assert (skin.name, skin.unit, skin.values) == ("gsr", "", (0.2, 0.3))
    assert features.summary["gsr_mean"] == pytest.approx(0.25)
    assert (features.summary["heart rate_min"], features.summary["gsr_max"]) == (72.0, 0.3)
    assert (features.stage, features.extractor, features.missing) == ("series", "sidecar", None)
    assert told(clip_of(tmp_path, 10, 12)).missing == "no_samples"


def test_units_may_stand_in_a_second_row(tmp_path: Path) -> None:
    (tmp_path / "talk.series.csv").write_text("time_s, hr, gsr[uS]\ns, bpm,\n0, 70, 1\n\n1, 71, 2\n")
    signals = read_series(tmp_path / "talk.series.csv")
    assert (signals.names, signals.units) == (("hr", "gsr"), ("bpm", "uS"))
    assert signals.values.tolist() == [[70, 1], [71, 2]]


def test_parquet_tells_the_same_as_csv(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "talk.series.csv").write_text(TALK)
    columns = {"time_s": [0.5, 1.5, 2.5], "heart rate[bpm]": [70, 72, None], "gsr": [None, 0.2, 0.3]}
    pq.write_table(pa.table(columns), tmp_path / "b" / "talk.series.parquet")
    one, other = (told(clip_of(tmp_path / name)) for name in "ab")
    assert (one.series, one.summary) == (other.series, other.summary)


def test_a_clock_that_began_at_another_moment(tmp_path: Path) -> None:
    (tmp_path / "talk.series.csv").write_text(TALK)
    features = told(clip_of(tmp_path, 0, 1), SeriesParams(offset_s=-1.0))
    assert features.series[1].values == (0.2,)
    assert features.series[1].times_s == (0.5,)


def test_a_dense_signal_is_told_by_means(tmp_path: Path) -> None:
    times_s = np.arange(0, 2, 0.001)
    table = pa.table({"time_s": times_s, "ecg[mV]": np.where(times_s < 1, 1.0, 3.0)})
    pq.write_table(table, tmp_path / "talk.series.parquet")
    (ecg,) = told(clip_of(tmp_path, 0, 2), SeriesParams(max_hz=10)).series
    assert len(ecg.values) == 20
    assert set(ecg.values) == {1.0, 3.0}
    assert ecg.times_s[0] == pytest.approx(0.0495, abs=1e-3)


def test_it_is_found_by_its_name_and_its_bytes_are_in_the_question(tmp_path: Path) -> None:
    recording = tmp_path / "talk.wav"
    assert find_series(recording) is None
    with pytest.raises(ItemError, match=r"talk\.wav"):
        pick_extractor("series", "auto", {}, recording)
    (tmp_path / "talk.series.csv").write_text(TALK)
    first = pick_extractor("series", "auto", {}, recording).params
    (tmp_path / "talk.series.csv").write_text(TALK.replace("72", "73"))
    assert pick_extractor("series", "sidecar", {}, recording).params != first


@pytest.mark.parametrize(
    ("text", "where", "part"),
    [
        ("t,hr\n0,1\n", ":1:", "the header must be time_s"),
        ("time_s\n0\n", ":1:", "one column per signal"),
        ("time_s,hr,hr[bpm]\n0,1,2\n", ":1:", "a name of its own"),
        ("time_s,hr\n0,1\n1,high\n", ":3:", '"high" in the column hr is no number'),
        ("time_s,hr\n0,1\n\n0,2\n", ":4:", "time_s must rise"),
        ("time_s,hr\n0,1,2\n", ":2:", "3 fields, the header has 2"),
        ("time_s,hr\n0,inf\n", ":2:", '"inf" in the column hr cannot be'),
        ("time_s,hr\n0,1\n,2\n", ":3:", '"" in the column time_s is no number'),
    ],
)
def test_mistakes_are_named_by_file_and_line(text: str, where: str, part: str, tmp_path: Path) -> None:
    path = tmp_path / "talk.series.csv"
    path.write_text(text)
    result = result_of(clip_of(tmp_path))
    assert isinstance(result, ItemError)
    assert result.code == "bad_series"
    assert str(result).startswith(f"{path}{where}")
    assert part in str(result)


def test_a_broken_parquet_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "talk.series.parquet").write_bytes(b"no parquet at all")
    result = result_of(clip_of(tmp_path))
    assert isinstance(result, ItemError)
    assert (result.code, "no Parquet file" in str(result)) == ("bad_series", True)
    pq.write_table(pa.table({"time_s": [0.0], "mood": ["good"]}), tmp_path / "talk.series.parquet")
    assert "the column mood holds string" in str(result_of(clip_of(tmp_path)))


@given(
    st.lists(
        st.tuples(st.integers(1, 3000), st.one_of(st.none(), st.floats(-1e6, 1e6))), min_size=1, max_size=40
    ),
    st.integers(0, 20_000),
    st.integers(1, 20_000),
)
def test_what_is_told_is_what_stands_in_the_segment(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[int, float | None]],
    start_ms: int,
    length_ms: int,
) -> None:
    folder = tmp_path_factory.mktemp("series")
    times_ms = np.cumsum([step for step, _ in steps]).tolist()
    values = [value for _, value in steps]
    rows = [f"{t / 1000},{'' if v is None else repr(v)}" for t, v in zip(times_ms, values, strict=True)]
    (folder / "talk.series.csv").write_text("\n".join(["time_s,x[u]", *rows]) + "\n")
    clip = clip_of(folder, start_ms / 1000, (start_ms + length_ms) / 1000)
    features = told(clip, SeriesParams(max_hz=1e6))
    inside = [(t, v) for t, v in zip(times_ms, values, strict=True) if start_ms < t < start_ms + length_ms]
    on_the_border = {start_ms, start_ms + length_ms} & set(times_ms)
    if on_the_border:  # a float may fall on either side
        return
    if not inside:
        assert features.missing == "no_samples"
        return
    (series,) = features.series
    assert list(series.times_s) == pytest.approx([(t - start_ms) / 1000 for t, _ in inside], abs=2e-6)
    assert list(series.values) == [None if v is None else pytest.approx(v, abs=1e-6) for _, v in inside]
