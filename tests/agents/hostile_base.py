"""A valid answer of random size, and what must become of it once whoever spoils it has spoiled it.

Nothing of the parser is used here: a case says by itself what is wrong with it.
"""

from __future__ import annotations

import json
import random
from typing import Any, NamedTuple

DURATION_S = 10.0
LABELS = ("neutral", "joy", "anger", "sadness", "surprise", "fear", "disgust")
SYNONYMS = {
    "happy": "joy",
    "\u200bjoy\u200b?": "joy",
    "furious": "anger",
    "Sad": "sadness",
    "AFRAID": "fear",
    "astonished": "surprise",
}
CUES = (("visual", "AU12"), ("visual", "AU04"), ("audio", "pitch_high"), ("audio", "loud"), ("text", "quote"))
MISSING = "context"  # never cited in a valid answer; cases that cite it are about a clip that lacks it
WORDS = ("she", "he", "smiles", "speaks", "loudly", "the", "voice", "rises", "while", "eyes", "narrow", "then",
         "a", "pause", "follows", "it", "seems", "so")  # fmt: skip
HIDDEN = "\u202e\u200b\u2066\ufeff\u00ad\U000e0041\u0301\u200d"
ODD = "\u00e9\u4f60\u0645\U0001f600'\\/\u2028<>&{}[]:,"
FOREIGN = (
    "Die Person lächelt breit und ihre Stimme wird lauter, weil sie sich über das Ergebnis freut.",
    "La personne sourit et sa voix est plus forte, parce que le résultat est très bon pour elle.",
    "La persona sonríe y su voz es más fuerte, porque el resultado es muy bueno para ella.",
    "Она улыбается, и её голос становится громче.",
    "\u5979\u5fae\u7b11\u7740\u8bf4\u8bdd\uff0c\u58f0\u97f3\u53d8\u5927\uff0c\u663e\u5f97\u5f88\u9ad8\u5174\u3002",
)
JUNK = ("smell", "vision", "sideways", "0", "none of them", "visual, audio", "multimodal", "not visual", "")
WRONG = ("jealousy", "joyy", "j0y", "label", "joy or anger", "\ufffd", "")

Answer = dict[str, Any]


class Case(NamedTuple):
    """An answer and what must become of it. `labels` are those that it may have; `repaired` None: either."""

    kind: str
    text: str
    outcome: str
    reasons: frozenset[str] = frozenset({""})
    labels: tuple[str, ...] = ()
    repaired: bool | None = None
    finish: str | None = "stop"
    free_text: bool = False
    missing: bool = False  # about the clip that lacks a modality

    def wrong(self, outcome: str, reason: str, labels: tuple[str, ...] | None, repaired: bool) -> str:
        """What is wrong with a result, "" when nothing is."""
        if outcome != self.outcome or reason not in self.reasons:
            return f"{outcome} {reason!r} instead of {self.outcome} {sorted(self.reasons)}"
        if (labels is not None) != (outcome == "labelled"):
            return f"{outcome} with the labels {labels}"
        if labels is not None and labels != self.labels:
            return f"labels {labels} instead of {self.labels}"
        if outcome == "labelled" and self.repaired not in (None, repaired):
            return f"repaired is {repaired}"
        return ""


def sentence(rng: random.Random, extra: str = "") -> str:
    words = rng.choices(WORDS, k=rng.randint(2, 12))
    return " ".join(words) + "".join(rng.choices(extra, k=rng.randint(1, 4)) if extra else [])


def valid(rng: random.Random) -> Answer:
    """A valid answer of random size, with odd characters in its free texts."""
    evidence = []
    for n in range(1, rng.randint(1, 5) + 1):
        modality, cue = rng.choice(CUES)
        start_s = round(rng.uniform(0, DURATION_S), 2)
        evidence.append(
            {
                "id": f"e{n}", "modality": modality, "start_s": start_s,
                "end_s": round(rng.uniform(start_s, DURATION_S), 2), "cue": cue, "direction": "present",
                "quote": sentence(rng) if cue == "quote" else None, "description": sentence(rng, ODD),
            }
        )  # fmt: skip
    ids = [item["id"] for item in evidence]
    steps = [
        {"n": n, "text": sentence(rng, ODD), "evidence_ids": rng.sample(ids, rng.randint(0, len(ids)))}
        for n in range(1, rng.randint(1, 4) + 1)
    ]
    names = rng.sample(LABELS, rng.randint(1, 2))
    reading = lambda: rng.choice([None, *LABELS])  # noqa: E731
    return {
        "evidence": evidence,
        "rationale": steps,
        "readings": {"text": reading(), "audio": reading(), "visual": reading()},
        "labels": [{"label": name, "intensity": rng.choice([None, 0, 1, 2.5, 3])} for name in names],
        "confidence": round(rng.random(), 2),
        "dimensions": {"valence": rng.choice([None, round(rng.uniform(-1, 1), 2)]), "arousal": None},
        "trajectory": [{"start_s": 0, "end_s": DURATION_S, "label": names[0]}] if rng.random() < 0.3 else [],
        "abstain_reason": None,
    }


def named(answer: Answer) -> tuple[str, ...]:
    return tuple(item["label"] for item in answer["labels"])


def dump(rng: random.Random, answer: Any) -> str:
    return json.dumps(answer, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, None, 2]))


def good(kind: str, rng: random.Random, answer: Answer, *, repaired: bool | None, text: str = "") -> Case:
    return Case(kind, text or dump(rng, answer), "labelled", labels=named(answer), repaired=repaired)


def bad(kind: str, text: str, *reasons: str, **more: Any) -> Case:
    return Case(kind, text, "unparsed", frozenset(reasons), **more)


def item_of(rng: random.Random, answer: Answer, key: str = "evidence") -> Answer:
    found: Answer = rng.choice(answer[key])
    return found
