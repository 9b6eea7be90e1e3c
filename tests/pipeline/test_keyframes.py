"""Key frames: few, the facial peak among them, no two that show the same, from the decode pass's own pictures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from fractions import Fraction
from itertools import combinations, pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from PIL import Image

from pipeline.media.decode import decode, frame_at, read_frames
from pipeline.media.probe import probe
from pipeline.pictures import LIKENESS
from pipeline.pictures.base import Gray, Likeness, Picture, gray_picture, picture_hash
from pipeline.pictures.choose import choose
from pipeline.pictures.difference import Difference
from pipeline.project import open_project
from pipeline.run import local_engine, run
from pipeline.stages.compose import ComposeStage
from pipeline.stages.keyframes import KEY_FRAMES, MAX_PICTURES, facial_peak, pictures_of
from schemas.parts import Series
from schemas.records import Features, Sample, Segment
from schemas.registry import resolve
from tests.media_io.make import make_video
from tests.pipeline.project import take, write_settings
from tests.pipeline.records import Quiet, face, heard, make_run, place, project_in, segment, source, voice

SETTINGS = "[segment]\nrule = 'whole'\n[features.au]\nenabled = false\n[features.asr]\nenabled = false\n"
METHODS = pytest.mark.parametrize("method", LIKENESS)


def likeness(name: str) -> Likeness:
    made: Likeness = resolve(LIKENESS, name, what="way to choose key frames")()
    return made


def faces(series: list[Series]) -> Features:
    return Features(subject_id="seg_1", extractor="x", version="1", stage="au", series=tuple(series))


def curve(name: str, at: tuple[float, ...], values: list[float | None], track: str = "face0") -> Series:
    return Series(name=name, unit="intensity", times_s=at, values=tuple(values), track=track)


def stretch(start_s: float, end_s: float) -> Segment:
    return Segment(
        source_id="src_1", rule="given", version="1", index=0, source_start_s=start_s, source_end_s=end_s
    )


def noise(seed: int) -> Gray:
    """Coarse blocks, so that two seeds show different things and one seed always the same."""
    blocks = np.random.default_rng(seed).integers(0, 256, (12, 20), dtype=np.uint8)
    return np.kron(blocks, np.ones((10, 10), np.uint8))


def least_difference(pictures: list[Gray]) -> float:
    way = Difference()
    return min(
        (way.distance(way.describe(a), way.describe(b)) for a, b in combinations(pictures, 2)), default=99.0
    )


def film(path: Path, pictures: list[Gray], *, grain: float = 0.0, fps: int | Fraction = 25) -> Path:
    """A video of these pictures, with a camera's noise on them."""
    rng = np.random.default_rng(0)
    height, width = pictures[0].shape
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=fps, options={"crf": "28"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in pictures:
            grey = np.clip(picture + rng.normal(0, grain, picture.shape), 0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="gray").reformat(format="yuv420p")))
        out.mux(stream.encode(None))
    return path


def samples_of(project: Path, settings: str, *recordings: Path) -> list[Sample]:
    """What stands after ingest and a run without faces and words."""
    with open_project(write_settings(project, settings)) as opened:
        if recordings:
            take(opened, *recordings)
        found = run(opened, local_engine(), progress=Quiet())
        assert found.failed_items == []
        return opened.store.live(Sample)


# --- choosing -----------------------------------------------------------------------------------------


@METHODS
@examples(max_examples=40)
@given(
    seeds=st.lists(st.integers(0, 5), min_size=1, max_size=12),
    peak=st.none() | st.floats(-1, 4),
    most=st.integers(1, 6),
)
def test_few_are_chosen_and_no_two_show_the_same(
    method: str, seeds: list[int], peak: float | None, most: int
) -> None:
    pictures = [Picture(round(n * 0.2, 3), noise(seed)) for n, seed in enumerate(seeds)]
    chosen = choose(pictures, likeness(method), peak_s=peak, most=most)
    assert len(chosen) == min(most, len(set(seeds)))
    assert least_difference([picture.gray for picture, _ in chosen]) >= Difference.least
    reasons = [reason for _, reason in chosen]
    assert reasons == ["middle" if peak is None else "facial_peak", *[method] * (len(chosen) - 1)]
    if peak is not None:
        assert abs(chosen[0][0].time_s - peak) == min(abs(picture.time_s - peak) for picture in pictures)
    assert choose(pictures, likeness(method), peak_s=peak, most=most) == chosen
    assert choose([], likeness(method), peak_s=peak, most=most) == []


@METHODS
def test_a_still_picture_filmed_with_noise_has_one_key_frame(
    method: str, media: Callable[[str], Path], tmp_path: Path
) -> None:
    with Image.open(media("images/obama_portrait.jpg")) as image:
        photo = np.asarray(image.convert("L").resize((480, 600)))
    path = film(tmp_path / "still.mp4", [photo] * 75, grain=12)
    (sample,) = samples_of(
        tmp_path / "p",
        f'{SETTINGS}[select]\nrequire = "any"\nkey_frame_method = "{method}"\n',
        path,
    )
    assert [frame.reason for frame in sample.key_frames] == ["middle"]


def test_every_scene_of_a_film_has_its_key_frame(tmp_path: Path) -> None:
    scenes = [noise(seed) for seed in range(3) for _ in range(25)]
    (sample,) = samples_of(tmp_path / "p", SETTINGS, film(tmp_path / "cut.mp4", scenes))
    assert sorted(int(frame.time_s) for frame in sample.key_frames) == [0, 1, 2]
    assert [frame.reason for frame in sample.key_frames] == ["middle", "difference", "difference"]


def test_no_shot_has_a_picture_of_the_next_one(tmp_path: Path) -> None:
    """At 29.97 frames per second the cut lies between two milliseconds."""
    shots = [noise(1)] * 24 + [noise(2)] * 24
    path = film(tmp_path / "cut.mp4", shots, fps=Fraction(30000, 1001))
    settings = SETTINGS.replace("whole", "shots") + '[select]\nrequire = "any"\n'
    first, second = samples_of(tmp_path / "p", settings, path)
    assert first.clip is not None
    assert second.clip is not None
    assert first.clip.source_end_s == second.clip.source_start_s == 0.8008
    assert [len(sample.key_frames) for sample in (first, second)] == [1, 1]


@METHODS
@pytest.mark.parametrize("name", ["wh_address_d.mp4", "grid_bbaf2n.mpg", "pyfeat_face_noface.mov"])
def test_a_real_clip_has_several_that_differ(
    method: str, name: str, media: Callable[[str], Path], tmp_path: Path
) -> None:
    path = media(f"video/{name}")
    facts = probe(path)
    frames = decode(path, facts, tmp_path).frames
    assert frames is not None
    pictures = pictures_of(frames, stretch(0.0, facts.duration_s), None)
    assert [picture.time_s for picture in pictures] == [time_s for time_s, _ in read_frames(frames)]
    chosen = [picture for picture, _ in choose(pictures, likeness(method), peak_s=None, most=KEY_FRAMES)]
    assert 2 <= len(chosen) <= KEY_FRAMES
    assert least_difference([picture.gray for picture in chosen]) >= Difference.least
    if name == "pyfeat_face_noface.mov":  # the cut is at 2.40 s
        assert {picture.time_s < 2.40 for picture in chosen} == {True, False}


# --- which pictures are looked at ---------------------------------------------------------------------


def test_of_a_long_segment_evenly_many_pictures_are_looked_at_and_the_peak(tmp_path: Path) -> None:
    path = make_video(tmp_path / "long.mp4", frames=4000, size=(32, 24))
    frames = decode(path, probe(path), tmp_path / "decoded").frames
    assert frames is not None
    peak_s = 101.4
    found = [picture.time_s for picture in pictures_of(frames, stretch(40.0, 160.0), peak_s)]
    evenly = [time_s for time_s in found if time_s != peak_s]
    assert MAX_PICTURES - 1 <= len(evenly) <= MAX_PICTURES
    assert peak_s in found
    assert max(b - a for a, b in pairwise(evenly)) < 1.3
    assert (found == sorted(found), found[0], found[-1] < 160.0) == (True, 40.0, True)


def test_a_segment_between_two_sampled_frames_has_the_nearest_one(tmp_path: Path) -> None:
    path = make_video(tmp_path / "short.mp4")
    frames = decode(path, probe(path), tmp_path / "decoded").frames
    assert frames is not None
    (only,) = pictures_of(frames, stretch(0.33, 0.37), None)
    assert only.time_s == 0.35
    assert (only.gray == gray_picture(frame_at(frames, 0.35))).all()


def test_the_peak_sums_the_action_units_of_the_targets_face() -> None:
    at = (0.0, 1.0, 2.0, 3.0)
    found = faces(
        [
            curve("AU12", at, [0.5, 0.4, 0.0, None]),
            curve("AU06", at, [0.0, 0.4, 0.0, 0.6]),
            curve("yaw", at, [9.0, 0.0, 0.0, 0.0]),
            curve("AU12", at, [0.0, 0.0, 1.0, 0.0], track="face1"),
        ]
    )
    assert (facial_peak(found, "face0"), facial_peak(found, "face1")) == (1.0, 2.0)
    assert (facial_peak(found, None), facial_peak(None, "face0")) == (None, None)
    assert facial_peak(faces([curve("AU12", (0.2, 0.8), [0.5, 0.5])]), "face0") == 0.2
    assert facial_peak(faces([curve("AU12", (0.2, 0.8), [0.0, 0.0])]), "face0") is None  # nothing moved


# --- in the sample ------------------------------------------------------------------------------------


def test_a_key_frame_keeps_the_picture_that_was_looked_at(tmp_path: Path) -> None:
    path = film(tmp_path / "cut.mp4", [noise(seed) for seed in range(3) for _ in range(25)])
    settings = SETTINGS.replace("'whole'", "'fixed'\nwindow_s = 1.5")
    samples = samples_of(tmp_path / "p", settings, path)
    assert len(samples) == 2
    with open_project(tmp_path / "p") as project:
        media = make_run(project).media
        segments = {one.id: one for one in project.store.live(Segment)}
        for sample in samples:
            for frame in sample.key_frames:
                start_s = segments[sample.segment_id].source_start_s
                assert frame.ref.source_start_s == pytest.approx(start_s + frame.time_s, abs=1e-3)
                assert picture_hash(gray_picture(media.load(frame.ref))) == frame.picture_hash


def test_another_method_makes_other_samples_and_the_first_come_back(tmp_path: Path) -> None:
    path = film(tmp_path / "cut.mp4", [noise(seed) for seed in range(3) for _ in range(25)])
    (first,) = samples_of(tmp_path / "p", SETTINGS, path)
    (other,) = samples_of(tmp_path / "p", f"{SETTINGS}[select]\nkey_frame_method = 'orb'\n")
    assert first.id != other.id
    assert {frame.reason for frame in other.key_frames} == {"middle", "orb"}
    assert samples_of(tmp_path / "p", SETTINGS) == [first]


def test_other_words_take_the_key_frames_over_and_another_method_needs_the_pictures(tmp_path: Path) -> None:
    of = source(1)
    part = segment(of, 0)

    def composed(text: str, method: str, *, there: bool) -> tuple[list[Sample], list[str]]:
        settings = f"[select]\nkey_frame_method = '{method}'\n"
        with project_in(tmp_path / "project", settings) as project:
            work = make_run(project)
            place(work, of, [(part, [heard(part, text), voice(part, 100), face(part)])], speaker=None)
            if not there:
                shutil.rmtree(tmp_path / "project" / "cache")
            stage = ComposeStage()
            stage.work(work, stage.plan(work))
            stage.finish(work)
            return list(work.samples), [failure.code for failure in work.failures.values()]

    (first,), _ = composed("well", "difference", there=True)
    (second,), failures = composed("other words", "difference", there=False)
    assert (first.id != second.id, first.key_frames, failures) == (True, second.key_frames, [])
    assert len(first.key_frames) == 1
    assert composed("well", "orb", there=False) == ([], ["missing_file"])
    assert composed("well", "orb", there=True)[1] == []
