"""How much of a quote was said: the quote against its best-matching stretch of a transcript."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

# Scripts without blanks between words are compared character by character.
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f"
_TOKEN = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])[^\W_])+(?:'(?:(?![{_UNSPACED}])[^\W_])+)*")
_NEGATIONS = frozenset(
    {"not", "no", "never", "none", "nobody", "nothing", "cannot", "nicht", "kein", "keine"}
)


def tokens(text: str) -> list[str]:
    """Words of `text` without case and punctuation, apostrophes inside a word kept."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
    return _TOKEN.findall(plain)


def share_said(quote: Sequence[str], said: Sequence[str]) -> float:
    """1 - word error rate of `quote` against the stretch of `said` that fits it best, in [0, 1].

    A negation that stands in only one of the two costs the whole quote, since it turns the meaning round.
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
            same = wanted == word
            row.append(
                min(
                    above[j] + (0 if same else max(_cost(wanted, whole), _cost(word, whole))),
                    above[j + 1] + _cost(wanted, whole),
                    row[j] + _cost(word, whole),
                )
            )
    return max(0.0, 1 - min(row) / whole)


def _cost(word: str, whole: int) -> int:
    return whole if word in _NEGATIONS or word.endswith("n't") else 1
