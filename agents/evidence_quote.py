"""How much of a quote was said: the quote against its best-matching stretch of a transcript."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Sequence

from agents.datatext import visible

# Scripts without blanks between words are compared character by character.
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f"
_TOKEN = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])[^\W_])+(?:'(?:(?![{_UNSPACED}])[^\W_])+)*")
_NEGATIONS = frozenset(
    {
        "not", "no", "never", "none", "nobody", "nothing", "nowhere", "neither", "nor", "without",
        "nicht", "nichts", "nie", "niemals", "niemand", "nirgends", "ohne",
        "kein", "keine", "keinen", "keinem", "keiner", "keines",
    }
)  # fmt: skip
_SHORT_FORMS = {"can't": "can not", "cannot": "can not", "won't": "will not", "shan't": "shall not"}
_SHORT_ENDINGS = {
    "n't": " not", "'m": " am", "'re": " are", "'ve": " have", "'ll": " will", "'d": " would", "'s": " is",
}  # fmt: skip


def tokens(text: str) -> list[str]:
    """Words of `text` without case and punctuation, apostrophes inside a word kept."""
    plain = unicodedata.normalize("NFKC", visible(text)).casefold().replace("\u2019", "'")
    return _TOKEN.findall(plain)


def comparable(text: str) -> list[str]:
    """The tokens of `text` with what a transcript may write in another way made one.

    English short forms are written out ("don't" and "do not" are the same words; 's always becomes "is"), and
    words repeated at once count once: recognisers seldom keep the number of a "no, no, no".
    """
    words = " ".join(map(_written_out, tokens(text))).split()
    return [word for word, _ in itertools.groupby(words)]


def _written_out(word: str) -> str:
    if word in _SHORT_FORMS:
        return _SHORT_FORMS[word]
    for ending, full in _SHORT_ENDINGS.items():
        if word.endswith(ending):
            return word.removesuffix(ending) + full
    return word


def share_said(quote: Sequence[str], said: Sequence[str], *, any_number: bool = False) -> float:
    """1 - word error rate of `quote` against the stretch of `said` that fits it best, in [0, 1].

    Both are `comparable` words. A negation that stands in only one of the two costs the whole quote, since it
    turns the meaning round. With `any_number` digits on one side equal any word on the other ("20", "twenty").
    An empty quote gives 0.

    Reference: Sellers 1980 (approximate substring matching), DOI 10.1016/0196-6774(80)90016-4
    """
    if not quote:
        return 0.0
    whole = len(quote)
    row = [0] * (len(said) + 1)  # a match may start and end at any word
    for wanted in quote:
        above, row = row, [row[0] + _cost(wanted, whole)]
        for j, word in enumerate(said):
            same = wanted == word or (any_number and wanted.isdigit() != word.isdigit())
            row.append(
                min(
                    above[j] + (0 if same else max(_cost(wanted, whole), _cost(word, whole))),
                    above[j + 1] + _cost(wanted, whole),
                    row[j] + _cost(word, whole),
                )
            )
    return max(0.0, 1 - min(row) / whole)


def _cost(word: str, whole: int) -> int:
    return whole if word in _NEGATIONS else 1
