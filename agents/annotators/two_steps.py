"""Rationale, then verbalizer: the reasons are asked for without a label, then the label that follows from them.

The first answer is made without a field that could hold a label word, so that no reason is written to fit one.
The second question shows the clip and these reasons, and its answer begins with the label. Each is a call of its
own.
Reference: Shou et al. 2025, https://arxiv.org/abs/2509.24322, section 3.1.
"""

from __future__ import annotations

import json
from functools import cache
from string import Template
from typing import Any, Literal

from agents.answers.jsontext import Found, NotJsonError, find_object
from agents.answers.stated import said
from agents.protocol import AnswerSchema, Request, TextPart
from agents.questions.answer_schema import answer_schema, strict
from agents.questions.datatext import CLAIM_CHARS, SECTION_CHARS, clean
from agents.questions.prompting import PROMPT_DIR, fence_of
from schemas.ids import canonical_json
from schemas.ports import Receipt
from schemas.taxonomy import Taxonomy

Step = Literal["rationale", "verbalizer"]
REASONS = ("evidence", "rationale")
ABSTAIN = "abstain_reason"
CUT_SHORT = ("length", "refusal", "content_filter")


def first_request(whole: Request, taxonomy: Taxonomy) -> Request:
    """The first step of the question `whole`; it names the second one, so that the record's id is known."""
    sampling = {key: value for key, value in whole.sampling.items() if key != "top_logprobs"}
    return whole.but(
        system=f"{whole.system}\n{_asks('rationale', taxonomy)}",
        answer_schema=_schema("rationale", taxonomy),
        sampling=sampling,
        follow_up=second_request(whole, taxonomy, {}).digest,
    )


def second_request(whole: Request, taxonomy: Taxonomy, first: dict[str, Any]) -> Request:
    """The second step, given the first answer; with an empty one it stands for what will be asked."""
    told = clean(canonical_json({name: _shortened(first.get(name)) for name in REASONS}))[:SECTION_CHARS]
    open_fence, close_fence = fence_of(told)
    ask = Template(_asks("verbalizer", taxonomy)).substitute(open_fence=open_fence, close_fence=close_fence)
    return whole.but(
        system=f"{whole.system}\n{ask}",
        parts=(*whole.parts, TextPart(text=f"{open_fence}\n{told}\n{close_fence}")),
        answer_schema=_schema("verbalizer", taxonomy),
    )


def _shortened(value: Any) -> Any:
    """The same with texts no longer than a prompt shows of an annotator."""
    if isinstance(value, dict):
        return {key: _shortened(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shortened(inner) for inner in value]
    return value[:CLAIM_CHARS] if isinstance(value, str) else value


def goes_on(receipt: Receipt) -> dict[str, Any] | None:
    """The first answer, None when nothing follows: it cannot be read, refuses, or allows no label."""
    if receipt.finish_reason in CUT_SHORT:
        return None
    try:
        first = find_object(receipt.raw).value
    except NotJsonError:
        return None
    return None if said(first.get(ABSTAIN)) else first


def joined(first: Receipt, second: Receipt | None) -> Receipt:
    """One answer of both, as if it had been asked for at once.

    Each step gives its own fields alone, also where a server does not hold a model to the schema: reasons that
    come with the label are no reasons for it. A second answer that cannot be read stands for the whole. Without
    one the first has no label. What is said below the label stays there: it may take it back.
    """
    try:
        reasons = find_object(first.raw).value
        label = Found({"labels": []}, repaired=False) if second is None else find_object(second.raw)
    except NotJsonError:
        return first if second is None else second
    own = {name: value for name, value in reasons.items() if name in (*REASONS, ABSTAIN)}
    own |= {name: value for name, value in label.value.items() if name not in REASONS}
    below = label.below.replace("`", "").strip()  # of a code fence
    return (second or first)._replace(
        raw="\n".join(filter(None, (json.dumps(own, ensure_ascii=False), below)))
    )


@cache
def _schema(step: Step, taxonomy: Taxonomy) -> AnswerSchema:
    """A part of the whole answer's schema."""
    known = answer_schema(taxonomy)["properties"]
    return AnswerSchema(strict(**{name: known[name] for name in _fields(step, taxonomy)}))


def _fields(step: Step, taxonomy: Taxonomy) -> list[str]:
    """In the order in which they are answered: the label first, so that nothing but the reasons leads to it."""
    asked = list(answer_schema(taxonomy)["properties"])
    if step == "rationale":
        return [name for name in asked if name in (*REASONS, ABSTAIN)]
    rest = [name for name in asked if name not in REASONS]
    return sorted(rest, key=lambda name: name != "labels")


@cache
def _asks(step: Step, taxonomy: Taxonomy) -> str:
    named = ", ".join(f'"{name}"' for name in _fields(step, taxonomy))
    text = (PROMPT_DIR / f"{step}.md").read_text(encoding="utf-8")
    return Template(text).safe_substitute(fields=named)
