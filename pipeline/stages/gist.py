"""What a sample keeps of its pictures and sound: key frames, signal-to-noise ratio, shape of the loudness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.media.decode import DECODE_VERSION
from pipeline.stages.base import Run
from pipeline.stages.extract import shift
from pipeline.stages.keeping import View
from schemas.parts import Span
from schemas.records import Features, Sample, Segment

FIELDS = ("key_frames", "snr_db", "loudness_curve")


def gist_of(
    run: Run, segment: Segment, view: View, faces: Features | None, speech: Sequence[Span]
) -> dict[str, Any]:
    """The FIELDS of a sample. `speech` is that of the recording, in source time.

    Taken from an earlier sample where that was made of the same: other words or another baseline decode nothing
    and look at no picture again.

    Raises:
        MediaError: the recording is gone and the cache does not hold what was decoded of it.
    """
    for sample in reversed(run.project.store.by_parent(Sample, [segment.id])[segment.id]):
        if _is_of_the_same(run, sample, view, faces, shift(speech, segment)):
            return {name: getattr(sample, name) for name in FIELDS}
    # Imported late: a run with nothing to compose need not load what looks at pictures and sound.
    from pipeline.stages.keyframes import key_frames

    frames = key_frames(run, segment, faces, view.target.face_track)
    return {"key_frames": frames, **_heard(run, segment, speech)}


def _heard(run: Run, segment: Segment, speech: Sequence[Span]) -> dict[str, Any]:
    from pipeline.features.loudness import loudness_curve, read_levels, signal_to_noise_db

    source = run.source_of(segment)
    audio = run.media.decoded(source).audio if source.media.audio else None
    if audio is None:
        return {}
    start_s, end_s = segment.source_start_s, segment.source_end_s
    return {
        "snr_db": signal_to_noise_db(audio, start_s, end_s, speech),
        "loudness_curve": loudness_curve(read_levels(audio, start_s, end_s)),
    }


def _is_of_the_same(
    run: Run, sample: Sample, view: View, faces: Features | None, speech: tuple[Span, ...]
) -> bool:
    """Whether the gist of a sample of the same segment was made of what it would be made of now."""
    seen = not sample.faces if faces is None else faces.digest in sample.feature_digests
    recipe = run.media.params.model_dump(mode="json")
    refs = [frame.ref for frame in sample.key_frames]
    return (
        seen
        and (sample.view_version, sample.target, sample.speech) == (view.version, view.target, speech)
        and all(ref.version == DECODE_VERSION and ref.params.items() <= recipe.items() for ref in refs)
    )
