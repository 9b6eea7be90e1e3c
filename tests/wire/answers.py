"""Valid answers made from a question's own schema, as a well-behaved model would give them."""

from __future__ import annotations

import json
from typing import Any

TAGS = {"visual": "<Visual-AU>", "audio": "<Audio-Prosody>", "text": "<Text>"}
RATING = {"reasons": ["the evidence fits the label"], "s_rec": 0.8, "s_reason": 0.7, "s_cot": 0.6}
CUES = {"visual": "smile", "audio": "pause", "text": "quote"}


def answer_text(body: dict[str, Any], *, label: str | None = None, confidence: float | None = None) -> str:
    """The text of a valid triplet or rating; `label` instead of the first of the schema."""
    schema = _schema(body)
    if schema is None:
        return "{}"
    if "s_reason" in schema["properties"]:
        return json.dumps(RATING)
    if "implied_label" in schema["properties"]:
        return json.dumps(_implied(schema, label))
    triplet = _triplet(schema, _text_of(body), label)
    told = triplet if confidence is None else {**triplet, "confidence": confidence}
    return json.dumps({name: told[name] for name in schema["properties"] if name in told})


def _schema(body: dict[str, Any]) -> dict[str, Any] | None:
    if "generationConfig" in body:
        found = body["generationConfig"].get("responseJsonSchema")
    elif "input" in body:
        found = body.get("text", {}).get("format", {}).get("schema")
    else:
        found = body.get("response_format", {}).get("json_schema", {}).get("schema")
    return found if isinstance(found, dict) else None


def _text_of(body: dict[str, Any]) -> str:
    if "contents" in body:
        parts = body["contents"][0]["parts"]
    else:
        parts = body["input" if "input" in body else "messages"][-1]["content"]
    return "\n".join(part["text"] for part in parts if "text" in part)


def _implied(schema: dict[str, Any], label: str | None) -> dict[str, Any]:
    labels = schema["properties"]["implied_label"]["anyOf"][0]["enum"]
    return {"reasons": ["the evidence speaks for it"], "implied_label": label or labels[0]}


def _triplet(schema: dict[str, Any], text: str, label: str | None) -> dict[str, Any]:
    asked = schema["properties"].get("labels")  # a part of the answer may be asked for
    chosen = label or (asked["items"]["properties"]["label"]["enum"][0] if asked else "this")
    missing = {name for name, tag in TAGS.items() if f"{tag}\nmissing" in text}
    modality = next((name for name in TAGS if name not in missing), "context")
    evidence = {
        "id": "e1",
        "modality": modality,
        "start_s": 0.0,
        "end_s": 0.0,
        "cue": CUES.get(modality, "quote"),
        "direction": "present",
        "quote": None,
        "description": "a sign",
    }
    readings: dict[str, str | None] = dict.fromkeys(("text", "audio", "visual"))
    if modality in readings:
        readings[modality] = chosen
    return {
        "evidence": [evidence],
        "rationale": [{"n": 1, "text": f"The sign points to {chosen}.", "evidence_ids": ["e1"]}],
        "readings": readings,
        "labels": [{"label": chosen, "intensity": 2.0}],
        "confidence": 0.7,
        "dimensions": {"valence": 0.1, "arousal": 0.2, "dominance": None},
        "trajectory": [],
        "abstain_reason": None,
    }
