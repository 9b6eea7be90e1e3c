"""What people say of a recording, a speaker or a stretch, laid over each other: the nearest one wins.

A source's fact "spans" holds the stretches that a manifest gave: a list of [start_s, end_s or None, {facts}].
Everything else that is said of a source holds for all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.records import Segment

Facts = dict[str, Any]
WITHDRAWN = "withdrawn"


def source_facts(facts: Mapping[str, Facts], source_id: str) -> Facts:
    """Facts of a source over those of its speaker (licence, consent, group); "spans" as they were given."""
    own = facts.get(source_id, {})
    return {**facts.get(f"speaker:{own.get('speaker')}", {}), **own}


def segment_facts(facts: Mapping[str, Facts], segment: Segment) -> Facts:
    """What holds for a segment: of its speaker, below those of its source, below those of its stretch.

    `facts` are all of a store's, by subject. The speaker is the stretch's own, where it names one. A withdrawn
    consent holds, whichever of the three says it.
    """
    own = dict(facts.get(segment.source_id, {}))
    stretch = _of_stretch(own.pop("spans", []), segment)
    speaker = facts.get(f"speaker:{stretch.get('speaker', own.get('speaker'))}", {})
    found = {**speaker, **own, **stretch}
    # Who withdraws a whole recording, or all that a person said, must not be overruled by an older row.
    if any(is_withdrawn(layer) for layer in (speaker, own, stretch)):
        found["consent"] = WITHDRAWN
    return found


def is_withdrawn(facts: Mapping[str, Any]) -> bool:
    """Whether these facts say that consent was taken back."""
    return str(facts.get("consent", "")).strip().lower() == WITHDRAWN


def spans_of(source_facts: Mapping[str, Any]) -> list[tuple[float, float | None]]:
    """The stretches (start_s, end_s) of a source in the order in which they were given; None: to its end."""
    return [(start_s, end_s) for start_s, end_s, _ in source_facts.get("spans", [])]


def _of_stretch(spans: list[Any], segment: Segment) -> Facts:
    """Facts of the stretch that holds the segment's middle; of several, the one with the nearest borders."""
    middle_s = (segment.source_start_s + segment.source_end_s) / 2

    def distance_s(start_s: float, end_s: float | None) -> float:
        at_end_s = 0.0 if end_s is None else abs(end_s - segment.source_end_s)
        return abs(start_s - segment.source_start_s) + at_end_s

    # Of two stretches with the same borders, the one that was given later.
    holding = [
        (distance_s(start_s, end_s), -position, said)
        for position, (start_s, end_s, said) in enumerate(spans)
        if start_s <= middle_s and (end_s is None or middle_s < end_s)
    ]
    return dict(min(holding, key=lambda one: one[:2])[2]) if holding else {}
