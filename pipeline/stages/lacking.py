"""What a sample lacks, by modality and with its reason: told to annotators as a fact. Pure."""

from __future__ import annotations

from pipeline.features.au_faces import INTENSITY, PRESENCE
from pipeline.stages.targets import Aim
from schemas.records import NOT_SPEAKING, Features, Sample

NO_SOUND = frozenset({"no_audio_stream", "silence", "no_speech"})
FACE_UNKNOWN = "face_unknown"  # none of the faces moves with this voice
NOT_MEASURABLE = "face_not_measurable"  # turned away or too small in all of its frames


def missing_of(
    aim: Aim, words: Features | None, prosody: Features | None, faces: Features | None
) -> dict[str, str]:
    """Modality -> why it has nothing to say of the target."""
    missing = {}
    for modality, features in (("text", words), ("audio", prosody), ("visual", faces)):
        if features is None:
            missing[modality] = "not_extracted"
        elif features.missing:
            missing[modality] = features.missing
    if "text" not in missing and words is not None and not words.words:
        missing["text"] = "no_words"
    if aim.voice is None:
        # Where nobody is heard at all, that says more than that this face is not.
        silent = words.missing if words is not None and words.missing in NO_SOUND else None
        missing["audio"] = silent or NOT_SPEAKING
        missing.setdefault("text", NOT_SPEAKING)
    if aim.target.face_track is None and faces is not None and faces.tracks:
        missing["visual"] = FACE_UNKNOWN
    if "visual" not in missing and faces is not None and not _units_measured(faces, aim.target.face_track):
        missing["visual"] = NOT_MEASURABLE
    return missing


def _units_measured(faces: Features, track: str | None) -> bool:
    """Whether an action unit of the face was measured in at least one frame."""
    units = (curve for curve in faces.series if curve.track == track and curve.unit in (INTENSITY, PRESENCE))
    return any(value is not None for curve in units for value in curve.values)


def with_wordless(sample: Sample) -> Sample:
    """The sample, with the note that none of the words is its target's where that is so."""
    if "text" in sample.missing or sample.own_words:
        return sample
    return sample.model_copy(update={"missing": {**sample.missing, "text": "no_words"}})
