"""A sample as role-tagged text: `<Context>`, `<Text>`, `<Audio-Prosody>`, `<Visual-AU>`, with what is missing.

`<Visual-Event>` follows where something was seen that is no action unit, such as a hand near the face.

Reference: Shou et al. 2025, https://arxiv.org/abs/2509.24322, section 3.1 (role tags of zero-shot prompts).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from agents.questions.datatext import clean, cut, within
from schemas.parts import Event, FaceTrack, Measure, Modality, Word
from schemas.records import Sample

WORDS_A_LINE = 100  # of what others say
UNIT = re.compile(r"AU\d\d")
TAGS: dict[Modality, str] = {"text": "Text", "audio": "Audio-Prosody", "visual": "Visual-AU"}


class View(NamedTuple):
    """Data for a prompt, serialised; `left_out` counts, by section, the lines that it had no room for."""

    text: str
    left_out: dict[str, int]

    @classmethod
    def of(cls, lines: Sequence[str], **left_out: int) -> View:
        return cls("\n".join(lines), {name: count for name, count in left_out.items() if count})

    def then(self, other: View) -> View:
        return View(f"{self.text}\n{other.text}", {**self.left_out, **other.left_out})


def sample_text(sample: Sample, *, measurements: bool = True) -> str:
    """The serialised sample alone; see `sample_view`."""
    return sample_view(sample, measurements=measurements).text


def sample_view(sample: Sample, *, measurements: bool = True) -> View:
    """The serialised sample; without `measurements` only length, people, context and what is missing.

    `<Text>`, `<Audio-Prosody>` and `<Visual-AU>` hold what is the target's; what others say is context. However
    long a recording is, no section is longer than `SECTION_CHARS`.
    """
    turns = [f"earlier turn, {_speaker(turn.speaker)}: {clean(turn.text)}" for turn in sample.context]
    people = within(_people(sample))
    before = within(turns, latest=True)
    bodies: dict[Modality, list[str]] = {
        "text": _words(sample),
        "audio": [*map(_measure, sample.prosody), *_events(sample, "audio")],
        "visual": [_event(event) for event in _seen(sample) if UNIT.match(event.cue)],
    }
    sections = [_section("Context", [*_head(sample), *people.lines, *before.lines])]
    left_out = {"people": people.left_out, "earlier_turns": before.left_out}
    for modality, tag in TAGS.items():
        if modality in sample.missing:
            sections.append(_section(tag, [f"missing: {clean(sample.missing[modality])}"]))
        elif measurements:
            body = within(bodies[modality] or ["nothing notable was measured"])
            left_out[modality] = body.left_out
            sections.append(_section(tag, body.lines))
    others = [_event(event) for event in _seen(sample) if not UNIT.match(event.cue)]
    if others and measurements:
        body = within(others)
        left_out["visual_events"] = body.left_out
        sections.append(_section("Visual-Event", body.lines))
    return View.of(sections, **left_out)


def _section(tag: str, lines: Sequence[str]) -> str:
    return "\n".join([f"<{tag}>", *lines, f"</{tag}>"])


def _head(sample: Sample) -> list[str]:
    return [f"length of the clip: {sample.duration_s:.3f} s", cut(f"target person: {_target(sample)}")]


def _target(sample: Sample) -> str:
    target = sample.target
    named = [f"speaker {clean(target.speaker)}"] if target.speaker else []
    if target.face_track:
        track = next((face for face in sample.faces if face.name == target.face_track), None)
        named.append(f"face {clean(target.face_track)}" + (_place(track.box) if track else ""))
    return ", ".join(named) or "the person who is heard or seen"


def _people(sample: Sample) -> list[str]:
    """Who is heard when, which face speaks, and what others say in the clip, where there is anybody else."""
    lines = []
    if len({turn.speaker for turn in sample.turns}) > 1:
        lines += [
            f"{turn.start_s:.2f}-{turn.end_s:.2f} s {_speaker(turn.speaker)} speaks" for turn in sample.turns
        ]
    if len(sample.faces) > 1:
        lines += [_face(face) for face in sample.faces]
    own = set(sample.own_words)
    for name, words in groupby((w for w in sample.words if w not in own), key=lambda word: word.speaker):
        said = list(words)
        lines += [_said(name, said[at : at + WORDS_A_LINE]) for at in range(0, len(said), WORDS_A_LINE)]
    return lines


def _said(name: str | None, words: Sequence[Word]) -> str:
    text = clean(" ".join(word.text for word in words))
    return f"{words[0].start_s:.2f}-{words[-1].end_s:.2f} s somebody else, {_speaker(name)}, says: {text}"


def _face(face: FaceTrack) -> str:
    speaks = {True: "speaks", False: "does not speak", None: "may speak or not"}[face.speaking]
    return f"{face.start_s:.2f}-{face.end_s:.2f} s face {clean(face.name)}{_place(face.box)}: {speaks}"


def _place(box: tuple[float, float, float, float]) -> str:
    x, y, width, height = (round(100 * share) for share in box)
    return f" (left {x} %, top {y} %, width {width} %, height {height} % of the picture)"


def _speaker(name: str | None) -> str:
    return f"speaker {clean(name)}" if name else "unknown speaker"


def _words(sample: Sample) -> list[str]:
    words = sample.own_words
    if not words:
        return []
    source = [f"transcript by {clean(sample.words_source)}"] if sample.words_source else []
    return source + [_word(word) for word in words]


def _word(word: Word) -> str:
    who = f" [{clean(word.speaker)}]" if word.speaker else ""
    return f"{word.start_s:.2f}-{word.end_s:.2f} s{who} {clean(word.text)}"


def _measure(measure: Measure) -> str:
    if measure.value is None:
        return f"{clean(measure.name)}: not measured"
    line = f"{clean(measure.name)}: {measure.value:.4g} {clean(measure.unit)}".rstrip()
    return line if measure.z is None else f"{line} ({measure.z:+.1f} sd from this person's usual level)"


def _events(sample: Sample, modality: Modality) -> list[str]:
    return [_event(event) for event in sample.events if event.modality == modality]


def _seen(sample: Sample) -> list[Event]:
    return [event for event in sample.events if event.modality == "visual"]


def _event(event: Event) -> str:
    line = f"{event.start_s:.2f}-{event.end_s:.2f} s {clean(event.cue)}"
    if event.size is not None:
        line += f" {event.size:.3g} {clean(event.unit)}".rstrip()
    if event.z is not None:
        line += f" ({_in_deviations(event, event.z)})"
    if event.apex_s is not None:
        line += f", strongest at {event.apex_s:.2f} s"
    return line if event.track is None else f"{line}, face {clean(event.track)}"


def _in_deviations(event: Event, z: float) -> str:
    """A pause or an action unit is more or less than usual; what moves away from the middle has a size only."""
    if event.cue == "pause":
        return f"{z:+.1f} sd from this person's usual pause"
    if event.modality == "visual":
        return f"{z:+.1f} sd from how this person usually looks"
    return f"{z:.1f} sd of this person's usual variation"
