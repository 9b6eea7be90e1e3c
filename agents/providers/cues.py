"""The keyless provider: rules that read the sample's records instead of a prompt. Nothing leaves the process."""

from __future__ import annotations

import json
from typing import Any

from agents.cue_rules.answer import CLASS_WORDS, plain_taxonomy
from agents.cue_rules.lexicon import DATA_DIR
from agents.protocol import MediaLoader, Request, Response
from schemas.cues import cue_table
from schemas.errors import ProviderError, UserError
from schemas.ids import file_digest
from schemas.parts import Usage
from schemas.registry import resolve
from schemas.settings import ModelSection
from schemas.taxonomy import Taxonomy

RULES_VERSION = "1"  # bumped when the code of any rule changes an answer
ANNOTATORS: dict[str, str] = {
    "lexicon": "agents.cue_rules.lexicon:annotate",
    "prosody": "agents.cue_rules.prosody:annotate",
    "facial": "agents.cue_rules.facial:annotate",
}


class CueProvider:
    """The cue annotators: models "lexicon", "prosody" and "facial"."""

    name = "cues"
    wire = False

    def __init__(self, section: ModelSection) -> None:
        """Raises UserError for a model that is none of the rules."""
        if section.model not in ANNOTATORS:
            raise UserError(
                "unknown_model",
                f'provider "cues" has no model "{section.model}" (in "{section.name}")',
                f"set model to one of: {', '.join(ANNOTATORS)}",
            )
        self.model = section.model

    @property
    def inputs(self) -> tuple[str, ...]:
        """What an answer depends on beside the sample: the rules' version and the data that they read."""
        version = f"{self.model}:{RULES_VERSION}"
        if self.model == "lexicon":
            return (version, *(file_digest(path) for path in sorted(DATA_DIR.iterdir()) if path.is_file()))
        return (version, cue_table().digest)

    async def complete(self, request: Request, load: MediaLoader) -> Response:  # noqa: ARG002 - the protocol's
        """The rules' answer as JSON text; `load` is not used.

        Raises:
            ProviderError: no annotation request, or one without the sample that the rules read.
        """
        if request.purpose != "annotate" or request.sample is None:
            raise ProviderError(
                "bad_request",
                f'the rules "{self.model}" need an annotation request with its sample',
                transient=False,
            )
        annotate = resolve(ANNOTATORS, self.model, what="cue annotator")
        answer = annotate(request.sample, asked_taxonomy(request.answer_schema))
        text = json.dumps(answer, ensure_ascii=False)
        return Response(text, f"{self.model}-{RULES_VERSION}", Usage(cost_usd=0.0), "stop")

    async def close(self) -> None:
        """Nothing is open."""


def asked_taxonomy(answer_schema: dict[str, Any]) -> Taxonomy:
    """The labels that the schema's `labels[].label` allows; Ekman's classes where it allows any text."""
    place: Any = answer_schema
    for key in ("properties", "labels", "items", "properties", "label"):
        place = place.get(key, {})
    return plain_taxonomy([str(name) for name in place.get("enum", ())] or list(CLASS_WORDS))
