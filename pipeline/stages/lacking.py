"""What a sample lacks, by modality and with its reason: told to annotators as a fact. Pure."""

from __future__ import annotations

from pipeline.stages.targets import Aim
from schemas.records import NOT_SPEAKING, Features, Sample

NO_SOUND = frozenset({"no_audio_stream", "silence", "no_speech"})
FACE_UNKNOWN = "face_unknown"  # several people are heard, and none of the faces moves with this voice


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
    return missing


def with_wordless(sample: Sample) -> Sample:
    """The sample, with the note that none of the words is its target's where that is so."""
    if "text" in sample.missing or sample.own_words:
        return sample
    return sample.model_copy(update={"missing": {**sample.missing, "text": "no_words"}})
