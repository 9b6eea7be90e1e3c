"""True and false claims about what is heard and said, and claims that nobody can decide."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import jiwer

from benchmarks.evidence_media import Piece
from benchmarks.evidence_voice import NEAR, REFERENCES, Estimates, Usual, Voice, voiced_s
from benchmarks.pitch import load
from schemas.cues import Cue, cue_table
from schemas.parts import Direction, Evidence, Modality, Span

Truth = Literal["supported", "contradicted", "not_measurable", "outside_clip"]
WINDOW_S, HOP_S = 1.2, 0.6
WORD = jiwer.Compose(
    [jiwer.ToLowerCase(), jiwer.RemovePunctuation(), jiwer.RemoveMultipleSpaces(), jiwer.Strip()]
)
# References that the pipeline itself takes in (a transcript, a TextGrid, turns, a table): a claim about them
# tells that times, negations and scales are kept on the way, not how right a measurement is.
IMPORTED = {
    "given transcript, jiwer": "the pipeline's words are the same transcript; the counting of words differs",
    "given transcript, negated by hand": "the pipeline's words are the same transcript",
    "times of phone labels": "the pipeline's TextGrid is made of the same times, which are no word times: the "
    "time from the first to the last phone label, shared out by letters",
    "human turns: the target does not speak": "the pipeline's turns are the same RTTM",
    "human turns: others speak in a part": "the pipeline's turns are the same RTTM",
    "published numbers of OpenFace": "the pipeline's face is the same table, threshold and span are read anew",
    "published numbers of Py-Feat, its table": "the pipeline's face is the same numbers",
    "no baseline of the speaker": "the pipeline's own statement that there is no baseline",
}
INDEPENDENT = {
    "Praat and WORLD": "two other programs on the same sound; Praat's three settings and WORLD must agree",
    "Praat and WORLD: nothing is voiced": "two other voicing decisions on the same sound",
    "syllables by hand over Praat's time with sound": "counted by hand in the text; 0.8 to 1 of them",
    "landmarks": "another geometry, in the picture's plane at 25 a second, with bounds set by hand in mm; "
    "the landmarks are of the same face mesh (one recording: of the table of OpenFace that is taken in), so "
    "a mistake of the mesh is not seen",
    "landmarks: length": "as landmarks",
    "landmarks: the head is turned": "as landmarks; never decided",
    "five points by MTCNN": "another network on the same pictures, 25 a second; the same bounds",
    "five points by MTCNN: length": "as five points",
    "five points by MTCNN: the head is turned": "as five points; never decided",
    "published numbers of Py-Feat": "another program on the same picture, as its makers print it",
    "no face is to be seen": "by hand: the recording has no picture, or one without a person",
    "the mesh does not show it": "by the list of what the embedded backend measures",
    "nobody is heard": "by hand: the recording has no voice",
    "the core does not measure voice quality": "by the list of what the core measures",
    "not in the table": "by hand: no such cue",
    "of another modality": "by the cue table",
    "the clip's length": "a span after the end",
}
NEGATED = {
    "we know": "we don't know",
    "will sie": "will sie nicht",
    "I saw": "I never saw",
    "we expect": "we do not expect",
}


@dataclass
class Probe:
    """One claim: what it must be called (None: the reference cannot decide), and whether it was a near thing."""

    piece: Piece
    item: Evidence
    truth: Truth | None
    reference: str
    near: bool = False


def claim(
    cue: str,
    modality: Modality,
    span: tuple[float, float],
    direction: Direction = "present",
    quote: str | None = None,
) -> Evidence:
    start_s, end_s = span
    return Evidence(
        id="e1", modality=modality, start_s=start_s, end_s=end_s, cue=cue, direction=direction, quote=quote
    )


def decided(cue: Cue, estimates: Sequence[float], direction: Direction) -> tuple[Truth | None, bool]:
    """What estimates of one quantity say of a claim, None where they disagree; and whether one is near."""
    holds = {
        value >= cue.threshold if cue.operator == ">=" else value <= cue.threshold for value in estimates
    }
    near = any(abs(value - cue.threshold) <= NEAR[cue.unit] for value in estimates)
    if len(holds) != 1:
        return None, near
    return ("supported" if holds.pop() != (direction == "absent") else "contradicted"), near


def said_how(cue: Cue, rng: random.Random) -> tuple[str, Direction]:
    """The cue in one of the forms in which it may be claimed: by name, by a synonym, by its measure."""
    forms: list[tuple[str, Direction]] = [(cue.cue, "present"), (cue.cue, "absent"), (cue.cue, "absent")]
    if cue.synonyms:
        forms.append((rng.choice(cue.synonyms), "present"))
    table = cue_table()
    high = cue if cue.operator == ">=" else table.cues.get(cue.opposite or "")
    if high is not None and high.undirected:
        forms.append((rng.choice(high.undirected), "up" if cue is high else "down"))
    return rng.choice(forms)


def heard(pieces: Sequence[Piece], rng: random.Random) -> Iterator[Probe]:
    """Claims about voices, decided by Praat and WORLD; where nobody else speaks, by the human turns."""
    voices = {piece.sample.id: Voice(sound_of(piece)) for piece in pieces if piece.sample.audio is not None}
    usual = {}
    for speaker in {piece.source.speaker for piece in pieces} - {""}:
        mine = [piece for piece in pieces if piece.source.speaker == speaker and piece.sample.id in voices]
        if any(baseline.stage == "prosody" for piece in mine for baseline in piece.baselines):
            usual[speaker] = Usual.of([voices[piece.sample.id] for piece in mine])
    for piece in pieces:
        if piece.sample.id not in voices or piece.source.name in ("openface", "cartoon", "smile"):
            continue
        yield from _heard_in(piece, voices[piece.sample.id], usual.get(piece.source.speaker), rng)


def sound_of(piece: Piece) -> object:
    first = round(piece.start_s * 16_000)
    return load(piece.path)[first : first + round(piece.sample.duration_s * 16_000)]


def windows(piece: Piece) -> list[tuple[float, float]]:
    length_s = piece.sample.duration_s
    count = int(max(0.0, length_s - WINDOW_S) / HOP_S) + 1
    parts = [(round(n * HOP_S, 2), round(min(length_s, n * HOP_S + WINDOW_S), 2)) for n in range(count)]
    return [(0.0, round(length_s, 2)), *parts]


def _heard_in(piece: Piece, voice: Voice, usual: Usual | None, rng: random.Random) -> Iterator[Probe]:
    meeting = piece.source.name.startswith("meeting")
    for span in windows(piece):
        if meeting and (span[0] == 0.0 and span[1] > WINDOW_S):
            continue
        alone = _alone(piece, span) if meeting else 1.0
        for name, reference in REFERENCES.items():
            cue = cue_table().cues[name]
            word, direction = said_how(cue, rng)
            item = claim(word, "audio", span, direction)
            if alone == 0.0:  # somebody else has the word there
                yield Probe(piece, item, "not_measurable", "human turns: the target does not speak")
            elif alone < 1.0:
                yield Probe(piece, item, None, "human turns: others speak in a part")
            else:
                yield _probe(piece, item, cue, reference(voice, *span, usual), voice)


def _probe(piece: Piece, item: Evidence, cue: Cue, estimates: Estimates, voice: Voice) -> Probe:
    unheard = max(voiced_s(voice, item.start_s, item.end_s)) == 0.0
    if cue.scale == "z" and not piece.baselines:
        return Probe(piece, item, "not_measurable", "no baseline of the speaker")
    if unheard and cue.feature in ("pitch", "intensity", "pitch_change"):
        return Probe(piece, item, "not_measurable", "Praat and WORLD: nothing is voiced")
    if not estimates:
        return Probe(piece, item, None, "Praat and WORLD")
    truth, near = decided(cue, estimates, item.direction)
    return Probe(piece, item, truth, "Praat and WORLD", near)


def _alone(piece: Piece, span: tuple[float, float]) -> float:
    """1 where only the target speaks in the whole span by the human turns, 0 where it does not speak at all."""
    speaker = piece.sample.target.speaker
    mine = [turn for turn in piece.sample.turns if turn.speaker == speaker]
    others = [turn for turn in piece.sample.turns if turn.speaker != speaker]
    wide = Span(start_s=max(0.0, span[0] - 0.3), end_s=span[1] + 0.3)
    inside = any(turn.start_s <= span[0] and turn.end_s >= span[1] for turn in mine)
    if inside and not any(_shared(turn, wide) for turn in others):
        return 1.0
    if not any(_shared(turn, wide) for turn in mine) and any(_shared(turn, wide) for turn in others):
        return 0.0
    return 0.5


def _shared(a: Span, b: Span) -> bool:
    return min(a.end_s, b.end_s) > max(a.start_s, b.start_s)


def rates(pieces: Sequence[Piece], rng: random.Random) -> Iterator[Probe]:
    """Speech rates of whole recordings: syllables counted by hand over the time with sound (pauses left out)."""
    for piece in pieces:
        if not piece.whole or not piece.source.syllables:
            continue
        voice = Voice(sound_of(piece))
        estimates = [piece.source.syllables / seconds for seconds in voice.sounding_s(0.25)]
        for name in ("fast_rate", "slow_rate", "fast_rate", "slow_rate"):
            cue = cue_table().cues[name]
            word, direction = said_how(cue, rng)
            item = claim(word, "audio", (0.0, piece.sample.duration_s), direction)
            # Nuclei that are counted in a signal are fewer than syllables of a text: a fifth is left open.
            wide = [rate * factor for rate in estimates for factor in (0.8, 1.0)]
            truth, near = decided(cue, wide, direction)
            yield Probe(piece, item, truth, "syllables by hand over Praat's time with sound", near)


def quoted(pieces: Sequence[Piece], rng: random.Random) -> Iterator[Probe]:
    """Quotes of what was said, of what others said, with a word wrong, with a negation; decided by jiwer."""
    told = [piece for piece in pieces if piece.whole and piece.source.text]
    for piece in told:
        words = piece.source.text.split()
        foreign = [other.source.text.split() for other in told if other.source.text != piece.source.text]
        whole = (0.0, round(piece.sample.duration_s, 2))
        for _ in range(9):
            size = rng.randint(3, min(7, len(words)))
            at = rng.randrange(len(words) - size + 1)
            true, other = words[at : at + size], rng.choice(foreign)
            wrong = list(true)
            for place in rng.sample(range(size), rng.choice((1, 1, 2))):
                wrong[place] = rng.choice(other)
            false = other[: rng.randint(3, 6)]
            for said in (true, wrong, false):
                yield _quote(piece, said, whole, rng)
        yield from _denials(piece, whole)
        yield from _moved(piece)


def _quote(piece: Piece, said: Sequence[str], span: tuple[float, float], rng: random.Random) -> Probe:
    direction: Direction = rng.choice(("present", "present", "absent"))
    modality: Modality = rng.choice(("text", "text", "audio"))
    share = _best(said, piece.source.text.split())
    item = claim("quote", modality, span, direction, " ".join(said))
    true = share >= cue_table().cues["quote"].threshold
    truth: Truth = "supported" if true != (direction == "absent") else "contradicted"
    return Probe(piece, item, truth, "given transcript, jiwer", near=abs(share - 0.75) < 0.1)


def _best(quote: Sequence[str], said: Sequence[str]) -> float:
    """1 - word error rate against the stretch of the transcript that fits best."""
    lengths = range(max(1, len(quote) - 2), len(quote) + 3)
    parts = [said[at : at + length] for length in lengths for at in range(max(1, len(said) - length + 1))]
    rates = [
        jiwer.wer(WORD(" ".join(quote)), WORD(" ".join(part)))
        for part in parts
        if WORD(" ".join(part)).strip()
    ]
    return 1 - min(rates, default=1.0)


def _denials(piece: Piece, whole: tuple[float, float]) -> Iterator[Probe]:
    """A negation turns a quote round, however few words differ."""
    for said, denied in NEGATED.items():
        if said.lower() in piece.source.text.lower():
            at = piece.source.text.lower().index(said.lower())
            rest = " ".join(piece.source.text[at + len(said) :].split()[:4])
            for quote, truth in ((f"{said} {rest}", "supported"), (f"{denied} {rest}", "contradicted")):
                item = claim("quote", "text", whole, "present", quote)
                yield Probe(piece, item, truth, "given transcript, negated by hand", near=True)  # type: ignore[arg-type]


def _moved(piece: Piece) -> Iterator[Probe]:
    """Words with times of phone labels (EMO-DB), claimed where they were said and elsewhere."""
    words = piece.sample.words
    if not piece.source.name.startswith("emodb"):
        return
    for at in range(len(words) - 1):
        pair = words[at : at + 2]
        quote, span = " ".join(w.text for w in pair), (pair[0].start_s, pair[1].end_s)
        yield Probe(
            piece, claim("quote", "text", span, "present", quote), "supported", "times of phone labels"
        )
        for start_s in (span[0] - 1.2, span[1] + 0.6):
            moved = (round(start_s, 2), round(start_s + 0.4, 2))
            if moved[0] >= 0 and moved[1] <= piece.sample.duration_s:
                far = moved[1] < span[0] - 0.4 or moved[0] > span[1] + 0.4
                truth: Truth | None = "contradicted" if far else None
                item = claim("quote", "text", moved, "present", quote)
                yield Probe(piece, item, truth, "times of phone labels")


def undecidable(pieces: Sequence[Piece], rng: random.Random) -> Iterator[Probe]:
    """Claims that nothing can decide, and spans outside the clip."""
    table = cue_table().cues
    visual = [cue for cue in table.values() if cue.modality == "visual"]
    audio = [cue for cue in table.values() if cue.modality == "audio" and cue.feature != "voiced"]
    mesh_lacks = [
        cue
        for cue in visual
        if cue.feature
        in ("AU06", "AU07", "AU09", "AU10", "AU14", "AU17", "AU23", "AU24", "gaze_yaw_deg", "gaze_pitch_deg")
    ]
    for piece in pieces:
        whole, name = (0.0, round(piece.sample.duration_s, 2)), piece.source.name
        if not (piece.whole or name.startswith(("picture", "portrait"))):
            continue
        mute = name in ("address_mute", "picture", "picture_table", "portrait", "openface_mute")
        if name == "cartoon" or not piece.source.file.endswith((".mp4", ".mpg", ".jpg")):
            yield from (
                _open(piece, cue, whole, rng, "no face is to be seen") for cue in rng.sample(visual, 8)
            )
        elif name not in ("openface", "picture_table"):
            yield from (
                _open(piece, cue, whole, rng, "the mesh does not show it")
                for cue in rng.sample(mesh_lacks, 5)
            )
        if mute or name in ("smile", "cartoon"):
            yield from (_open(piece, cue, whole, rng, "nobody is heard") for cue in rng.sample(audio, 6))
            yield Probe(
                piece,
                claim("quote", "text", whole, "present", "thank you very much"),
                "not_measurable",
                "nobody is heard",
            )
        else:
            yield from (
                _open(piece, table[cue], whole, rng, "the core does not measure voice quality")
                for cue in ("trembling_voice", "hoarse_voice")
            )
        for cue, modality in (
            ("breathy voice", "audio"),
            ("laughter", "audio"),
            ("clenched fists", "visual"),
        ):
            yield Probe(piece, claim(cue, modality, whole), "not_measurable", "not in the table")  # type: ignore[arg-type]
        yield Probe(piece, claim("smile", "audio", whole), "not_measurable", "of another modality")
        late = (round(piece.sample.duration_s + 0.4, 2), round(piece.sample.duration_s + 1.0, 2))
        for cue in rng.sample([*visual, *audio], 3):
            yield Probe(piece, claim(cue.cue, cue.modality, late), "outside_clip", "the clip's length")


def _open(piece: Piece, cue: Cue, whole: tuple[float, float], rng: random.Random, why: str) -> Probe:
    direction: Direction = rng.choice(("present", "absent"))
    return Probe(piece, claim(cue.cue, cue.modality, whole, direction), "not_measurable", why)
