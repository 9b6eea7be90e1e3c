"""The keyless provider: rules that read the records instead of a prompt. Nothing leaves the process."""

from __future__ import annotations

import json
from typing import Any

from agents.cue_rules.answer import fitted
from agents.cue_rules.judge import VERSION as JUDGE_VERSION
from agents.cue_rules.judge import rate
from agents.cue_rules.lexicon import DATA_DIR
from agents.protocol import MediaLoader, Request, Response
from agents.providers.options import Options, read_options
from schemas.cues import cue_table
from schemas.errors import ProviderError, UserError
from schemas.ids import file_digest
from schemas.parts import Usage
from schemas.registry import resolve
from schemas.settings_models import JudgeSection, ModelSection

RULES_VERSION = "5"  # bumped when the code of any rule changes an answer
ANNOTATORS: dict[str, str] = {
    "lexicon": "agents.cue_rules.lexicon:annotate",
    "prosody": "agents.cue_rules.prosody:annotate",
    "facial": "agents.cue_rules.facial:annotate",
}
JUDGE = "rules"


class CueProvider:
    """The cue annotators (models "lexicon", "prosody" and "facial") and the judge "rules"."""

    name = "cues"
    vendor = ""
    wire = False
    vendor_url = ""
    options = Options

    def __init__(self, section: ModelSection) -> None:
        """Raises UserError for a model that is none of the rules, and for any option."""
        read_options(Options, section)
        known = (JUDGE,) if isinstance(section, JudgeSection) else tuple(ANNOTATORS)
        if section.model not in known:
            role = "judge" if isinstance(section, JudgeSection) else "annotator"
            raise UserError(
                "unknown_model",
                f'provider "cues" has no {role} "{section.model}" (in "{section.name}")',
                f"set model to one of: {', '.join(known)}",
            )
        self.model = section.model

    @property
    def inputs(self) -> tuple[str, ...]:
        """What an answer depends on beside the records: the rules' version and the data that they read."""
        if self.model == JUDGE:
            return (f"{JUDGE}:{JUDGE_VERSION}",)
        version = f"{self.model}:{RULES_VERSION}"
        if self.model == "lexicon":
            return (version, *(file_digest(path) for path in sorted(DATA_DIR.iterdir()) if path.is_file()))
        return (version, cue_table().digest)

    async def complete(self, request: Request, load: MediaLoader) -> Response:  # noqa: ARG002 - the protocol's
        """The rules' answer as JSON text; `load` is not used.

        Raises:
            ProviderError: a request without the records that the rules read.
        """
        answer, version = _rating(request) if self.model == JUDGE else _labels(self.model, request)
        text = json.dumps(answer, ensure_ascii=False)
        return Response(text, f"{self.model}-{version}", Usage(cost_usd=0.0), "stop")

    async def close(self) -> None:
        """Nothing is open."""


def _labels(model: str, request: Request) -> tuple[dict[str, Any], str]:
    """A cue annotator's answer, and the version of its rules."""
    if request.purpose != "annotate" or request.sample is None or request.taxonomy is None:
        message = f'the rules "{model}" need an annotation request with its sample and taxonomy'
        raise ProviderError("bad_request", message, transient=False)
    annotate = resolve(ANNOTATORS, model, what="cue annotator")
    return fitted(annotate(request.sample, request.taxonomy), request.taxonomy), RULES_VERSION


def _rating(request: Request) -> tuple[dict[str, Any], str]:
    """The keyless judge's answer, and the version of its rules; s_rec is left to the annotators' agreement."""
    sample, annotation, check = request.sample, request.annotation, request.check
    if sample is None or annotation is None or check is None or request.taxonomy is None:
        message = "the judge's rules need a request with its records"
        raise ProviderError("bad_request", message, transient=False)
    if annotation.answer is None:
        message = f"the annotation is {annotation.outcome}"
        raise ProviderError("nothing_to_judge", message, transient=False)
    rating = rate(sample, annotation, check, request.taxonomy)
    return {"s_rec": None, **rating._asdict()}, JUDGE_VERSION
