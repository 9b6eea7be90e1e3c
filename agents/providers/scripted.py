"""A provider that answers from a script: for tests, and to show what failures look like.

`options.answers` is a list of rules, or `options.script` the path of a JSONL file with one rule a line:
`text`: the rule is for samples whose transcript contains this (left out: for every sample);
`annotator`: the rule is for the annotator or judge with this name (left out: for everyone);
then one of `answer` (the answer: text, or an object that is sent as JSON), `finish_reason` with it when it is not
"stop", or `error` (`{"code": ..., "message": ..., "transient": false, "retry_after_s": null}`).
The first rule that fits is used. Without one the question fails with the code "not_scripted".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from agents.protocol import MediaLoader, Request, Response
from agents.providers.options import Options, read_options
from schemas.errors import ProviderError, UserError
from schemas.ids import content_digest
from schemas.parts import Usage
from schemas.settings_models import ModelSection


class ScriptedError(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    code: str
    message: str = "scripted"
    transient: bool = False
    retry_after_s: float | None = None


class Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    text: str | None = None
    annotator: str | None = None
    answer: str | dict[str, Any] | None = None
    finish_reason: str = "stop"
    error: ScriptedError | None = None


class ScriptedOptions(Options):
    script: str | None = None
    answers: tuple[dict[str, Any], ...] = ()


class ScriptedProvider:
    """Answers at once and without a network; `inputs` is the digest of its script and whom it answers for."""

    name = "scripted"
    vendor = ""
    wire = False
    vendor_url = ""
    options = ScriptedOptions

    def __init__(self, section: ModelSection) -> None:
        """Raises UserError: an unknown option, no rules, or what is none."""
        self.section = section
        self.rules = _rules(section)
        self.inputs = (content_digest([rule.model_dump(mode="json") for rule in self.rules]), section.name)

    async def complete(self, request: Request, load: MediaLoader) -> Response:  # noqa: ARG002 - the protocol
        """The answer of the first rule that fits.

        Raises:
            ProviderError: the rule says so, or there is none.
        """
        words = " ".join(word.text for word in request.sample.words) if request.sample else ""
        for rule in self.rules:
            if rule.text is not None and rule.text.lower() not in words.lower():
                continue
            if rule.annotator not in (None, self.section.name):
                continue
            if rule.error is not None:
                raise ProviderError(**rule.error.model_dump())
            text = rule.answer if isinstance(rule.answer, str) else json.dumps(rule.answer)
            return Response(text, f"{request.model}-script", Usage(), rule.finish_reason)
        raise ProviderError("not_scripted", "no rule of the script fits", transient=False)

    async def close(self) -> None:
        return None


def _rules(section: ModelSection) -> tuple[Rule, ...]:
    """The rules of the section or of its file.

    Raises:
        UserError: no rules, an unreadable file, or a line that is not a rule.
    """
    chosen = read_options(ScriptedOptions, section)
    script = chosen.script
    if script is None:
        lines: list[tuple[int | None, Any]] = [(None, rule) for rule in chosen.answers]
    else:
        try:
            text = Path(script).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError("no_script", str(error), "set options.script to a JSONL file") from error
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        remedy = "set options.answers or options.script"
        raise UserError("no_script", f"{section.name} has no scripted answers", remedy)
    return tuple(_rule(line, number, script) for number, line in lines)


def _rule(line: Any, number: int | None, script: str | None) -> Rule:
    try:
        return Rule.model_validate_json(line) if isinstance(line, str) else Rule.model_validate(line)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        message = f"not a scripted answer: {where}: {problem['msg']}"
        raise UserError(
            "bad_script", message, "see docs/configuration.md, Scripted answers", script, number
        ) from error
