"""What a person says of an annotation on the scales of the judges."""

from __future__ import annotations

from schemas.parts import Part, Unit


class RubricRating(Part):
    """A person's rating of one annotation on the judges' own scales; None: not rated."""

    annotation_id: str
    s_rec: Unit | None = None
    s_reason: Unit | None = None
    s_cot: Unit | None = None
