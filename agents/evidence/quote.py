"""How much of a quote was said: the quote against its best-matching stretch of a transcript."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Sequence

from agents.evidence import negations
from agents.questions.datatext import visible

# Scripts without blanks between words are compared character by character.
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_UNSPACED += "\uac00-\ud7a3"  # in Korean where blanks stand differs from writer to writer
_LETTER = rf"(?:(?![{_UNSPACED}])[^\W_]|[\u0900-\u0dff])"  # and the vowel signs of the scripts of India
_TOKEN = re.compile(rf"[{_UNSPACED}]|{_LETTER}+(?:'{_LETTER}+)*")
# Points of Arabic and Hebrew, which most writers leave out; a dot that only lower case makes of "İ".
_POINTS = re.compile("[\u0307\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670]|(?<=\\bnon)-")
_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u02bc\u2032\u00b4`", "'"))
_NOT = re.compile(
    r"\b(do|does|did|is|are|was|were|has|have|had|ca|wo|sha|would|could|should|must|might|need|ought|dare|ai)"
    r"\s?n['\s]?t\b"
)
_FRENCH = re.compile(r"\b(?:je|tu|il|elle|nous|vous|ils|elles|les|des|une|du|dans|qui|que|cette|est|et)\b")
_FRENCH_DONT = re.compile(_NOT.pattern.replace("do|", "", 1))  # "dont" is a pronoun there
_WHOLE_FORMS = {"ca": "can", "wo": "will", "sha": "shall"}
_SHORT_FORMS = {
    "cannot": "can not", "dunno": "do not know", "noone": "no one", "gonna": "going to", "wanna": "want to",
    "gotta": "got to", "kinda": "kind of", "sorta": "sort of", "lemme": "let me", "gimme": "give me",
    "outta": "out of", "let's": "let us", "lets": "let us", "cuz": "because", "coz": "because", "ok": "okay",
    "alright": "all right", "hab": "habe",
}  # fmt: skip
# Written without the apostrophe. ("im", "ill", "well", "were" and "id" are words of their own.)
_BARE = {
    "s is": "it that what there here he she where how who",
    "re are": "you they",
    "ve have": "i you we they",
}
for _ending, _words in _BARE.items():
    _short, _full = _ending.split()
    _SHORT_FORMS |= {word + _short: f"{word} {_full}" for word in _words.split()}
FILLERS = frozenset(["uh", "um", "uhm", "umm", "erm", "äh", "ähm", "euh"])  # recognisers seldom keep them
_REACH = 4  # words: in "I do not really know", "really" does not stand for "I"
_SHORT_ENDINGS = {
    "'m": " am", "'re": " are", "'ve": " have", "'ll": " will", "'d": " would", "'s": " is",
}  # fmt: skip


def tokens(text: str) -> list[str]:
    """Words of `text` without case and punctuation, apostrophes inside a word kept."""
    plain = unicodedata.normalize("NFKC", visible(text)).casefold().replace("\u2019", "'")
    return _TOKEN.findall(_POINTS.sub("", plain))


def comparable(text: str) -> list[str]:
    """The tokens of `text` with what a transcript may write in another way made one.

    English short forms are written out ("don't", "dont" and "do not" are the same words; 's always becomes "is"),
    and words repeated at once count once: recognisers seldom keep the number of a "no, no, no". "Um" and
    its like are left out where anything else is said.
    """
    said = " ".join(tokens(text.translate(_APOSTROPHES)))
    said = (_FRENCH_DONT if _FRENCH.search(said) else _NOT).sub(
        lambda match: f"{_WHOLE_FORMS.get(match[1], match[1])} not", said
    )
    words = " ".join(map(_written_out, said.split())).split()
    words = [word for word in words if word not in FILLERS] or words
    return [word for word, _ in itertools.groupby(words)]


def _written_out(word: str) -> str:
    if word in _SHORT_FORMS:
        return _SHORT_FORMS[word]
    if word[1:2] == "'" and word[0] in "cdjlmnst":  # French "ce", "de", "je", "le" ...
        return f"{word[0]}e {word[2:]}"
    for ending, full in _SHORT_ENDINGS.items():
        if word.endswith(ending):
            return word.removesuffix(ending) + full
    return word


def share_said(
    quote: Sequence[str], said: Sequence[str], *, any_number: bool = False, unsure: bool = True
) -> float:
    """1 - word error rate of `quote` against the stretch of `said` that fits it best, in [0, 1].

    Both are `comparable` words. A negation that stands in only one of the two costs the whole quote, since it
    turns the meaning round; so does "happy" for "unhappy". Without `unsure` a word that negates in some languages
    only costs no more than others. With `any_number` digits on one side equal any word on the other ("20",
    "twenty"). An empty quote gives 0.

    Reference: Sellers 1980 (approximate substring matching), DOI 10.1016/0196-6774(80)90016-4
    """
    if not quote:
        return 0.0
    if f" {' '.join(quote)} " in f" {' '.join(said)} ":
        return 1.0
    quote, said = negations.marked(quote), negations.marked(said)
    whole = len(quote)
    costs = negations.costs(quote, said, unsure=unsure)

    def change(wanted: str, word: str) -> int:
        same = any_number and wanted.isdigit() != word.isdigit()
        return 0 if same else negations.change(wanted, word, costs, unsure=unsure)

    def stand_in(wanted: str, word: str, further: Sequence[str]) -> int:
        between = further[: further.index(wanted)] if wanted in further else ()
        return whole if any(costs[each] == whole for each in between) else change(wanted, word)

    # A match may start and end at any word, yet where the words at the quote's ends do not agree those said
    # beside the match stand in for them, so that none steps over a negation: of "I hardly know" the words "I
    # know" are not said, although "know" is. `lead`: no word agrees yet; `body`: some do; `done`: the last did.
    lead, body, done = [0] * (len(said) + 1), [whole] * (len(said) + 1), [whole] * (len(said) + 1)
    for wanted in quote:
        gone = costs[wanted]
        (lead_0, body_0, done_0), lead, body, done = (lead, body, done), [lead[0] + gone], [whole], [whole]
        for j, word in enumerate(said):
            price = change(wanted, word)
            agreed = whole if price else min(lead_0[j], body_0[j])
            before = stand_in(wanted, word, said[max(0, j - _REACH) : j][::-1]) if price else whole
            after = price and stand_in(wanted, word, said[j + 1 : j + 1 + _REACH])
            lead.append(min(lead_0[j] + before, whole if gone else lead_0[j + 1]))
            body.append(min(agreed, body_0[j] + price, body_0[j + 1] + gone, body[j] + costs[word]))
            done.append(min(agreed, done_0[j] + after, whole if gone else done_0[j + 1]))
    return max(0.0, 1 - min(*done, body[-1]) / whole)
