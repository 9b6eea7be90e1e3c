"""The sentinel's question: the very one that an annotator is asked about a clip, put anew at each occasion."""

from __future__ import annotations

from agents.annotators.annotator import Annotator
from agents.protocol import Request
from agents.questions.examples import Choose
from schemas.records import Sample
from schemas.settings_models import AnnotatorSection
from schemas.taxonomy import Taxonomy


class SentinelAnnotator(Annotator):
    """Asks one annotator what it was asked before; `occasion` makes each time a paid call of its own."""

    def __init__(
        self, section: AnnotatorSection, taxonomy: Taxonomy, examples: Choose | None, *, occasion: str
    ) -> None:
        super().__init__(section, taxonomy, examples)
        self._occasion = occasion

    def _whole(self, item: Sample, variant: int, replicate: int) -> Request:
        return super()._whole(item, variant, replicate).but(occasion=self._occasion)
