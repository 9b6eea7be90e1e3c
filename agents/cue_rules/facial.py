"""What the face says: combinations of action units that the EMFACS tradition reads as an emotion.

Disgust needs AU09 or AU10, which face geometry alone does not give: it is only found where a backend measures
them. While somebody speaks, an open mouth means nothing, and lip corners that move for less than half a second
are taken for articulation.

Reference: Ekman & Friesen 1978, DOI 10.1037/t27734-000 (the units); Ekman, Friesen & Hager 2002, Facial Action
Coding System: Investigator's Guide (emotion predictions); Ekman & Friesen 1982, DOI 10.1007/BF00987191 (felt
smiles last from half a second to four)
"""

from __future__ import annotations

from typing import NamedTuple

from agents.cue_rules.answer import Answer, Claim, abstain, labelled
from schemas.parts import Event, FaceTrack
from schemas.records import Sample
from schemas.taxonomy import Taxonomy

MOUTH_OPENING = ("AU25", "AU26")
MOUTH_SHAPING = ("AU12", "AU15", "AU20")
MIN_EXPRESSION_S = 0.5  # of lip corners while speaking
SPEAKING_SHARE = 0.5  # of an event, from which it counts as while speaking
NEUTRAL_CUES = ("AU01", "AU04", "AU12", "AU15")
NEUTRAL_CONFIDENCE = 0.5
UNCLEAR_CONFIDENCE = 0.25  # units moved, but in no combination that has a meaning
PER_UNIT = 0.15  # a longer combination is more specific
PER_EXTRA = 0.1


class Rule(NamedTuple):
    """`weight` below 1: the units are only the part of the prototype that can be measured."""

    label: str
    needed: tuple[str, ...]
    extra: tuple[str, ...] = ()
    weight: float = 1.0


RULES: tuple[Rule, ...] = (
    Rule("joy", ("AU12",), ("AU06", "AU25")),
    Rule("sadness", ("AU01", "AU15"), ("AU04", "AU17")),
    Rule("sadness", ("AU01", "AU04"), ("AU15", "AU17")),
    Rule("surprise", ("AU01", "AU02", "AU05"), ("AU26", "AU25")),
    Rule("surprise", ("AU01", "AU02", "AU26"), ("AU05",)),
    Rule("fear", ("AU01", "AU02", "AU04", "AU05"), ("AU20", "AU25", "AU26")),
    Rule("fear", ("AU01", "AU02", "AU04", "AU20"), ("AU05", "AU25", "AU26")),
    Rule("fear", ("AU01", "AU02", "AU05", "AU20"), ("AU04", "AU25", "AU26")),
    Rule("anger", ("AU04", "AU05"), ("AU07", "AU23", "AU24")),
    Rule("anger", ("AU04", "AU07"), ("AU05", "AU23", "AU24")),
    Rule("anger", ("AU04", "AU23"), ("AU05", "AU07", "AU24")),
    # Lowered brows are the one part of anger that geometry always shows; thinking lowers them too.
    Rule("anger", ("AU04",), ("AU05", "AU07", "AU23", "AU24"), weight=0.5),
    Rule("disgust", ("AU09",), ("AU10", "AU15", "AU17")),
    Rule("disgust", ("AU10",), ("AU09", "AU15", "AU17")),
)


class Match(NamedTuple):
    """A rule whose needed units are all active at one moment; `score` in [0, 1]."""

    rule: Rule
    score: float
    events: tuple[Event, ...]


def annotate(sample: Sample, taxonomy: Taxonomy) -> Answer:
    """The triplet that the face alone gives, or why no face of the target is seen."""
    face = _target_face(sample)
    if "visual" in sample.missing or face is None:
        return abstain(sample.missing.get("visual", "no_face"))
    events = _usable(sample, face)
    matches = [match for rule in RULES if (match := _match(rule, events))]
    if not matches:
        return _neutral(sample, taxonomy, face, events)
    best: dict[str, Match] = {}
    for match in sorted(matches, key=lambda m: (-m.score, -len(m.rule.needed))):
        best.setdefault(match.rule.label, match)
    first = next(iter(best.values()))
    rivals = [match.score for label, match in best.items() if label != first.rule.label]
    units = " + ".join(first.rule.needed)
    return labelled(
        taxonomy,
        modality="visual",
        scores={label: match.score for label, match in best.items()},
        claims=[_claim(event, sample.duration_s) for event in first.events],
        finding="The face moves: " + "; ".join(map(_told, first.events)) + ".",
        rule=f"{units} at one time is a combination that the EMFACS tradition reads as {first.rule.label}.",
        confidence=0.35 + 0.5 * first.score - 0.3 * max(rivals, default=0.0),
        trajectory=_trajectory(best, sample.duration_s),
    )


def _target_face(sample: Sample) -> FaceTrack | None:
    """The target's face, else the one that is seen longest."""
    if sample.target.face_track:
        return next((face for face in sample.faces if face.name == sample.target.face_track), None)
    return max(sample.faces, key=lambda face: (face.frames, face.name), default=None)


def _usable(sample: Sample, face: FaceTrack) -> list[Event]:
    """The action units of the face, without the movements of the mouth that speech explains."""
    events = [e for e in sample.events if e.modality == "visual" and e.cue.startswith("AU")]
    mine = [event for event in events if event.track in (None, face.name)]
    return [event for event in mine if not _is_articulation(event, sample)]


def _is_articulation(event: Event, sample: Sample) -> bool:
    """Whether speech explains the movement of the mouth."""
    short = event.cue in MOUTH_SHAPING and event.length_s < MIN_EXPRESSION_S
    return (short or event.cue in MOUTH_OPENING) and _while_speaking(event, sample)


def _while_speaking(event: Event, sample: Sample) -> bool:
    shared_s = sum(
        max(0.0, min(event.end_s, s.end_s) - max(event.start_s, s.start_s)) for s in sample.own_speech
    )
    return shared_s >= SPEAKING_SHARE * event.length_s if event.length_s else bool(sample.own_speech)


def _match(rule: Rule, events: list[Event]) -> Match | None:
    """The strongest moment at which all needed units are active, None without one."""
    found = []
    for moment_s in sorted({event.apex_s if event.apex_s is not None else event.start_s for event in events}):
        active = {event.cue: event for event in events if event.start_s <= moment_s <= event.end_s}
        if all(unit in active for unit in rule.needed):
            extra = [unit for unit in rule.extra if unit in active]
            size = sum(active[unit].size or 0.0 for unit in rule.needed) / len(rule.needed)
            score = size * (1 + PER_UNIT * (len(rule.needed) - 1) + PER_EXTRA * len(extra))
            used = tuple(active[unit] for unit in (*rule.needed, *extra))
            found.append(Match(rule, min(1.0, score * rule.weight), used))
    return max(found, key=lambda match: match.score, default=None)


def _neutral(sample: Sample, taxonomy: Taxonomy, face: FaceTrack, events: list[Event]) -> Answer:
    """No combination: neutral. It claims the expressive units that are absent, and tells those that moved."""
    moved = {event.cue for event in sample.events}
    end_s = min(face.end_s, sample.duration_s)
    absent = [
        Claim(min(face.start_s, end_s), end_s, unit, "absent", f"{unit} is not active")
        for unit in NEUTRAL_CUES
        if unit not in moved
    ]
    expressive = [event for event in events if event.cue != "AU43"]
    told = "; ".join(map(_told, expressive)) or "no unit is active"
    return labelled(
        taxonomy,
        modality="visual",
        scores={"neutral": 1.0},
        claims=[*absent, *(_claim(event, sample.duration_s) for event in expressive[:4])],
        finding=f"The face is seen from {face.start_s:.2f} to {end_s:.2f} s: {told}.",
        rule="No combination of units that stands for an emotion is active at any time.",
        confidence=UNCLEAR_CONFIDENCE if expressive else NEUTRAL_CONFIDENCE,
    )


def _claim(event: Event, duration_s: float) -> Claim:
    end_s = min(event.end_s, duration_s)
    return Claim(min(event.start_s, end_s), end_s, event.cue, "present", _told(event))


def _told(event: Event) -> str:
    size = "" if event.size is None else f" with intensity {event.size:.2f}"
    return f"{event.cue} from {event.start_s:.2f} to {event.end_s:.2f} s{size}"


def _trajectory(best: dict[str, Match], duration_s: float) -> list[tuple[float, float, str]]:
    """The emotions in the order in which they begin, where there are several."""
    if len(best) < 2:
        return []
    points = []
    for label, match in best.items():
        needed = [event for event in match.events if event.cue in match.rule.needed]
        end_s = min(duration_s, min(event.end_s for event in needed))
        points.append((min(end_s, max(event.start_s for event in needed)), end_s, label))
    return sorted(points)
