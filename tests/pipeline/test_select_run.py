"""A run tells every drop with its reason: in its output, in `status`, and clip by clip in `show`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.commands.show import show
from pipeline.outputs import RunOutput
from pipeline.project import Project, open_project
from pipeline.run import local_engine, run
from pipeline.status import totals
from pipeline.unchanged import nothing_to_do
from schemas.records import Annotation, Sample
from tests.media_io.make import AUDIO_RATE_HZ, make_sound, make_video, remux_faststart, tone
from tests.pipeline.project import subtitle, take, talk, voice, write_settings
from tests.pipeline.records import Quiet

pytestmark = pytest.mark.slow

SETTINGS = """
[project]
language = "en"
[segment]
rule = "whole"
[features.au]
enabled = false
[select]
min_speech_s = 1.5
min_snr_db = 12
"""
TEXTS = {
    "ann_1": "I am so happy, what a wonderful picnic!",
    "ann_2": "I hate this invoice, it makes me furious.",
    "bob": "I am sad and lonely at her grave.",
    "gone": "Nobody may hear this any more.",
}
CLEAR = {"ann_1.mp4", "again.mp4", "ann_2.mp4", "bob.mp4"}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips worth asking about, two of them the same; and one for each thing that a clip can lack."""
    folder = tmp_path_factory.mktemp("recordings")
    for n, (name, text) in enumerate(TEXTS.items()):
        talk(folder / f"{name}.mp4", text=text, length_s=4.0 + n, seed=n)
    remux_faststart(folder / "ann_1.mp4", folder / "again.mp4")
    subtitle(folder / "again.mp4", TEXTS["ann_1"], length_s=4.0)
    talk(folder / "short.mp4", text="Well.", length_s=0.8)
    make_sound(folder / "hum.wav", tone(2.0))
    sound = np.concatenate([voice(3.0, 120, 7), np.zeros(2 * AUDIO_RATE_HZ, np.float32)])
    hiss = np.random.default_rng(0).normal(0, 0.05, len(sound)).astype(np.float32)
    make_video(folder / "noisy.mp4", frames=125, tones=(sound + hiss,))
    subtitle(folder / "noisy.mp4", "So they say.", length_s=3.0)
    speakers = {"ann_1": "ann", "again": "ann", "ann_2": "ann", "bob": "bob", "gone": "zoe"}
    rows = [
        f"{path.name},{speakers.get(path.stem, '')},{'withdrawn' if path.stem == 'gone' else 'given'}"
        for path in sorted(folder.glob("*.[mw][pa][4v]"))
    ]
    (folder / "all.csv").write_text("\n".join(["path,speaker,consent", *rows]) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def project(tmp_path: Path, recordings: Path) -> Iterator[Path]:
    root = write_settings(tmp_path / "project", SETTINGS)
    with open_project(root) as opened:
        take(opened, recordings / "all.csv")
    return root


def up_to_date(root: Path, more: str = "") -> tuple[RunOutput, dict[str, str]]:
    """What a run tells, and recording -> reason of every clip that nobody was asked about."""
    with open_project(write_settings(root, SETTINGS + more)) as opened:
        found = run(opened, local_engine(), progress=Quiet())
        reasons = _shown(opened)
        asked = {annotation.sample_id for annotation in opened.store.live(Annotation)}
        assert found.failed_items == []
        assert found.dropped == totals(opened.store).dropped == Counter(reasons.values())
        assert len(asked) == found.samples - len(reasons)
        assert asked < opened.store.live_ids(Sample)
    return found, reasons


def _shown(project: Project) -> dict[str, str]:
    names = {Path(stored.path).name for stored in project.store.paths().values()}
    told = {name: [item["not_annotated"] for item in show(project, name).items] for name in names}
    return {name: why for name, (why,) in told.items() if why is not None}


def test_every_drop_is_told_with_its_reason(project: Path) -> None:
    found, reasons = up_to_date(project)
    assert found.samples == 8
    (copy,) = [name for name, why in reasons.items() if why == "near_duplicate"]
    assert copy in ("ann_1.mp4", "again.mp4")
    assert reasons == {
        "gone.mp4": "consent_withdrawn",
        "hum.wav": "no_speech_or_face",
        "noisy.mp4": "low_snr",
        "short.mp4": "too_little_speech",
        copy: "near_duplicate",
    }
    worth = CLEAR - {copy}

    _, limited = up_to_date(project, "limit = 1\n")
    assert Counter(limited[name] for name in worth if name in limited) == {"over_limit": 2}
    _, quota = up_to_date(project, "max_per_speaker = 1\n")
    assert Counter(quota[name] for name in worth if name in quota) == {"over_speaker_quota": 1}
    _, classes = up_to_date(project, "max_per_class = 1\n")
    assert {name for name in worth if name in classes} == set()  # joy, anger and sadness
    _, both = up_to_date(project, 'near_duplicates = "keep"\nmax_per_class = 1\n')
    assert Counter(both[name] for name in CLEAR if name in both) == {"over_class_quota": 1}
    again, back = up_to_date(project)
    assert (back, again.this_run.decodes, again.this_run.annotations.labelled) == (reasons, 0, 0)


def test_the_split_that_each_clip_is_meant_for_is_told(project: Path) -> None:
    """As long as most clips are of one speaker they cannot be divided without leaking."""
    whole, reasons = up_to_date(project)
    assert whole.planned_splits == {"giant_group": 3}
    by_recording = '[release]\nsplit_policy = "source"\nvalidation_share = 0.0\ntest_share = 0.34\n'
    divided, _ = up_to_date(project, by_recording)
    assert divided.planned_splits == {"train": 2, "test": 1}
    with open_project(project) as opened:
        names = TEXTS | {"again": "", "short": "", "noisy": ""}
        items = {name: show(opened, f"{name}.mp4").items[0] for name in names}
        assert totals(opened.store).planned_splits == divided.planned_splits
        quick = nothing_to_do(opened)
        assert quick is not None
        assert quick.planned_splits == quick.this_run.planned_splits == divided.planned_splits
    splits = {f"{name}.mp4": item["planned_split"] for name, item in items.items()}
    assert {name for name, place in splits.items() if place is None} == reasons.keys() - {"hum.wav"}
    assert Counter(p["split"] for p in splits.values() if p) == divided.planned_splits
