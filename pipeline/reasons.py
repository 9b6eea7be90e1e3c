"""Why an annotation came without a label, as a short code."""

from __future__ import annotations

import re

from schemas.records import Annotation

CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")


def outcome_code(annotation: Annotation) -> str:
    """The reason of an annotation without a label; "" for a labelled one.

    Rules that abstain say why as a code (`no_text`, `no_face`); a model says it in words of its own, for which
    the code is `abstained`.
    """
    own = annotation.outcome == "abstained" and CODE.fullmatch(annotation.detail)
    return annotation.detail if own else annotation.reason
