"""The JSON schema of an annotator's answer, and what it is told of it: only what the taxonomy declares.

The order of the fields is the order of the answer, so that the label follows from the reasons. Ranges stand in
the prompt and are checked on parsing: not every server's grammar knows minimum and maximum.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from string import Template
from typing import Any, Literal

from agents.protocol import AnswerSchema
from schemas.cues import cue_table
from schemas.parts import MODALITIES
from schemas.taxonomy import Dimension, LabelClass, Taxonomy

ANSWER_FILE = Path(__file__).parents[1] / "prompts" / "answer.toml"
DIRECTIONS = ("up", "down", "present", "absent")
QUOTE = "quote"
Schema = dict[str, Any]


@cache
def answer_schema(taxonomy: Taxonomy) -> AnswerSchema:
    """Strict JSON schema of the answer; the order of the properties is the order of the answer."""
    label, number, text = label_schema(taxonomy), {"type": "number"}, {"type": "string"}
    evidence = strict(
        id=text,
        modality={"type": "string", "enum": list(MODALITIES)},
        start_s=number,
        end_s=number,
        cue={"type": "string", "enum": list(dict.fromkeys([*cue_table().cues, QUOTE]))},
        direction={"type": "string", "enum": list(DIRECTIONS)},
        quote={"type": ["string", "null"]},
        description=text,
    )
    scored = {"label": label, "intensity": {"type": ["number", "null"]}}
    known: dict[str, Schema] = {
        "evidence": array(evidence),
        "rationale": array(strict(n={"type": "integer"}, text=text, evidence_ids=array(text))),
        "readings": strict(text=or_null(label), audio=or_null(label), visual=or_null(label)),
        "labels": array(strict(**scored) if taxonomy.multi_label else strict(label=label)),
        "confidence": number,
        "dimensions": strict(**{name: {"type": ["number", "null"]} for name in taxonomy.dimensions}),
        "heads": strict(**{n: or_null(_enum(head.labels)) for n, head in taxonomy.heads.items()}),
        "trajectory": array(strict(start_s=number, end_s=number, label=label)),
        "abstain_reason": {"type": ["string", "null"]},
    }
    return AnswerSchema(strict(**{name: known[name] for name in asked_fields(taxonomy)}))


def asked_fields(taxonomy: Taxonomy) -> tuple[str, ...]:
    """The fields of the answer, in its order."""
    asked = {
        "evidence": True,
        "rationale": True,
        "readings": taxonomy.asks_labels,
        "labels": taxonomy.asks_labels,
        "confidence": True,
        "dimensions": bool(taxonomy.dimensions),
        "heads": bool(taxonomy.heads),
        "trajectory": taxonomy.asks_labels,
        "abstain_reason": True,
    }
    return tuple(name for name, holds in asked.items() if holds)


def label_schema(taxonomy: Taxonomy) -> Schema:
    """One label: a class, any text of an open vocabulary, or nothing where dimensions alone are asked."""
    if not taxonomy.asks_labels:
        return {"type": "null"}
    return {"type": "string"} if taxonomy.kind == "open" else _enum(taxonomy.labels)


def _enum(labels: Iterable[str]) -> Schema:
    return {"type": "string", "enum": list(labels)}


def or_null(schema: Schema) -> Schema:
    return schema if schema == {"type": "null"} else {"anyOf": [schema, {"type": "null"}]}


def strict(**properties: Any) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


# --- in words --------------------------------------------------------------------------------------


@cache
def labels_text(taxonomy: Taxonomy, reader: Literal["labels", "judge"]) -> str:
    """What may be answered: the label names with their words, and those of the further questions.

    `reader` "labels": as an annotator is told it.
    """
    texts = _texts()[reader]
    told = {"labels": label_list(taxonomy.labels)}
    if taxonomy.dimensions:
        told["dimensions"] = dimensions_text(taxonomy.dimensions)
    parts = [Template(texts[taxonomy.kind]).substitute(told)]
    parts += [
        Template(texts["head"]).substitute(name=name, question=head.question, labels=label_list(head.labels))
        for name, head in taxonomy.heads.items()
    ]
    return "\n\n".join(part.strip() for part in parts if part)


@cache
def fields_text(taxonomy: Taxonomy) -> str:
    """The fields of the answer as a numbered list."""
    texts = _texts()["fields"]
    items = [texts[_variant(name, taxonomy)].strip() for name in asked_fields(taxonomy)]
    told = "\n".join(f"{n}. {item}" for n, item in enumerate(items, start=1))
    filled = {"dimensions": dimensions_text(taxonomy.dimensions)} if taxonomy.dimensions else {}
    return Template(told).substitute(filled, heads=" and ".join(map(_quoted, taxonomy.heads)))


def _variant(name: str, taxonomy: Taxonomy) -> str:
    if name == "labels":
        return "labels_many" if taxonomy.multi_label else "labels_one"
    if name in ("confidence", "abstain_reason") and not taxonomy.asks_labels:
        return f"{name}_dimensions"
    return name


def dimensions_text(dimensions: Mapping[str, Dimension]) -> str:
    """`"valence" and "arousal", each from -1 to 1`, or each with its own scale."""
    ranges = {_range(dimension) for dimension in dimensions.values()}
    if len(ranges) == 1 and len(dimensions) > 1:
        return f"{_listed(map(_quoted, dimensions))}, each from {ranges.pop()}"
    return _listed(f"{_quoted(name)} from {_range(dimension)}" for name, dimension in dimensions.items())


def _quoted(name: str) -> str:
    return f'"{name}"'


def _range(dimension: Dimension) -> str:
    ends = ((dimension.low, dimension.low_means), (dimension.high, dimension.high_means))
    return " to ".join(f"{value:g}" + (f" ({means})" if means else "") for value, means in ends)


def _listed(items: Iterable[str]) -> str:
    *most, last = items
    return f"{', '.join(most)} and {last}" if most else last


def label_list(labels: Mapping[str, LabelClass]) -> str:
    """One line a label, with its words in brackets."""
    return "\n".join(f"- {name} ({', '.join(words.verbalizers)})" for name, words in labels.items())


@cache
def _texts() -> dict[str, dict[str, str]]:
    return tomllib.loads(ANSWER_FILE.read_text(encoding="utf-8"))
