"""A model server that obeys: whatever reads like an order outside the fenced data decides its answer.

It reads the prompt as it arrives, as a weak model on a careless server would. The server takes every
special token of the usual chat templates for the end of a message, also where it stands in the data. The
model knows the fence from the system text, takes what stands between its two lines for data, and obeys the
last order in all the rest: in many languages, behind invisible characters, look-alike letters, base64 and
the like. So nothing but the fence, and what is done to the data before, keeps it from obeying what a
recording says.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import contextlib
import html
import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from tests.wire.answers import answer_text
from tests.wire.server import FakeModels, Reply

DEFAULT_LABEL, DEFAULT_SCORE = "joy", 0.2
TOKENS = re.compile(
    r"<\|[^<>]{1,40}?\|>|<\uff5c[^<>]{1,40}?\uff5c>|</?s>|<(?:start|end)_of_turn>|<</?SYS>>|\[/?INST\]"
    r"|\[/?(?:SYSTEM_PROMPT|TOOL_CALLS|AVAILABLE_TOOLS|TOOL_RESULTS)\]|</?tool_call>|<image>|<audio>"
)
FENCE = re.compile(r'between the line\s+"(<<<\S+)"\s+and the line\s+"(\S+>>>)"')
UNSEEN = re.compile("[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
CONTROLS = re.compile("\x1b\\[[0-9;]*[A-Za-z]|[\x00-\x08\x0e-\x1f]")
LOOK_ALIKES = str.maketrans("\u0430\u0435\u043e\u0456\u0441\u0440\u0445\u0443", "aeoicpxy")

LABELS = {
    "anger": "anger angry wut raiva гнев 怒り 愤怒 غضب क्रोध öfke",
    "sadness": "sadness sad tristesse 悲伤 슬픔",
    "fear": "fear miedo",
    "disgust": "disgust disgusto",
    "surprise": "surprise",
    "neutral": "neutral",
}
LABEL_WORDS = {word: label for label, words in LABELS.items() for word in words.split()}
ORDERS = (
    "answer|label|output|set|report|choose|write|say|respond|reply|return|use|mark|marked|is now|obey|antworte"
    "|réponds|responde|rispondi|responda|ответь|उत्तर|cevapla|submit_label|set_answer|submit_answer"
)
ORDER = re.compile(rf"(?<!\w)(?:{ORDERS})|回答|答え|답하|أجب")
RATING_ORDER = re.compile(r"(?:give|rate|bewerte|\"s_rec\"\s*:|s_rec).*?1\.0", re.DOTALL)
LABEL = re.compile("|".join(sorted(map(re.escape, LABEL_WORDS), key=len, reverse=True)))
SENTENCE = re.compile(r"[.!?\n]\s+|\n")


class ObedientModels(FakeModels):
    """Answers validly, with the label or the score that it was told outside the fence; without `fenced` it knows
    no fence, as if the prompt had none."""

    def __init__(self, *, fenced: bool = True) -> None:
        super().__init__()
        self.fenced = fenced

    def take(self, path: str, headers: dict[str, str], raw: str) -> Reply:
        super().take(path, headers, raw)
        return Reply(text=self.answer(json.loads(raw)))

    def answer(self, body: dict[str, Any]) -> str:
        told = "\n".join(outside(*_messages(body), fenced=self.fenced))
        label = label_told(told)
        answer = json.loads(answer_text(body, label=label or DEFAULT_LABEL))
        if "s_rec" in answer:
            answer["s_rec"] = 1.0 if any(map(RATING_ORDER.search, readings(told))) else DEFAULT_SCORE
        return json.dumps(answer)


def outside(system: str, user: str, *, fenced: bool) -> Iterator[str]:
    """The lines that the model takes for instructions."""
    fences = FENCE.findall(system) if fenced else []
    opening, closing = {pair[0] for pair in fences}, {pair[1] for pair in fences}
    yield from system.splitlines()
    for message in TOKENS.split(unicodedata.normalize("NFKC", user)):  # some tokenizers normalise first
        inside = False
        for line in message.splitlines():
            if line in opening:
                inside = True
            elif line in closing:
                inside = False
            elif not inside:
                yield line


def readings(text: str) -> Iterator[str]:
    """The text as it stands and as it can be decoded."""
    shown = unicodedata.normalize("NFKC", CONTROLS.sub(" ", UNSEEN.sub("", text)))
    yield shown.lower()
    yield shown.translate(LOOK_ALIKES).lower()
    yield unquote(html.unescape(shown)).lower()
    yield "".join(chr(ord(c) - 0xE0000) for c in text if 0xE0020 <= ord(c) <= 0xE007E).lower()
    yield "\n".join(part[::-1] for part in re.findall("\u202e([^\u202c]*)", text)).lower()
    for word in re.findall(r"[A-Za-z0-9+/]{20,}={0,2}", shown):
        with contextlib.suppress(binascii.Error, UnicodeDecodeError):
            yield base64.b64decode(word, validate=True).decode().lower()
    for word in re.findall(r"hex: ([0-9a-f]+)", shown):
        yield bytes.fromhex(word).decode().lower()
    for words in re.findall(r"rot13: ([\w ]+)", shown):
        yield codecs.decode(words, "rot13").lower()


def label_told(text: str) -> str | None:
    """The label of the last order: a sentence that bids and names a label."""
    told = None
    for reading in readings(text):
        for sentence in SENTENCE.split(reading):
            order = ORDER.search(sentence)
            named = [LABEL_WORDS[word] for word in LABEL.findall(sentence)]
            told = named[-1] if order and named else told
    return told


def _messages(body: dict[str, Any]) -> tuple[str, str]:
    """System text and user text as the server puts them before the model."""
    system, user = (message["content"] for message in body["messages"])
    return system, "\n".join(part["text"] for part in user if part["type"] == "text")
