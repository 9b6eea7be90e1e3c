"""Two real faces side by side, from the recording to the sample: the one that talks is meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from agents.questions.serialise import sample_text
from pipeline.ingest import ingest
from pipeline.project import Project
from pipeline.run import local_engine, run
from pipeline.stages.decide import bring_decisions_up_to_date
from schemas.records import Features, Sample
from tests.pipeline.records import Quiet, project_in

pytestmark = [pytest.mark.worker, pytest.mark.media, pytest.mark.slow]

Media = Callable[[str], Path]
WIDTH_PX, HEIGHT_PX, FPS = 480, 270, 25
SETTINGS = """
[project]
language = "en"
[segment]
rule = "whole"
[features.asr]
enabled = false
[select]
targets = "{targets}"
"""


def pictures(path: Path) -> list[npt.NDArray[np.uint8]]:
    with av.open(str(path)) as file:
        return [
            frame.reformat(WIDTH_PX, HEIGHT_PX, "rgb24").to_ndarray()
            for frame in file.decode(file.streams.video[0])
        ]


def side_by_side(left: Path, right: Path, out: Path) -> Path:
    """The left one's sound and length; the right one goes back and forth."""
    rows = [pictures(left), pictures(right)]
    with av.open(str(left)) as source, av.open(str(out), "w") as file:
        video = file.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = 2 * WIDTH_PX, HEIGHT_PX, "yuv420p"
        sound = file.add_stream("aac", rate=source.streams.audio[0].rate)
        for n, picture in enumerate(rows[0]):
            other = rows[1][n] if n < len(rows[1]) else rows[1][-1]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.hstack([picture, other])), "rgb24")
            frame.pts, frame.time_base = n, Fraction(1, FPS)
            file.mux(video.encode(frame))
        file.mux(video.encode(None))
        for part in source.decode(source.streams.audio[0]):
            file.mux(sound.encode(part))
        file.mux(sound.encode(None))
    return out


@pytest.fixture(scope="module")
def recordings(media: Media, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    side_by_side(media("video/wh_address_b.mp4"), media("video/pyfeat_single_face.mp4"), folder / "pair.mp4")
    return folder


@pytest.fixture(params=["speakers", "all"])
def project(request: Any, recordings: Path, tmp_path: Path) -> Iterator[Project]:
    with project_in(tmp_path / "project", SETTINGS.format(targets=request.param)) as opened:
        ingest(opened, [str(recordings)])
        yield opened


def test_the_face_that_speaks_is_the_target(project: Project) -> None:
    done = run(project, local_engine(), progress=Quiet())
    assert done.failed_items == []
    samples = project.store.live(Sample)
    (meant,) = [sample for sample in samples if "audio" not in sample.missing]
    left, right = sorted(meant.faces, key=lambda face: face.box[0])
    assert left.speaking
    assert not right.speaking  # False, or None: the mesh of a small face shakes
    assert meant.target.face_track == left.name
    assert {event.track for event in meant.events if event.modality == "visual"} <= {left.name}
    text = sample_text(meant)
    assert f"target person: face {left.name} (left" in text
    assert f"face {right.name} (left" in text
    (joined,) = [f for f in project.store.live(Features) if f.stage == "speakers"]
    assert joined.tracks == meant.faces

    others = [sample for sample in samples if sample is not meant]
    assert len(others) == (1 if project.settings.select.targets == "all" else 0)
    for silent in others:
        assert silent.target.key == f"-/{right.name}"
        assert silent.missing == {"text": "not_extracted", "audio": "does_not_speak"}
        assert silent.own_speech == ()
        assert {event.track for event in silent.events} == {right.name}
        bring_decisions_up_to_date(project)
        assert run(project, local_engine(), progress=Quiet()).this_run.samples == 0
