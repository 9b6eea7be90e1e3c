"""Hostile answers, each with the outcome that it must have: whoever spoils an answer knows what is spoiled.

`make_case(rng)` draws a kind of spoiling, then a case of it; the same seed, the same cases.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from tests.agents.hostile_base import (
    DURATION_S,
    FOREIGN,
    HIDDEN,
    JUNK,
    MISSING,
    SYNONYMS,
    WRONG,
    Case,
    bad,
    dump,
    good,
    item_of,
    named,
    sentence,
    valid,
)
from tests.agents.hostile_lines import in_lines, lines_noisy, lines_not_asked_for, lines_spoiled

# --- one kind of spoiling each ---------------------------------------------------------------------


def intact(rng: random.Random) -> Case:
    answer = valid(rng)
    keys = list(answer)
    rng.shuffle(keys)
    return good("intact", rng, {key: answer[key] for key in keys}, repaired=False)


def field_gone(rng: random.Random) -> Case:
    answer = valid(rng)
    key = rng.choice(["evidence", "rationale", "labels", "confidence"])
    value = answer.pop(key)
    if rng.random() < 0.5:
        answer[rng.choice([f"{key}s", key.upper(), f" {key}", f"{key}\u200b", key[:-1]])] = value
    return bad("field_gone", dump(rng, answer), "wrong_shape")


def optional_gone(rng: random.Random) -> Case:
    answer = valid(rng)
    for key in rng.sample(["readings", "dimensions", "trajectory", "abstain_reason"], rng.randint(1, 4)):
        del answer[key]
    answer |= {"comment": "more than was asked", "x": [1, {"labels": ["joy"]}]} if rng.random() < 0.5 else {}
    return good("optional_gone", rng, answer, repaired=None)


def inner_field_gone(rng: random.Random) -> Case:
    answer = valid(rng)
    del item_of(rng, answer)[rng.choice(["modality", "cue", "start_s", "end_s"])]
    return bad("inner_field_gone", dump(rng, answer), "wrong_shape")


def wrong_type(rng: random.Random) -> Case:
    answer = valid(rng)
    if rng.random() < 0.5:
        key = rng.choice(
            ["evidence", "rationale", "labels", "readings", "dimensions", "trajectory", "confidence"]
        )
        answer[key] = rng.choice([7, True, {"a": 1}] if key in ("rationale", "labels") else ["joy", 7, True])
        if key == "confidence":
            answer[key] = rng.choice(["high", "not 0.8", None, True, [0.5], {"value": 0.5}])
    else:
        key = rng.choice(["modality", "direction", "cue", "quote", "description", "start_s", "id"])
        item_of(rng, answer)[key] = rng.choice(
            [True, [], {}] if key in ("start_s", "id") else [7, True, [], {}]
        )
    return bad("wrong_type", dump(rng, answer), "wrong_shape")


def plain_type(rng: random.Random) -> Case:
    """Another type than the one that was asked for, which can mean one thing alone."""
    answer = valid(rng)
    sent = json.loads(json.dumps(answer))
    match rng.randrange(6):
        case 0:
            sent["confidence"] = rng.choice(["0.8", "80%", " 85 % ", "8/10", "4 out of 5", ".5"])
        case 1:
            item = item_of(rng, sent)
            item["start_s"], item["end_s"] = f"{item['start_s']}", f"{item['end_s']} s"
        case 2:
            sent["labels"] = rng.choice([answer["labels"][0], answer["labels"][0]["label"]])
            answer["labels"] = answer["labels"][:1]
        case 3:
            sent["rationale"] = rng.choice([["One.", "Two."], "First this. Then that."])
        case 4:
            for step in sent["rationale"]:
                step["evidence_ids"] = rng.choice([", ".join(step["evidence_ids"]), ["1"], ["E1"], None, [1]])
        case _:
            sent["readings"]["text"] = rng.choice(["none", "N/A", "", "null"])
    return good("plain_type", rng, answer, repaired=None, text=dump(rng, sent))


def duplicate_key(rng: random.Random) -> Case:
    answer = valid(rng)
    key = rng.choice(list(answer))
    text = json.dumps(answer)
    return bad("duplicate_key", f'{{"{key}": {json.dumps(answer[key])}, {text[1:]}', "duplicate_key")


def enum_swapped(rng: random.Random) -> Case:
    answer = valid(rng)
    item_of(rng, answer)[rng.choice(["modality", "direction"])] = rng.choice(JUNK)
    return bad("enum_swapped", dump(rng, answer), "wrong_enum")


def enum_in_capitals(rng: random.Random) -> Case:
    answer = valid(rng)
    item = item_of(rng, answer)
    key = rng.choice(["modality", "direction"])
    item[key] = rng.choice([str.upper, str.title])(item[key])
    return good("enum_in_capitals", rng, answer, repaired=True)


def label_unknown(rng: random.Random) -> Case:
    answer = valid(rng)
    if rng.random() < 0.7:
        item_of(rng, answer, "labels")["label"] = rng.choice(WRONG)
    else:
        answer["readings"][rng.choice(["text", "audio", "visual"])] = rng.choice(WRONG[:-1])
    return bad("label_unknown", dump(rng, answer), "unknown_label")


def label_synonym(rng: random.Random) -> Case:
    answer = valid(rng)
    word = rng.choice(list(SYNONYMS))
    answer["labels"] = [{"label": word, "intensity": 1}] if rng.random() < 0.7 else [word]
    expected = answer | {"labels": [{"label": SYNONYMS[word]}]}
    return good("label_synonym", rng, expected, repaired=True, text=dump(rng, answer))


def span_moved(rng: random.Random) -> Case:
    answer = valid(rng)
    item, by_s = item_of(rng, answer), rng.choice([0.2, 5.0, 1e3, 1e8])
    if rng.random() < 0.5:
        item["end_s"] = DURATION_S + by_s
    else:
        item["start_s"] = -by_s
    return bad("span_moved", dump(rng, answer), "span_outside_clip")


def span_a_little_outside(rng: random.Random) -> Case:
    answer = valid(rng)
    item_of(rng, answer)["end_s"] = DURATION_S + rng.uniform(0.001, 0.099)
    return good("span_a_little_outside", rng, answer, repaired=True)


def span_reversed(rng: random.Random) -> Case:
    answer = valid(rng)
    item_of(rng, answer).update(start_s=7.0, end_s=rng.choice([6.99, 0.0, -50.0]))
    return bad("span_reversed", dump(rng, answer), "wrong_shape")


def number_outside(rng: random.Random) -> Case:
    answer = valid(rng)
    place, key = rng.choice(
        [
            (answer, "confidence"),
            (answer["dimensions"], "valence"),
            (item_of(rng, answer, "labels"), "intensity"),
        ]
    )
    place[key] = "@"
    huge = rng.choice(["-1.5", "8", "80", "1e999", "-1e999", "1e308", str(10**400), "-" + "9" * 4000])
    return bad("number_outside", json.dumps(answer).replace('"@"', huge), "out_of_range")


def number_impossible(rng: random.Random) -> Case:
    answer = valid(rng) | {"confidence": "@"}
    text = rng.choice(
        ["NaN", "Infinity", "-Infinity", "9" * 5000, "0x1F", "+1", ".5", "1.", "1_000", "\u0661"]
    )
    return bad("number_impossible", json.dumps(answer).replace('"@"', text), "not_json")


def missing_modality(rng: random.Random) -> Case:
    answer = valid(rng)
    item_of(rng, answer)["modality"] = MISSING
    return bad("missing_modality", dump(rng, answer), "missing_modality_cited", missing=True)


def no_reasons(rng: random.Random) -> Case:
    answer = valid(rng)
    answer["rationale"] = rng.choice([[], [{"n": 1, "text": " \t", "evidence_ids": []}], [{"n": 1}]])
    return bad("no_reasons", dump(rng, answer), "empty_rationale")


def no_evidence(rng: random.Random) -> Case:
    return bad("no_evidence", dump(rng, valid(rng) | {"evidence": []}), "no_evidence")


def step_astray(rng: random.Random) -> Case:
    answer = valid(rng)
    item_of(rng, answer, "rationale")["evidence_ids"] = [rng.choice(["e99", "e0", "x1", "e1\u200b", "99"])]
    return bad("step_astray", dump(rng, answer), "bad_step_reference")


def claim_twice(rng: random.Random) -> Case:
    answer = valid(rng)
    answer["evidence"].append(dict(item_of(rng, answer)))
    return bad("claim_twice", dump(rng, answer), "wrong_shape")


def renumbered(rng: random.Random) -> Case:
    answer = valid(rng)
    new = {item["id"]: f"{rng.choice('abxyz')}{n}" for n, item in enumerate(answer["evidence"])}
    for item in answer["evidence"]:
        item["id"] = new[item["id"]]
    for step in answer["rationale"]:
        step["evidence_ids"] = [new[name] for name in step["evidence_ids"]]
    return good("renumbered", rng, answer, repaired=True)


def too_many(rng: random.Random) -> Case:
    answer = valid(rng)
    key = rng.choice(["evidence", "rationale"])
    answer[key] = [dict(answer[key][0]) for _ in range(rng.randint(101, 300))]
    return bad("too_many", json.dumps(answer), "too_long")


def cut_off(rng: random.Random) -> Case:
    text = dump(rng, valid(rng))
    at = rng.randint(1, len(text) - 1)
    return bad("cut_off", text[:at], "truncated", finish=rng.choice(["stop", None, "length"]))


def cut_off_in_a_fence(rng: random.Random) -> Case:
    text = dump(rng, valid(rng))
    return bad("cut_off_in_a_fence", "Here:\n```json\n" + text[: rng.randint(1, len(text) - 1)], "truncated")


def cut_off_by_the_vendor(rng: random.Random) -> Case:
    return bad(
        "cut_off_by_the_vendor", rng.choice([dump(rng, valid(rng)), "", "joy"]), "truncated", finish="length"
    )


def nothing(rng: random.Random) -> Case:
    return bad("nothing", "".join(rng.choices(" \n\t\r\u2003", k=rng.randint(0, 9))), "empty_answer")


def wrapped(rng: random.Random) -> Case:
    answer = valid(rng)
    text = dump(rng, answer)
    text = rng.choice(
        [
            f"```json\n{text}\n```",
            f"```\n{text}```",
            f"Here is my answer:\n\n{text}",
            f"{text}\n\nI hope it helps.",
            f"<think>\nIs it [joy]? No.\n</think>\n{text}",
            f"So {{it}} is</think>{text}",
            f"\ufeff{text}",
            f"[{text}]",
            f"<thinking>{{</thinking>\n```json\n{text}\n```\nDone.",
            f"{text}}}",
            f"answer = {text};",
            f"({text})",
        ]
    )
    return good("wrapped", rng, answer, repaired=True, text=text)


def trailing_commas(rng: random.Random) -> Case:
    answer = valid(rng)
    text = json.dumps(answer | {"note": 'says ",]" and ",}"'})[:-1] + ",}"
    return good("trailing_commas", rng, answer, repaired=True, text=text.replace("}], ", "},], ", 1))


def two_answers(rng: random.Random) -> Case:
    texts = [json.dumps(valid(rng) | {"n": n}) for n in range(rng.randint(2, 3))]
    between = rng.choice(["", "\n", "\n\nOr rather:\n", ", "])
    text = between.join(texts)
    return bad("two_answers", rng.choice([text, f"Both: {text}", f"```\n{text}\n```"]), "several_answers")


def json5(rng: random.Random) -> Case:
    """As Python, JavaScript and typographic keyboards write it."""
    answer = valid(rng)
    text = json.dumps(answer)
    text = rng.choice(
        [
            "{// why\n" + text[1:],
            "{/* why */" + text[1:-1] + "\n # done\n, }",
            text.replace("null", "None"),
            text.replace('"labels"', "labels"),
            repr(answer),
            f"```python\n{answer!r}\n```",
            "{" + text + "}",
            "{\u201cevidence\u201d" + text[11:],
            text.replace('"evidence":', '"evidence"\uff1a').replace('"rationale"', "\u00a0'rationale'"),
            json.dumps(answer, indent=2).replace("\n", " // {so}\n"),
            json.dumps({"answer": answer}),
        ]
    )
    return good("json5", rng, answer, repaired=True, text=text)


def no_json(rng: random.Random) -> Case:
    text = json.dumps(valid(rng))
    text = rng.choice(
        [
            "{'labels': ['joy'], " + text[1:],
            "{labels: [], " + text[1:],
            "{// all the rest is a comment " + text[1:],
            text.replace(": ", " = ", 1),
            text.replace(", ", "; ", 1),
            text.replace('"', "\u201c"),
            text.replace('"labels"', "'labels"),
        ]
    )
    return bad("no_json", text, "not_json", "duplicate_key")


def other_shape(rng: random.Random) -> Case:
    answer = valid(rng)
    shapes: list[Any] = [
        {"emotion": "joy", "confidence": 0.9}, {"label": "joy"}, {"answers": [answer]}, {"labels": ["joy"]}, {},
        {"choices": [{"message": {"content": json.dumps(answer)}}]}, {"error": {"message": "overloaded"}},
        {"name": "submit", "arguments": answer}, {"candidates": [{"content": {"parts": [{"text": "joy"}]}}]},
        {"type": "object", "properties": answer}, {"output": "joy"}, {"result": [answer]},
    ]  # fmt: skip
    return bad("other_shape", dump(rng, rng.choice(shapes)), "wrong_shape", "no_evidence", "empty_rationale")


def no_object(rng: random.Random) -> Case:
    text = rng.choice(
        ["joy", '"joy"', '["joy"]', "The person is joyful.", "<label>joy</label>", "label: joy", "0.9", "null",
         "Label: joy", "| label | joy |", "```\njoy\n```", "}", "]", "\u6b22\u4e50", "data: [DONE]", "[]"]
    )  # fmt: skip
    return bad("no_object", text, "not_json")


def refused(rng: random.Random) -> Case:
    text = rng.choice(
        ["I'm sorry, but I can't help with that.", "I\u2019m sorry, I cannot assist with this request.",
         "As an AI language model, I am not able to analyze people.", "I cannot provide that.",
         "Sorry, I won't identify emotions of real people.", "Es tut mir leid, dabei kann ich nicht helfen.",
         "Lo siento, no puedo ayudar con eso.", "\u62b1\u6b49\uff0c\u6211\u65e0\u6cd5\u5e2e\u52a9\u3002"]
    )  # fmt: skip
    reason = "refusal_in_words"
    return Case("refused", text, "refused", frozenset({reason}), free_text=rng.random() < 0.3)


def refused_by_the_vendor(rng: random.Random) -> Case:
    finish = rng.choice(["refusal", "content_filter"])
    text = rng.choice([dump(rng, valid(rng)), "", "No."])
    return Case("refused_by_the_vendor", text, "refused", frozenset({finish}), finish=finish)


def abstained(rng: random.Random) -> Case:
    answer = valid(rng) | {"labels": [], "abstain_reason": rng.choice([sentence(rng), None, " ", "", 7, []])}
    if isinstance(answer["abstain_reason"], str) and answer["abstain_reason"].strip():
        return Case("abstained", dump(rng, answer), "abstained", frozenset({"abstained"}))
    return bad("abstained", dump(rng, answer), "wrong_shape")


def hidden_characters(rng: random.Random) -> Case:
    answer = valid(rng)
    item_of(rng, answer)["description"] = sentence(rng, HIDDEN)
    return good("hidden_characters", rng, answer, repaired=False)


def unstorable_characters(rng: random.Random) -> Case:
    answer = valid(rng)
    item_of(rng, answer, "rationale")["text"] = sentence(rng, "\udfff\x00")
    return good(
        "unstorable_characters", rng, answer, repaired=True, text=json.dumps(answer, ensure_ascii=True)
    )


def noise(rng: random.Random) -> Case:
    """Whatever is hit: never another label, never an exception."""
    answer = valid(rng)
    data = bytearray(json.dumps(answer).encode())
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return Case("noise", data.decode("utf-8", "replace"), "any", labels=named(answer))


def nested(rng: random.Random) -> Case:
    depth = rng.choice([30, 90, 3_000, 20_000])
    open_, close = rng.choice([("[", "]"), ('{"a":', "}")])
    inner = open_ * depth + ("1" if open_ != "[" else "") + close * depth
    if depth < 100:
        answer = valid(rng)
        return good(
            "nested", rng, answer, repaired=False, text=json.dumps(answer)[:-1] + f', "more": {inner}}}'
        )
    return bad("nested", f'{{"labels": {inner}}}', "not_json", "wrong_shape")


def slow(rng: random.Random) -> Case:
    unit = rng.choice(
        [
            '"',
            "{",
            "[",
            "```",
            ",",
            '\\"',
            "{'",
            '{"a":',
            "<think>",
            "</think>",
            "e1:",
            "Label:",
            "(",
            "qq1qq",
            "\n",
            "\t",
            " -",
        ]
    )
    begin = rng.choice(["", "{", "Step 1: ", "Label: joy", "# ", "```json", ". step"])
    return Case("slow", begin + unit * rng.randint(1_000, 6_000), "no label")


def slow_claim(rng: random.Random) -> Case:
    """The words of a claim are searched for cues: what is written there must not make that slow."""
    answer = valid(rng)
    unit = rng.choice(
        ['"', "'a' ", "smile ", "smile and ", "at 1 s ", "(", "as she says 'x' ", "tt1tt", "not ", "AU12 "]
    )
    said = unit * rng.randint(10, 600)
    answer["evidence"] = [answer["evidence"][0] | {"id": f"e{n}", "description": said} for n in range(1, 6)]
    answer["rationale"] = [{"n": 1, "text": f"so {said}", "evidence_ids": []}]
    return good("slow_claim", rng, answer, repaired=None, text=json.dumps(answer))


def in_another_language(rng: random.Random) -> Case:
    answer = valid(rng)
    said = rng.choice(FOREIGN)
    for key, field in (("evidence", "description"), ("rationale", "text")):
        for item in answer[key]:
            item[field] = said
    return bad("in_another_language", dump(rng, answer), "other_language")


def vast(rng: random.Random) -> Case:
    """More than any model writes: ten million characters."""
    return bad(
        "vast", rng.choice(["{", " ", '"', "a", "\U0001f600"]) * 10_000_000, "too_long", "empty_answer"
    )


KINDS: tuple[Callable[[random.Random], Case], ...] = (
    intact, field_gone, optional_gone, inner_field_gone, wrong_type, duplicate_key, enum_swapped, plain_type,
    enum_in_capitals, label_unknown, label_synonym, span_moved, span_a_little_outside, span_reversed,
    number_outside, number_impossible, missing_modality, no_reasons, no_evidence, step_astray, claim_twice,
    renumbered, too_many, cut_off, cut_off,
    cut_off_in_a_fence, cut_off_by_the_vendor, nothing, wrapped, trailing_commas, two_answers, json5, no_json,
    other_shape, no_object, refused, refused_by_the_vendor, abstained, hidden_characters, unstorable_characters,
    noise, noise, nested, slow, slow_claim, in_another_language, in_lines, lines_spoiled,
    lines_not_asked_for, lines_noisy,
)  # fmt: skip


def make_case(rng: random.Random) -> Case:
    return rng.choice(KINDS)(rng)
