"""Whose emotion: the people of a segment who get a sample of their own, and where each of them is heard. Pure.

Who is heard comes from the speaker turns of the recording and from what people declare; which face is theirs from
`pipeline.features.active_speaker`. Names that a diarizer gives hold within one recording only.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from pipeline.facts import speaker_subject, stretch_of
from pipeline.features.speakers import local_subject, shift_turns, with_pauses
from pipeline.stages.stated import Stated
from schemas.parts import Span, SpeakerTurn, Target, Word, name_key
from schemas.records import Segment
from schemas.settings import SelectSection

DIARIZE = "diarize"  # the stage of the features that hold a recording's turns
PER_VOICE = frozenset({"prosody"})  # stages that measure a person where they alone speak
VOICE, FACE = "prosody", "au"  # the stages of which a speaker has a baseline


class Voice(NamedTuple):
    """One person who is heard in a segment.

    `name` is what they are called: as declared, else as in the turns (`found`); both None: whoever is heard.
    `where` are the stretches in which they alone speak, their pauses included, in segment time; None: nobody else
    does. `subject` is
    whose baseline they are measured against.
    """

    name: str | None
    found: str | None
    where: tuple[Span, ...] | None
    subject: str

    def key(self, stage: str) -> str:
        """Under which name the features of a stage that tell of this voice stand among those of the segment."""
        return stage if self.where is None or stage not in PER_VOICE else f"{stage}/{self.found}"


@dataclass(frozen=True)
class Cast:
    """Who speaks in a recording: its turns in source time, and its facts, stretches among them."""

    source_id: str
    turns: tuple[SpeakerTurn, ...] = ()
    own: Mapping[str, Any] = field(default_factory=dict)

    def turns_in(self, segment: Segment) -> tuple[SpeakerTurn, ...]:
        """The turns of a segment in its own time, without looking at all turns of a long recording.

        Where nobody was told apart in the recording, those that its stretches state.
        """
        if not self.turns:
            return self._stated.turns_in(segment)
        ordered, longest_s = self._ordered
        first = bisect_left(ordered, segment.source_start_s - longest_s, key=lambda turn: turn.start_s)
        last = bisect_left(ordered, segment.source_end_s, key=lambda turn: turn.start_s)
        return shift_turns(ordered[first:last], segment)

    @cached_property
    def _stated(self) -> Stated:
        return Stated(self.own)

    @cached_property
    def _ordered(self) -> tuple[list[SpeakerTurn], float]:
        """The turns by their beginning, and how long the longest is."""
        ordered = sorted(self.turns, key=lambda turn: turn.start_s)
        return ordered, max((turn.length_s for turn in ordered), default=0.0)

    @cached_property
    def spoken_s(self) -> dict[str, float]:
        return _spoken_s(self.turns)

    @cached_property
    def lead(self) -> str | None:
        """The one in the turns whom the recording's declared speaker stands for."""
        return _meant(self.own.get("speaker"), self.spoken_s)


@dataclass(frozen=True)
class Scene:
    """Who is heard in a segment. `turns` are in segment time and bear the names that are shown."""

    voices: tuple[Voice, ...]  # never empty
    turns: tuple[SpeakerTurn, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)  # of those who are heard: in the turns -> shown

    def named(self, words: Sequence[Word]) -> tuple[Word, ...]:
        """Words whose speakers bear the names that are shown."""
        return tuple(
            word.model_copy(update={"speaker": self.called(word.speaker)})
            if word.speaker is not None
            else word
            for word in words
        )

    def called(self, name: str) -> str:
        """How somebody is called here: a transcript may write a name in other letters than a manifest does."""
        return self.names.get(name) or self._in_any_letters.get(name_key(name), name)

    @cached_property
    def _in_any_letters(self) -> dict[str, str]:
        declared = {name_key(voice.name): voice.name for voice in self.voices if voice.name is not None}
        return {name_key(found): shown for found, shown in self.names.items()} | declared


class Face(NamedTuple):
    """A face of a segment; `voices`: name in the turns -> how surely this mouth moves with that voice."""

    name: str
    speaking: bool | None = None
    confidence: float | None = None
    voices: Mapping[str, float] = {}


class Aim(NamedTuple):
    """A target with the voice that is theirs; None: a face that nobody hears."""

    target: Target
    voice: Voice | None

    def subject(self, stage: str) -> str | None:
        """Whose baseline what a stage measured of this target belongs to; None: nobody's that is known."""
        if self.voice is None or (stage == FACE and self.target.face_track is None):
            return None
        return self.voice.subject

    def measured(self, ids: Mapping[str, str]) -> dict[str, str]:
        """Stage -> id of what tells of this target, out of all that was measured of the segment."""
        stages = {key.partition("/")[0] for key in ids}
        heard = sorted(stage for stage in stages if stage not in PER_VOICE or self.voice is not None)
        wanted = {stage: self.voice.key(stage) if self.voice else stage for stage in heard}
        return {stage: ids[key] for stage, key in wanted.items() if key in ids}


def scene_of(segment: Segment, cast: Cast, select: SelectSection) -> Scene:
    """Who is heard in a segment and who of them is worth a label.

    The declared speaker of the segment's stretch is the only one: the one of that name in the turns, else the one
    who speaks most there. Otherwise everybody with at least `min_target_speech_s` of speech, in the order in
    which they begin; when nobody reaches it, whoever speaks most. The declared speaker of the whole recording
    stands for the one who speaks most in it.
    """
    turns = cast.turns_in(segment)
    spoken_s = _spoken_s(turns)
    stretch = stretch_of(cast.own, segment)
    here = stretch.said.get("speaker") if stretch else None
    whole = cast.own.get("speaker")
    if not spoken_s:
        declared = here or whole
        subject = speaker_subject(declared) if declared else f"source:{segment.source_id}"
        return Scene((Voice(declared, None, None, subject),))
    names = {name: name for name in spoken_s}
    if whole and cast.lead in names and whole != here:
        names[cast.lead] = whole
    if here and (meant := _meant(here, spoken_s)) is not None:
        names[meant] = here
        heard = [meant]
    else:
        most = max(spoken_s, key=lambda name: (spoken_s[name], name))
        heard = [name for name in spoken_s if spoken_s[name] >= select.min_target_speech_s - 1e-9] or [most]
    several = len(spoken_s) > 1
    voices = tuple(
        Voice(
            name=names[found],
            found=found,
            where=with_pauses(turns, found) if several else None,
            subject=speaker_subject(names[found])
            if names[found] in (here, whole)
            else local_subject(segment.source_id, found),
        )
        for found in heard
    )
    shown = tuple(turn.model_copy(update={"speaker": names[turn.speaker]}) for turn in turns)
    return Scene(voices, shown, names)


def targets_of(voices: Sequence[Voice], faces: Sequence[Face], select: SelectSection) -> tuple[Aim, ...]:
    """The targets of a segment: `voices` from its scene, `faces` main face first. Never empty.

    One voice has the face whose mouth moves with it, else the main one of those of which that cannot be told: a
    face that does not speak is somebody who listens. Of several voices, each has the face that moves with it and
    with no other more surely, or none. Faces without a voice are targets when
    `select.targets` is "all" or "faces"; with "faces", voices without a face are none as long as a face is seen.
    """
    found = _faces_of(voices, faces)
    aims = [Aim(Target(speaker=voice.name, face_track=face), voice) for voice, face in found]
    if select.targets == "speakers" or not faces:
        return tuple(aims)
    taken = {aim.target.face_track for aim in aims}
    silent = [Aim(Target(face_track=face.name), None) for face in faces if face.name not in taken]
    if select.targets == "faces":
        aims = [aim for aim in aims if aim.target.face_track is not None]
    return (*aims, *silent)


def faces_in(briefs: Sequence[Mapping[str, Any]]) -> tuple[Face, ...]:
    """The faces of a segment from the briefs of its features, those of "speakers" before those of "au"."""
    known = next((brief for brief in briefs if "faces" in brief), {})
    voices: dict[str, dict[str, float]] = defaultdict(dict)
    for pair, sure in known.get("voices", {}).items():
        track, _, found = pair.partition("/")
        voices[track][found] = sure
    return tuple(Face(name, speaking, sure, voices[name]) for name, speaking, sure in known.get("faces", ()))


def _faces_of(voices: Sequence[Voice], faces: Sequence[Face]) -> list[tuple[Voice, str | None]]:
    """Each voice with its face, surest pair first."""
    pairs = sorted(
        ((sure, face.name, voice.found) for face in faces for voice in voices
         if (sure := face.voices.get(voice.found or "", 0.0)) > 0),
        key=lambda pair: (-pair[0], pair[1], pair[2] or ""),
    )  # fmt: skip
    face_of: dict[str, str] = {}
    for _, face, found in pairs:
        if found is not None and found not in face_of and face not in face_of.values():
            face_of[found] = face
    alone_here = len(voices) == 1
    return [
        (voice, face_of.get(voice.found or "") or (_likely(faces) if alone_here else None))
        for voice in voices
    ]


def _likely(faces: Sequence[Face]) -> str | None:
    """The face that speaks most surely, else the main face of those that may."""
    speaking = [face for face in faces if face.speaking]
    if speaking:
        return max(speaking, key=lambda face: face.confidence or 0.0).name
    return next((face.name for face in faces if face.speaking is None), None)


def _meant(declared: str | None, spoken_s: Mapping[str, float]) -> str | None:
    """Whom of the turns a declared name means: the one who is called so, else the one who speaks most."""
    if declared is None or not spoken_s:
        return None
    if declared in spoken_s:
        return declared
    so_called = [name for name in spoken_s if name_key(name) == name_key(declared)]
    return max(so_called or spoken_s, key=lambda name: (spoken_s[name], name))


def _spoken_s(turns: Sequence[SpeakerTurn]) -> dict[str, float]:
    """Seconds of speech by name, in the order in which they begin."""
    found: dict[str, float] = defaultdict(float)
    for turn in sorted(turns, key=lambda turn: (turn.start_s, turn.speaker)):
        found[turn.speaker] += turn.length_s
    return dict(found)
