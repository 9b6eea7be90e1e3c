"""Why there is no label, as short codes: an annotation came without one, or nobody is asked about a sample."""

from __future__ import annotations

import re

from pipeline.facts import facts_of
from pipeline.stages.select import drop_reasons
from schemas.records import Annotation, Sample, Segment
from schemas.settings import Settings
from schemas.store import Store

CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")


def outcome_code(annotation: Annotation) -> str:
    """The reason of an annotation without a label; "" for a labelled one.

    Rules that abstain say why as a code (`no_text`, `no_face`); a model says it in words of its own, for which
    the code is `abstained`.
    """
    own = annotation.outcome == "abstained" and CODE.fullmatch(annotation.detail)
    return annotation.detail if own else annotation.reason


def not_annotated(store: Store, settings: Settings) -> dict[str, str]:
    """Sample id -> why nobody is asked about it, by the settings and facts as they are now."""
    facts = facts_of(store, store.live(Segment))
    return drop_reasons(store.live(Sample), settings.select, seed=settings.project.seed, facts=facts)
